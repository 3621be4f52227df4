#include "core/archive/dos_time.h"

#include <pthread.h>

#include <algorithm>
#include <chrono>
#include <ctime>
#include <mutex>
#include <new>
#include <utility>

namespace intact {
namespace {

// An archive with more distinct hours than this gets the offset of the nearest one for the rest.
constexpr std::size_t kMostHours = 4096;

std::tm fields(std::uint32_t time) {
  std::tm when{};
  when.tm_sec = static_cast<int>(time & 0x1F) * 2;
  when.tm_min = static_cast<int>(time >> 5 & 0x3F);
  when.tm_hour = static_cast<int>(time >> 11 & 0x1F);
  when.tm_mday = static_cast<int>(time >> 16 & 0x1F);
  when.tm_mon = static_cast<int>(time >> 21 & 0xF) - 1;
  when.tm_year = static_cast<int>(time >> 25) + 80;
  when.tm_isdst = -1;
  return when;
}

// As if it were UTC; months and days out of range carry over, as in mktime.
std::int64_t as_utc(std::uint32_t time) {
  using namespace std::chrono;
  const std::tm when = fields(time);
  const int months = when.tm_year * 12 + when.tm_mon;
  const auto first = sys_days(year(1900 + months / 12) / month(static_cast<unsigned>(months % 12) + 1) / 1);
  const std::int64_t day = first.time_since_epoch().count() + when.tm_mday - 1;
  return ((day * 24 + when.tm_hour) * 60 + when.tm_min) * 60 + when.tm_sec;
}

// Held while the C library converts local times, which it does under a lock of its own: a child of a fork would find
// that held for ever if another thread had it. Never destroyed: handlers of forks use it.
std::mutex& converting() {
  static std::mutex& mutex = *[] {
    alignas(std::mutex) static std::byte storage[sizeof(std::mutex)];
    auto* made = ::new (static_cast<void*>(storage)) std::mutex;
    pthread_atfork([] { converting().lock(); }, [] { converting().unlock(); }, [] { converting().unlock(); });
    return made;
  }();
  return mutex;
}

}  // namespace

void DosTimes::settle() {
  std::vector<std::uint32_t> hours = std::move(expected_);
  std::sort(hours.begin(), hours.end());
  hours.erase(std::unique(hours.begin(), hours.end()), hours.end());
  const std::size_t step = hours.size() / kMostHours + 1;
  const std::lock_guard lock(converting());
  for (std::size_t i = 0; i < hours.size(); i += step) {
    const std::uint32_t time = hours[i] << kHourShift;
    std::tm when = fields(time);
    hours_.push_back({hours[i], as_utc(time) - std::mktime(&when)});
  }
}

std::int64_t DosTimes::seconds(std::uint32_t time) const {
  const auto after = std::upper_bound(hours_.begin(), hours_.end(), time >> kHourShift,
                                      [](std::uint32_t hour, const Hour& known) { return hour < known.hour; });
  return as_utc(time) - (after == hours_.begin() ? 0 : std::prev(after)->offset);
}

}  // namespace intact
