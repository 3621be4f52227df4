// stat and its many names, access, and fstat for descriptors of ours.
//
// On 64-bit machines struct stat and struct stat64 are one. Binaries built for glibc before 2.33 call __xstat and its
// kin, which take a version first; there is one version a machine.

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <cerrno>

#include "core/redirect/answer.h"
#include "core/redirect/descriptor_linux.h"
#include "core/redirect/shims.h"

namespace intact {
namespace {

static_assert(sizeof(struct stat) == sizeof(struct stat64));

int stat_target(const Target& target, struct stat* out) {
  if (target.missing()) return fail(target.error);
  fill_stat(target.place, out);
  return 0;
}

// A member's descriptor has the member's identity, not that of the memfd behind it.
void amend_descriptor(int fd, struct stat* out) {
  if (!may_be_descriptor_of_ours(*out)) [[likely]]
    return;
  const int before = errno;
  if (const auto identity = identity_of(fd)) amend_stat(*identity, out);
  errno = before;
}

int our_stat(const char* path, struct stat* out) {
  return answer(
      path, [&](const char* there) { return ::stat(there, out); },
      [&](const Target& target) { return stat_target(target, out); });
}

int our_lstat(const char* path, struct stat* out) {
  return answer(
      path, [&](const char* there) { return ::lstat(there, out); },
      [&](const Target& target) { return stat_target(target, out); });
}

int our_fstat(int fd, struct stat* out) {
  const int result = ::fstat(fd, out);
  if (result == 0) amend_descriptor(fd, out);
  return result;
}

int our_fstatat(int directory, const char* path, struct stat* out, int flags) {
  const int result = answer_at(
      directory, path, [&](int at, const char* there) { return ::fstatat(at, there, out, flags); },
      [&](const Target& target) { return stat_target(target, out); });
  if (result == 0 && (flags & AT_EMPTY_PATH) != 0 && path != nullptr && *path == '\0') amend_descriptor(directory, out);
  return result;
}

#if defined(__x86_64__)
constexpr int kStatVersion = 1;
#else
constexpr int kStatVersion = 0;
#endif

int our_xstat(int version, const char* path, struct stat* out) {
  return version == kStatVersion ? our_stat(path, out) : fail(EINVAL);
}
int our_lxstat(int version, const char* path, struct stat* out) {
  return version == kStatVersion ? our_lstat(path, out) : fail(EINVAL);
}
int our_fxstat(int version, int fd, struct stat* out) {
  return version == kStatVersion ? our_fstat(fd, out) : fail(EINVAL);
}
int our_fxstatat(int version, int directory, const char* path, struct stat* out, int flags) {
  return version == kStatVersion ? our_fstatat(directory, path, out, flags) : fail(EINVAL);
}

statx_timestamp timestamp_of(const timespec& time) {
  statx_timestamp stamp = {};
  stamp.tv_sec = time.tv_sec;
  stamp.tv_nsec = static_cast<std::uint32_t>(time.tv_nsec);
  return stamp;
}

void fill_statx(const struct stat& from, struct statx* out) {
  *out = {};
  out->stx_mask = STATX_BASIC_STATS;
  out->stx_blksize = static_cast<std::uint32_t>(from.st_blksize);
  out->stx_nlink = static_cast<std::uint32_t>(from.st_nlink);
  out->stx_uid = from.st_uid;
  out->stx_gid = from.st_gid;
  out->stx_mode = static_cast<std::uint16_t>(from.st_mode);
  out->stx_ino = from.st_ino;
  out->stx_size = static_cast<std::uint64_t>(from.st_size);
  out->stx_blocks = static_cast<std::uint64_t>(from.st_blocks);
  out->stx_atime = timestamp_of(from.st_atim);
  out->stx_ctime = timestamp_of(from.st_ctim);
  out->stx_mtime = timestamp_of(from.st_mtim);
  out->stx_dev_major = major(from.st_dev);
  out->stx_dev_minor = minor(from.st_dev);
}

int our_statx(int directory, const char* path, int flags, unsigned mask, struct statx* out) {
  const int result = answer_at(
      directory, path, [&](int at, const char* there) { return ::statx(at, there, flags, mask, out); },
      [&](const Target& target) {
        struct stat found;
        if (stat_target(target, &found) != 0) return -1;
        fill_statx(found, out);
        return 0;
      });
  if (result == 0 && (flags & AT_EMPTY_PATH) != 0 && path != nullptr && *path == '\0' &&
      makedev(out->stx_dev_major, out->stx_dev_minor) == memfd_device.load(std::memory_order_relaxed)) {
    if (struct stat found; our_fstat(directory, &found) == 0) fill_statx(found, out);
  }
  return result;
}

int access_target(const Target& target, int mode) {
  if (target.missing()) return fail(target.error);
  if ((mode & ~(R_OK | W_OK | X_OK)) != 0) return fail(EINVAL);
  if ((mode & W_OK) != 0) return fail(EROFS);
  struct stat found;
  fill_stat(target.place, &found);
  return (mode & X_OK) != 0 && (found.st_mode & 0111) == 0 ? fail(EACCES) : 0;
}

int our_access(const char* path, int mode) {
  return answer(
      path, [&](const char* there) { return ::access(unknown(there), mode); },
      [&](const Target& target) { return access_target(target, mode); });
}

int our_euidaccess(const char* path, int mode) {
  return answer(
      path, [&](const char* there) { return ::euidaccess(unknown(there), mode); },
      [&](const Target& target) { return access_target(target, mode); });
}

int our_faccessat(int directory, const char* path, int mode, int flags) {
  return answer_at(
      directory, path, [&](int at, const char* there) { return ::faccessat(at, there, mode, flags); },
      [&](const Target& target) { return access_target(target, mode); });
}

}  // namespace

std::span<const Shim> stat_shims() {
  static const Shim table[] = {
      shim("stat", our_stat),           shim("stat64", our_stat),           shim("lstat", our_lstat),
      shim("lstat64", our_lstat),       shim("fstat", our_fstat),           shim("fstat64", our_fstat),
      shim("fstatat", our_fstatat),     shim("fstatat64", our_fstatat),     shim("statx", our_statx),
      shim("__xstat", our_xstat),       shim("__xstat64", our_xstat),       shim("__lxstat", our_lxstat),
      shim("__lxstat64", our_lxstat),   shim("__fxstat", our_fxstat),       shim("__fxstat64", our_fxstat),
      shim("__fxstatat", our_fxstatat), shim("__fxstatat64", our_fxstatat), shim("access", our_access),
      shim("faccessat", our_faccessat), shim("euidaccess", our_euidaccess), shim("eaccess", our_euidaccess),
  };
  return table;
}

}  // namespace intact
