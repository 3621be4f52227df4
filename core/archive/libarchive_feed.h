// Feed: gives libarchive the bytes of an Input, and knows where in it those lie that come back.

#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>

#include "core/archive/input.h"
#include "core/archive/libarchive_library.h"

namespace intact {

// What libarchive may read for one header of a tar: all of a sparse file's map it keeps, at ten times its size.
class HeaderCap {
 public:
  explicit HeaderCap(const Libarchive& library) : library_(library) {}

  void begin() { taken_ = 0, open_ = true; }
  void end() { open_ = false; }
  Result<void> take(archive* reader, std::size_t size);

 private:
  const Libarchive& library_;
  std::uint64_t taken_ = 0;
  bool open_ = false;
};

class Feed {
 public:
  Feed(const Libarchive& library, const Input& input) : library_(library), input_(input) {
    if (!input.in_memory()) buffer_ = try_allocate(kBlock);
  }

  int open(archive* reader, HeaderCap* cap = nullptr);

  // Where bytes that libarchive handed out lie in the input; nothing if it made them.
  std::optional<std::uint64_t> offset_of(const void* data, std::size_t size) const {
    const auto* at = static_cast<const std::byte*>(data);
    const auto begin = reinterpret_cast<std::uintptr_t>(block_.data()), from = reinterpret_cast<std::uintptr_t>(at);
    if (block_.empty() || from < begin || from - begin > block_.size() || size > block_.size() - (from - begin))
      return std::nullopt;
    return block_offset_ + (from - begin);
  }
  const std::optional<Error>& failure() const { return failure_; }

 private:
  // A multiple of what tars and isos count in, so that no member is cut where it need not be.
  static constexpr std::size_t kBlock = std::size_t{1} << 20;

  static Feed& cast(void* self) { return *static_cast<Feed*>(self); }
  static la_ssize_t read(archive* reader, void* self, const void** block);
  Result<void> next(archive* reader);
  static la_int64_t skip(archive* reader, void* self, la_int64_t count);
  static la_int64_t seek(archive* reader, void* self, la_int64_t offset, int whence);

  const Libarchive& library_;
  const Input& input_;
  std::unique_ptr<std::byte[]> buffer_;  // of kBlock bytes, for a file
  std::span<const std::byte> block_;     // what libarchive was given last
  std::uint64_t block_offset_ = 0;
  std::uint64_t next_ = 0;
  HeaderCap* cap_ = nullptr;
  std::optional<Error> failure_;
};

}  // namespace intact
