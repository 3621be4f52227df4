// The monotonic clock, as Python's time.perf_counter_ns() has it.

#pragma once

#include <time.h>

#include <cstdint>

namespace intact {

// Nanoseconds since some point in the past.
inline std::int64_t monotonic_now() {
  timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return std::int64_t{time.tv_sec} * 1'000'000'000 + time.tv_nsec;
}

}  // namespace intact
