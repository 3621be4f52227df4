// A shared object that calls the C library's file functions. The redirect does not patch the object that holds it, which
// in a test is the test program; so the calls are made from here.

#include "core/redirect/testdata/caller.h"

#include <dlfcn.h>
#include <ftw.h>
#include <glob.h>
#include <limits.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/statfs.h>
#include <sys/statvfs.h>
#include <sys/xattr.h>

#include <filesystem>
#include <fstream>

#include "core/redirect/testdata/words.h"

// Names that binaries have and headers do not.
extern "C" {
int __xstat(int version, const char* path, struct stat* out);
int __lxstat(int version, const char* path, struct stat* out);
int __fxstatat(int version, int directory, const char* path, struct stat* out, int flags);
int __open_2(const char* path, int flags);
int __open64_2(const char* path, int flags);
int __openat_2(int directory, const char* path, int flags);
char* __realpath_chk(const char* path, char* resolved, std::size_t size);
}

namespace caller {
namespace {

#if defined(__x86_64__)
constexpr int kStatVersion = 1;
#else
constexpr int kStatVersion = 0;
#endif

template <typename Function>
std::string stat_words(Function function) {
  struct stat out = {};
  const int result = function(&out);
  return words(result, out);
}

std::string lines_of(FILE* stream) {
  if (stream == nullptr) return failure();
  char buffer[256];
  std::string text;
  while (::fgets(buffer, sizeof buffer, stream) != nullptr) text += buffer;
  return text + (::ferror(stream) != 0 ? " failed" : "");
}

std::string text_of(FILE* stream) {
  std::string text = lines_of(stream);
  if (stream != nullptr) ::fclose(stream);
  return text;
}

std::string taken(char* text) {
  if (text == nullptr) return failure();
  std::string copy = text;
  ::free(text);
  return copy;
}

std::string statx_words(const char* path) {
  struct statx out = {};
  const int result = ::statx(AT_FDCWD, path, 0, STATX_BASIC_STATS, &out);
  if (result != 0) return number(result);
  return kind(out.stx_mode) + (S_ISREG(out.stx_mode) ? " size " + std::to_string(out.stx_size) : std::string());
}

std::string scandir_words(const char* path) {
  dirent** list = nullptr;
  const auto visible = [](const dirent* entry) { return entry->d_name[0] != '.' ? 1 : 0; };
  const int count = ::scandir(path, &list, visible, ::alphasort);
  if (count < 0) return failure();
  std::string text;
  for (int i = 0; i < count; ++i) {
    text += std::string(list[i]->d_name) + " ";
    ::free(list[i]);
  }
  ::free(list);
  return text;
}

std::string readdir_r_words(const char* path) {
  DIR* const directory = ::opendir(path);
  if (directory == nullptr) return failure();
  std::vector<std::string> names;
  dirent entry;
  dirent* result = nullptr;
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wdeprecated-declarations"
  while (::readdir_r(directory, &entry, &result) == 0 && result != nullptr) names.push_back(entry.d_name);
#pragma GCC diagnostic pop
  ::closedir(directory);
  return sorted(names);
}

// Reads to a place, on to the end, and again from that place; then from the start.
std::string seekdir_words(const char* path) {
  DIR* const directory = ::opendir(path);
  if (directory == nullptr) return failure();
  ::readdir(directory);
  const long place = ::telldir(directory);
  int first = 0;
  while (::readdir(directory) != nullptr) ++first;
  ::seekdir(directory, place);
  int again = 0;
  while (::readdir(directory) != nullptr) ++again;
  ::rewinddir(directory);
  int all = 0;
  while (::readdir(directory) != nullptr) ++all;
  ::closedir(directory);
  return std::to_string(first) + " " + std::to_string(again) + " " + std::to_string(all);
}

std::string glob_words(const char* path) {
  glob_t found = {};
  std::string text = std::to_string(::glob((std::string(path) + "/*").c_str(), 0, nullptr, &found)) + ": ";
  for (std::size_t i = 0; i < found.gl_pathc; ++i) text += std::string(found.gl_pathv[i]) + " ";
  ::globfree(&found);
  return text;
}

std::vector<std::string> walked;

int note(const char* path, const struct stat* stat, int type, FTW* place) {
  const std::string numbers = std::to_string(type) + " " + std::to_string(place->level);
  walked.push_back(std::string(path) + " " + words(0, *stat) + " " + numbers + " " + (path + place->base));
  return 0;
}

std::string nftw_words(const char* path) {
  std::string text;
  for (const int flags : {int{FTW_PHYS}, FTW_PHYS | FTW_DEPTH}) {
    walked.clear();
    const int result = ::nftw(path, note, 8, flags);
    text += number(result) + ": " + sorted(walked);
  }
  return text;
}

std::string ifstream_words(const char* path) {
  std::ifstream stream(path);
  if (!stream) return "none";
  std::string text;
  for (std::string line; std::getline(stream, line);) text += line + "\n";
  return text + (stream.bad() ? " failed" : "");
}

std::string filesystem_words(const char* path) {
  std::error_code error;
  std::vector<std::string> names;
  const auto status = std::filesystem::status(path, error);
  std::string text = std::to_string(static_cast<int>(status.type())) + " " + error.message() + " ";
  const std::filesystem::recursive_directory_iterator end;
  for (std::filesystem::recursive_directory_iterator it(path, error); !error && it != end; it.increment(error)) {
    names.push_back(it->path().string() + (it->is_directory() ? "/" : " " + std::to_string(it->file_size())));
  }
  return text + sorted(names) + error.message();
}

std::string readlink_words(const char* path) {
  char buffer[256];
  return number(::readlink(path, buffer, sizeof buffer));
}

std::string realpath_chk_words(const char* path) {
  char buffer[PATH_MAX];
  const char* const result = ::__realpath_chk(path, buffer, sizeof buffer);
  return result != nullptr ? result : failure();
}

std::string statvfs_words(const char* path) {
  struct statvfs out = {};
  const int result = ::statvfs(path, &out);
  return result != 0 ? failure() : std::to_string(out.f_namemax);
}

// On stdin, because a stream that fopen made is lost to the process when freopen fails.
std::string freopen_words(const char* path) { return lines_of(::freopen(path, "r", stdin)); }

}  // namespace
}  // namespace caller

