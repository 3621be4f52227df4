// Directory streams: opendir and its family. Ours are told from libc's by their address (see the .cc), so reading an
// ordinary directory costs two comparisons more.

#pragma once

#include <dirent.h>

#include "core/redirect/locate_linux.h"

namespace intact {

// Null and errno if it is no directory.
DIR* open_stream(const Target& target);

DIR* our_opendir(const char* path);
dirent* our_readdir(DIR* directory);
int our_closedir(DIR* directory);

}  // namespace intact
