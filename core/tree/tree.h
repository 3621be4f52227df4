// Tree: every mount, under its root, newest first. What import, file access and library loading ask.
//
// Reading takes no lock: a reader holds a Snapshot, which never changes; mount and unmount publish a new
// one and free the old one when its last reader has gone. Writers take `mutex_`. Whoever keeps a tree that is in use
// when the process forks calls the three functions for that.
//
//     ReadGuard tree(engine_tree);
//     if (auto found = tree->lookup("/abs/app.zip/pkg/data.txt")) …
//
// A root that is reached through a link to a directory is found by its real path too, as a file is: programs take the
// realpath of what they are called.
//
// Two mounts may share a root (the same file twice, the same name twice): they are layers, the newest on top.
// A Mount is pinned by whoever holds its shared_ptr; unmounting takes it out of the tree and no more.

#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/archive/archive.h"
#include "core/base/result.h"
#include "core/tree/index.h"
#include "core/tree/slots.h"

namespace intact {

// For whom a mount is: a number that its user chooses, one for each group that sees the same (an interpreter, say), or
// kEveryone. Who looks into the tree sees what is for everyone and what is for the own number; kAnyone sees all.
using Viewer = std::uint64_t;
constexpr Viewer kEveryone = 0, kAnyone = UINT64_MAX;

struct MountOptions {
  std::string root;                   // absolute and normal: "/abs/app.zip", "/intact/app"
  std::string name;                   // what the user calls it
  std::vector<std::string> prefixes;  // directories that count as the root, besides .data/purelib and platlib
  bool first = false;                 // may shadow the standard library
  bool files = true;                  // the redirect answers below the root
  std::string extract_directory;      // where shared objects go if memory may not be executed; empty: nowhere
  Viewer owner = kEveryone;
  std::size_t most_directories = SIZE_MAX;  // as in Index

  bool shown_to(Viewer viewer) const { return owner == kEveryone || owner == viewer || viewer == kAnyone; }
};

class Mount {
 public:
  Mount(std::unique_ptr<Archive> archive, MountOptions options, const ImportRules& rules);

  const Archive& archive() const { return *archive_; }
  const MountOptions& options() const { return options_; }
  const std::string& root() const { return options_.root; }
  // The root with the links among its directories followed; empty if that is the same.
  const std::string& real_root() const { return real_root_; }
  const Index& index() const { return index_; }
  // A number that no other mount of this process has or had.
  std::uint64_t id() const { return id_; }

  // ROOT/pkg/x.py for a node; the root itself for node 0.
  std::string path_of(std::uint32_t node) const;

 private:
  std::uint64_t id_;
  std::unique_ptr<Archive> archive_;
  MountOptions options_;
  std::string real_root_;
  Index index_;
};

using MountPtr = std::shared_ptr<const Mount>;

// A place in the tree: a node of one mount.
struct Place {
  MountPtr mount;
  std::uint32_t node = 0;

  Node get() const { return mount->index().node(node); }
  bool directory() const { return mount->index().is_directory(node); }
};

// Mounts that share one root, newest first.
struct Root {
  std::string path;
  std::vector<MountPtr> mounts = {};
  bool files = false;  // some mount of it is answered by the redirect

  bool shown_to(Viewer viewer) const;
};

class Snapshot {
 public:
  explicit Snapshot(std::vector<MountPtr> newest_first);

  const std::vector<MountPtr>& mounts() const { return mounts_; }

  // The root that `path` is, or lies below, and the rest without its leading '/'; null if none. `path` is
  // absolute; what follows the root need not be normal. Allocates nothing.
  std::pair<const Root*, std::string_view> root_of(std::string_view path, Viewer viewer = kAnyone) const;

  // The same with the rest normalised. Where that takes a copy it is made in `storage`.
  std::pair<const Root*, std::string_view> normal_root_of(std::string_view path, std::string& storage,
                                                          Viewer viewer = kAnyone) const;

  // The newest file or directory at `path` (absolute). `rest` is normalised if it has to be.
  std::optional<Place> lookup(std::string_view path, Viewer viewer = kAnyone) const;
  std::optional<Place> lookup(const Root& root, std::string_view rest, Viewer viewer = kAnyone) const;

  // Names in a directory, over all layers of the root, each once, newest first.
  std::vector<Place> list(const Root& root, std::string_view rest) const;