using namespace caller;

extern "C" {

const Probe* reading_probes() {
  static const Probe probes[] = {
      {"stat", [](const char* p) { return stat_words([&](auto* out) { return ::stat(p, out); }); }},
      {"stat64",
       [](const char* p) {
         return stat_words([&](auto* out) { return ::stat64(p, reinterpret_cast<struct stat64*>(out)); });
       }},
      {"lstat", [](const char* p) { return stat_words([&](auto* out) { return ::lstat(p, out); }); }},
      {"fstatat", [](const char* p) { return stat_words([&](auto* out) { return ::fstatat(AT_FDCWD, p, out, 0); }); }},
      {"__xstat", [](const char* p) { return stat_words([&](auto* out) { return ::__xstat(kStatVersion, p, out); }); }},
      {"__lxstat", [](const char* p) { return stat_words([&](auto* out) { return ::__lxstat(kStatVersion, p, out); }); }},
      {"__fxstatat",
       [](const char* p) {
         return stat_words([&](auto* out) { return ::__fxstatat(kStatVersion, AT_FDCWD, p, out, 0); });
       }},
      {"statx", statx_words},
      {"access F", [](const char* p) { return number(::access(p, F_OK)); }},
      {"access R", [](const char* p) { return number(::access(p, R_OK)); }},
      {"access X", [](const char* p) { return number(::access(p, X_OK)); }},
      {"faccessat", [](const char* p) { return number(::faccessat(AT_FDCWD, p, R_OK, AT_EACCESS)); }},
      {"euidaccess", [](const char* p) { return number(::euidaccess(p, R_OK)); }},
      {"eaccess", [](const char* p) { return number(::eaccess(p, F_OK)); }},
      {"open", [](const char* p) { return content(::open(p, O_RDONLY)); }},
      {"open cloexec", [](const char* p) { return content(::open(p, O_RDONLY | O_CLOEXEC)); }},
      {"open64", [](const char* p) { return content(::open64(p, O_RDONLY)); }},
      {"open directory", [](const char* p) { return content(::open(p, O_RDONLY | O_DIRECTORY)); }},
      {"open nofollow", [](const char* p) { return content(::open(p, O_RDONLY | O_NOFOLLOW)); }},
      {"openat", [](const char* p) { return content(::openat(AT_FDCWD, p, O_RDONLY)); }},
      {"openat64", [](const char* p) { return content(::openat64(AT_FDCWD, p, O_RDONLY)); }},
      {"__open_2", [](const char* p) { return content(::__open_2(p, O_RDONLY)); }},
      {"__open64_2", [](const char* p) { return content(::__open64_2(p, O_RDONLY)); }},
      {"__openat_2", [](const char* p) { return content(::__openat_2(AT_FDCWD, p, O_RDONLY)); }},
      {"fopen", [](const char* p) { return text_of(::fopen(p, "r")); }},
      {"fopen64", [](const char* p) { return text_of(::fopen64(p, "rbe")); }},
      {"freopen", freopen_words},
      {"opendir", [](const char* p) { return listing(::opendir(p)); }},
      {"readdir_r", readdir_r_words},
      {"seekdir", seekdir_words},
      {"scandir", scandir_words},
      {"glob", glob_words},
      {"nftw", nftw_words},
      {"readlink", readlink_words},
      {"realpath", [](const char* p) { return taken(::realpath(p, nullptr)); }},
      {"__realpath_chk", realpath_chk_words},
      {"canonicalize_file_name", [](const char* p) { return taken(::canonicalize_file_name(p)); }},
      {"statvfs", statvfs_words},
      {"pathconf", [](const char* p) { return number(::pathconf(p, _PC_NAME_MAX)); }},
      {"std::ifstream", ifstream_words},
      {"std::filesystem", filesystem_words},
      {nullptr, nullptr},
  };
  return probes;
}

int call_stat(const char* path) {
  struct stat out;
  return ::stat(path, &out);
}
int call_access(const char* path) { return ::access(path, F_OK); }
int call_open(const char* path, int flags) { return ::open(path, flags, 0644); }
void* call_dlopen(const char* name, int mode) { return ::dlopen(name, mode); }
const char* call_dlerror() { return ::dlerror(); }
int call_execl(const char* path) {
  ::execl(path, path, "first", "second", static_cast<char*>(nullptr));
  return errno;
}
int call_spawn(const char* path) {
  char* const arguments[] = {const_cast<char*>(path), nullptr};
  pid_t pid = 0;
  return ::posix_spawn(&pid, path, nullptr, nullptr, arguments, environ);
}
void* stat_slot() { return reinterpret_cast<void*>(static_cast<int (*)(const char*, struct stat*)>(&::stat)); }
}
