// Links: an archive in which symbolic links are what they lead to.
//
// A link to a file is that file under another name; one to a directory is a directory with the same members. A link
// leads nowhere else: what is absolute, climbs out of the archive, is not there or goes in circles is left out and
// counted as unreachable. So whoever reads the archive meets files and directories only.

#pragma once

#include <memory>

#include "core/archive/archive.h"

namespace intact {

// The archive itself if it has no links. kArchive if links to directories make more members than the limit.
Result<std::unique_ptr<Archive>> follow_links(std::unique_ptr<Archive> archive, const Limits& limits);

}  // namespace intact
