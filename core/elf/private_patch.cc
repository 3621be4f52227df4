#include "core/elf/private_patch.h"

#include <algorithm>
#include <cstring>
#include <limits>
#include <optional>

namespace intact {

namespace {

// A tag of the range that is left to operating systems and that no linker knows: such entries are passed over.
constexpr std::int64_t kHiddenTag = 0x6000'7a1e;

constexpr std::uint64_t kPage = 4096;

template <typename T>
void store(std::span<std::byte> bytes, std::uint64_t offset, T value) {
  std::memcpy(bytes.data() + offset, &value, sizeof value);
}

// Whether every entry of a search path is relative to the object.
bool only_origin(std::string_view list) {
  while (true) {
    const std::size_t colon = list.find(':');
    const std::string_view entry = list.substr(0, colon);
    if (!entry.starts_with("$ORIGIN") && !entry.starts_with("${ORIGIN}")) return false;
    if (colon == std::string_view::npos) return true;
    list.remove_prefix(colon + 1);
  }
}

bool hidden(const ElfFile& file, const ElfDynamicEntry& entry) {
  switch (entry.tag) {
    case DT_INIT:
    case DT_INIT_ARRAY:
    case DT_INIT_ARRAYSZ:
      return true;
    case DT_RPATH:
      return only_origin(*file.rpath);
    case DT_RUNPATH:
      return only_origin(*file.runpath);
    default:
      return false;
  }
}

// Unused bytes that ld.so maps: what fills the last page behind the segment that holds the string table. In the
// file nothing else may lie there.
std::optional<std::uint64_t> padding(std::span<const std::byte> bytes, const ElfFile& file, std::size_t size) {
  for (const ElfSegment& segment : file.segments) {
    if (segment.type != PT_LOAD || (segment.flags & PF_W) || file.strings.offset < segment.offset ||
        file.strings.offset - segment.offset >= segment.file_size) {
      continue;
    }
    const std::uint64_t from = segment.offset + segment.file_size;
    const std::uint64_t to = std::min<std::uint64_t>((from + kPage - 1) / kPage * kPage, bytes.size());
    if (to - from < size) return std::nullopt;
    const auto room = bytes.subspan(from, to - from);
    const auto used = std::ranges::find_if(room.rbegin(), room.rend(), [](std::byte b) { return b != std::byte{0}; });
    const std::uint64_t start = from + static_cast<std::uint64_t>(room.rend() - used);
    const bool shared = std::ranges::any_of(file.segments, [&](const ElfSegment& other) {
      return other.type == PT_LOAD && other.offset > segment.offset && other.offset < to;
    });
    if (shared || to - start <= size) return std::nullopt;
    return used == room.rend() ? start : start + 1;  // one zero ends what is there already
  }
  return std::nullopt;
}

}  // namespace

void hide_dynamic_entries(std::span<std::byte> bytes, const ElfFile& file) {
  for (const ElfDynamicEntry& entry : file.dynamic) {
    if (hidden(file, entry)) store(bytes, entry.offset, kHiddenTag);
  }
}

bool rename_needed(std::span<std::byte> bytes, const ElfFile& file, std::size_t needed, std::string_view path) {
  const ElfNeeded& old = file.needed[needed];
  std::uint64_t where = old.string_offset;
  if (old.name.size() < path.size()) {
    const auto room = padding(bytes, file, path.size() + 1);
    if (!room) return false;
    where = *room;
    // Version needs name the same file, and ld.so insists on finding it.
    const std::uint64_t index = where - file.strings.offset;
    if (index > std::numeric_limits<std::uint32_t>::max()) return false;
    store(bytes, old.entry_offset + sizeof(std::int64_t), index);
    for (const ElfNeeded& version : file.version_files) {
      if (version.name == old.name) store(bytes, version.entry_offset, static_cast<std::uint32_t>(index));
    }
  }
  std::memcpy(bytes.data() + where, path.data(), path.size());
  bytes[where + path.size()] = std::byte{0};
  return true;
}

}  // namespace intact
