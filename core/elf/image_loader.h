// ImageLoader: shared objects out of archives, with the shared objects they need.
//
// Loading is a list of passes: resolve what is needed (RPATH, RUNPATH, SONAME, bare name), load that first,
// bottom up, then map this object (a graft where the member is stored page-aligned in a file, a sealed memfd
// otherwise), name it, let the redirect patch it, run its initialisers. From then on glibc knows the image
// under the member's path: `dlopen` of that very string gives the handle and touches no file, which is how
// CPython's own _imp.create_dynamic does single-phase and multi-phase initialisation for us.
//
// An image stays loaded until the process ends, also when its mount goes: its code may be on any stack.
// Threads: every function may be called from any thread; one recursive lock covers loading, as glibc's does,
// because initialisers load further images. The lock survives fork.

#pragma once

#include <link.h>

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/result.h"
#include "core/tree/tree.h"

namespace intact {

enum class ImageOrigin : std::uint8_t { kGraft, kCopy, kFile };  // kFile: a directory's member, or extracted

struct ImageInfo {
  std::string path;  // the member's path below its root: what dladdr answers
  ImageOrigin origin = ImageOrigin::kCopy;
  std::uint64_t bytes_copied = 0;  // written into private memory
  std::uint64_t bytes_mapped = 0;  // shared with the archive's page cache
  std::int64_t relocations = -1;   // entries that the dynamic linker works off; -1: a file, which it read itself

  // Nanoseconds; when linking began, of the monotonic clock. Images that need each other in a cycle are linked in one
  // step, of which each has the whole time.
  std::int64_t reading = 0;  // unpacking or checking the member, parsing it
  std::int64_t began = 0;
  std::int64_t linking = 0;       // dlopen without initialisers, mapping the archive's pages
  std::int64_t initialising = 0;  // of a file: part of linking
};

class ImageLoader {
 public:
  // Called with each image once it is relocated and named and before its initialisers run.
  using OnMapped = void (*)(const link_map*);

  explicit ImageLoader(const Tree& tree);
  ~ImageLoader();

  void set_on_mapped(OnMapped callback);

  // Loads the shared object at `place`, or finds it loaded. `mode` is dlopen's; the handle is dlopen's and may be
  // given to dlsym and dlinfo (do not dlclose it). Errors: kImage naming the member, and the library that is
  // missing from archive and system; kMember if the member cannot be read.
  Result<void*> load(const Place& place, int mode);

  // What `dlopen(name, mode)` called from code at `caller` would load from an archive: a path below a root, or a bare
  // name that the caller's own search path or, failing that, any mount has. Null handle: nothing of ours, ask the
  // system.
  Result<void*> open(const char* name, int mode, const void* caller);

  std::vector<ImageInfo> images() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace intact
