// Functions that make something new: EEXIST where something is, EROFS where something could be.

#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

#include "core/redirect/answer.h"
#include "core/redirect/shims.h"

namespace intact {
namespace {

int refuse_directory(const Target& target) {
  if (!target.missing()) return fail(EEXIST);
  if (!target.creatable) return fail(target.error);
  return fail(target.error == ENOTDIR ? EEXIST : EROFS);
}

// Only a directory may be made by a name that ends in a slash.
int refuse_file(const Target& target) {
  return target.missing() && target.slash && target.error == ENOENT ? fail(ENOENT) : refuse_directory(target);
}

int our_mkdir(const char* path, mode_t mode) {
  return answer_change(
      path, [&](const char* there) { return ::mkdir(there, mode); }, refuse_directory);
}
int our_mkdirat(int directory, const char* path, mode_t mode) {
  return answer_change_at(
      directory, path, [&](int at, const char* there) { return ::mkdirat(at, there, mode); }, refuse_directory);
}
int our_mknod(const char* path, mode_t mode, dev_t device) {
  return answer_change(
      path, [&](const char* there) { return ::mknod(there, mode, device); }, refuse_file);
}
int our_mknodat(int directory, const char* path, mode_t mode, dev_t device) {
  return answer_change_at(
      directory, path, [&](int at, const char* there) { return ::mknodat(at, there, mode, device); }, refuse_file);
}
// Before glibc 2.33; there is one version, 0, as of struct stat's kin.
int our_xmknod(int version, const char* path, mode_t mode, const dev_t* device) {
  return version == 0 ? our_mknod(path, mode, *device) : fail(EINVAL);
}
int our_xmknodat(int version, int directory, const char* path, mode_t mode, const dev_t* device) {
  return version == 0 ? our_mknodat(directory, path, mode, *device) : fail(EINVAL);
}
int our_mkfifo(const char* path, mode_t mode) {
  return answer_change(
      path, [&](const char* there) { return ::mkfifo(there, mode); }, refuse_file);
}
int our_mkfifoat(int directory, const char* path, mode_t mode) {
  return answer_change_at(
      directory, path, [&](int at, const char* there) { return ::mkfifoat(at, there, mode); }, refuse_file);
}
int our_symlink(const char* text, const char* path) {
  return answer_change(
      path, [&](const char* there) { return ::symlink(text, there); }, refuse_file);
}
int our_symlinkat(const char* text, int directory, const char* path) {
  return answer_change_at(
      directory, path, [&](int at, const char* there) { return ::symlinkat(text, at, there); }, refuse_file);
}

// The old name is looked for first, then the new one; between two file systems there are no links.
template <typename Real>
int link_between(int from_directory, const char* from, int to_directory, const char* to, Real real) {
  return answer_change_at(
      from_directory, from,
      [&](int, const char*) {
        return answer_change_at(
            to_directory, to, [&](int, const char*) { return real(); },
            [&](const Target& target) {
              return ::faccessat(from_directory, from, F_OK, AT_SYMLINK_NOFOLLOW) == 0 ? refuse_file(target) : -1;
            });
      },
      [&](const Target& source) {
        if (source.missing()) return fail(source.error);
        const Target target = may_be_ours(to_directory, to) ? locate_at(to_directory, to) : Target{};
        return target.ours() ? refuse_file(target) : fail(EXDEV);
      });
}

int our_link(const char* from, const char* to) {
  return link_between(AT_FDCWD, from, AT_FDCWD, to, [&] { return ::link(from, to); });
}
int our_linkat(int from_directory, const char* from, int to_directory, const char* to, int flags) {
  return link_between(from_directory, from, to_directory, to,
                      [&] { return ::linkat(from_directory, from, to_directory, to, flags); });
}

int our_mkstemp(char* name) {
  return answer(
      name, [&](const char*) { return ::mkstemp64(name); }, refuse_file);
}
int our_mkostemp(char* name, int flags) {
  return answer(
      name, [&](const char*) { return ::mkostemp64(name, flags); }, refuse_file);
}
int our_mkstemps(char* name, int suffix) {
  return answer(
      name, [&](const char*) { return ::mkstemps64(name, suffix); }, refuse_file);
}
int our_mkostemps(char* name, int suffix, int flags) {
  return answer(
      name, [&](const char*) { return ::mkostemps64(name, suffix, flags); }, refuse_file);
}
char* our_mkdtemp(char* name) {
  return answer(
      name, [&](const char*) { return ::mkdtemp(name); },
      [](const Target& target) -> char* {
        refuse_directory(target);
        return nullptr;
      });
}

}  // namespace

std::span<const Shim> create_shims() {
  static const Shim table[] = {
      shim("mkdir", our_mkdir),         shim("mkdirat", our_mkdirat),
      shim("mknod", our_mknod),         shim("mknodat", our_mknodat),
      shim("__xmknod", our_xmknod),     shim("__xmknodat", our_xmknodat),
      shim("mkfifo", our_mkfifo),       shim("mkfifoat", our_mkfifoat),
      shim("symlink", our_symlink),     shim("symlinkat", our_symlinkat),
      shim("link", our_link),           shim("linkat", our_linkat),
      shim("mkstemp", our_mkstemp),     shim("mkstemp64", our_mkstemp),
      shim("mkostemp", our_mkostemp),   shim("mkostemp64", our_mkostemp),
      shim("mkstemps", our_mkstemps),   shim("mkstemps64", our_mkstemps),
      shim("mkostemps", our_mkostemps), shim("mkostemps64", our_mkostemps),
      shim("mkdtemp", our_mkdtemp),
  };
  return table;
}

}  // namespace intact
