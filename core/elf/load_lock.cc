#include "core/elf/load_lock.h"

#include <pthread.h>

namespace intact {

LoadLock& LoadLock::instance() {
  // Never destroyed: exit handlers of images may still load others.
  static LoadLock& lock = *[] {
    alignas(LoadLock) static std::byte storage[sizeof(LoadLock)];
    return ::new (static_cast<void*>(storage)) LoadLock();
  }();
  return lock;
}

LoadLock::LoadLock() {
  pthread_atfork([] { instance().lock(); }, [] { instance().unlock(); }, [] { instance().unlock(); });
}

void LoadLock::lock() {
  // Relaxed: only this thread ever stores its own id, and no other id can be mistaken for it.
  const std::thread::id self = std::this_thread::get_id();
  if (owner_.load(std::memory_order_relaxed) != self) {
    while (!mutex_.try_lock()) {
      const auto before = before_.load();
      void* const paused = before ? before() : nullptr;
      mutex_.lock();
      if (!paused) break;
      mutex_.unlock();  // what follows may wait for a thread that forks, and thereby for this lock
      after_.load()(paused);
    }
    owner_.store(self, std::memory_order_relaxed);
  }
  ++depth_;
}

void LoadLock::unlock() {
  if (--depth_ > 0) return;
  owner_.store(std::thread::id(), std::memory_order_relaxed);
  mutex_.unlock();
}

}  // namespace intact
