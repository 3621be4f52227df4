// An exception type that two shared objects and the test know.

#pragma once

struct __attribute__((visibility("default"))) Thrown {
  virtual ~Thrown() = default;
  int value = 0;
};
