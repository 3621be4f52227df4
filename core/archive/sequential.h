// SequentialArchive: what a format that is read from its beginning to its end held, as an archive to be read at will.
//
// A format's reader (libarchive.cc) goes through its source once and says what it meets. What the source has as it
// is stays there and is read from there; everything else is kept in a Spill. All CRC-32s are known from that one pass.

#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/archive/archive.h"
#include "core/archive/input.h"
#include "core/archive/spill.h"

namespace intact {

class SequentialArchive final : public Archive {
 public:
  enum class Where : std::uint8_t {
    kNowhere,  // a directory
    kSource,
    kSpill,
    kRefused,  // `offset` is the number of the reason
  };

  // What all hard links to a file have in common.
  struct Contents {
    std::uint64_t size = 0;
    std::uint64_t offset = 0;
    std::uint32_t crc = 0;
    Where where = Where::kNowhere;
    bool encrypted = false;
    std::uint16_t mode = 0;
  };

  struct Entry {
    std::string_view path;
    Contents contents;
    std::int64_t mtime = 0;

    bool directory() const { return contents.where == Where::kNowhere; }
  };

  SequentialArchive(std::string name, Input source, Spill spill)
      : Archive(std::move(name)), source_(std::move(source)), spill_(std::move(spill)) {}

  // What a reader fills while it goes through the source.
  const Input& source() const { return source_; }
  Spill& spill() { return spill_; }
  const std::vector<Entry>& entries() const { return entries_; }
  // A hard link has a target, the path of a member that came before; its own contents are those that it has for both.
  void add(const Entry& entry, std::optional<std::string> hard_link_to);
  std::string_view keep_name(std::string_view name);
  // An entry that is listed, and refused for this reason when it is read.
  void refuse(Entry& entry, Error reason);
  void leave_out() { ++unreachable_; }
  // Then it is an archive like any other.
  Result<void> finish(std::string format);

  const char* format() const override { return format_.c_str(); }
  std::size_t size() const override { return entries_.size(); }
  Member member(std::size_t index) const override;
  MemberName member_name(std::size_t index) const override {
    return {entries_[index].path, entries_[index].directory()};
  }
  std::size_t unreachable() const override { return unreachable_; }
  bool has_links() const override;
  std::int64_t mtime(std::size_t index) const override { return entries_[index].mtime; }
  int descriptor() const override { return source_.fd(); }
  const Input* input() const override { return &source_; }
  Result<Bytes> read(std::size_t index) const override;
  Result<void> read_into(std::size_t index, std::span<std::byte> target) const override;
  Result<std::optional<Extent>> extent(std::size_t index) const override;
  Result<void> check(std::size_t index) const override;

 private:
  struct HardLink {
    std::size_t entry = 0;
    std::string target;
  };

  void link_hard();
  Result<void> check_crc(std::size_t index, std::span<const std::byte> bytes) const;
  Result<void> admit(std::size_t index) const;

  Input source_;
  Spill spill_;
  std::vector<Entry> entries_;
  std::deque<std::string> names_;     // each a piece of memory with many names
  std::vector<HardLink> hard_links_;  // until they are settled
  std::vector<Error> reasons_;
  std::size_t unreachable_ = 0;
  std::string format_;
};

}  // namespace intact
