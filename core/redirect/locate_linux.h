// What a path means: whether it lies below a root, and what is there.
//
// Deciding that a path is none of ours costs one comparison (may_be_ours). Only for paths that the C library could not
// find, and that may mean a place below a root without saying so ("data/x", "/abs/../abs/app.zip/x", a symbolic link
// to the root's directory), a second look is taken.

#pragma once

#include <fcntl.h>

#include <atomic>
#include <optional>
#include <string>
#include <string_view>

#include "core/elf/image_loader.h"
#include "core/tree/tree.h"

namespace intact {

// What the functions need to know. Set before the first slot is patched and never taken away again: a pointer to one
// of our functions may have been copied anywhere.
struct RedirectState {
  std::atomic<Tree*> tree{nullptr};
  std::atomic<ImageLoader*> images{nullptr};
  std::atomic<bool> enabled{false};
  std::atomic<bool> any_descriptor{false};  // whether open ever gave out a directory
  std::atomic<std::uint64_t> hits{0};
};
extern constinit RedirectState redirect_state;

struct Target {
  enum class Kind {
    kElsewhere,  // not below a root: the C library's. `path` replaces the caller's path unless it is empty
    kMissing,    // below a root, and `error` says why there is nothing
    kFile,
    kDirectory,
  };

  Kind kind = Kind::kElsewhere;
  int error = 0;           // of kMissing: ENOENT, ENOTDIR, ENAMETOOLONG
  bool creatable = false;  // of kMissing: the directory it would stand in exists (and with ENOTDIR, a file)
  bool slash = false;      // the path ends in a slash
  bool root = false;       // it is a root itself
  Place place = {};        // of kFile and kDirectory
  std::string path = {};   // of kElsewhere: a path that left a root through ".."

  bool ours() const { return kind != Kind::kElsewhere; }
  bool missing() const { return kind == Kind::kMissing; }
  bool file() const { return kind == Kind::kFile; }
  bool directory() const { return kind == Kind::kDirectory; }
};

// What an absolute path means.
Target locate(std::string_view absolute);

// What `path` means for a function that takes a directory descriptor; AT_FDCWD means that nothing is asked of the
// working directory, which is never below a root.
Target locate_at(int directory, const char* path);

// Taken when the C library has just failed on `path`; looks at errno, and leaves it as it is. Does not allocate unless
// the path is below a root.
std::optional<Target> second_look(int directory, const char* path);

// A root that is a file on disk too: opening it for reading and starting it mean that file.
bool is_file_on_disk(const Target& target);

// A root that is a file on disk or, deleted, could be one again: changing it means that file.
bool has_place_on_disk(const Target& target);

// A root that is a member of another mount, as an archive in an archive is: that member.
std::optional<Place> file_in_another_mount(const Target& target);

// The root's real path and the rest: what realpath answers.
std::string real_path_of(const Place& place);

// Whether a path can mean something of ours: wrong only in saying yes.
inline bool may_be_ours(int directory, const char* path) {
  if (path == nullptr) return false;
  if (*path == '/') return redirect_state.tree.load(std::memory_order_acquire)->may_be_below(path);
  return directory != AT_FDCWD && redirect_state.any_descriptor.load(std::memory_order_acquire);
}

// The same pointer, of which the compiler knows nothing. Headers say that most of libc's functions take no null, and
// from handing a path on to them the compiler could conclude that our own test for null is not needed; but a caller's
// null is the kernel's to refuse (EFAULT).
inline const char* unknown(const char* path) {
  asm("" : "+r"(path));
  return path;
}

}  // namespace intact
