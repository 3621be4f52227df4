// LoadLock: one loads at a time.
//
// There is one lock in a process, as there is one list of loaded objects. It is recursive, because initialisers load
// further images, and it survives fork: the child's only thread is the one that forked, and it holds the lock exactly
// as often as it did in the parent. (std::recursive_mutex will not do: it knows its owner by thread id, which fork
// changes.)
//
// Order: whoever waits for this lock may hold the dynamic linker's own (an initialiser of a system library that calls
// dlopen), so what is not ours must be told apart before the lock is taken; see ImageLoader::open.

#pragma once

#include <atomic>
#include <mutex>
#include <thread>

namespace intact {

class LoadLock {
 public:
  // The process's. Registers its fork handlers at first use.
  static LoadLock& instance();

  void lock();
  void unlock();

  // What a thread does before it waits for another that loads, and afterwards with what the first gave, unless that was
  // null. An interpreter without a GIL waits for its threads to be at rest, and initialisers may have it do so.
  void set_waiting(void* (*before)(), void (*after)(void*)) {
    after_.store(after);
    before_.store(before);
  }

 private:
  LoadLock();

  std::mutex mutex_;
  std::atomic<std::thread::id> owner_{};  // written by the owner only
  unsigned depth_ = 0;                    // guarded by mutex_
  std::atomic<void* (*)()> before_{nullptr};
  std::atomic<void (*)(void*)> after_{nullptr};
};

}  // namespace intact
