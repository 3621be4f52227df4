// DOS time: what a zip's directory says of when, in the local time of whoever packed it (APPNOTE.TXT 4.4.6). zipimport
// reads it as ours, and so do we.
//
// Only the C library knows local time, and it takes a lock for it that a child forked meanwhile would wait on forever. So it is
// asked while the archive is opened, once for each hour that occurs; afterwards converting is arithmetic.

#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "core/archive/archive.h"

namespace intact {

class DosTimes {
 public:
  explicit DosTimes(std::span<const Member> members);

  // Seconds since the epoch of Member::time.
  std::int64_t seconds(std::uint32_t time) const;

 private:
  struct Hour {
    std::uint32_t hour = 0;  // date and hour: the upper 21 bits of a DOS time
    std::int64_t offset = 0;  // seconds from UTC
  };
  std::vector<Hour> hours_;  // sorted
};

}  // namespace intact
