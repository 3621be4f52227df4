// Reading the central directory, APPNOTE.TXT 4.3.12.

#include "core/archive/zip_directory.h"

#include <sys/stat.h>

#include <algorithm>
#include <cstring>
#include <utility>

#include "core/archive/codecs.h"
#include "core/archive/zip_names.h"
#include "core/base/path.h"
#include "core/base/reader.h"

namespace intact::zip {

namespace {

constexpr std::uint16_t kFlagsEncrypted = kFlagEncrypted | kFlagStrongEncryption | kFlagMasked;
constexpr std::size_t kEncryptedKept = 4;

// 4.5.3: the numbers that are saturated in the record, in this order, and no others.
bool read_zip64(const CentralHeader& header, std::span<const std::byte> extra, Member& member) {
  if (header.size != kIn64 && header.packed_size != kIn64 && header.offset != kIn64) return true;
  const auto field = find_extra(extra, kExtraZip64);
  if (!field) return true;  // then the numbers mean what they say
  Reader reader(*field);
  if (header.size == kIn64) member.size = reader.u64();
  if (header.packed_size == kIn64) member.packed_size = reader.u64();
  if (header.offset == kIn64) member.offset = reader.u64();
  return reader.ok();
}

// What is wrong with a record that is all there, or null; then `member` has the numbers that may be in zip64.
const char* check(const CentralHeader& header, std::span<const std::byte> extra, Member& member) {
  if (header.signature != kCentralSignature) return "no record of the central directory where one should be";
  if (header.disk != 0 && header.disk != kIn64Short) return "a member on another disk";
  member.offset = header.offset;
  return read_zip64(header, extra, member) ? nullptr : "a zip64 field that is too short";
}

bool names_directory(std::string_view name) { return !name.empty() && name.back() == '/'; }

// A name that was found to be one of a member.
std::string_view path_of(std::string_view name) { return name.substr(0, name.size() - names_directory(name)); }

}  // namespace

Result<ZipDirectory> ZipDirectory::read(const Input& input, const DirectoryPlace& place, const Limits& limits) {
  const auto refuse = [&](std::string reason, std::uint64_t position = 0) {
    return Error{ErrorCode::kArchive, std::move(reason), {}, {}, place.start + position};
  };
  if (place.size > limits.directory_size || place.size > UINT32_MAX) {
    return refuse("a central directory of " + std::to_string(place.size) + " bytes is over the limit");
  }
  if (place.count > place.size / sizeof(CentralHeader))
    return refuse("more members stated than the central directory has room for");
  if (place.count > limits.members) return refuse(std::to_string(place.count) + " members are over the limit");

  ZipDirectory directory(place);
  directory.bytes_.resize(static_cast<std::size_t>(place.size));
  INTACT_TRY(input.read(place.start, directory.bytes_));
  directory.records_.reserve(static_cast<std::size_t>(place.count));

  Reader reader(directory.bytes_);
  std::uint64_t count = 0, before = 0;
  bool in_order = true;
  for (; reader.left() > 0; ++count) {
    const auto position = static_cast<std::uint32_t>(reader.position());
    const auto header = reader.record<CentralHeader>();
    const std::string_view name = reader.text(header.name_size);
    const auto extra = reader.take(header.extra_size);
    reader.skip(header.comment_size);
    if (!reader.ok()) return refuse("a record of the central directory is cut", position);
    Member member;
    if (const char* reason = check(header, extra, member)) return refuse(reason, position);
    if (count == limits.members) return refuse("more members than the limit", position);
    const Naming naming = directory.name_member(header, name, extra);
    if (naming == Naming::kUnreachable) {
      ++directory.unreachable_;
      continue;
    }
    in_order = in_order && (directory.records_.empty() || member.offset > before);
    before = member.offset;
    directory.has_links_ |= S_ISLNK(header.external_attributes >> 16);
    directory.times_.expect(header.time);
    const auto converted = static_cast<std::uint32_t>(directory.names_.size() - 1);
    directory.records_.push_back({position, naming == Naming::kConverted ? converted : kAsItStands});
    if ((header.flags & kFlagsEncrypted) && header.packed_size > 0 && directory.encrypted_.size() < kEncryptedKept)
      directory.encrypted_.push_back(static_cast<std::uint32_t>(directory.records_.size() - 1));
  }
  if (count != place.count && !(place.count_wraps && (count & 0xFFFF) == place.count)) {
    return refuse(std::to_string(place.count) + " members stated, " + std::to_string(count) + " found");
  }
  if (!in_order) directory.sort();
  directory.times_.settle();
  return directory;
}

// Whether the name is a path below a root, in UTF-8 as it stands or converted, which then is the last of names_.
ZipDirectory::Naming ZipDirectory::name_member(const CentralHeader& header, std::string_view raw_name,
                                               std::span<const std::byte> extra) {
  const bool utf8 = (header.flags & kFlagUtf8) != 0;
  if (is_plain_path(raw_name) && is_reachable(raw_name) && (extra.empty() || utf8)) return Naming::kAsItStands;
  const auto better = utf8 || extra.empty() ? std::nullopt : unicode_path(extra, raw_name);
  if (!better && (utf8 || is_ascii(raw_name))) {
    const bool reachable = (is_ascii(raw_name) || is_utf8(raw_name)) && reachable_path(raw_name);
    return reachable ? Naming::kAsItStands : Naming::kUnreachable;
  }
  std::string converted = better ? std::string(*better) : cp437_to_utf8(raw_name);
  if (!reachable_path(converted)) return Naming::kUnreachable;
  names_.push_back(std::move(converted));
  return Naming::kConverted;
}

// Asked for every member when an archive is indexed, hence without a Reader: read() has checked the record.
std::string_view ZipDirectory::name_of(const Record& record) const {
  if (record.converted != kAsItStands) return names_[record.converted];
  std::uint16_t size;
  std::memcpy(&size, bytes_.data() + record.position + offsetof(CentralHeader, name_size), sizeof size);
  return {reinterpret_cast<const char*>(bytes_.data()) + record.position + sizeof(CentralHeader), size};
}

MemberName ZipDirectory::member_name(std::size_t index) const {
  const std::string_view name = name_of(records_[index]);
  return {path_of(name), names_directory(name)};
}

Entry ZipDirectory::entry(std::size_t index) const {
  const Record& record = records_[index];
  const std::span<const std::byte> bytes(bytes_);
  Reader reader(bytes.subspan(record.position));
  const auto header = reader.record<CentralHeader>();
  Entry entry;
  entry.index = index;
  entry.raw_name = reader.text(header.name_size);
  entry.extra = reader.take(header.extra_size);
  entry.flags = header.flags;
  const std::string_view name = name_of(record);
  entry.path = path_of(name);
  entry.directory = names_directory(name);
  entry.size = header.size;
  entry.packed_size = header.packed_size;
  entry.offset = header.offset;
  entry.crc = header.crc;
  entry.mode = header.external_attributes >> 16;
  entry.time = header.time;
  entry.method = header.method;
  entry.encrypted = (header.flags & kFlagsEncrypted) != 0;
  if (entry.encrypted)
    entry.encryption = read_encryption(header.flags, header.crc, header.time, entry.extra, entry.method);
  read_zip64(header, entry.extra, entry);
  // An offset that cannot be is the member's trouble when it is read; only it must not wrap.
  entry.offset = entry.offset > UINT64_MAX - place_.prefix ? UINT64_MAX : entry.offset + place_.prefix;
  return entry;
}

std::int64_t ZipDirectory::mtime(std::size_t index) const {
  const Entry found = entry(index);
  // Info-ZIP's extended timestamp, in UTC: a byte of flags, of which bit 0 says that the modification time follows.
  if (const auto field = find_extra(found.extra, kExtraTimestamp)) {
    Reader reader(*field);
    const bool modified = reader.u8() & 1;
    const auto seconds = static_cast<std::int32_t>(reader.u32());
    if (modified && reader.ok()) return seconds;
  }
  return times_.seconds(found.time);
}

void ZipDirectory::sort() {
  std::vector<std::pair<std::uint64_t, std::uint32_t>> starts;
  starts.reserve(size());
  for (std::size_t i = 0; i < size(); ++i) starts.emplace_back(entry(i).offset, static_cast<std::uint32_t>(i));
  std::sort(starts.begin(), starts.end());
  sorted_.reserve(size());
  for (const auto& [start, index] : starts) sorted_.push_back(index);
}

// Of several members that begin at the same place the last has what is there, as the last of a name is the member.
std::uint64_t ZipDirectory::end_of(const Entry& entry) const {
  std::size_t next = entry.index + 1;
  if (!sorted_.empty()) {
    const auto comes_before = [&](const Entry& one, std::uint32_t index) {
      const Entry other = this->entry(index);
      return std::pair(one.offset, one.index) < std::pair(other.offset, other.index);
    };
    const auto after = std::upper_bound(sorted_.begin(), sorted_.end(), entry, comes_before);
    next = after == sorted_.end() ? size() : *after;
  }
  return next == size() ? place_.start : std::min(this->entry(next).offset, place_.start);
}

std::optional<std::string> ZipDirectory::overrun(const Entry& entry, std::uint64_t header_size) const {
  const std::uint64_t end = end_of(entry);
  if (entry.offset <= end && header_size <= end - entry.offset && entry.packed_size <= end - entry.offset - header_size)
    return std::nullopt;
  return end < place_.start ? "its data reaches into another member" : "its data reaches into the central directory";
}

std::optional<std::string> ZipDirectory::refusal(const Entry& entry, const Limits& limits) const {
  const Encryption& encryption = entry.encryption;
  if (encryption.refusal != nullptr) return encryption.refusal;
  if (entry.flags & kFlagPatch) return "compressed patch data, which is not supported";
  if (auto reason = unsupported_method(entry.method)) return reason;
  const std::uint64_t larger = std::max(entry.size, entry.packed_size);
  if (larger > limits.member_size)
    return "of " + std::to_string(larger) + " bytes, over the limit of " + std::to_string(limits.member_size);
  if (larger > SIZE_MAX) return "larger than this machine's memory";
  if (auto reason = overrun(entry, entry.least_header())) return reason;
  if (entry.encrypted && entry.packed_size < encryption.head_size() + encryption.tail_size())
    return std::to_string(entry.packed_size) + " bytes, which has no room for what encryption adds";
  if (!plausible_size(static_cast<Method>(entry.method), entry.data_size(), entry.size))
    return std::to_string(entry.data_size()) + " bytes cannot unpack to " + std::to_string(entry.size);
  return std::nullopt;
}

}  // namespace intact::zip
