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

constexpr std::size_t kArena = std::size_t{1} << 20;  // of obmalloc; it also asks for stacks of frames, which are small
constexpr std::size_t kArenas = 128;                  // address space for so many; what is used of it becomes memory
constexpr std::size_t kReserve = kArenas * kArena;

// These two are written by install(), once.
PyObjectArenaAllocator before;
std::byte* reserve;                     // without access but for the huge pages that were taken
std::atomic<std::size_t> used{0};       // bytes of the reserve
std::atomic<std::byte*> half{nullptr};  // the second half of the newest huge page, until it is taken
std::atomic<bool> taken[kArenas] = {};  // whether that part of the reserve is an arena
std::atomic<int> imports{0};

std::byte* take_arena() {
  if (std::byte* const second = half.exchange(nullptr, std::memory_order_acq_rel)) return second;
  if (used.load(std::memory_order_relaxed) >= kReserve) return nullptr;
  const std::size_t offset = used.fetch_add(kHugePage, std::memory_order_relaxed);
  if (offset >= kReserve || ::mprotect(reserve + offset, kHugePage, PROT_READ | PROT_WRITE) != 0) return nullptr;
  // Where another thread has taken a page meanwhile, the half of one of them is lost.
  half.store(reserve + offset + kArena, std::memory_order_release);
  return reserve + offset;
}

std::atomic<bool>* in_reserve(const void* memory) {
  const auto offset = reinterpret_cast<std::uintptr_t>(memory) - reinterpret_cast<std::uintptr_t>(reserve);
  return offset < kReserve ? &taken[offset / kArena] : nullptr;
}

void* allocate(void*, std::size_t size) {
  if (size == kArena && imports.load(std::memory_order_relaxed) > 0) {
    if (std::byte* const arena = take_arena()) {
      in_reserve(arena)->store(true, std::memory_order_relaxed);
      return arena;
    }
  }
  return before.alloc(before.ctx, size);
}

void release(void*, void* memory, std::size_t size) {
  std::atomic<bool>* const ours = in_reserve(memory);
  if (ours && ours->exchange(false, std::memory_order_relaxed))
    ::munmap(memory, size);
  else
    before.free(before.ctx, memory, size);
}

bool install() {
  rlimit limit;
  if (::getrlimit(RLIMIT_AS, &limit) != 0 || limit.rlim_cur != RLIM_INFINITY) return false;  // address space is scarce
  const std::size_t size = kReserve + kHugePage;                                             // for the alignment
  void* const memory = ::mmap(nullptr, size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (memory == MAP_FAILED) return false;
  auto* const aligned =
      static_cast<std::byte*>(memory) + (kHugePage - reinterpret_cast<std::uintptr_t>(memory) % kHugePage);
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

}  // namespace

HugeArenas::HugeArenas() {
  [[maybe_unused]] static const bool installed = install();
  imports.fetch_add(1, std::memory_order_relaxed);
}

HugeArenas::~HugeArenas() { imports.fetch_sub(1, std::memory_order_relaxed); }

void HugeArenas::after_fork(int own) { imports.store(own, std::memory_order_relaxed); }

}  // namespace intact