  // The union of all mounts: `path` below any root.
  std::vector<Place> lookup_all(std::string_view path, Viewer viewer = kAnyone) const;

  // Mounts, whoever they are for, that have something importable called `name` at their top level, newest first. May
  // name one more, whose name has the same hash.
  std::vector<const Mount*> top_level(std::string_view name) const;

  // The owner of a mount of this snapshot.
  MountPtr pin(const Mount* mount) const;

  // The shared object of this base name in the newest mount that has one.
  std::optional<Place> find_shared_object(std::string_view base_name, Viewer viewer = kAnyone) const;

 private:
  void add_root(const std::string& path, const MountPtr& mount);
  void add_top_level_names();

  std::vector<MountPtr> mounts_;
  std::vector<Root> roots_;           // sorted by path
  std::vector<std::uint32_t> outer_;  // for each root the longest other root that is a prefix of it, or kNone
  std::vector<Slot> top_level_;       // name -> number of the mount in mounts_, a slot for each mount that has it
};

class Tree {
 public:
  Tree();

  // Makes a mount visible, as the newest.
  void attach(MountPtr mount);
  // Indexes an archive and attaches it.
  MountPtr mount(std::unique_ptr<Archive> archive, MountOptions options, const ImportRules& rules);
  // Whether it was there.
  bool unmount(const Mount& mount);
  // Takes out whatever is for `owner` alone.
  void unmount_owned_by(Viewer owner);

  // How often it has changed: readers that begin after a version was seen meet what it stands for, or what is newer.
  std::uint64_t version() const { return version_.load(); }

  // Around fork(2), by the thread that forks. A child has no other: readers and writers of other threads are no more.
  void before_fork() { mutex_.lock(); }
  void after_fork_in_parent() { mutex_.unlock(); }
  void after_fork_in_child();

  // Whether an absolute path can lie below a root that the redirect answers: a comparison with what all their roots
  // begin with, without counting as a reader. Wrong only in saying yes.
  bool may_be_below(const char* path) const;

 private:
  friend class ReadGuard;
  bool unmount_if(const std::function<bool(const Mount&)>& unwanted);
  void publish(std::vector<MountPtr> newest_first);
  bool drain();
  void set_gate(const Snapshot& snapshot);

  std::mutex mutex_;                         // of writers
  std::unique_ptr<const Snapshot> current_;  // guarded by mutex_
  std::atomic<const Snapshot*> snapshot_;    // the same, for readers
  std::atomic<std::uint64_t> version_{0};    // counted when that is replaced
  // Readers under way, in two counters; new readers use the one that phase_ names. A snapshot that has been replaced is
  // freed once each counter has been seen at zero afterwards (as in the Linux kernel's SRCU).
  mutable std::atomic<std::uint64_t> readers_[2] = {};
  std::atomic<std::uint32_t> phase_{0};
  std::vector<std::unique_ptr<const Snapshot>> retired_;  // guarded by mutex_

  // The bytes that all roots of the redirect begin with, eight to a word, low byte first, and the set of the bytes that
  // may come next, a bit each. `gate_sequence_` is odd while they change and differs afterwards (a sequence lock whose
  // reader, in doubt, says yes).
  static constexpr std::size_t kGateWords = 32;
  std::atomic<std::uint64_t> gate_[kGateWords] = {};
  std::atomic<std::uint64_t> gate_next_[4] = {};
  std::atomic<std::uint32_t> gate_size_;  // bytes; kGateClosed if there is no such root
  std::atomic<std::uint32_t> gate_sequence_{0};
  static constexpr std::uint32_t kGateClosed = UINT32_MAX;
};

// Holds one snapshot. Cheap (two atomic additions), re-entrant, usable in any thread and in a signal handler. It is
// destroyed in the thread that made it.
class ReadGuard {
 public:
  explicit ReadGuard(const Tree& tree);
  ~ReadGuard();
  ReadGuard(const ReadGuard&) = delete;
  ReadGuard& operator=(const ReadGuard&) = delete;

  const Snapshot* operator->() const { return snapshot_; }
  const Snapshot& operator*() const { return *snapshot_; }

 private:
  const Tree& tree_;
  const std::uint32_t phase_;
  const Snapshot* snapshot_;
};

}  // namespace intact
