// Scratch: memory to work in, kept from one use to the next and grown when a use needs more. Not initialised.

#pragma once

#include <algorithm>
#include <cstddef>
#include <memory>

#include "core/base/large_allocator.h"

namespace intact {

class Scratch {
 public:
  // At least `size` bytes, valid until the next call; null if there is no memory.
  std::byte* get(std::size_t size) {
    if (size <= size_ && memory_) return memory_.get();
    release();
    size = std::max(size, kLeast);
    memory_ = {static_cast<std::byte*>(allocate_large(size)), Free{size}};
    size_ = memory_ ? size : 0;
    return memory_.get();
  }
  std::size_t size() const { return size_; }
  void release() {
    memory_.reset();
    size_ = 0;
  }

 private:
  struct Free {
    std::size_t size;
    void operator()(std::byte* memory) const { free_large(memory, size); }
  };
  static constexpr std::size_t kLeast = std::size_t{64} << 10;

  std::unique_ptr<std::byte, Free> memory_;
  std::size_t size_ = 0;
};

}  // namespace intact
