// The central directory of a zip: found, checked, and decoded record by record when asked.
//
// Opening makes one pass that checks every record and keeps where each lies, 8 bytes a member; what a record says is
// read again from the directory, of which the ZipDirectory holds its own copy. Of an archive of 100,000 members a
// program uses a few hundred: decoding them all, let alone the memory to keep that, would be most of the cost of
// opening.

#pragma once

#include <cstdint>
#include <deque>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/archive/archive.h"
#include "core/archive/dos_time.h"
#include "core/archive/input.h"
#include "core/archive/zip_crypto.h"
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

// A record of the directory: the member, and what Member has no room for.
struct Entry : Member {
  std::size_t index = 0;
  std::string_view raw_name;
  std::span<const std::byte> extra;
  std::uint16_t flags = 0;  // 4.4.4
  Encryption encryption;

  // Bytes of its local header if that has no extra field.
  std::uint64_t least_header() const { return sizeof(LocalHeader) + raw_name.size(); }
  // Bytes of what was packed, without what encryption puts around it. Of a member that is not refused.
  std::uint64_t data_size() const {
    return encrypted ? packed_size - encryption.head_size() - encryption.tail_size() : packed_size;
  }
};

class ZipDirectory {
 public:
  static Result<ZipDirectory> read(const Input& input, const DirectoryPlace& place, const Limits& limits);

  std::size_t size() const { return records_.size(); }
  Entry entry(std::size_t index) const;
  MemberName member_name(std::size_t index) const;
  // Seconds since the epoch.
  std::int64_t mtime(std::size_t index) const;

  std::size_t unreachable() const { return unreachable_; }
  bool has_links() const { return has_links_; }
  // The first members with contents that are encrypted, a few of them.
  std::span<const std::uint32_t> encrypted() const { return encrypted_; }
  // Where in the file what a member has must end: at the next member's local header, or at the central directory. So no
  // byte is unpacked for two members, and an archive unpacks to what its size allows.
  std::uint64_t end_of(const Entry& entry) const;
  // Why a member cannot have a header of that size and its data where it says it has them.
  std::optional<std::string> overrun(const Entry& entry, std::uint64_t header_size) const;
  // Why a member may not be read, as far as the directory alone tells.
  std::optional<std::string> refusal(const Entry& entry, const Limits& limits) const;

 private:
  struct Record {
    std::uint32_t position;   // in bytes_
    std::uint32_t converted;  // the name's number in names_, or kAsItStands
  };
  static constexpr std::uint32_t kAsItStands = UINT32_MAX;
  enum class Naming : std::uint8_t { kAsItStands, kConverted, kUnreachable };

  explicit ZipDirectory(const DirectoryPlace& place) : place_(place) {}
  Naming name_member(const CentralHeader& header, std::string_view raw_name, std::span<const std::byte> extra);
  std::string_view name_of(const Record& record) const;
  void sort();

  DirectoryPlace place_;
  std::vector<std::byte, LargeAllocator<std::byte>> bytes_;
  std::vector<Record, LargeAllocator<Record>> records_;
  std::deque<std::string> names_;  // those that were converted
  // The members in the order in which they begin, in an archive whose directory has another; empty in all others.
  std::vector<std::uint32_t> sorted_;
  std::vector<std::uint32_t> encrypted_;
  DosTimes times_;
  std::size_t unreachable_ = 0;
  bool has_links_ = false;
};

}  // namespace intact::zip
