// Publishing states of the tree, and the two ways of reading them.

#include "core/tree/tree.h"

#include <pthread.h>
#include <sched.h>

#include <algorithm>
#include <array>
#include <bit>
#include <climits>
#include <cstdlib>
#include <utility>

namespace intact {
namespace {

std::atomic<std::uint64_t> next_mount_id{1};

// How many guards this thread has, over all trees, in either counter: what a child of a fork has left of them. It is
// kept under a key of the C library's, which has room for the first 32 keys in every thread. What is thread_local would
// be allocated when a thread first comes by, perhaps in a signal handler, or, as initial-exec, take of the little room
// that there is for objects loaded late, without which they are not loaded. Without a key nothing is counted.
const pthread_key_t own_guards = [] {
  pthread_key_t key = PTHREAD_KEYS_MAX;  // no key
  ::pthread_key_create(&key, nullptr);
  return key;
}();

using OwnGuards = std::array<std::uint32_t, 2>;

OwnGuards get_own_guards() {
  return std::bit_cast<OwnGuards>(reinterpret_cast<std::uintptr_t>(::pthread_getspecific(own_guards)));
}

void add_own_guards(std::uint32_t counter, std::uint32_t count) {
  OwnGuards guards = get_own_guards();
  guards[counter] += count;
  ::pthread_setspecific(own_guards, reinterpret_cast<void*>(std::bit_cast<std::uintptr_t>(guards)));
}

std::string follow_links(const std::string& root) {
  const std::size_t name = root.rfind('/');
  char directory[PATH_MAX];
  if (name == 0 || name == std::string::npos || !::realpath(root.substr(0, name).c_str(), directory)) return {};
  std::string real = directory + root.substr(name);
  return real == root ? std::string() : real;
}

}  // namespace

Mount::Mount(std::unique_ptr<Archive> archive, MountOptions options, const ImportRules& rules)
    : id_(next_mount_id.fetch_add(1, std::memory_order_relaxed)),
      archive_(std::move(archive)),
      options_(std::move(options)),
      real_root_(follow_links(options_.root)),
      index_(*archive_, options_.prefixes, rules, options_.most_directories) {}

std::string Mount::path_of(std::uint32_t node) const {
  const std::string_view path = index_.node(node).path;
  return path.empty() ? root() : root() + "/" + std::string(path);
}

Tree::Tree()
    : current_(std::make_unique<const Snapshot>(std::vector<MountPtr>())),
      snapshot_(current_.get()),
      gate_size_(kGateClosed) {}

void Tree::attach(MountPtr mount) {
  const std::lock_guard lock(mutex_);
  std::vector<MountPtr> mounts{std::move(mount)};
  const std::vector<MountPtr>& older = current_->mounts();
  mounts.insert(mounts.end(), older.begin(), older.end());
  publish(std::move(mounts));
}

MountPtr Tree::mount(std::unique_ptr<Archive> archive, MountOptions options, const ImportRules& rules) {
  auto mount = std::make_shared<const Mount>(std::move(archive), std::move(options), rules);
  attach(mount);
  return mount;
}

bool Tree::unmount(const Mount& mount) {
  return unmount_if([&](const Mount& other) { return &other == &mount; });
}

void Tree::unmount_owned_by(Viewer owner) {
  unmount_if([=](const Mount& mount) { return mount.options().owner == owner; });
}

bool Tree::unmount_if(const std::function<bool(const Mount&)>& unwanted) {
  const std::lock_guard lock(mutex_);
  std::vector<MountPtr> mounts = current_->mounts();
  const auto gone = std::erase_if(mounts, [&](const MountPtr& mount) { return unwanted(*mount); });
  if (gone > 0) publish(std::move(mounts));
  return gone > 0;
}

void Tree::publish(std::vector<MountPtr> newest_first) {
  auto next = std::make_unique<const Snapshot>(std::move(newest_first));
  set_gate(*next);
  snapshot_.store(next.get());
  ++version_;
  retired_.push_back(std::exchange(current_, std::move(next)));
  if (drain()) retired_.clear();
}

// A reader that still uses an old snapshot added itself to one of the counters before the store, so once both have been
// seen at zero after it, nobody does. New readers go to the other counter meanwhile, so each runs dry by itself; where
// a reader is not given the processor for long, old snapshots wait for the next change.
bool Tree::drain() {
  constexpr int kTries = 50;
  for (int round = 0; round < 2; ++round) {
    const std::uint32_t before = phase_.load();
    phase_.store(1 - before);
    for (int i = 0; i < kTries && readers_[before].load() != 0; ++i) sched_yield();
    if (readers_[before].load() != 0) return false;
  }
  return true;
}

void Tree::set_gate(const Snapshot& snapshot) {
  std::string_view common;
  bool any = false;
  for (const MountPtr& mount : snapshot.mounts()) {
    if (!mount->options().files) continue;
    const std::string_view root = mount->root();
    if (!any) common = root;
    any = true;
    const auto differ = std::mismatch(common.begin(), common.end(), root.begin(), root.end());
    common = common.substr(0, static_cast<std::size_t>(differ.first - common.begin()));
  }
  common = common.substr(0, kGateWords * 8);
  std::uint64_t next[4] = {};
  const auto allow = [&](char byte) {
    next[static_cast<unsigned char>(byte) / 64] |= std::uint64_t{1} << (static_cast<unsigned char>(byte) % 64);
  };
  for (const MountPtr& mount : snapshot.mounts()) {
    if (!mount->options().files) continue;
    if (mount->root().size() > common.size())
      allow(mount->root()[common.size()]);
    else
      allow('/'), allow('\0');  // the root itself, and what is below it
  }
  gate_sequence_.fetch_add(1);
  gate_size_.store(any ? static_cast<std::uint32_t>(common.size()) : kGateClosed);
  for (std::size_t i = 0; i < common.size(); i += 8) {
    std::uint64_t word = 0;
    for (std::size_t j = 0; j < std::min<std::size_t>(8, common.size() - i); ++j) {
      word |= std::uint64_t{static_cast<unsigned char>(common[i + j])} << (8 * j);
    }
    gate_[i / 8].store(word);
  }
  for (std::size_t i = 0; i < 4; ++i) gate_next_[i].store(next[i]);
  gate_sequence_.fetch_add(1);
}

bool Tree::may_be_below(const char* path) const {
  const std::uint32_t sequence = gate_sequence_.load(std::memory_order_acquire);
  const std::uint32_t size = gate_size_.load(std::memory_order_acquire);
  bool below = size != kGateClosed;
  std::uint64_t word = 0;
  for (std::uint32_t i = 0; below && i < size; ++i) {
    if (i % 8 == 0) word = gate_[i / 8].load(std::memory_order_acquire);
    below = static_cast<unsigned char>(path[i]) == (word & 0xff);  // a NUL differs: no byte of a root is one
    word >>= 8;
  }
  if (below) {
    const auto byte = static_cast<unsigned char>(path[size]);
    below = (gate_next_[byte / 64].load(std::memory_order_acquire) >> (byte % 64) & 1) != 0;
  }
  return below || (sequence & 1) != 0 || gate_sequence_.load(std::memory_order_relaxed) != sequence;
}

void Tree::after_fork_in_child() {
  const OwnGuards own = get_own_guards();
  for (std::size_t i = 0; i < 2; ++i) readers_[i].store(own[i]);
  mutex_.unlock();
}

ReadGuard::ReadGuard(const Tree& tree) : tree_(tree), phase_(tree.phase_.load()) {
  tree_.readers_[phase_].fetch_add(1);
  add_own_guards(phase_, 1);
  snapshot_ = tree_.snapshot_.load();
}

ReadGuard::~ReadGuard() {
  add_own_guards(phase_, -1U);
  tree_.readers_[phase_].fetch_sub(1);
}

}  // namespace intact
