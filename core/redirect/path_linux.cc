// readlink, realpath and chdir.

#include <limits.h>
#include <stdlib.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "core/redirect/answer.h"
#include "core/redirect/descriptor_linux.h"
#include "core/redirect/shims.h"

// What _FORTIFY_SOURCE makes of the functions; no header declares them where it is off.
extern "C" {
char* __realpath_chk(const char* path, char* resolved, std::size_t size);
ssize_t __readlink_chk(const char* path, char* buffer, std::size_t size, std::size_t buffer_size);
ssize_t __readlinkat_chk(int directory, const char* path, char* buffer, std::size_t size, std::size_t buffer_size);
}

namespace intact {
namespace {

ssize_t not_a_link(const Target& target) { return fail(target.missing() ? target.error : EINVAL); }

ssize_t our_readlink(const char* path, char* buffer, std::size_t size) {
  return answer(
      path, [&](const char* there) { return ::readlink(there, buffer, size); }, not_a_link);
}
ssize_t our_readlink_chk(const char* path, char* buffer, std::size_t size, std::size_t buffer_size) {
  return answer(
      path, [&](const char* there) { return ::__readlink_chk(there, buffer, size, buffer_size); }, not_a_link);
}
ssize_t our_readlinkat(int directory, const char* path, char* buffer, std::size_t size) {
  return answer_at(
      directory, path, [&](int at, const char* there) { return ::readlinkat(at, there, buffer, size); }, not_a_link);
}
ssize_t our_readlinkat_chk(int directory, const char* path, char* buffer, std::size_t size, std::size_t buffer_size) {
  return answer_at(
      directory, path,
      [&](int at, const char* there) { return ::__readlinkat_chk(at, there, buffer, size, buffer_size); }, not_a_link);
}

// The caller frees what it gets for a null buffer.
char* resolve(const Target& target, char* resolved) {
  errno = target.error;
  if (target.missing()) return nullptr;
  const std::string path = real_path_of(target.place);
  errno = ENAMETOOLONG;
  if (path.size() >= PATH_MAX) return nullptr;
  return resolved == nullptr ? ::strdup(path.c_str())
                             : static_cast<char*>(std::memcpy(resolved, path.c_str(), path.size() + 1));
}

char* our_realpath(const char* path, char* resolved) {
  return answer(
      path, [&](const char* there) { return ::realpath(there, resolved); },
      [&](const Target& target) { return resolve(target, resolved); });
}

// A buffer below PATH_MAX is libc's to abort on, as it does on a path that is its own.
char* our_realpath_chk(const char* path, char* resolved, std::size_t size) {
  return answer(
      path, [&](const char* there) { return ::__realpath_chk(there, resolved, size); },
      [&](const Target& target) {
        return size < PATH_MAX ? ::__realpath_chk("/", resolved, size) : resolve(target, resolved);
      });
}

char* our_canonicalize_file_name(const char* path) { return our_realpath(path, nullptr); }

// Nothing below a root can be the kernel's working directory: EACCES is what a directory without search permission
// gives.
int our_chdir(const char* path) {
  return answer(
      path, [](const char* there) { return ::chdir(there); },
      [](const Target& target) {
        return fail(target.missing() ? target.error : target.directory() ? EACCES : ENOTDIR);
      });
}

int our_fchdir(int fd) {
  if (redirect_state.any_descriptor.load(std::memory_order_acquire)) {
    if (const auto identity = identity_of(fd); identity && identity->directory) return fail(EACCES);
  }
  return ::fchdir(fd);
}

int our_chroot(const char* path) {
  return answer(
      path, [](const char* there) { return ::chroot(there); },
      [](const Target& target) {
        return fail(target.missing() ? target.error : target.directory() ? EACCES : ENOTDIR);
      });
}

}  // namespace

std::span<const Shim> path_shims() {
  static const Shim table[] = {
      shim("readlink", our_readlink),
      shim("__readlink_chk", our_readlink_chk),
      shim("readlinkat", our_readlinkat),
      shim("__readlinkat_chk", our_readlinkat_chk),
      shim("realpath", our_realpath),
      shim("__realpath_chk", our_realpath_chk),
      shim("canonicalize_file_name", our_canonicalize_file_name),
      shim("chdir", our_chdir),
      shim("fchdir", our_fchdir),
      shim("chroot", our_chroot),
  };
  return table;
}

}  // namespace intact
