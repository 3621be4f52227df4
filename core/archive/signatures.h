// What archives begin with that are no zips.
//
// A zip is known by its end, whatever stands before it. Where the last thing in another archive is a zip, the whole ends
// as a zip does, too, and is told apart by its beginning.

#pragma once

#include "core/archive/input.h"

namespace intact {

// Whether this begins as a tar, cpio, 7z, iso9660, cab, xar or rar does, or what is compressed as a whole.
bool begins_as_no_zip(const Input& input);

}  // namespace intact
