// Input: an archive's bytes by offset, in memory or in a file.
//
// Offsets count from where the archive starts: in a part of a file (Source::Window), from there.
//
// Files are read with pread and never mapped: another process may truncate the file at any time, and that
// has to be an error and not a SIGBUS. Views of memory cost nothing.
//
// Threads: never changes; any thread may read. Failure: errors carry the offset, the caller adds the names.

#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>
#include <variant>

#include "core/archive/archive.h"
#include "core/base/bytes.h"
#include "core/base/result.h"
#include "core/base/unique_fd.h"

namespace intact {

class Input {
 public:
  // Takes the bytes of a source over, or nothing, and then the source is as it was: a file that is none to be read by
  // offset. kArchive if its window does not lie in the file.
  static Result<std::optional<Input>> open(Source& source);

  // In bytes, as it was when the archive was opened.
  std::uint64_t size() const { return size_; }
  // Of the file; -1 for memory.
  int fd() const { return file_.get(); }
  const std::optional<Source::Window>& window() const { return window_; }
  // Where `size` bytes at `offset` lie in the file.
  Extent extent(std::uint64_t offset, std::uint64_t size) const { return {fd(), start() + offset, size}; }
  bool in_memory() const { return !file_; }
  const Bytes& memory() const { return memory_; }
  // Gives a file back to the source that it was opened from, to ask another format.
  void give_back(Source& source);
  // Leaves out what lies from `end` on, which is no more than size().
  void cut(std::uint64_t end) {
    size_ = end;
    if (in_memory()) memory_ = memory_.part(0, static_cast<std::size_t>(end));
  }

  // Fills `target`, and with read2 `head` before it, from `offset` on. kArchive if the bytes end before.
  Result<void> read(std::uint64_t offset, std::span<std::byte> target) const { return read2(offset, {}, target); }
  Result<void> read2(std::uint64_t offset, std::span<std::byte> head, std::span<std::byte> target) const;
  // As much as `buffer` takes and there is at `offset`, in the buffer; nothing if it cannot be read.
  std::string_view text(std::uint64_t offset, std::span<std::byte> buffer) const;

 private:
  Input(Bytes memory) : memory_(std::move(memory)), size_(memory_.size()) {}
  Input(UniqueFd file, std::optional<Source::Window> window, std::uint64_t size)
      : file_(std::move(file)), window_(window), size_(size) {}
  std::uint64_t start() const { return window_ ? window_->offset : 0; }

  Bytes memory_;
  UniqueFd file_;
  std::optional<Source::Window> window_;
  std::uint64_t size_ = 0;
};

}  // namespace intact
