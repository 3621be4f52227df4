// The tables that an object's dynamic section points at: found, bounded and followed to their ends. Part of the parser
// (elf_file.cc), apart from it because these are the ones that ld.so walks by pointers inside them.

#pragma once

#include <cstdint>
#include <string>

#include "core/elf/elf_file.h"

namespace intact {

Error elf_error(std::string reason, std::uint64_t offset);

// The table whose address is the value of `address_tag` and whose bytes are that of `size_tag`; empty if there is none.
Result<ElfTable> elf_table(const ElfFile& file, std::int64_t address_tag, std::int64_t size_tag, const char* what);

// The string at `index` of the string table.
Result<std::string> elf_string(ElfSource& source, const ElfFile& file, std::uint64_t index, std::uint64_t longest);

// Relocations, hash tables, symbols and versions. Fills in what ElfFile has of them.
Result<void> check_elf_tables(ElfSource& source, ElfFile& file);

}  // namespace intact
