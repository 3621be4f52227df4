// Initialisers: DT_INIT and DT_INIT_ARRAY, run by us.
//
// The private copies that ld.so loads have these hidden, because an image must be mapped whole, named and patched
// by the redirect before its own code runs. They get what ld.so would give them: argc, argv, environ.

#pragma once

#include <link.h>

#include "core/elf/elf_file.h"

namespace intact {

void run_initialisers(const link_map& image, const ElfFile& file);

}  // namespace intact
