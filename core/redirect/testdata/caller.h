// What redirect_test asks of the shared object `caller`: calls of the C library's file functions, each put into words,
// so that the same call on a real directory and below a root can be compared.

#pragma once

#include <string>

namespace caller {

struct Probe {
  const char* name;
  std::string (*run)(const char* path);
};

}  // namespace caller

extern "C" {
// Lists that end with a probe without a name: those that read, those that would change something, and those that are
// given a directory, open it and work relative to it.
const caller::Probe* reading_probes();
const caller::Probe* changing_probes();
const caller::Probe* directory_probes();
// Raw calls for tests of one thing.
int call_stat(const char* path);
int call_access(const char* path);
int call_open(const char* path, int flags);
void* call_dlopen(const char* name, int mode);
const char* call_dlerror();
int call_execl(const char* path);
int call_spawn(const char* path);
// The slot that a call of stat goes through.
void* stat_slot();
}
