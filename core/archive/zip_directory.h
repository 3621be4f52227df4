// The central directory of a zip: found, checked and turned into members.
//
// One pass, no allocation for a member: names are views into the directory, which the ZipDirectory owns
// (a copy read from a file, a view of an archive in memory). Only names that have to be converted are
// strings of their own.

#pragma once

#include <cstdint>
#include <deque>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/archive/archive.h"
#include "core/archive/input.h"
#include "core/archive/zip_format.h"
#include "core/base/large_allocator.h"

namespace intact::zip {

// Where the directory lies, from the records at the end of the archive.
struct DirectoryPlace {
  std::uint64_t start = 0;   // in the file
  std::uint64_t size = 0;    // bytes
  std::uint64_t count = 0;   // of records
  std::uint64_t prefix = 0;  // what stands before the archive: to be added to every offset it states
  bool count_wraps = false;  // the count is kept in 16 bits and the writer may have let it wrap
};

// Nothing if the input is no zip: no end record, and no local header at its start.
Result<std::optional<DirectoryPlace>> find_directory(const Input& input);

class ZipDirectory {
 public:
  static Result<ZipDirectory> read(const Input& input, const DirectoryPlace& place, const Limits& limits);

  std::span<const Member> members() const { return members_; }
  std::size_t unreachable() const { return unreachable_; }
  // In the file: no member's data reaches beyond.
  std::uint64_t start() const { return start_; }

  // The record of a member again, for what Member has no room for. Their bounds were checked by read().
  CentralHeader header(std::size_t index) const;
  std::string_view raw_name(std::size_t index) const;
  std::span<const std::byte> extra(std::size_t index) const;

 private:
  ZipDirectory() = default;
  // What is wrong with the record, or null.
  const char* add(std::uint32_t position, const CentralHeader& header, std::string_view raw_name,
                  std::span<const std::byte> extra, std::uint64_t prefix);
  // Sets the member's path, in UTF-8; false if the name is not a path below a root.
  bool name_member(const CentralHeader& header, std::string_view raw_name, std::span<const std::byte> extra, Member& member);

  Bytes bytes_;
  std::vector<Member, LargeAllocator<Member>> members_;
  std::vector<std::uint32_t> positions_;  // of each member's record in bytes_
  std::deque<std::string> names_;         // those that were converted
  std::size_t unreachable_ = 0;
  std::uint64_t start_ = 0;
};

}  // namespace intact::zip
