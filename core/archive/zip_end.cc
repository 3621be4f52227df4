// Finding the central directory: the records at the end of a zip, APPNOTE.TXT 4.3.14 to 4.3.16.
//
// The end record is the last thing in the file but for its comment of up to 65,535 bytes, so it is looked
// for from the end backwards. Where several places look like one (a comment may hold the signature), that
// wins whose comment ends with the file; failing that the last one, followed by bytes that are nobody's.
//
// zip64 puts a second, larger record and a locator for it before the end record. Readers differ in when they
// believe it, and archives have been made that show each reader something else. So: where a locator stands it is
// believed, and every field of the old record that is not saturated has to agree with it.
//
// Offsets count from the start of the archive, which need not be the start of the file: self-extracting
// stubs and shebang lines stand before it. The directory ends where the end records begin, so its true place is
// known, and the difference from the stated place is the length of what stands before.

#include <algorithm>
#include <vector>

#include "core/archive/zip_directory.h"
#include "core/base/reader.h"

namespace intact::zip {

namespace {

constexpr std::size_t kMostComment = 0xFFFF;

Error broken(std::string reason, std::uint64_t offset) {
  return Error{ErrorCode::kArchive, std::move(reason), {}, {}, offset};
}

template <typename T>
Result<T> record_at(const Input& input, std::uint64_t offset) {
  std::byte bytes[sizeof(T)];
  INTACT_TRY(input.read(offset, bytes));
  return Reader(bytes).record<T>();
}

struct FoundEnd {
  EndRecord record;
  std::uint64_t offset;
};

// In the last bytes of the file, of which `tail` starts at `tail_offset`.
std::optional<FoundEnd> find_end_record(std::span<const std::byte> tail, std::uint64_t tail_offset) {
  std::optional<FoundEnd> followed_by_others;
  for (std::size_t after = sizeof(EndRecord); after <= tail.size(); ++after) {
    const std::size_t at = tail.size() - after;
    if (tail[at] != std::byte{'P'}) continue;
    const auto record = Reader(tail.subspan(at)).record<EndRecord>();
    const std::size_t left = after - sizeof(EndRecord);
    if (record.signature != kEndSignature || record.comment_size > left) continue;
    if (record.comment_size == left) return FoundEnd{record, tail_offset + at};
    if (!followed_by_others) followed_by_others = FoundEnd{record, tail_offset + at};
  }
  return followed_by_others;
}

// Comments are rare and long ones rarer, so the last kilobyte is looked at before all that a comment could fill.
Result<std::optional<FoundEnd>> find_end(const Input& input) {
  std::optional<FoundEnd> end;
  std::vector<std::byte> tail;
  for (const std::size_t most : {std::size_t{1024}, sizeof(EndRecord) + kMostComment}) {
    tail.resize(static_cast<std::size_t>(std::min<std::uint64_t>(input.size(), most)));
    const std::uint64_t tail_offset = input.size() - tail.size();
    INTACT_TRY(input.read(tail_offset, tail));
    end = find_end_record(tail, tail_offset);
    if (end && input.size() - end->offset == sizeof(EndRecord) + end->record.comment_size) break;
  }
  return end;
}

// The zip64 record, at the place where it has to be if nothing follows its fixed part, else where the locator says.
Result<FoundEnd> merge_zip64(const Input& input, FoundEnd end, DirectoryPlace& place, const Locator64& locator) {
  if (locator.disks > 1 || locator.end_disk != 0)
    return broken("split over several disks, which is not supported", end.offset);
  const std::uint64_t locator_offset = end.offset - sizeof(Locator64);
  if (locator_offset < sizeof(EndRecord64))
    return broken("a zip64 locator without room for its record", locator_offset);
  std::uint64_t offset = locator_offset - sizeof(EndRecord64);
  INTACT_ASSIGN(EndRecord64 record, record_at<EndRecord64>(input, offset));
  if (record.signature != kEnd64Signature && locator.end_offset < offset) {
    offset = locator.end_offset;
    INTACT_ASSIGN(record, record_at<EndRecord64>(input, offset));
  }
  if (record.signature != kEnd64Signature)
    return broken("no zip64 end record where its locator says", locator.end_offset);
  if (record.size != locator_offset - offset - 12) return broken("a zip64 end record of the wrong size", offset);
  if (record.disk != 0 || record.directory_disk != 0 || record.count_here != record.count) {
    return broken("split over several disks, which is not supported", offset);
  }
  const EndRecord& old = end.record;
  if ((old.count != kIn64Short && old.count != record.count) ||
      (old.directory_size != kIn64 && old.directory_size != record.directory_size) ||
      (old.directory_offset != kIn64 && old.directory_offset != record.directory_offset)) {
    return broken("the end record and its zip64 record disagree", offset);
  }
  place.count = record.count;
  place.count_wraps = false;
  place.size = record.directory_size;
  place.start = record.directory_offset;
  end.offset = offset;
  return end;
}

}  // namespace

Result<std::optional<DirectoryPlace>> find_directory(const Input& input) {
  INTACT_ASSIGN(auto end, find_end(input));
  if (!end) {
    std::byte start[4];
    if (input.size() < sizeof start) return std::optional<DirectoryPlace>();
    INTACT_TRY(input.read(0, start));
    if (Reader(start).u32() != kLocalSignature) return std::optional<DirectoryPlace>();
    return broken("no end of central directory record: not a whole zip", input.size());
  }
  const EndRecord& record = end->record;
  if (record.disk != record.directory_disk || record.count_here != record.count ||
      (record.disk != 0 && record.disk != kIn64Short)) {
    return broken("split over several disks, which is not supported", end->offset);
  }
  DirectoryPlace place{record.directory_offset, record.directory_size, record.count, 0, true};
  if (end->offset >= sizeof(Locator64)) {
    INTACT_ASSIGN(const auto locator, record_at<Locator64>(input, end->offset - sizeof(Locator64)));
    if (locator.signature == kLocator64Signature) {
      INTACT_ASSIGN(*end, merge_zip64(input, *end, place, locator));
    }
  }
  if (place.size > end->offset)
    return broken("a central directory larger than what stands before its end", end->offset);
  const std::uint64_t start = end->offset - place.size;
  if (place.start > start) return broken("a central directory that is said to start after its end", end->offset);
  place.prefix = start - place.start;
  place.start = start;
  return std::optional(place);
}

}  // namespace intact::zip
