#include "thrown.h"

extern "C" void throw_value(int value);

extern "C" __attribute__((visibility("default"))) int catch_value(int value) {
  try {
    throw_value(value);
  } catch (const Thrown& thrown) {
    return thrown.value;
  }
  return -1;
}
