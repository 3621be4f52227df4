// Results of file functions as words.

#pragma once

#include <dirent.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <string>
#include <vector>

namespace caller {

inline std::string failure() { return std::string("failed: ") + ::strerror(errno); }

inline std::string number(long result) { return result == -1 ? failure() : std::to_string(result); }

inline std::string kind(mode_t mode) {
  char text[32];
  ::snprintf(text, sizeof text, "%o", mode);
  return text;
}

// Directories have a size of their own on every file system.
inline std::string words(int result, const struct stat& stat) {
  if (result != 0) return number(result);
  return kind(stat.st_mode) + (S_ISREG(stat.st_mode) ? " size " + std::to_string(stat.st_size) : std::string());
}

inline std::string content(int fd) {
  if (fd < 0) return failure();
  struct stat stat = {};
  std::string text = words(::fstat(fd, &stat), stat) + " flags " + std::to_string(::fcntl(fd, F_GETFL) & O_ACCMODE);
  text += ::fcntl(fd, F_GETFD) & FD_CLOEXEC ? " cloexec" : "";
  char buffer[256];
  const ssize_t size = S_ISREG(stat.st_mode) ? ::read(fd, buffer, sizeof buffer) : 0;
  if (size > 0) text += " " + std::string(buffer, static_cast<std::size_t>(size));
  ::close(fd);
  return text;
}

inline std::string sorted(std::vector<std::string> names) {
  std::sort(names.begin(), names.end());
  std::string text;
  for (const std::string& name : names) text += name + " ";
  return text;
}

inline std::string listing(DIR* directory) {
  if (directory == nullptr) return failure();
  std::vector<std::string> names;
  while (const dirent* entry = ::readdir(directory)) {
    names.push_back(std::string(entry->d_name) + (entry->d_type == DT_DIR ? "/" : entry->d_type == DT_REG ? "" : "?"));
  }
  ::closedir(directory);
  return sorted(names);
}

}  // namespace caller
