// open, openat, creat and their 64 and fortified forms.
//
// They are declared here with a fixed third parameter, which both calling conventions pass where a variadic one would
// look for it: a caller that gave no mode hands on whatever the register held, as libc's own wrapper does.

#include <fcntl.h>

#include <cerrno>

#include "core/redirect/answer.h"
#include "core/redirect/descriptor_linux.h"
#include "core/redirect/open_target_linux.h"
#include "core/redirect/shims.h"

namespace intact {

bool opens_file_on_disk(const Target& target, int flags) {
  if ((flags & O_DIRECTORY) != 0 || target.slash) return false;
  const bool changes = (flags & O_ACCMODE) != O_RDONLY || (flags & (O_CREAT | O_TRUNC)) != 0;
  return changes ? has_place_on_disk(target) : is_file_on_disk(target);
}

int open_target(const Target& target, int flags) {
  if ((flags & O_PATH) != 0) flags &= O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;
  const bool temporary = (flags & O_TMPFILE) == O_TMPFILE;
  const bool creates = (flags & O_CREAT) != 0 && !temporary;
  const bool writes = (flags & O_ACCMODE) != O_RDONLY || (flags & O_TRUNC) != 0;
  if (creates && target.slash && (target.creatable || !target.missing())) return fail(EISDIR);
  if (target.missing()) return fail(creates && target.creatable ? EROFS : target.error);
  if (creates && (flags & O_EXCL) != 0) return fail(EEXIST);
  if (temporary) return fail(target.directory() ? EROFS : ENOTDIR);
  if (const auto file = file_in_another_mount(target); file && (flags & O_DIRECTORY) == 0)
    return writes ? fail(EROFS) : open_member(*file, flags);
  if (target.directory()) return creates || writes ? fail(EISDIR) : open_directory(target.place, flags);
  if ((flags & O_DIRECTORY) != 0) return fail(ENOTDIR);
  return writes ? fail(EROFS) : open_member(target.place, flags);
}

namespace {

int our_openat(int directory, const char* path, int flags, mode_t mode) {
  return answer_at(
      directory, path, [&](int at, const char* there) { return ::openat64(at, there, flags, mode); },
      [&](const Target& target) {
        if (opens_file_on_disk(target, flags)) return ::openat64(directory, path, flags, mode);
        return open_target(target, flags);
      });
}

int our_open(const char* path, int flags, mode_t mode) {
  return answer(
      path, [&](const char* there) { return ::open64(there, flags, mode); },
      [&](const Target& target) {
        if (opens_file_on_disk(target, flags)) return ::open64(path, flags, mode);
        return open_target(target, flags);
      });
}

int our_creat(const char* path, mode_t mode) { return our_open(path, O_CREAT | O_WRONLY | O_TRUNC, mode); }

// What _FORTIFY_SOURCE makes of calls without a mode.
int our_open_2(const char* path, int flags) { return our_open(path, flags, 0); }
int our_openat_2(int directory, const char* path, int flags) { return our_openat(directory, path, flags, 0); }

}  // namespace

std::span<const Shim> open_shims() {
  static const Shim table[] = {
      shim("open", our_open),         shim("open64", our_open),         shim("__open", our_open),
      shim("__open64", our_open),     shim("openat", our_openat),       shim("openat64", our_openat),
      shim("creat", our_creat),       shim("creat64", our_creat),       shim("__open_2", our_open_2),
      shim("__open64_2", our_open_2), shim("__openat_2", our_openat_2), shim("__openat64_2", our_openat_2),
  };
  return table;
}

}  // namespace intact
