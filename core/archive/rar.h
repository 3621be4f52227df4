// rar: what its blocks are checked for before libarchive reads them.
//
// libarchive believes a rar. Compressed data of rar 4 may hold programs, each of nine bytes and a second, and no header
// tells: such an archive is left to callers who trust it. Of rar 5 each compressed member may have megabytes cleared
// for its window, and what lies between the volumes of a solid archive is unpacked without being handed out.
//
// The walk goes from block to block as libarchive 3.6 does, by technote.txt of RAR 4 and
// https://www.rarlab.com/technote.htm. libarchive goes on where it has stopped to understand a header, not where the
// header ends, so one in which these differ is refused.

#pragma once

#include <cstdint>
#include <vector>

#include "core/archive/archive.h"
#include "core/archive/input.h"

namespace intact {

// 4 or 5, 0 for anything else, what unpacks itself among it.
int rar_version(const Input& input);

// kArchive if `input` is a rar that is broken or that libarchive is not to be given. Gives where the contents of
// members end, in order, if it is a solid rar 5: libarchive may read on, over headers that follow, and nobody would
// know.
Result<std::vector<std::uint64_t>> check_rar(const Input& input, const Limits& limits);

}  // namespace intact
