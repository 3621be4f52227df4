// Input: an archive's bytes by offset, in memory or in a file.
//
// Files are read with pread and never mapped: another process may truncate the file at any time, and that
// has to be an error and not a SIGBUS. Views of memory cost nothing.
//
// Threads: never changes; any thread may read. Failure: errors carry the offset, the caller adds the names.

#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <variant>

#include "core/base/bytes.h"
#include "core/base/result.h"
#include "core/base/unique_fd.h"

namespace intact {

class Input {
 public:
  Input(Bytes memory) : memory_(std::move(memory)), size_(memory_.size()) {}
  Input(UniqueFd file, std::uint64_t size) : file_(std::move(file)), size_(size) {}

  // In bytes, as it was when the archive was opened.
  std::uint64_t size() const { return size_; }
  // Of the file; -1 for memory.
  int fd() const { return file_.get(); }
  bool in_memory() const { return !file_; }
  const Bytes& memory() const { return memory_; }
  // Gives the file back, to ask another format.
  UniqueFd release() { return std::move(file_); }
  // Leaves out what lies from `end` on, which is no more than size().
  void cut(std::uint64_t end) {
    size_ = end;
    if (in_memory()) memory_ = memory_.part(0, static_cast<std::size_t>(end));
  }

  // Fills `target`, and with read2 `head` before it, from `offset` on. kArchive if the bytes end before.
  Result<void> read(std::uint64_t offset, std::span<std::byte> target) const { return read2(offset, {}, target); }
  Result<void> read2(std::uint64_t offset, std::span<std::byte> head, std::span<std::byte> target) const;

 private:
  Bytes memory_;
  UniqueFd file_;
  std::uint64_t size_ = 0;
};

}  // namespace intact
