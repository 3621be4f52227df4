#include "python/ext/arenas.h"

#include <Python.h>
#include <sys/mman.h>
#include <sys/resource.h>

#include <atomic>
#include <cstddef>
#include <cstdint>

#include "core/base/large_allocator.h"

namespace intact {
namespace {

constexpr std::size_t kArena = std::size_t{1} << 20;      // of obmalloc; it also asks for stacks of frames, which are small
constexpr std::size_t kReserve = std::size_t{128} << 20;  // bytes of address space; what is used of it becomes memory

PyObjectArenaAllocator before;
std::byte* reserve;                // null if it could not be had
std::atomic<std::size_t> used{0};  // bytes of the reserve; more than kReserve when it is used up
std::atomic<int> imports{0};

void* take_arena() {
  if (reserve == nullptr || used.load(std::memory_order_relaxed) >= kReserve) return nullptr;
  const std::size_t offset = used.fetch_add(kArena, std::memory_order_relaxed);
  if (offset >= kReserve) return nullptr;
  // Whoever takes either half makes the whole huge page usable: before that it could not become one.
  std::byte* const page = reserve + offset / kHugePage * kHugePage;
  return ::mprotect(page, kHugePage, PROT_READ | PROT_WRITE) == 0 ? reserve + offset : nullptr;
}

void* allocate(void*, std::size_t size) {
  if (size == kArena && imports.load(std::memory_order_relaxed) > 0) {
    if (void* const arena = take_arena()) return arena;
  }
  return before.alloc(before.ctx, size);
}

void release(void*, void* memory, std::size_t size) {
  const auto offset = reinterpret_cast<std::uintptr_t>(memory) - reinterpret_cast<std::uintptr_t>(reserve);
  if (reserve != nullptr && offset < kReserve) ::munmap(memory, size);
  else before.free(before.ctx, memory, size);
}

bool install() {
  rlimit limit;
  if (::getrlimit(RLIMIT_AS, &limit) != 0 || limit.rlim_cur != RLIM_INFINITY) return false;  // address space is scarce
  const std::size_t size = kReserve + kHugePage;  // for the alignment
  void* const memory = ::mmap(nullptr, size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (memory == MAP_FAILED) return false;
  auto* const aligned = static_cast<std::byte*>(memory) + (kHugePage - reinterpret_cast<std::uintptr_t>(memory) % kHugePage);
  if (::madvise(aligned, kReserve, MADV_HUGEPAGE) != 0) {
    ::munmap(memory, size);
    return false;
  }
  reserve = aligned;
  PyObject_GetArenaAllocator(&before);
  PyObjectArenaAllocator ours = {nullptr, allocate, release};
  PyObject_SetArenaAllocator(&ours);
  return true;
}

// Takes the second half of a huge page whose first half is in use out of the reserve, and gives its memory back.
void drop_half() {
  std::size_t offset = used.load(std::memory_order_relaxed);
  if (offset >= kReserve || offset % kHugePage == 0) return;
  if (used.compare_exchange_strong(offset, offset + kArena, std::memory_order_relaxed)) ::munmap(reserve + offset, kArena);
}

}  // namespace

HugeArenas::HugeArenas() {
  [[maybe_unused]] static const bool installed = install();
  imports.fetch_add(1, std::memory_order_relaxed);
}

HugeArenas::~HugeArenas() {
  if (imports.fetch_sub(1, std::memory_order_relaxed) == 1) drop_half();
}

}  // namespace intact
