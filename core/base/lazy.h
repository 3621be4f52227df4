// Lazy: a value that is made when it is first asked for, and never changes afterwards.
//
// Threads: get() from any thread, without a lock of ours and so also in a child forked meanwhile; making allocates.
// Threads that ask at once may each make the value; all are given the one that was published first, the others are
// thrown away.

#pragma once

#include <atomic>
#include <memory>
#include <utility>

namespace intact {

// Where many may make the same value at once: gives what stands in `place`, which is `value` if nothing did. It lives
// as long as nobody deletes it.
template <typename T>
const T& publish(std::atomic<const T*>& place, T value) {
  auto made = std::make_unique<const T>(std::move(value));
  const T* published = nullptr;
  if (place.compare_exchange_strong(published, made.get(), std::memory_order_acq_rel)) return *made.release();
  return *published;
}

template <typename T>
class Lazy {
 public:
  Lazy() = default;
  ~Lazy() { delete value_.load(std::memory_order_relaxed); }
  Lazy(const Lazy&) = delete;
  Lazy& operator=(const Lazy&) = delete;

  // `make` gives a T.
  template <typename Make>
  const T& get(Make make) const {
    if (const T* known = value_.load(std::memory_order_acquire)) return *known;
    return publish<T>(value_, make());
  }

 private:
  mutable std::atomic<const T*> value_{nullptr};  // owned
};

}  // namespace intact
