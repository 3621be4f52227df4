// What open() does with a target below a root, for every function that opens.

#pragma once

#include "core/redirect/locate_linux.h"

namespace intact {

// Whether open(path, flags) of a root means the file on disk that it also is.
bool opens_file_on_disk(const Target& target, int flags);

// open(2) on a read-only file system: a descriptor, or -1 and errno.
int open_target(const Target& target, int flags);

// fopen's mode as open's flags; nothing for a mode that fopen refuses.
std::optional<int> flags_of_mode(const char* mode);

}  // namespace intact
