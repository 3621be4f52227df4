#include "core/archive/rar.h"

#include <algorithm>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include "core/archive/codecs.h"
#include "core/base/reader.h"

namespace intact {

namespace {

using namespace std::string_view_literals;

constexpr std::string_view kStart4 = "Rar!\x1A\x07\x00"sv, kStart5 = "Rar!\x1A\x07\x01\x00"sv;
constexpr std::size_t kMostHeader = 65536;    // bytes; of rar 5 libarchive takes 2 MiB, which no program writes
constexpr std::size_t kMostName = 4096;       // bytes of rar 4; longer ones cannot be reached anyway
constexpr std::ptrdiff_t kMostSlashes = 256;  // backslashes in it, which libarchive looks for from its start
// Bytes of windows for which libarchive takes some two seconds; and as many for each byte of the archive.
constexpr std::uint64_t kMostWindows = std::uint64_t{64} << 30, kWindowsForAByte = 4096;
constexpr std::uint64_t kFreeWindow = std::uint64_t{32} << 20;  // from here on glibc maps it, and clears what is used

Error refused(const std::string& why) { return Error{ErrorCode::kArchive, "a rar with " + why}; }
Error volumes() { return Error{ErrorCode::kArchive, "a rar of several volumes"}; }
Error cut() { return refused("a block that does not end in it"); }

// The headers of an archive, read many at once.
class Headers {
 public:
  explicit Headers(const Input& input) : input_(input), buffer_(kMostHeader) {}

  // `size` bytes, no more than kMostHeader; empty if there are not so many. As long as nothing else is asked for.
  Result<std::span<const std::byte>> at(std::uint64_t offset, std::size_t size) {
    if (size > input_.size() - offset) return std::span<const std::byte>();
    if (offset < start_ || offset - start_ > filled_ || size > filled_ - (offset - start_)) {
      start_ = offset;
      filled_ = static_cast<std::size_t>(std::min<std::uint64_t>(buffer_.size(), input_.size() - offset));
      INTACT_TRY(input_.read(start_, std::span(buffer_).first(filled_)));
    }
    return std::span<const std::byte>(buffer_).subspan(static_cast<std::size_t>(offset - start_), size);
  }

 private:
  const Input& input_;
  std::vector<std::byte> buffer_;
  std::uint64_t start_ = 0;
  std::size_t filled_ = 0;
};

class RarWalk {
 public:
  RarWalk(const Input& input, const Limits& limits) : input_(input), headers_(input), limits_(limits) {}

  Result<std::vector<std::uint64_t>> run(int version) {
    at_ = version == 4 ? kStart4.size() : kStart5.size();
    for (bool more = true; more;) {
      INTACT_ASSIGN(more, version == 4 ? step4() : step5());
    }
    return std::move(ends_);
  }

 private:
  // Each goes over one block. False if libarchive ends there, whether well or not.
  Result<bool> step4();
  Result<bool> step5();
  Result<bool> skip(std::uint64_t size) {
    if (size > input_.size() - at_) return cut();
    at_ += size;
    return true;
  }
  Result<std::uint64_t> packed_size4(std::span<const std::byte> header, bool member);
  Result<void> take_main5(Reader& header, std::uint64_t extra);
  Result<std::uint64_t> packed_size5(Reader& header, std::uint64_t extra, bool member);
  Result<void> count_member();

