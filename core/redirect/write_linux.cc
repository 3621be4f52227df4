// Functions that change what exists. What they give is what a read-only file system gives, in the kernel's order: first
// that the path leads somewhere, then EROFS.

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <unistd.h>
#include <utime.h>

#include <cerrno>

#include "core/redirect/answer.h"
#include "core/redirect/shims.h"

namespace intact {
namespace {

// chmod, chown, utime: the file itself must exist.
int refuse_change(const Target& target) { return fail(target.missing() ? target.error : EROFS); }

// unlink, rmdir, rename: the kernel asks for write access once it has the directory, before it looks for the name.
int refuse_removal(const Target& target) { return fail(target.missing() && !target.creatable ? target.error : EROFS); }

int our_unlink(const char* path) {
  return answer_change(
      path, [](const char* there) { return ::unlink(there); }, refuse_removal);
}
int our_unlinkat(int directory, const char* path, int flags) {
  return answer_change_at(
      directory, path, [&](int at, const char* there) { return ::unlinkat(at, there, flags); }, refuse_removal);
}
int our_rmdir(const char* path) {
  return answer_change(
      path, [](const char* there) { return ::rmdir(there); }, refuse_removal);
}
int our_remove(const char* path) {
  return answer_change(
      path, [](const char* there) { return ::remove(there); }, refuse_removal);
}

// A rename has two paths: across the border it is one between two file systems.
template <typename Real>
int rename_between(int from_directory, const char* from, int to_directory, const char* to, Real real) {
  const auto look = [](int directory, const char* path) {
    Target target = may_be_ours(directory, path) ? locate_at(directory, path) : Target{};
    return has_place_on_disk(target) ? Target{} : target;
  };
  const auto refuse = [](const Target& source, const Target& target) {
    redirect_state.hits.fetch_add(1, std::memory_order_relaxed);
    for (const Target* side : {&source, &target}) {
      if (side->missing() && !side->creatable) return fail(side->error);
    }
    return fail(source.ours() && target.ours() ? EROFS : EXDEV);
  };
  const Target source = look(from_directory, from);
  const Target target = look(to_directory, to);
  if (source.ours() || target.ours()) return refuse(source, target);
  const int result = real();
  if (result == 0) return result;
  const auto second_source = second_look(from_directory, from);
  const auto second_target = second_look(to_directory, to);
  if (!second_source && !second_target) return result;
  return refuse(second_source.value_or(Target{}), second_target.value_or(Target{}));
}

int our_rename(const char* from, const char* to) {
  return rename_between(AT_FDCWD, from, AT_FDCWD, to, [&] { return ::rename(from, to); });
}
int our_renameat(int from_directory, const char* from, int to_directory, const char* to) {
  return rename_between(from_directory, from, to_directory, to,
                        [&] { return ::renameat(from_directory, from, to_directory, to); });
}
int our_renameat2(int from_directory, const char* from, int to_directory, const char* to, unsigned flags) {
  return rename_between(from_directory, from, to_directory, to,
                        [&] { return ::renameat2(from_directory, from, to_directory, to, flags); });
}

int our_chmod(const char* path, mode_t mode) {
  return answer_change(
      path, [&](const char* there) { return ::chmod(there, mode); }, refuse_change);
}
int our_lchmod(const char* path, mode_t mode) {
  return answer_change(
      path, [&](const char* there) { return ::lchmod(there, mode); }, refuse_change);
}
int our_fchmodat(int directory, const char* path, mode_t mode, int flags) {
  return answer_change_at(
      directory, path, [&](int at, const char* there) { return ::fchmodat(at, there, mode, flags); }, refuse_change);
}
int our_chown(const char* path, uid_t user, gid_t group) {
  return answer_change(
      path, [&](const char* there) { return ::chown(there, user, group); }, refuse_change);
}
int our_lchown(const char* path, uid_t user, gid_t group) {
  return answer_change(
      path, [&](const char* there) { return ::lchown(there, user, group); }, refuse_change);
}
int our_fchownat(int directory, const char* path, uid_t user, gid_t group, int flags) {
  return answer_change_at(
      directory, path, [&](int at, const char* there) { return ::fchownat(at, there, user, group, flags); },
      refuse_change);
}

int our_utime(const char* path, const utimbuf* times) {
  return answer_change(
      path, [&](const char* there) { return ::utime(there, times); }, refuse_change);
}
int our_utimes(const char* path, const timeval* times) {
  return answer_change(
      path, [&](const char* there) { return ::utimes(there, times); }, refuse_change);
}
int our_lutimes(const char* path, const timeval* times) {
  return answer_change(
      path, [&](const char* there) { return ::lutimes(there, times); }, refuse_change);
}
int our_futimesat(int directory, const char* path, const timeval* times) {
  return answer_change_at(
      directory, path, [&](int at, const char* there) { return ::futimesat(at, there, times); }, refuse_change);
}
int our_utimensat(int directory, const char* path, const timespec* times, int flags) {
  return answer_change_at(
      directory, path, [&](int at, const char* there) { return ::utimensat(at, there, times, flags); }, refuse_change);
}

int our_truncate(const char* path, off_t size) {
  return answer_change(
      path, [&](const char* there) { return ::truncate(there, size); },
      [](const Target& target) { return target.directory() ? fail(EISDIR) : refuse_change(target); });
}

}  // namespace

std::span<const Shim> write_shims() {
  static const Shim table[] = {
      shim("unlink", our_unlink),       shim("unlinkat", our_unlinkat),   shim("rmdir", our_rmdir),
      shim("remove", our_remove),       shim("rename", our_rename),       shim("renameat", our_renameat),
      shim("renameat2", our_renameat2), shim("chmod", our_chmod),         shim("lchmod", our_lchmod),
      shim("fchmodat", our_fchmodat),   shim("chown", our_chown),         shim("lchown", our_lchown),
      shim("fchownat", our_fchownat),   shim("utime", our_utime),         shim("utimes", our_utimes),
      shim("lutimes", our_lutimes),     shim("futimesat", our_futimesat), shim("utimensat", our_utimensat),
      shim("truncate", our_truncate),   shim("truncate64", our_truncate),
  };
  return table;
}

}  // namespace intact
