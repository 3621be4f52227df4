// What the fuzz targets share: an input as each way of reading wants it, and what ends a run that found something.

#pragma once

#include <sys/mman.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>
#include <memory>
#include <span>

#include "core/base/bytes.h"
#include "core/base/unique_fd.h"

namespace intact::fuzz {

inline void require(bool holds) {
  if (!holds) std::abort();
}

// A copy of exactly this size, so that the sanitizer sees a read beyond.
inline Bytes in_memory(std::span<const std::byte> input) {
  auto copy = std::make_unique<std::byte[]>(input.size());
  if (!input.empty()) std::memcpy(copy.get(), input.data(), input.size());
  return Bytes::own(std::move(copy), input.size());
}

inline UniqueFd in_file(std::span<const std::byte> input) {
  UniqueFd fd(::memfd_create("input", MFD_CLOEXEC));
  require(::write(fd.get(), input.data(), input.size()) == static_cast<ssize_t>(input.size()));
  return fd;
}

}  // namespace intact::fuzz
