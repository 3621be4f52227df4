// Large memory: for the few tables that grow with an archive's number of members, and for buffers that whole members go
// through.
//
// With 4 KiB pages the faults cost as much as the work. Memory from 4 MiB on is therefore aligned to 2 MiB and the
// kernel is asked for huge pages, where it is set to give them to those who ask. What is smaller is ordinary memory.

#pragma once

#include <sys/mman.h>

#include <cstddef>
#include <new>

namespace intact {

inline constexpr std::size_t kHugePage = std::size_t{2} << 20;
inline constexpr std::size_t kLarge = 2 * kHugePage;

// Null if there is no memory.
inline void* allocate_large(std::size_t size) noexcept {
  if (size < kLarge) return ::operator new(size, std::nothrow);
  void* memory = ::operator new(size, std::align_val_t(kHugePage), std::nothrow);
  if (memory) ::madvise(memory, size & ~(kHugePage - 1), MADV_HUGEPAGE);  // refusing does no harm
  return memory;
}

inline void free_large(void* memory, std::size_t size) noexcept {
  if (size < kLarge)
    ::operator delete(memory);
  else
    ::operator delete(memory, std::align_val_t(kHugePage));
}

// Elements that are not given a value are left uninitialised, also by std::vector's resize.
template <typename T>
struct LargeAllocator {
  using value_type = T;

  LargeAllocator() = default;
  template <typename U>
  LargeAllocator(const LargeAllocator<U>&) {}

  T* allocate(std::size_t count) {
    void* memory = allocate_large(count * sizeof(T));
    if (!memory) throw std::bad_alloc();
    return static_cast<T*>(memory);
  }
  void deallocate(T* memory, std::size_t count) { free_large(memory, count * sizeof(T)); }

  template <typename U>
  void construct(U* at) {
    ::new (static_cast<void*>(at)) U;
  }
  template <typename U, typename... Arguments>
  void construct(U* at, Arguments&&... arguments) {
    ::new (static_cast<void*>(at)) U(static_cast<Arguments&&>(arguments)...);
  }

  friend bool operator==(const LargeAllocator&, const LargeAllocator&) { return true; }
};

}  // namespace intact
