#include "thrown.h"

extern "C" __attribute__((visibility("default"))) void throw_value(int value) {
  Thrown thrown;
  thrown.value = value;
  throw thrown;
}
