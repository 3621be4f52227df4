// xar: what its table of contents is checked for before libarchive reads it.
//
// The table is XML, packed by zlib (https://github.com/apple-oss-distributions/xar). libarchive believes it: a file of
// two types is a list without an end, a name in pieces has its directory's name before each of them, extended
// attributes may all be the same bytes, and where there is no memory the process ends. So a table is taken only if it
// has what programs write into one, no more than a stated number of each, and no XML that could hide something: it is
// UTF-8 without comments, CDATA, entities of its own (DOCTYPE), namespaces' prefixes and processing instructions.

#pragma once

#include "core/archive/archive.h"
#include "core/archive/input.h"

namespace intact {

// Nothing if `input` does not begin as a xar does. kArchive if it is broken or one that libarchive is not to be given.
Result<void> check_xar(const Input& input, const Limits& limits);

}  // namespace intact
