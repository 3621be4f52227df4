// scandir, glob, ftw and nftw: libc walks directories inside itself, where no slot of ours is.

#include <dirent.h>
#include <ftw.h>
#include <glob.h>
#include <stdlib.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include "core/redirect/answer.h"
#include "core/redirect/descriptor_linux.h"
#include "core/redirect/directory_stream_linux.h"
#include "core/redirect/shims.h"

namespace intact {
namespace {

struct CloseStream {
  void operator()(DIR* directory) const { our_closedir(directory); }
};
using OpenStream = std::unique_ptr<DIR, CloseStream>;

// ---- scandir --------------------------------------------------------------------------------------------------

using Filter = int (*)(const dirent*);
using Compare = int (*)(const dirent**, const dirent**);

struct Freed {
  void operator()(void* memory) const { ::free(memory); }
};

// The array and its entries are the caller's to free().
int scan(const Target& target, dirent*** list, Filter filter, Compare compare) {
  const OpenStream stream(open_stream(target));
  if (!stream) return -1;
  std::vector<std::unique_ptr<dirent, Freed>> found;
  while (const dirent* entry = our_readdir(stream.get())) {
    if (filter != nullptr && filter(entry) == 0) continue;
    found.emplace_back(static_cast<dirent*>(::malloc(sizeof(dirent))));
    if (!found.back()) return fail(ENOMEM);
    std::memcpy(found.back().get(), entry, sizeof(dirent));
  }
  if (compare != nullptr) {
    std::stable_sort(found.begin(), found.end(), [&](const auto& left, const auto& right) {
      const dirent* a = left.get();
      const dirent* b = right.get();
      return compare(&a, &b) < 0;
    });
  }
  auto* const array = static_cast<dirent**>(::malloc(std::max<std::size_t>(found.size(), 1) * sizeof(dirent*)));
  if (array == nullptr) return fail(ENOMEM);
  for (std::size_t i = 0; i < found.size(); ++i) array[i] = found[i].release();
  *list = array;
  return static_cast<int>(found.size());
}

int our_scandir(const char* path, dirent*** list, Filter filter, Compare compare) {
  return answer(
      path, [&](const char* there) { return ::scandir(there, list, filter, compare); },
      [&](const Target& target) { return scan(target, list, filter, compare); });
}

int our_scandirat(int directory, const char* path, dirent*** list, Filter filter, Compare compare) {
  return answer_at(
      directory, path, [&](int at, const char* there) { return ::scandirat(at, there, list, filter, compare); },
      [&](const Target& target) { return scan(target, list, filter, compare); });
}

// ---- glob -----------------------------------------------------------------------------------------------------

static_assert(sizeof(glob_t) == sizeof(glob64_t));

void* glob_open(const char* path) { return our_opendir(path); }
dirent* glob_read(void* stream) { return our_readdir(static_cast<DIR*>(stream)); }
void glob_close(void* stream) { our_closedir(static_cast<DIR*>(stream)); }

template <bool follow>
int glob_stat(const char* path, struct stat* out) {
  return answer(
      path, [&](const char* there) { return follow ? ::stat(there, out) : ::lstat(there, out); },
      [&](const Target& target) {
        if (target.missing()) return fail(target.error);
        fill_stat(target.place, out);
        return 0;
      });
}

// glob can be told how to read directories.
int our_glob(const char* pattern, int flags, int (*on_error)(const char*, int), glob_t* out) {
  if ((flags & GLOB_ALTDIRFUNC) != 0 || !may_be_ours(AT_FDCWD, pattern))
    return ::glob(unknown(pattern), flags, on_error, out);
  const glob_t before = *out;
  out->gl_opendir = glob_open;
  out->gl_readdir = glob_read;
  out->gl_closedir = glob_close;
  out->gl_stat = glob_stat<true>;
  out->gl_lstat = glob_stat<false>;
  const int result = ::glob(pattern, flags | GLOB_ALTDIRFUNC, on_error, out);
  out->gl_opendir = before.gl_opendir;
  out->gl_readdir = before.gl_readdir;
  out->gl_closedir = before.gl_closedir;
  out->gl_stat = before.gl_stat;
  out->gl_lstat = before.gl_lstat;
  return result;
}

// ---- ftw, nftw ------------------------------------------------------------------------------------------------

class TreeWalk {
 public:
  TreeWalk(__ftw_func_t plain, __nftw_func_t full, int flags) : plain_(plain), full_(full), flags_(flags) {}

  int visit(const std::string& path, int level) {
    const Target target = locate(path);
    if (!target.ours() || target.missing()) return 0;
    struct stat found;
    fill_stat(target.place, &found);
    if (!target.directory()) return call(path, found, FTW_F, level);
    const bool depth = (flags_ & FTW_DEPTH) != 0;
    int result = depth ? 0 : call(path, found, FTW_D, level);
    if (skips(result, FTW_SKIP_SUBTREE)) return 0;
    if (result == 0) result = visit_children(target, path, level);
    if (result == 0 && depth) result = call(path, found, FTW_DP, level);
    return result;
  }

 private:
  bool skips(int result, int what) const { return (flags_ & FTW_ACTIONRETVAL) != 0 && result == what; }

  int visit_children(const Target& target, const std::string& path, int level) {
    const OpenStream stream(open_stream(target));
    if (!stream) return -1;
    while (const dirent* entry = our_readdir(stream.get())) {
      const std::string_view name = entry->d_name;
      if (name == "." || name == "..") continue;
      const int result = visit(path + "/" + entry->d_name, level + 1);
      if (skips(result, FTW_SKIP_SIBLINGS)) return 0;
      if (result != 0) return result;
    }
    return 0;
  }

  int call(const std::string& path, const struct stat& found, int type, int level) const {
    if (plain_ != nullptr) return plain_(path.c_str(), &found, type);
    FTW place = {};
    place.base = static_cast<int>(path.rfind('/') + 1);
    place.level = level;
    return full_(path.c_str(), &found, type, &place);
  }

  __ftw_func_t plain_;
  __nftw_func_t full_;
  int flags_;
};

template <typename Real>
int walk(const char* path, TreeWalk steps, int flags, Real real) {
  if (!may_be_ours(AT_FDCWD, path)) return real();
  std::string start = path;  // these functions do not see slashes at the end
  while (start.size() > 1 && start.ends_with('/')) start.pop_back();
  const Target target = locate(start);
  if (!target.ours()) return real();
  auto ours = [&](const Target& found) {
    if (found.missing()) return fail(found.error);
    return (flags & FTW_CHDIR) != 0 ? fail(EACCES) : steps.visit(start, 0);
  };
  return answer_ours(target, ours);
}

int our_ftw(const char* path, __ftw_func_t function, int descriptors) {
  return walk(path, {function, nullptr, 0}, 0, [&] { return ::ftw(path, function, descriptors); });
}

int our_nftw(const char* path, __nftw_func_t function, int descriptors, int flags) {
  return walk(path, {nullptr, function, flags}, flags, [&] { return ::nftw(path, function, descriptors, flags); });
}

}  // namespace

std::span<const Shim> walk_shims() {
  static const Shim table[] = {
      shim("scandir", our_scandir),
      shim("scandir64", our_scandir),
      shim("scandirat", our_scandirat),
      shim("scandirat64", our_scandirat),
      shim("glob", our_glob),
      shim("glob64", our_glob),
      shim("ftw", our_ftw),
      shim("ftw64", our_ftw),
      shim("nftw", our_nftw),
      shim("nftw64", our_nftw),
  };
  return table;
}

}  // namespace intact
