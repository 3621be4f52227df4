// Opening: the table of formats, and what all archives share.

#include "core/archive/archive.h"

#include <fcntl.h>

#include <cerrno>

#include "core/archive/formats.h"
#include "core/archive/links.h"

namespace intact {

namespace {

constexpr const Format* kFormats[] = {&kDirectoryFormat, &kZipFormat, &kLibarchiveFormat};

}  // namespace

Error Archive::member_error(std::size_t index, std::string reason, std::optional<std::uint64_t> offset) const {
  return Error{ErrorCode::kMember, std::move(reason), name_, std::string(member_name(index).path), offset};
}

Result<std::unique_ptr<Archive>> open_archive(Source source, const OpenOptions& options) {
  const std::string name = source.name;
  for (const Format* format : kFormats) {
    auto opened = format->open(source, options);
    if (!opened) {
      Error error = std::move(opened).error();
      error.archive = name;
      return error;
    }
    if (*opened && options.follow_links) return follow_links(*std::move(opened), options.limits);
    if (*opened) return opened;
  }
  return Error{ErrorCode::kArchive, "of no known archive format", name};
}

Result<std::unique_ptr<Archive>> open_archive(const std::string& path, const OpenOptions& options) {
  if (path.find('\0') != std::string::npos) return Error{ErrorCode::kArgument, "a path with a NUL", path};
  // Not to wait for a writer if this is a FIFO; for files and directories O_NONBLOCK means nothing.
  UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (!fd) {
    Error error = system_error(errno, "cannot open");
    error.archive = path;
    return error;
  }
  return open_archive(Source{path, std::move(fd)}, options);
}

}  // namespace intact