  const Input& input_;
  Headers headers_;
  const Limits& limits_;
  std::uint64_t at_ = 0;
  std::uint64_t members_ = 0;
  std::uint64_t windows_ = 0;  // bytes
  bool begun_ = false;         // the main header of rar 5 was there
  bool solid_ = false;
  std::vector<std::uint64_t> ends_;
};

Result<void> RarWalk::count_member() {
  if (++members_ <= limits_.members) return {};
  return Error{ErrorCode::kArchive, "more members than the limit of " + std::to_string(limits_.members)};
}

// ---- rar 4

enum : std::uint8_t { kMark4 = 0x72, kMain4 = 0x73, kFile4 = 0x74, kService4 = 0x7A, kEnd4 = 0x7B };
enum : std::uint16_t { kMainVolume4 = 1, kMainEncrypted4 = 0x80 };
enum : std::uint16_t { kSplit4 = 3, kEncrypted4 = 4, kLarge4 = 0x100, kHasSize4 = 0x8000 };

Result<bool> RarWalk::step4() {
  constexpr std::size_t kBlock = 7;
  INTACT_ASSIGN(const auto start, headers_.at(at_, kBlock));
  if (start.empty()) return false;
  Reader block(start);
  block.skip(2);  // its CRC
  const std::uint8_t type = block.u8();
  const std::uint16_t flags = block.u16(), size = block.u16();
  if (type == kMark4) return skip(kBlock);
  if (type < kMark4 || type > kEnd4 || size < kBlock) return refused("a broken block");
  INTACT_ASSIGN(const auto header, headers_.at(at_, size));
  if (header.empty()) return cut();
  std::uint64_t more = 0;
  if (type == kEnd4 || (type == kMain4 && (flags & kMainEncrypted4) != 0)) return false;
  if (type == kMain4) {
    if ((flags & kMainVolume4) != 0) return volumes();
  } else if (type == kFile4 || type == kService4) {
    INTACT_ASSIGN(more, packed_size4(header, type == kFile4));
  } else if ((flags & kHasSize4) != 0) {
    Reader sized(header);
    sized.skip(kBlock);
    more = sized.u32();
    if (!sized.ok()) return refused("a broken block");
  }
  at_ += size;
  return skip(more);
}

Result<std::uint64_t> RarWalk::packed_size4(std::span<const std::byte> header, bool member) {
  constexpr std::uint8_t kStored = 0x30;
  Reader fields(header);
  fields.skip(3);
  const std::uint16_t flags = fields.u16();
  fields.skip(2);
  std::uint64_t packed = fields.u32();
  fields.skip(14);  // what it unpacks to, system, CRC, time, version
  const std::uint8_t method = fields.u8();
  const std::uint16_t name_size = fields.u16();
  fields.skip(4);  // attributes
  if ((flags & kLarge4) != 0) {
    packed |= std::uint64_t{fields.u32()} << 32;
    fields.skip(4);
  }
  const std::string_view name = fields.text(name_size);
  if (!fields.ok()) return refused("a broken block");
  if (name.size() > kMostName || std::count(name.begin(), name.end(), '\\') > kMostSlashes)
    return refused("a name of more than " + std::to_string(kMostName) + " bytes or " + std::to_string(kMostSlashes) +
                   " backslashes");
  if (!member) return packed;
  if ((flags & kSplit4) != 0) return volumes();
  if ((flags & kEncrypted4) != 0) return refused("encrypted members");
  if (method != kStored && packed > 0) {
    return Error{ErrorCode::kArchive,
                 "a rar 4 with compressed members, which are read only with trusted=True: they may hold programs that "
                 "run for days"};
  }
  INTACT_TRY(count_member());
  return packed;
}

// ---- rar 5

enum : std::uint64_t { kMark5 = 0, kMain5 = 1, kFile5 = 2, kService5 = 3, kEncryption5 = 4, kEnd5 = 5 };
enum : std::uint64_t { kHasExtra5 = 1, kHasData5 = 2, kSplit5 = 0x18 };
enum : std::uint64_t { kMainVolume5 = 1, kMainNumber5 = 2, kMainSolid5 = 4 };
enum : std::uint64_t { kDirectory5 = 1, kHasTime5 = 2, kHasCrc5 = 4 };
enum : std::uint64_t { kHash5 = 2, kTimes5 = 3, kVersion5 = 4, kLink5 = 5, kOwner5 = 6 };  // what may follow a name

// Seven bits in a byte. One of more than eight bytes, which libarchive reads in a way of its own, is broken.
std::uint64_t vint(Reader& reader) {
  std::uint64_t value = 0;
  for (unsigned shift = 0; shift < 56; shift += 7) {
    const std::uint8_t byte = reader.u8();
    value |= std::uint64_t{byte & 0x7Fu} << shift;
    if (byte < 0x80) return value;
  }
  reader.skip(reader.left() + 1);  // fails
  return 0;
}

// A name of one of these records; libarchive miscounts what is left of them if its size takes more than a byte.
void skip_text(Reader& reader) {
  const std::uint64_t size = vint(reader);
  reader.skip(size < 0x80 ? static_cast<std::size_t>(size) : reader.left() + 1);
}

// The records that a header ends with, as far as libarchive understands them; the sizes they state it does not ask.
void skip_records(Reader& header) {
  while (header.left() > 0) {
    vint(header);
    const std::uint64_t type = vint(header);
    if (type == kHash5) {
      header.skip(vint(header) == 0 ? 32 : header.left() + 1);
    } else if (type == kTimes5) {
      const std::uint64_t flags = vint(header);
      for (const std::uint64_t time : {2u, 4u, 8u}) {
        if ((flags & time) != 0) header.skip((flags & 1) != 0 ? 4 : 8);
      }
      if ((flags & 16) != 0) header.skip(4);
    } else if (type == kVersion5 || type == kLink5) {
      vint(header), vint(header);
      if (type == kLink5) skip_text(header);
    } else if (type == kOwner5) {
      const std::uint64_t flags = vint(header);
      if ((flags & 1) != 0) skip_text(header);
      if ((flags & 2) != 0) skip_text(header);
      if ((flags & 4) != 0) vint(header);
      if ((flags & 8) != 0) vint(header);
    } else {
      return header.skip(header.left());
    }
  }
}

Result<bool> RarWalk::step5() {
  constexpr std::size_t kCrc = 4, kMostSize = 8;
  const auto left = static_cast<std::size_t>(std::min<std::uint64_t>(input_.size() - at_, kCrc + kMostSize));
  INTACT_ASSIGN(const auto start, headers_.at(at_, left));
  if (left <= kCrc) return false;
  Reader block(start);
  const std::uint32_t stated = block.u32();
  const std::uint64_t size = vint(block);
  const std::size_t before = block.position();
  if (!block.ok() || size == 0 || size > kMostHeader - before)
    return refused("a header of none or more than " + std::to_string(kMostHeader) + " bytes");
  INTACT_ASSIGN(const auto whole, headers_.at(at_, before + static_cast<std::size_t>(size)));
  if (whole.empty()) return cut();
  if (crc32(whole.subspan(kCrc)) != stated) return false;
  Reader header(whole);
  header.skip(before);
  const std::uint64_t type = vint(header), flags = vint(header);
  if (type == kMark5 || type == kEncryption5 || type == kEnd5) return false;
  const std::uint64_t extra = (flags & kHasExtra5) != 0 ? vint(header) : 0;
  std::uint64_t packed = 0;
  if (type == kMain5) {
    INTACT_TRY(take_main5(header, extra));
  } else if ((type == kFile5 || type == kService5) && (flags & kHasData5) != 0) {
    if ((flags & kSplit5) != 0) return volumes();
    INTACT_ASSIGN(packed, packed_size5(header, extra, type == kFile5));
  } else {
    return refused("a block of unknown kind, or a file without data");
  }
  if (!header.ok() || header.left() > 0) return refused("a header that ends elsewhere than it states");
  at_ += whole.size();
  INTACT_TRY(skip(packed));
  if (type == kFile5 && solid_) ends_.push_back(at_);
  return true;
}

Result<void> RarWalk::take_main5(Reader& header, std::uint64_t extra) {
  constexpr std::uint64_t kPlaces = 1, kQuickOpen = 1, kRecovery = 2;
  const std::uint64_t flags = vint(header);
  if ((flags & kMainVolume5) != 0) return volumes();
  if (std::exchange(begun_, true)) return refused("two main headers");
  if ((flags & kMainNumber5) != 0) vint(header);
  solid_ = (flags & kMainSolid5) != 0;
  if (extra == 0) return {};
  vint(header);  // the size of the one record that libarchive knows
  if (vint(header) != kPlaces) return refused("an unknown record in its main header");
  const std::uint64_t places = vint(header);
  if ((places & kQuickOpen) != 0) vint(header);
  if ((places & kRecovery) != 0) vint(header);
  return {};
}

Result<std::uint64_t> RarWalk::packed_size5(Reader& header, std::uint64_t extra, bool member) {
  const std::uint64_t packed = vint(header), flags = vint(header);
  vint(header), vint(header);  // what it unpacks to, attributes
  if ((flags & kHasTime5) != 0) header.skip(4);
  if ((flags & kHasCrc5) != 0) header.skip(4);
  const std::uint64_t compression = vint(header);
  vint(header);  // the system
  const std::uint64_t name_size = vint(header);
  header.skip(static_cast<std::size_t>(name_size));
  if (!header.ok() || header.left() != extra) return refused("a header that ends elsewhere than it states");
  skip_records(header);
  if (!member) return packed;
  INTACT_TRY(count_member());
  const std::uint64_t method = compression >> 7 & 7, window = std::uint64_t{1} << (17 + (compression >> 10 & 15));
  if (method == 0 || solid_ || (flags & kDirectory5) != 0 || window >= kFreeWindow) return packed;
  windows_ += window;
  if (windows_ / kWindowsForAByte > kMostWindows / kWindowsForAByte + input_.size())
    return refused("more windows to unpack it than 64 GiB, and 4 KiB for each of its bytes, together");
  return packed;
}

}  // namespace

int rar_version(const Input& input) {
  std::byte bytes[kStart5.size()];
  const std::string_view start = input.text(0, bytes);
  return start.starts_with(kStart4) ? 4 : start == kStart5 ? 5 : 0;
}

Result<std::vector<std::uint64_t>> check_rar(const Input& input, const Limits& limits) {
  const int version = rar_version(input);
  return version == 0 ? std::vector<std::uint64_t>() : RarWalk(input, limits).run(version);
}

}  // namespace intact
