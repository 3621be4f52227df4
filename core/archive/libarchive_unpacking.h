// Unpacking: what an archive is compressed with as a whole (bzip2, xz, lzma, zstd, lz4), unpacked piece by
// piece for who reads the archive in it.
//
// libarchive could do both at once, but would then end where the archive ends, which mostly is before the checksums of
// what it is compressed with; would unpack what is compressed many times over; and could neither be stopped nor
// bounded while it passes over something.

#pragma once

#include <cstdint>
#include <optional>

#include "core/archive/libarchive_feed.h"

namespace intact {

class Unpacking {
 public:
  Unpacking(const Libarchive& library, const Input& input, const OpenOptions& options)
      : library_(library), input_(input), options_(options), feed_(library, input) {}

  // False if the input is not compressed. kArchive if it begins as if it were, and is broken.
  Result<bool> begin();
  // ".xz": how such files are called. Once it has begun.
  const char* suffix() const;

  // Has `reader` read what is unpacked.
  int open(archive* reader, HeaderCap& cap);
  // Unpacks what nobody has asked for, which has the last checksums.
  Result<void> finish();
  // What kept `reader` from reading on.
  const std::optional<Error>& failure() const { return failure_; }

 private:
  struct Filter;

  const Filter* find_filter() const;
  static la_ssize_t read(archive* reader, void* self, const void** block);
  Result<std::span<const std::byte>> next();
  Error broken() const;

  const Libarchive& library_;
  const Input& input_;
  const OpenOptions& options_;
  const Filter* filter_ = nullptr;
  Feed feed_;
  ReaderPtr reader_;
  std::uint64_t unpacked_ = 0;  // bytes
  std::uint64_t asked_ = 0;     // of those, when it was last asked whether to go on
  HeaderCap* cap_ = nullptr;
  std::optional<Error> failure_;
};

}  // namespace intact
