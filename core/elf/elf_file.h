// ElfFile: what loading a shared object has to know about it, read from bytes that nobody vouches for.
//
// ld.so trusts what it loads: an offset that points nowhere crashes the process, a wrong entry size aborts it.
// So every table that ld.so will follow is followed here first: each must lie inside a segment of the file, each
// string inside the string table, each chain must end. Only little-endian ELF64 shared objects of the machines in
// machine.h are taken. Formats: System V gABI (https://gabi.xinuos.com), GNU hash tables
// (https://sourceware.org/legacy-ml/binutils/2006-10/msg00377.html), symbol versions (LSB core, "Symbol Versioning").

#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "core/base/result.h"
#include "core/elf/machine.h"

namespace intact {

// Where an object's bytes come from. Spans stay valid as long as the source does.
class ElfSource {
 public:
  virtual ~ElfSource() = default;
  virtual std::uint64_t size() const = 0;
  // The caller has checked that the range lies within size().
  virtual Result<std::span<const std::byte>> at(std::uint64_t offset, std::uint64_t size) = 0;
};

struct ElfSegment {  // a program header
  std::uint32_t type = 0;
  std::uint32_t flags = 0;
  std::uint64_t offset = 0;
  std::uint64_t address = 0;
  std::uint64_t file_size = 0;
  std::uint64_t memory_size = 0;
  std::uint64_t alignment = 0;
};

struct ElfTable {  // offsets are in the file; an empty table has size 0
  std::uint64_t address = 0;
  std::uint64_t offset = 0;
  std::uint64_t size = 0;
};

struct ElfNeeded {
  std::string name;
  std::uint64_t entry_offset = 0;   // of the Elf64_Dyn, in the file
  std::uint64_t string_offset = 0;  // of the name, in the file
};

struct ElfDynamicEntry {
  std::int64_t tag = 0;
  std::uint64_t value = 0;
  std::uint64_t offset = 0;  // of the entry, in the file
};

struct ElfFile {
  const Machine* machine = nullptr;
  std::uint64_t size = 0;
  std::vector<ElfSegment> segments;
  std::vector<ElfDynamicEntry> dynamic;  // without the DT_NULL at the end

  std::vector<ElfNeeded> needed;
  std::string soname;                // empty: none
  std::optional<std::string> rpath;  // as written: $ORIGIN is not expanded
  std::optional<std::string> runpath;

  ElfTable strings;
  ElfTable symbols;
  ElfTable relocations;                // DT_RELA
  ElfTable plt_relocations;            // DT_JMPREL
  std::uint64_t relocation_count = 0;  // in both, and in DT_RELR
  std::uint64_t symbol_count = 0;
  // Verneed records that name a file: (offset of vn_file in the file, the name).
  std::vector<ElfNeeded> version_files;

  std::uint64_t init = 0;  // addresses relative to where the object is loaded; 0: none
  std::uint64_t init_array = 0;
  std::uint64_t init_array_size = 0;  // bytes

  bool text_relocations = false;
  bool tls = false;
  // ld.so may run code of this object while it relocates it: IRELATIVE relocations or IFUNC symbols of its own.
  bool resolves_itself = false;

  // Where `size` bytes at `address` lie in the file, if one PT_LOAD holds them all.
  std::optional<std::uint64_t> offset_of(std::uint64_t address, std::uint64_t size) const;
};

// Reads and checks everything named above. Errors: kImage with the offset in the object and the reason; what the
// source itself reports.
Result<ElfFile> parse_elf(ElfSource& source);
Result<ElfFile> parse_elf(std::span<const std::byte> bytes);

}  // namespace intact
