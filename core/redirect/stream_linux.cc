// fopen and freopen. A stream on a member is libc's own FILE over the member's descriptor, so that everything else of
// stdio works on it. std::ifstream comes here through libstdc++'s fopen64.

#include <fcntl.h>
#include <stdio.h>

#include <cerrno>
#include <cstring>

#include "core/base/unique_fd.h"
#include "core/redirect/answer.h"
#include "core/redirect/open_target_linux.h"
#include "core/redirect/shims.h"

namespace intact {

std::optional<int> flags_of_mode(const char* mode) {
  int flags = 0;
  switch (*mode) {
    case 'r':
      flags = O_RDONLY;
      break;
    case 'w':
      flags = O_WRONLY | O_CREAT | O_TRUNC;
      break;
    case 'a':
      flags = O_WRONLY | O_CREAT | O_APPEND;
      break;
    default:
      return std::nullopt;
  }
  for (const char* letter = mode + 1; *letter != '\0' && *letter != ','; ++letter) {
    if (*letter == '+') flags = (flags & ~O_ACCMODE) | O_RDWR;
    if (*letter == 'x') flags |= O_EXCL;
    if (*letter == 'e') flags |= O_CLOEXEC;
  }
  return flags;
}

namespace {

FILE* open_stream(const Target& target, const char* mode) {
  const auto flags = flags_of_mode(mode);
  if (!flags) {
    errno = EINVAL;
    return nullptr;
  }
  UniqueFd fd(open_target(target, *flags));
  FILE* const stream = fd ? ::fdopen(fd.get(), mode) : nullptr;
  if (stream != nullptr) fd.release();
  return stream;
}

FILE* our_fopen(const char* path, const char* mode) {
  return answer(
      path, [&](const char* there) { return ::fopen64(there, mode); },
      [&](const Target& target) {
        if (opens_file_on_disk(target, flags_of_mode(mode).value_or(0))) return ::fopen64(path, mode);
        return open_stream(target, mode);
      });
}

// Only libc can open another file under a stream that exists: it is given the descriptor's name. On failure it has to
// close the stream all the same, which it does when it fails on the path itself.
FILE* reopen_stream(const Target& target, const char* path, const char* mode, FILE* stream) {
  const auto flags = flags_of_mode(mode);
  const UniqueFd fd(flags ? open_target(target, *flags | O_CLOEXEC) : fail(EINVAL));
  if (!fd) {
    const int error = errno;
    ::freopen64(path, "r", stream);
    errno = error;
    return nullptr;
  }
  char link[64] = "/";  // a stream on any directory fails at the first read
  if (!target.directory()) snprintf(link, sizeof link, "/proc/self/fd/%d", fd.get());
  return ::freopen64(link, mode, stream);
}

// No second look: by then libc has closed the stream.
FILE* our_freopen(const char* path, const char* mode, FILE* stream) {
  if (may_be_ours(AT_FDCWD, path)) [[unlikely]] {
    const Target target = locate(path);
    if (target.ours() && !opens_file_on_disk(target, flags_of_mode(mode).value_or(0))) {
      auto reopen = [&](const Target& found) { return reopen_stream(found, path, mode, stream); };
      return answer_ours(target, reopen);
    }
    if (!target.path.empty()) return ::freopen64(target.path.c_str(), mode, stream);
  }
  return ::freopen64(path, mode, stream);
}

}  // namespace

std::span<const Shim> stream_shims() {
  static const Shim table[] = {
      shim("fopen", our_fopen),
      shim("fopen64", our_fopen),
      shim("freopen", our_freopen),
      shim("freopen64", our_freopen),
  };
  return table;
}

}  // namespace intact
