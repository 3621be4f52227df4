// ReadAhead: shared objects that an import is about to ask for are unpacked by a second thread, or their CRC-32 is
// checked where they will be grafted, while the first compiles and runs Python.
//
// In wheels as published every shared object is deflated, and unpacking a large package's takes a tenth of the time of
// importing it from sources. A guess that is not asked for costs the other processor's time, and memory until `drop`,
// which the outermost import calls when it ends; the thread ends there too. Where there is but one processor nothing is
// done ahead.
//
// Threads: every function may be called from any thread; none waits for more than one object, and who waits does
// smaller ones meanwhile. A child that is forked meanwhile starts with nothing ahead.

#pragma once

#include <pthread.h>

#include <condition_variable>
#include <cstdint>
#include <list>
#include <map>
#include <mutex>
#include <optional>
#include <vector>

#include "core/elf/private_copy_linux.h"
#include "core/tree/tree.h"

namespace intact {

struct Ahead {
  bool checked = false;  // in the archive, for a graft: there is no copy
  PrivateCopy copy = {};
};

class ReadAhead {
 public:
  // The process's. Registers its fork handlers at first use.
  static ReadAhead& instance();

  // Guesses from a package that is being imported: the shared objects in its directory, and what the mount bundles for
  // them at the top, in the "NAME.libs" where auditwheel puts it: that of the package's own name, or, when the package
  // has shared objects, the only one there is.
  void expect(const MountPtr& mount, std::uint32_t directory);

  // What was done ahead for an object, if it was begun and went well. Where it is in work, smaller ones that wait are
  // done meanwhile, in `scratch`.
  std::optional<Ahead> take(const Place& place, Scratch& scratch);

  // Ends the thread and forgets what was not asked for.
  void drop();

 private:
  enum class State : std::uint8_t { kWaiting, kWorking, kDone };
  struct Item {
    Place place;
    std::uint64_t size = 0;
    State state = State::kWaiting;
    bool claimed = false;  // somebody waits for it
    bool good = false;
    Ahead result = {};
  };

  ReadAhead() = default;
  bool expect_children(const MountPtr& mount, std::uint32_t directory);
  std::vector<std::uint32_t>& bundles_of(const Mount& mount);
  void forget_waiting();
  void forget(std::list<Item>::iterator item);
  void start();
  void work();
  std::list<Item>::iterator waiting(std::uint64_t most);
  void prepare(std::unique_lock<std::mutex>& lock, Item& item, Scratch& scratch);

  std::mutex mutex_;  // guards all of it; of an item in work, the result is whose it is in hand
  std::condition_variable done_;
  std::list<Item> items_;
  std::uint64_t ahead_ = 0;  // bytes of items_
  std::map<std::uint64_t, std::vector<std::uint32_t>> bundles_;  // by mount, the directories not yet expected
  std::uint64_t drops_ = 0;  // how often drop was called
  bool running_ = false;     // the thread takes items
  bool joinable_ = false;    // thread_ is one to be joined
  pthread_t thread_ = {};
};

}  // namespace intact
