// Archives for tests: in memory, and in a file without a name.

#pragma once

#include <sys/mman.h>
#include <unistd.h>

#include <cstdint>
#include <memory>
#include <string>

#include "core/archive/archive.h"

namespace intact {

inline Bytes bytes_from(std::string content) {
  auto owner = std::make_shared<const std::string>(std::move(content));
  return Bytes::borrow(std::as_bytes(std::span(*owner)), owner);
}

inline UniqueFd file_from(const std::string& content) {
  UniqueFd fd(::memfd_create("test", MFD_CLOEXEC));
  if (::write(fd.get(), content.data(), content.size()) != static_cast<ssize_t>(content.size())) return UniqueFd();
  return fd;
}

// Digits that do not repeat themselves.
inline std::string varied(std::size_t size) {
  std::string text;
  std::uint32_t state = 1;
  while (text.size() < size) {
    state = state * 1664525 + 1013904223;
    text += std::to_string(state >> 20);
  }
  text.resize(size);
  return text;
}

enum class Where { kMemory, kFile };

inline Result<std::unique_ptr<Archive>> open_content(const std::string& content, Where where,
                                                     const OpenOptions& options = {}) {
  if (where == Where::kMemory) return open_archive(Source{"test.zip", bytes_from(content)}, options);
  return open_archive(Source{"test.zip", file_from(content)}, options);
}

}  // namespace intact
