// LargeAllocator: for the few tables that grow with an archive's number of members.
//
// An archive of 100,000 members fills some 17 MB when it is opened, and with 4 KiB pages the faults cost as much as
// all the parsing. Tables from 4 MiB on are therefore aligned to 2 MiB and the kernel is asked for huge pages, where
// it is set to give them to those who ask. Smaller ones are ordinary memory.
//
// Elements that are not given a value are left uninitialised, also by std::vector's resize.

#pragma once

#include <sys/mman.h>

#include <cstddef>
#include <new>

namespace intact {

template <typename T>
struct LargeAllocator {
  using value_type = T;

  LargeAllocator() = default;
  template <typename U>
  LargeAllocator(const LargeAllocator<U>&) {}

  T* allocate(std::size_t count) {
    const std::size_t size = count * sizeof(T);
    if (size < kLarge) return static_cast<T*>(::operator new(size));
    void* memory = ::operator new(size, std::align_val_t(kHugePage));
    ::madvise(memory, size & ~(kHugePage - 1), MADV_HUGEPAGE);  // refusing does no harm
    return static_cast<T*>(memory);
  }
  void deallocate(T* memory, std::size_t count) {
    if (count * sizeof(T) < kLarge) ::operator delete(memory);
    else ::operator delete(memory, std::align_val_t(kHugePage));
  }

  template <typename U>
  void construct(U* at) {
    ::new (static_cast<void*>(at)) U;
  }
  template <typename U, typename... Arguments>
  void construct(U* at, Arguments&&... arguments) {
    ::new (static_cast<void*>(at)) U(static_cast<Arguments&&>(arguments)...);
  }

  friend bool operator==(const LargeAllocator&, const LargeAllocator&) { return true; }

 private:
  static constexpr std::size_t kHugePage = std::size_t{2} << 20;
  static constexpr std::size_t kLarge = 2 * kHugePage;
};

}  // namespace intact
