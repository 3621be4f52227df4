#include "core/archive/dos_time.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <ctime>

namespace intact {
namespace {

DosTimes settled(const std::vector<std::uint32_t>& times) {
  DosTimes known;
  for (const std::uint32_t time : times) known.expect(time);
  known.settle();
  return known;
}

// mktime is the control, in a zone with summer time; every hour around both changes of it, and fields out of range.
TEST(DosTimes, AreWhatMktimeSays) {
  setenv("TZ", "CET-1CEST,M3.5.0,M10.5.0/3", 1);
  tzset();
  std::vector<std::uint32_t> times;
  std::vector<std::int64_t> expected;
  for (const int month : {0, 1, 3, 7, 10, 12, 15}) {
    for (const int day : {0, 1, 26, 27, 29, 31}) {
      for (int hour = 0; hour < 24; ++hour) {
        const std::uint32_t date =
            (2023u - 1980u) << 9 | static_cast<std::uint32_t>(month) << 5 | static_cast<std::uint32_t>(day);
        times.push_back(date << 16 | static_cast<std::uint32_t>(hour) << 11 | 17u << 5 | 9u);
        std::tm when{};
        when.tm_year = 123, when.tm_mon = month - 1, when.tm_mday = day, when.tm_hour = hour, when.tm_min = 17,
        when.tm_sec = 18;
        when.tm_isdst = -1;
        expected.push_back(std::mktime(&when));
      }
    }
  }
  const DosTimes known = settled(times);
  for (std::size_t i = 0; i < times.size(); ++i) EXPECT_EQ(known.seconds(times[i]), expected[i]) << i;
  unsetenv("TZ");
  tzset();
}

TEST(DosTimes, ManyDistinctHoursAreCloseEnough) {
  std::vector<std::uint32_t> times;
  for (std::uint32_t hour = 0; hour < 20'000; ++hour) times.push_back((hour / 24 + 33) << 16 | (hour % 24) << 11);
  const DosTimes known = settled(times);
  for (const std::uint32_t time : times) EXPECT_NE(known.seconds(time), 0);
}

}  // namespace
}  // namespace intact
