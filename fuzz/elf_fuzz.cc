// Fuzzes the ELF parser: any bytes are a shared object whose tables all lie inside it, or an error that says where.
//
// Each input is read whole and as an extent of a file, page by page as a graft reads it; both must say the same.

#include <vector>

#include "core/elf/elf_file.h"
#include "core/elf/graft_linux.h"
#include "core/elf/private_patch.h"
#include "fuzz/input.h"

namespace {

using namespace intact;
using fuzz::require;

void check_inside(const ElfFile& file, std::size_t size) {
  for (const ElfTable& table : {file.strings, file.symbols, file.relocations, file.plt_relocations}) {
    require(table.offset <= size && table.size <= size - table.offset);
  }
  for (const ElfDynamicEntry& entry : file.dynamic) require(entry.offset <= size && size - entry.offset >= 16);
  for (const ElfNeeded& needed : file.needed) require(needed.string_offset + needed.name.size() < size);
}

void compare_with_extent(std::span<const std::byte> bytes, const Result<ElfFile>& whole) {
  const UniqueFd fd = fuzz::in_file(bytes);
  std::vector<std::byte> target(bytes.size());
  GraftSource source(Extent{fd.get(), 0, bytes.size()}, target);
  auto part = parse_elf(source);
  require(static_cast<bool>(part) == static_cast<bool>(whole));
  if (!part) {
    require(part.error().reason == whole.error().reason && part.error().offset == whole.error().offset);
    return;
  }
  require(part->symbol_count == whole->symbol_count && part->dynamic.size() == whole->dynamic.size());
  if (graftable(*part)) require(static_cast<bool>(read_for_loading(source, *part)));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto bytes = std::as_bytes(std::span(data, size));
  const auto file = parse_elf(bytes);
  compare_with_extent(bytes, file);
  if (!file) {
    require(file.error().code == ErrorCode::kImage && file.error().offset.has_value());
    return 0;
  }
  check_inside(*file, size);
  std::vector<std::byte> copy(bytes.begin(), bytes.end());
  hide_dynamic_entries(copy, *file);
  for (std::size_t i = 0; i < file->needed.size(); ++i) {
    if (rename_needed(copy, *file, i, "/proc/self/fd/3")) break;
  }
  return 0;
}
