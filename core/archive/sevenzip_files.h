// The last part of a 7z header, FilesInfo: checked, and nothing of it kept.

#pragma once

#include "core/archive/sevenzip_header.h"

namespace intact::sevenzip {

// FilesInfo at the reader's place, behind its id. kArchive if it is broken or one that libarchive is not to be given.
Result<void> check_files(Reader& reader, const Contents& contents, Claims& claims);

}  // namespace intact::sevenzip
