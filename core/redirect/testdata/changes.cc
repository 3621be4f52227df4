// The probes that would change something, and those relative to a directory's descriptor; see caller.cc.

#include <stdio.h>
#include <stdlib.h>
#include <sys/time.h>
#include <sys/xattr.h>
#include <utime.h>

#include "core/redirect/testdata/caller.h"
#include "core/redirect/testdata/words.h"

namespace caller {
namespace {

std::string opened(int fd) {
  if (fd >= 0) ::close(fd);
  return fd >= 0 ? "opened" : failure();
}

std::string opened(FILE* stream) {
  if (stream != nullptr) ::fclose(stream);
  return stream != nullptr ? "opened" : failure();
}

std::string with_pattern(const char* path, int (*function)(char*)) {
  std::string name = std::string(path) + "XXXXXX";
  return opened(function(name.data()));
}

const timeval kTimes[2] = {};

// Opens `path` as a directory and closes it again.
template <typename Function>
std::string in_directory(const char* path, Function function) {
  const int fd = ::open(path, O_RDONLY | O_DIRECTORY);
  if (fd < 0) return failure();
  std::string text = function(fd);
  ::close(fd);
  return text;
}

std::string fdopendir_words(const char* path) { return listing(::fdopendir(::open(path, O_RDONLY | O_DIRECTORY))); }

std::string duplicate_words(const char* path) {
  return in_directory(path, [](int fd) { return listing(::fdopendir(::dup(fd))); });
}

std::string dirfd_words(const char* path) {
  DIR* const directory = ::opendir(path);
  if (directory == nullptr) return failure();
  struct stat stat = {};
  std::string text = words(::fstatat(::dirfd(directory), "data.txt", &stat, 0), stat);
  ::closedir(directory);
  return text;
}

std::string relative_words(const char* path) {
  return in_directory(path, [](int fd) {
    std::string text;
    for (const char* name : {"data.txt", "sub/deep.txt", "sub", "none", "data.txt/x", "../pkg/data.txt", ".", ".."}) {
      struct stat stat = {};
      const int result = ::fstatat(fd, name, &stat, AT_SYMLINK_NOFOLLOW);
      text += std::string(name) + " " + words(result, stat) + "; ";
      text += content(::openat(fd, name, O_RDONLY)) + "; " + number(::faccessat(fd, name, R_OK, 0)) + "\n";
    }
    struct stat stat = {};
    text += words(::fstat(fd, &stat), stat) + " ";
    text += words(::fstatat(fd, "", &stat, AT_EMPTY_PATH), stat) + " " + words(::fstatat(fd, "", &stat, 0), stat);
    return text;
  });
}

std::string identity_words(const char* path) {
  struct stat by_path = {};
  struct stat by_fd = {};
  struct statx by_statx = {};
  const int fd = ::open(path, O_RDONLY);
  if (fd < 0) return failure();
  const bool told = ::stat(path, &by_path) == 0 && ::fstat(fd, &by_fd) == 0 &&
                    ::statx(fd, "", AT_EMPTY_PATH, STATX_BASIC_STATS, &by_statx) == 0;
  ::close(fd);
  const bool same = by_path.st_ino == by_fd.st_ino && by_path.st_dev == by_fd.st_dev && by_path.st_mode == by_fd.st_mode &&
                    by_path.st_mtime == by_fd.st_mtime && by_path.st_nlink == by_fd.st_nlink && by_statx.stx_ino == by_fd.st_ino;
  return told && same ? "one file" : "two files";
}

}  // namespace
}  // namespace caller

using namespace caller;

