// Clocks, as Python's time.perf_counter_ns() and thread_time_ns() have them.

#pragma once

#include <time.h>

#include <cstdint>

namespace intact {

// Nanoseconds since some point in the past.
inline std::int64_t now_of(clockid_t clock) {
  timespec time;
  clock_gettime(clock, &time);
  return std::int64_t{time.tv_sec} * 1'000'000'000 + time.tv_nsec;
}

inline std::int64_t monotonic_now() { return now_of(CLOCK_MONOTONIC); }
// Of CPU that this thread has taken.
inline std::int64_t thread_time_now() { return now_of(CLOCK_THREAD_CPUTIME_ID); }

}  // namespace intact
