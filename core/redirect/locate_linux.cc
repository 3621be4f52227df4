// Finding what a path means, as the kernel would walk it: a component that is a file is no directory (ENOTDIR), ".."
// of what does not exist does not exist either, and a trailing slash asks for a directory.

#include "core/redirect/locate_linux.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

#include "core/base/path.h"
#include "core/redirect/descriptor_linux.h"

namespace intact {

constinit RedirectState redirect_state;

namespace {

std::string_view parent_of(std::string_view path) {
  const std::size_t slash = path.rfind('/');
  return slash == std::string_view::npos ? std::string_view() : path.substr(0, slash);
}

// Why nothing is at `rest` (normal, not empty): the nearest thing above it that exists tells, and the name that is
// not in it.
void explain_missing(const Snapshot& tree, const Root& root, std::string_view rest, Target& target) {
  std::string_view above = parent_of(rest);
  bool directory = true;
  for (; !above.empty(); above = parent_of(above)) {
    if (const auto place = tree.lookup(root, above)) {
      directory = place->directory();
      break;
    }
  }
  std::string_view name = above.empty() ? rest : rest.substr(above.size() + 1);
  const bool last = name.find('/') == std::string_view::npos;
  name = name.substr(0, name.find('/'));
  target.kind = Target::Kind::kMissing;
  target.error = !directory ? ENOTDIR : name.size() > NAME_MAX ? ENAMETOOLONG : ENOENT;
  target.creatable = last && target.error == ENOENT;
}

// `rest` is normal.
Target locate_normal(const Snapshot& tree, const Root& root, std::string_view rest, bool slash) {
  Target target;
  target.slash = slash;
  target.root = rest.empty();
  if (auto place = tree.lookup(root, rest)) {
    target.kind = place->directory() ? Target::Kind::kDirectory : Target::Kind::kFile;
    if (target.file() && slash) {
      target.kind = Target::Kind::kMissing;
      target.error = ENOTDIR;
      target.creatable = true;
    }
    target.place = *std::move(place);
  } else {
    explain_missing(tree, root, rest, target);
  }
  return target;
}

// A rest with "", "." or ".." in it, one component at a time: what stands before each must be a directory.
Target walk(const Snapshot& tree, const Root& root, std::string_view rest) {
  std::string normal;
  for (std::size_t start = 0; start < rest.size();) {
    const std::size_t end = std::min(rest.find('/', start), rest.size());
    const std::string_view part = rest.substr(start, end - start);
    start = end + 1;
    if (part.empty()) continue;
    if (part != "." && part != "..") {
      if (!normal.empty()) normal += '/';
      normal += part;
      continue;
    }
    if (Target here = locate_normal(tree, root, normal, true); here.missing()) {
      here.creatable = false;
      return here;
    }
    if (part == ".") continue;
    if (normal.empty()) {
      Target outside;
      outside.path = std::string(parent_of(root.path)) + "/";
      if (start < rest.size()) outside.path += rest.substr(start);
      return outside;
    }
    normal = parent_of(normal);
  }
  const std::string_view last = rest.substr(rest.rfind('/') + 1);
  return locate_normal(tree, root, normal, last.empty() || last == "." || last == "..");
}

// Resolves "", "." and ".." in place without a file system; keeps a trailing slash, which is a question of its own.
std::size_t normalize(char* path, std::size_t size) {
  const std::string_view last = std::string_view(path, size).substr(std::string_view(path, size).rfind('/') + 1);
  const bool slash = last.empty() || last == "." || last == "..";
  std::size_t out = 0;
  for (std::size_t start = 0; start < size;) {
    const std::size_t end = std::min(std::string_view(path, size).find('/', start), size);
    const std::string_view part(path + start, end - start);
    start = end + 1;
    if (part == "..") {
      out = std::max<std::size_t>(std::string_view(path, out).rfind('/') + 1, 1) - 1;
    } else if (!part.empty() && part != ".") {
      const std::size_t length = part.size();
      path[out++] = '/';
      std::memmove(path + out, part.data(), length);
      out += length;
    }
  }
  if (slash || out == 0) path[out++] = '/';
  path[out] = '\0';
  return out;
}

using PathBuffer = std::array<char, 2 * PATH_MAX>;

// Writes the absolute form of `path`; gives its length, or 0 if it has none.
std::size_t make_absolute(int directory, const char* path, PathBuffer& out) {
  std::size_t size = 0;
  if (*path != '/') {
    if (directory == AT_FDCWD) {
      if (getcwd(out.data(), PATH_MAX) == nullptr || out[0] != '/') return 0;
      size = std::strlen(out.data());
    } else {
      char link[64];
      snprintf(link, sizeof link, "/proc/self/fd/%d", directory);
      const ssize_t length = ::readlink(link, out.data(), PATH_MAX);
      if (length <= 0 || length == PATH_MAX || out[0] != '/') return 0;
      size = static_cast<std::size_t>(length);
    }
    out[size++] = '/';
  }
  const std::size_t length = strnlen(path, PATH_MAX);
  if (length == PATH_MAX) return 0;
  std::memcpy(out.data() + size, path, length + 1);
  return size + length;
}

// A file of the path that is a root's file under another name: found by device and inode, as the path comes through
// a symbolic link. `path` is changed and put back.
std::optional<Target> locate_by_file(char* path, std::size_t size) {
  struct stat found = {};
  std::size_t end = 0;
  for (end = 1; end <= size; ++end) {
    if (end < size && path[end] != '/') continue;
    const char kept = std::exchange(path[end], '\0');
    const bool there = ::stat(path, &found) == 0;
    path[end] = kept;
    if (!there || end == size) return std::nullopt;
    if (!S_ISDIR(found.st_mode)) break;
  }
  const ReadGuard tree(*redirect_state.tree.load());
  for (const MountPtr& mount : tree->mounts()) {
    struct stat root;
    if (!mount->options().files || ::stat(mount->root().c_str(), &root) != 0) continue;
    if (root.st_dev == found.st_dev && root.st_ino == found.st_ino) {
      Target target = locate(mount->root() + std::string(path + end, size - end));
      if (target.ours()) return target;
    }
  }
  return std::nullopt;
}

bool says_more_than_it_shows(const char* path) {
  return *path != '/' || std::strstr(path, "//") != nullptr || std::strstr(path, "/.") != nullptr;
}

}  // namespace

Target locate(std::string_view absolute) {
  Target target;
  if (!redirect_state.enabled.load(std::memory_order_relaxed)) return target;
  {
    const ReadGuard tree(*redirect_state.tree.load(std::memory_order_acquire));
    const auto [root, rest] = tree->root_of(absolute);
    if (root == nullptr || !root->files) return target;
    if (absolute.size() >= PATH_MAX) {
      target.kind = Target::Kind::kMissing;
      target.error = ENAMETOOLONG;
    } else if (rest.empty()) {
      target = locate_normal(*tree, *root, rest, absolute.ends_with('/'));
    } else if (const auto normal = member_path(rest)) {
      target = locate_normal(*tree, *root, *normal, rest.ends_with('/'));
    } else {
      target = walk(*tree, *root, rest);
    }
  }
  if (target.path.empty()) return target;
  // The path left this root; it may have come into another one.
  Target again = locate(target.path);
  if (!again.ours() && again.path.empty()) again.path = std::move(target.path);
  return again;
}

Target locate_at(int directory, const char* path) {
  if (*path == '/') return locate(path);
  if (directory == AT_FDCWD || *path == '\0') return {};
  const auto base = directory_of(directory);
  return base ? locate(base->mount->path_of(base->node) + "/" + path) : Target{};
}

std::optional<Target> second_look(int directory, const char* path) {
  const int error = errno;
  if ((error != ENOENT && error != ENOTDIR) || path == nullptr || *path == '\0') return std::nullopt;
  if (!redirect_state.enabled.load(std::memory_order_relaxed)) return std::nullopt;
  const bool more = says_more_than_it_shows(path);
  if (!more && error != ENOTDIR) return std::nullopt;

  std::optional<Target> found;
  PathBuffer absolute;
  if (std::size_t size = make_absolute(directory, path, absolute); size > 0) {
    if (error == ENOTDIR) found = locate_by_file(absolute.data(), size);
    size = normalize(absolute.data(), size);
    if (!found && may_be_ours(AT_FDCWD, absolute.data())) {
      if (Target target = locate({absolute.data(), size}); target.ours()) found = std::move(target);
    }
  }
  errno = error;
  return found;
}

bool is_file_on_disk(const Target& target) {
  struct stat found;
  return target.root && target.directory() && ::stat(target.place.mount->root().c_str(), &found) == 0;
}

bool has_place_on_disk(const Target& target) {
  if (!target.root || !target.directory()) return false;
  struct stat found;
  return ::stat(std::string(parent_of(target.place.mount->root())).append("/").c_str(), &found) == 0;
}

std::optional<Place> file_in_another_mount(const Target& target) {
  if (!target.root || !target.directory() || target.slash) return std::nullopt;
  const std::string_view path = target.place.mount->root();
  const std::string_view above = parent_of(path);
  const ReadGuard tree(*redirect_state.tree.load(std::memory_order_acquire));
  const Root* const outer = tree->root_of(above).first;
  if (outer == nullptr) return std::nullopt;
  auto place = tree->lookup(*outer, path.substr(outer->path.size() + 1));
  return place && !place->directory() ? place : std::nullopt;
}

std::string real_path_of(const Place& place) {
  const std::string path = place.mount->path_of(place.node);
  const std::string& root = place.mount->root();
  std::array<char, PATH_MAX> real;
  if (::realpath(root.c_str(), real.data()) == nullptr) return path;
  return real.data() + path.substr(root.size());
}

}  // namespace intact