extern "C" {

const Probe* directory_probes() {
  static const Probe probes[] = {
      {"fdopendir", fdopendir_words},  {"fdopendir of a duplicate", duplicate_words}, {"dirfd", dirfd_words},
      {"relative to it", relative_words}, {"stat and fstat", identity_words},
      {"app.zip from here",
       [](const char* p) {
         return in_directory(p, [](int fd) {
           struct stat stat = {};
           return words(::fstatat(fd, "app.zip/top.txt", &stat, 0), stat);
         });
       }},
      {"mkdirat", [](const char* p) {
         return in_directory(p, [](int fd) { return number(::mkdirat(fd, "new", 0755)) + number(::mkdirat(fd, "sub", 0755)); });
       }},
      {"unlinkat", [](const char* p) { return in_directory(p, [](int fd) { return number(::unlinkat(fd, "data.txt", 0)); }); }},
      {"renameat",
       [](const char* p) {
         return in_directory(p, [](int fd) { return number(::renameat(fd, "data.txt", fd, "new")); });
       }},
      {nullptr, nullptr},
  };
  return probes;
}

const Probe* changing_probes() {
  static const Probe probes[] = {
      {"open write", [](const char* p) { return opened(::open(p, O_WRONLY)); }},
      {"open read-write", [](const char* p) { return opened(::open(p, O_RDWR)); }},
      {"open truncate", [](const char* p) { return opened(::open(p, O_RDONLY | O_TRUNC)); }},
      {"open create", [](const char* p) { return opened(::open(p, O_WRONLY | O_CREAT, 0644)); }},
      {"open create to read", [](const char* p) { return opened(::open(p, O_RDONLY | O_CREAT, 0644)); }},
      {"open create new", [](const char* p) { return opened(::open(p, O_WRONLY | O_CREAT | O_EXCL, 0644)); }},
      {"open temporary", [](const char* p) { return opened(::open(p, O_WRONLY | O_TMPFILE, 0644)); }},
      {"creat", [](const char* p) { return opened(::creat(p, 0644)); }},
      {"fopen w", [](const char* p) { return opened(::fopen(p, "w")); }},
      {"fopen a", [](const char* p) { return opened(::fopen(p, "a")); }},
      {"fopen r+", [](const char* p) { return opened(::fopen(p, "r+")); }},
      {"fopen wx", [](const char* p) { return opened(::fopen(p, "wx")); }},
      {"access W", [](const char* p) { return number(::access(p, W_OK)); }},
      {"mkdir", [](const char* p) { return number(::mkdir(p, 0755)); }},
      {"mkfifo", [](const char* p) { return number(::mkfifo(p, 0644)); }},
      {"mknod", [](const char* p) { return number(::mknod(p, S_IFREG | 0644, 0)); }},
      {"symlink", [](const char* p) { return number(::symlink("target", p)); }},
      {"link to it", [](const char* p) { return number(::link(p, (std::string(p) + "new").c_str())); }},
      {"link as it", [](const char* p) { return number(::link("/dev/null", p)); }},
      {"link of nothing", [](const char* p) { return number(::link("/does/not/exist", p)); }},
      {"rename", [](const char* p) { return number(::rename(p, (std::string(p) + "new").c_str())); }},
      {"rename out", [](const char* p) { return number(::rename(p, "/dev/new")); }},
      {"rename in", [](const char* p) { return number(::rename("/dev/null", p)); }},
      {"unlink", [](const char* p) { return number(::unlink(p)); }},
      {"rmdir", [](const char* p) { return number(::rmdir(p)); }},
      {"chmod", [](const char* p) { return number(::chmod(p, 0644)); }},
      {"fchmodat", [](const char* p) { return number(::fchmodat(AT_FDCWD, p, 0644, 0)); }},
      {"chown", [](const char* p) { return number(::chown(p, 0, 0)); }},
      {"lchown", [](const char* p) { return number(::lchown(p, 0, 0)); }},
      {"fchownat", [](const char* p) { return number(::fchownat(AT_FDCWD, p, 0, 0, 0)); }},
      {"utime", [](const char* p) { return number(::utime(p, nullptr)); }},
      {"utimes", [](const char* p) { return number(::utimes(p, kTimes)); }},
      {"lutimes", [](const char* p) { return number(::lutimes(p, kTimes)); }},
      {"utimensat", [](const char* p) { return number(::utimensat(AT_FDCWD, p, nullptr, 0)); }},
      {"truncate", [](const char* p) { return number(::truncate(p, 0)); }},
      {"mkstemp", [](const char* p) { return with_pattern(p, ::mkstemp); }},
      {"mkdtemp", [](const char* p) {
         std::string name = std::string(p) + "XXXXXX";
         return ::mkdtemp(name.data()) != nullptr ? std::string("made") : failure();
       }},
      {"chdir", [](const char* p) { return number(::chdir(p)); }},
      {"fchdir", [](const char* p) { return in_directory(p, [](int fd) { return number(::fchdir(fd)); }); }},
      {"setxattr", [](const char* p) { return number(::setxattr(p, "user.x", "y", 1, 0)); }},
      {"removexattr", [](const char* p) { return number(::removexattr(p, "user.x")); }},
      {nullptr, nullptr},
  };
  return probes;
}
}
