// The formats open_archive asks, one entry each; archive.cc holds the table.

#pragma once

#include <memory>

#include "core/archive/archive.h"

namespace intact {

struct Format {
  const char* name;
  // Null if the source is not of this format, and then the source is as it was; an error if it is and is broken.
  // The error need not name the archive.
  Result<std::unique_ptr<Archive>> (*open)(Source& source, const OpenOptions& options);
};

extern const Format kDirectoryFormat;
extern const Format kZipFormat;
extern const Format kLibarchiveFormat;

}  // namespace intact
