// Patches: the few changes made to a private copy before ld.so sees it.

#pragma once

#include <cstddef>
#include <span>
#include <string_view>

#include "core/elf/elf_file.h"

namespace intact {

// Hides DT_INIT and DT_INIT_ARRAY, which we run ourselves, and search paths that begin with $ORIGIN and nothing else:
// ld.so would take /proc/PID/fd for the origin.
void hide_dynamic_entries(std::span<std::byte> bytes, const ElfFile& file);

// Makes needed library number `needed` be asked for as `path`. False if there is no room for that.
[[nodiscard]] bool rename_needed(std::span<std::byte> bytes, const ElfFile& file, std::size_t needed,
                                 std::string_view path);

}  // namespace intact
