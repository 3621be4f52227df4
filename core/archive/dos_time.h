// DOS time: what a zip's directory says of when, in the local time of whoever packed it (APPNOTE.TXT 4.4.6). zipimport
// reads it as ours, and so do we.
//
// Only the C library knows local time, and it takes a lock for it that a child forked meanwhile would wait on forever.
// So it is asked while the archive is opened (`expect`, then `settle`), once for each hour that occurs; afterwards
// converting is arithmetic.

#pragma once

#include <cstdint>
#include <vector>

namespace intact {

class DosTimes {
 public:
  // A time that will be asked for.
  void expect(std::uint32_t time) {
    const std::uint32_t hour = time >> kHourShift;
    if (expected_.empty() || expected_.back() != hour) expected_.push_back(hour);
  }
  void settle();

  // Seconds since the epoch of a DOS time, date in the upper half.
  std::int64_t seconds(std::uint32_t time) const;

 private:
  struct Hour {
    std::uint32_t hour = 0;   // date and hour: the upper 21 bits of a DOS time
    std::int64_t offset = 0;  // seconds from UTC
  };
  static constexpr std::uint32_t kHourShift = 11;

  std::vector<std::uint32_t> expected_;  // until they are settled
  std::vector<Hour> hours_;              // sorted
};

}  // namespace intact
