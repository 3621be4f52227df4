#include "core/elf/read_ahead.h"

#include <pthread.h>
#include <sched.h>
#include <signal.h>

#include <algorithm>
#include <iterator>
#include <new>
#include <utility>

#include "core/elf/graft_linux.h"
#include "core/elf/load_lock.h"

namespace intact {
namespace {

const std::string kBundle = ".libs";
constexpr std::uint64_t kLeast = std::uint64_t{64} << 10;  // bytes, unpacked: less is not worth a hand-over
constexpr std::uint64_t kMost = std::uint64_t{64} << 20;   // bytes ahead at any time

bool several_processors() {
  static const bool several = [] {
    cpu_set_t set;
    return sched_getaffinity(0, sizeof set, &set) == 0 && CPU_COUNT(&set) > 1;
  }();
  return several;
}

bool read_or_check(const Place& place, std::uint64_t size, Scratch& scratch, Ahead& result) {
  const Archive& archive = place.mount->archive();
  const std::uint32_t member = place.get().member;
  if (const auto extent = archive.extent(member); extent && *extent && extent_mappable(**extent)) {
    result.checked = static_cast<bool>(archive.check(member));
    return result.checked;
  }
  auto made = PrivateCopy::create(std::string(place.get().name()), static_cast<std::size_t>(size), {});
  if (!made) return false;
  result.copy = *std::move(made);
  return static_cast<bool>(result.copy.fill(archive, member, scratch));
}

}  // namespace

ReadAhead& ReadAhead::instance() {
  // Never destroyed: its thread may outlast main.
  static ReadAhead& ahead = *[] {
    alignas(ReadAhead) static std::byte storage[sizeof(ReadAhead)];
    auto* made = ::new (static_cast<void*>(storage)) ReadAhead();
    // Whoever loads holds the load lock and asks here: forking takes the two in the same order.
    pthread_atfork([] { LoadLock::instance().lock(), instance().mutex_.lock(); },
                   [] { instance().mutex_.unlock(), LoadLock::instance().unlock(); },
                   [] {
                     ReadAhead& child = instance();  // whose thread was not forked, nor any that waited for it
                     // What the thread had in hand is half made: it is leaked, not freed.
                     static_cast<void>(::new std::list<Item>(std::move(child.items_)));
                     child.items_.clear();
                     child.ahead_ = 0;
                     child.running_ = child.joinable_ = false;
                     ::new (static_cast<void*>(&child.done_)) std::condition_variable();
                     child.mutex_.unlock();
                     LoadLock::instance().unlock();
                   });
    return made;
  }();
  return ahead;
}

void ReadAhead::expect(const MountPtr& mount, std::uint32_t directory) {
  const Index& index = mount->index();
  if (!several_processors()) return;
  const std::lock_guard lock(mutex_);
  const std::string_view path = index.node(directory).path;
  const std::string top(path.substr(0, path.find('/')));
  std::vector<std::uint32_t>& bundles = bundles_of(*mount);
  const auto own =
      std::ranges::find_if(bundles, [&](std::uint32_t bundle) { return index.node(bundle).path == top + kBundle; });
  if (own != bundles.end()) {
    expect_children(mount, *own);
    expect_children(mount, directory);
    bundles.erase(own);
  } else if (expect_children(mount, directory) && bundles.size() == 1) {
    expect_children(mount, bundles.front());
    bundles.clear();
  }
  if (!running_ && waiting(kMost) != items_.end()) start();
}

std::vector<std::uint32_t>& ReadAhead::bundles_of(const Mount& mount) {
  const auto [found, made] = bundles_.try_emplace(mount.id());
  if (made) {
    const Index& index = mount.index();
    for (const auto& [name, node] : index.children(0)) {
      if (index.is_directory(node) && name.ends_with(kBundle)) found->second.push_back(node);
    }
  }
  return found->second;
}

// The largest first: what takes longest is begun earliest. Whether there are shared objects at all.
bool ReadAhead::expect_children(const MountPtr& mount, std::uint32_t directory) {
  const Index& index = mount->index();
  std::list<Item> more;
  bool some = false;
  for (const auto& [name, node] : index.children(directory)) {
    if (index.is_directory(node) || name.find(".so") == std::string_view::npos) continue;
    some = true;
    const std::uint64_t size = mount->archive().member(index.node(node).member).size;
    if (size < kLeast || size > kMost - std::min(ahead_, kMost)) continue;
    more.push_back({.place = {mount, node}, .size = size});
    ahead_ += size;
  }
  more.sort([](const Item& a, const Item& b) { return a.size > b.size; });
  items_.splice(items_.end(), more);
  return some;
}

std::optional<Ahead> ReadAhead::take(const Place& place, Scratch& scratch) {
  std::unique_lock lock(mutex_);
  const auto found = std::ranges::find_if(items_, [&](const Item& item) {
    return !item.claimed && item.place.mount == place.mount && item.place.node == place.node;
  });
  if (found == items_.end()) return std::nullopt;
  if (found->state == State::kWorking) {
    found->claimed = true;
    const std::uint64_t drops = drops_;
    while (found->state != State::kDone) {
      const auto item = waiting(found->size / 4);
      if (item == items_.end()) {
        done_.wait(lock);
        continue;
      }
      prepare(lock, *item, scratch);
      if (drops_ != drops && !item->claimed) forget(item);  // dropped while it was in hand
    }
  }
  std::optional<Ahead> result;
  if (found->good) result = std::move(found->result);
  forget(found);
  return result;
}

void ReadAhead::drop() {
  std::unique_lock lock(mutex_);
  ++drops_;
  forget_waiting();
  if (std::exchange(joinable_, false)) {
    const pthread_t thread = thread_;
    lock.unlock();
    pthread_join(thread, nullptr);
    lock.lock();
    if (!running_) forget_waiting();
  }
}

// What nobody waits for, unless somebody has it in hand.
void ReadAhead::forget_waiting() {
  for (auto item = items_.begin(); item != items_.end();) {
    const bool kept = item->state == State::kWorking || item->claimed;
    const auto next = std::next(item);
    if (!kept) forget(item);
    item = next;
  }
}

void ReadAhead::forget(std::list<Item>::iterator item) {
  ahead_ -= item->size;
  items_.erase(item);
}

// Without a thread all stays waiting, and whoever takes it gets nothing.
void ReadAhead::start() {
  if (std::exchange(joinable_, false)) pthread_join(thread_, nullptr);  // it ended: running_ is false
  sigset_t all, before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);  // signals are for the program's own threads
  joinable_ = running_ =
      pthread_create(
          &thread_, nullptr, [](void*) -> void* { return instance().work(), nullptr; }, nullptr) == 0;
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
}

void ReadAhead::work() {
  Scratch scratch;
  std::unique_lock lock(mutex_);
  for (auto item = waiting(kMost); item != items_.end(); item = waiting(kMost)) prepare(lock, *item, scratch);
  running_ = false;
}

// The first that nobody has in hand, of at most so many bytes.
std::list<ReadAhead::Item>::iterator ReadAhead::waiting(std::uint64_t most) {
  return std::ranges::find_if(items_,
                              [&](const Item& item) { return item.state == State::kWaiting && item.size <= most; });
}

void ReadAhead::prepare(std::unique_lock<std::mutex>& lock, Item& item, Scratch& scratch) {
  item.state = State::kWorking;
  lock.unlock();
  const bool good = read_or_check(item.place, item.size, scratch, item.result);
  lock.lock();
  item.good = good;
  item.state = State::kDone;
  done_.notify_all();
}

}  // namespace intact
