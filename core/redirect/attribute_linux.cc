// Extended attributes (there are none), statfs and statvfs (a read-only file system), pathconf.

#include <sys/statfs.h>
#include <sys/statvfs.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <cerrno>

#include "core/redirect/answer.h"
#include "core/redirect/shims.h"

namespace intact {
namespace {

constexpr unsigned kBlock = 4096;
constexpr unsigned kNameLimit = 255;
constexpr unsigned kFileSystem = 0x1a7ac;  // of no file system that there is

ssize_t no_attribute(const Target& target) { return fail(target.missing() ? target.error : ENODATA); }
ssize_t no_attributes(const Target& target) { return target.missing() ? fail(target.error) : 0; }
int attribute_refused(const Target& target) { return fail(target.missing() ? target.error : EROFS); }

ssize_t our_getxattr(const char* path, const char* name, void* value, std::size_t size) {
  return answer(
      path, [&](const char* there) { return ::getxattr(there, name, value, size); }, no_attribute);
}
ssize_t our_lgetxattr(const char* path, const char* name, void* value, std::size_t size) {
  return answer(
      path, [&](const char* there) { return ::lgetxattr(there, name, value, size); }, no_attribute);
}
ssize_t our_listxattr(const char* path, char* list, std::size_t size) {
  return answer(
      path, [&](const char* there) { return ::listxattr(there, list, size); }, no_attributes);
}
ssize_t our_llistxattr(const char* path, char* list, std::size_t size) {
  return answer(
      path, [&](const char* there) { return ::llistxattr(there, list, size); }, no_attributes);
}
int our_setxattr(const char* path, const char* name, const void* value, std::size_t size, int flags) {
  return answer(
      path, [&](const char* there) { return ::setxattr(there, name, value, size, flags); }, attribute_refused);
}
int our_lsetxattr(const char* path, const char* name, const void* value, std::size_t size, int flags) {
  return answer(
      path, [&](const char* there) { return ::lsetxattr(there, name, value, size, flags); }, attribute_refused);
}
int our_removexattr(const char* path, const char* name) {
  return answer(
      path, [&](const char* there) { return ::removexattr(there, name); }, attribute_refused);
}
int our_lremovexattr(const char* path, const char* name) {
  return answer(
      path, [&](const char* there) { return ::lremovexattr(there, name); }, attribute_refused);
}

static_assert(sizeof(struct statfs) == sizeof(struct statfs64) && sizeof(struct statvfs) == sizeof(struct statvfs64));

int our_statfs(const char* path, struct statfs* out) {
  return answer(
      path, [&](const char* there) { return ::statfs(there, out); },
      [&](const Target& target) {
        if (target.missing()) return fail(target.error);
        *out = {};
        out->f_type = kFileSystem;
        out->f_bsize = kBlock;
        out->f_frsize = kBlock;
        out->f_namelen = kNameLimit;
        out->f_flags = ST_RDONLY;
        return 0;
      });
}

int our_statvfs(const char* path, struct statvfs* out) {
  return answer(
      path, [&](const char* there) { return ::statvfs(there, out); },
      [&](const Target& target) {
        if (target.missing()) return fail(target.error);
        *out = {};
        out->f_bsize = kBlock;
        out->f_frsize = kBlock;
        out->f_namemax = kNameLimit;
        out->f_flag = ST_RDONLY;
        return 0;
      });
}

// The limits are those of Linux, whatever the file system: what "/" answers.
long our_pathconf(const char* path, int name) {
  return answer(
      path, [&](const char* there) { return ::pathconf(there, name); },
      [&](const Target& target) -> long { return target.missing() ? fail(target.error) : ::pathconf("/", name); });
}

}  // namespace

std::span<const Shim> attribute_shims() {
  static const Shim table[] = {
      shim("getxattr", our_getxattr),       shim("lgetxattr", our_lgetxattr),       shim("listxattr", our_listxattr),
      shim("llistxattr", our_llistxattr),   shim("setxattr", our_setxattr),         shim("lsetxattr", our_lsetxattr),
      shim("removexattr", our_removexattr), shim("lremovexattr", our_lremovexattr), shim("statfs", our_statfs),
      shim("statfs64", our_statfs),         shim("statvfs", our_statvfs),           shim("statvfs64", our_statvfs),
      shim("pathconf", our_pathconf),
  };
  return table;
}

}  // namespace intact
