// iso9660: what the directories of a volume are checked for before libarchive reads them.
//
// A volume is ECMA-119 (https://ecma-international.org/publications-and-standards/standards/ecma-119/), with names,
// links and relocated directories in the records' system use areas (SUSP and Rock Ridge, IEEE P1281 and P1282).
// libarchive believes all of it: an area that continues in itself is a loop without an end, directories in one place
// are read again and again, names may all be the same bytes, and each record is compared with all directories that it
// is in. So the directories are walked here first, in all trees that libarchive may choose (Joliet has one of its
// own), and taken for whatever libarchive could take them for: an order of reading is not assumed.

#pragma once

#include "core/archive/archive.h"
#include "core/archive/input.h"

namespace intact {

// Nothing if `input` does not begin as a volume does. kArchive if it is broken or one that libarchive is not to be
// given.
Result<void> check_iso(const Input& input, const Limits& limits);

}  // namespace intact
