// Reading the central directory, APPNOTE.TXT 4.3.12.

#include "core/archive/zip_directory.h"

#include "core/archive/zip_names.h"
#include "core/base/path.h"
#include "core/base/reader.h"

namespace intact::zip {

namespace {

// 4.5.3: the numbers that are saturated in the record, in this order, and no others.
bool read_zip64(const CentralHeader& header, std::span<const std::byte> extra, Member& member) {
  const auto field = find_extra(extra, kExtraZip64);
  if (!field) return true;  // then the numbers mean what they say
  Reader reader(*field);
  if (header.size == kIn64) member.size = reader.u64();
  if (header.packed_size == kIn64) member.packed_size = reader.u64();
  if (header.offset == kIn64) member.offset = reader.u64();
  return reader.ok();
}

}  // namespace

Result<ZipDirectory> ZipDirectory::read(const Input& input, const DirectoryPlace& place, const Limits& limits) {
  const auto refuse = [&](std::string reason, std::uint64_t position = 0) {
    return Error{ErrorCode::kArchive, std::move(reason), {}, {}, place.start + position};
  };
  if (place.size > limits.directory_size || place.size > UINT32_MAX) {
    return refuse("a central directory of " + std::to_string(place.size) + " bytes is over the limit");
  }
  if (place.count > place.size / sizeof(CentralHeader)) return refuse("more members stated than the central directory has room for");
  if (place.count > limits.members) return refuse(std::to_string(place.count) + " members are over the limit");

  ZipDirectory directory;
  directory.start_ = place.start;
  const auto size = static_cast<std::size_t>(place.size);
  if (input.in_memory()) {
    directory.bytes_ = input.memory().part(static_cast<std::size_t>(place.start), size);
  } else {
    auto buffer = std::make_shared<std::vector<std::byte, LargeAllocator<std::byte>>>(size);
    INTACT_TRY(input.read(place.start, *buffer));
    directory.bytes_ = Bytes::borrow(*buffer, buffer);
  }
  directory.members_.reserve(static_cast<std::size_t>(place.count));
  directory.positions_.reserve(static_cast<std::size_t>(place.count));

  Reader reader(directory.bytes_.span());
  std::uint64_t count = 0;
  for (; reader.left() > 0; ++count) {
    const auto position = static_cast<std::uint32_t>(reader.position());
    const auto header = reader.record<CentralHeader>();
    const std::string_view name = reader.text(header.name_size);
    const auto extra = reader.take(header.extra_size);
    reader.skip(header.comment_size);
    if (!reader.ok()) return refuse("a record of the central directory is cut", position);
    if (header.signature != kCentralSignature) return refuse("no record of the central directory where one should be", position);
    if (count == limits.members) return refuse("more members than the limit", position);
    if (const char* reason = directory.add(position, header, name, extra, place.prefix)) return refuse(reason, position);
  }
  if (count != place.count && !(place.count_wraps && (count & 0xFFFF) == place.count)) {
    return refuse(std::to_string(place.count) + " members stated, " + std::to_string(count) + " found");
  }
  return directory;
}

const char* ZipDirectory::add(std::uint32_t position, const CentralHeader& header, std::string_view raw_name,
                              std::span<const std::byte> extra, std::uint64_t prefix) {
  Member& member = members_.emplace_back();
  member.size = header.size;
  member.packed_size = header.packed_size;
  member.offset = header.offset;
  member.crc = header.crc;
  member.mode = header.external_attributes >> 16;
  member.time = header.time;
  member.method = header.method;
  member.encrypted = (header.flags & (kFlagEncrypted | kFlagStrongEncryption | kFlagMasked)) != 0;
  if (member.size == kIn64 || member.packed_size == kIn64 || member.offset == kIn64) {
    if (!read_zip64(header, extra, member)) return "a zip64 field that is too short";
  }
  if (header.disk != 0 && header.disk != kIn64Short) return "a member on another disk";
  // An offset that cannot be is the member's trouble when it is read; only it must not wrap.
  member.offset = member.offset > UINT64_MAX - prefix ? UINT64_MAX : member.offset + prefix;
  if (name_member(header, raw_name, extra, member)) {
    positions_.push_back(position);
  } else {
    members_.pop_back();
    ++unreachable_;
  }
  return nullptr;
}

bool ZipDirectory::name_member(const CentralHeader& header, std::string_view raw_name, std::span<const std::byte> extra,
                               Member& member) {
  if (is_plain_path(raw_name) && (extra.empty() || (header.flags & kFlagUtf8))) {
    member.path = raw_name;
    return true;
  }
  std::string_view name = raw_name;
  if (!(header.flags & kFlagUtf8)) {
    if (const auto better = extra.empty() ? std::nullopt : unicode_path(extra, raw_name)) {
      name = *better;
    } else if (!is_ascii(raw_name)) {
      name = names_.emplace_back(cp437_to_utf8(raw_name));
    }
  } else if (!is_ascii(raw_name) && !is_utf8(raw_name)) {
    return false;
  }
  const auto path = member_path(name);
  if (!path) return false;
  member.path = *path;
  member.directory = name.back() == '/';
  return true;
}

CentralHeader ZipDirectory::header(std::size_t index) const {
  return Reader(bytes_.span().subspan(positions_[index])).record<CentralHeader>();
}

std::string_view ZipDirectory::raw_name(std::size_t index) const {
  Reader reader(bytes_.span().subspan(positions_[index]));
  return reader.text(reader.record<CentralHeader>().name_size);
}

std::span<const std::byte> ZipDirectory::extra(std::size_t index) const {
  Reader reader(bytes_.span().subspan(positions_[index]));
  const auto header = reader.record<CentralHeader>();
  reader.skip(header.name_size);
  return reader.take(header.extra_size);
}

}  // namespace intact::zip
