// What the fuzz targets share: an input as each way of reading wants it, and what ends a run that found something.

#pragma once

#include <sys/mman.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "core/archive/archive.h"
#include "core/base/bytes.h"
#include "core/base/unique_fd.h"

namespace intact::fuzz {

// Of what libarchive reads.
inline constexpr Limits kLimits{
    .members = 1000, .member_size = 1 << 19, .directory_size = 1 << 20, .unpacked_size = 1 << 20};

inline void require(bool holds) {
  if (!holds) std::abort();
}

// A copy of exactly this size, so that the sanitizer sees a read beyond.
inline Bytes in_memory(std::span<const std::byte> input) {
  auto copy = std::make_unique<std::byte[]>(input.size());
  if (!input.empty()) std::memcpy(copy.get(), input.data(), input.size());
  return Bytes::own(std::move(copy), input.size());
}

// Opens what begins as `format` does: it is an archive of that format, or an error that says why not.
inline void open_or_refuse(const std::string& content, std::string_view format) {
  const auto opened = open_archive(Source{"input", in_memory(std::as_bytes(std::span(content)))}, kLimits);
  if (opened) {
    require((*opened)->format() == format && (*opened)->size() <= kLimits.members);
  } else {
    require(opened.error().code == ErrorCode::kArchive && !opened.error().reason.empty());
  }
}

inline UniqueFd in_file(std::span<const std::byte> input) {
  UniqueFd fd(::memfd_create("input", MFD_CLOEXEC));
  require(::write(fd.get(), input.data(), input.size()) == static_cast<ssize_t>(input.size()));
  return fd;
}

}  // namespace intact::fuzz
