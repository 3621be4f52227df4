// Spill: what an archive that can only be read from its beginning to its end was unpacked to, kept for reading at will.
//
// It is a file of memory (memfd), so nothing is written to any disk; or, where the caller named a directory for it, a
// file there that has no name and goes with its descriptor. Members lie in it one after another, shared objects on page
// boundaries, so that they can be mapped as from an archive that was packed for that.
//
// Ownership: the Spill owns the file; `bytes` pin its mapping. Threads: one appends; once sealed any may read.

#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "core/base/bytes.h"
#include "core/base/result.h"
#include "core/base/unique_fd.h"

namespace intact {

class Spill {
 public:
  // `directory` is empty for memory. The file is made when the first bytes come.
  Spill(std::string name, std::string directory) : name_(std::move(name)), directory_(std::move(directory)) {}

  // In bytes, gaps of alignment included.
  std::uint64_t size() const { return written_ + waiting_.size(); }

  Result<void> append(std::span<const std::byte> bytes);
  Result<void> append_zeros(std::uint64_t count);
  // The next bytes begin on a page.
  Result<void> align();

  // Afterwards nothing can be appended, and nobody can change what is there.
  Result<void> seal();
  int fd() const { return file_.get(); }
  Bytes bytes(std::uint64_t offset, std::uint64_t size) const {
    return bytes_.part(static_cast<std::size_t>(offset), static_cast<std::size_t>(size));
  }

 private:
  Result<void> create();
  Result<void> write(std::span<const std::byte> first, std::span<const std::byte> second);

  std::string name_, directory_;
  UniqueFd file_;
  std::vector<std::byte> waiting_;  // small pieces, written together
  std::uint64_t written_ = 0;
  Bytes bytes_;
};

}  // namespace intact
