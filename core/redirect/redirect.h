// Redirect: the C library's file functions, answered from the tree for paths below a root.
//
// In every loaded object but libc and the dynamic linker, the GOT slots of the C library's file functions
// point at ours (see patch_linux.cc). A path below no root costs one comparison and goes on to libc. Below a
// root, reading is answered from the tree, writing is EROFS.
//
// There is one redirect in a process, because there is one set of GOT slots. Functions are re-entrant, may be called
// from any thread and after fork, and neither lock nor allocate for paths below no root.

#pragma once

#include <link.h>

#include <cstdint>

#include "core/base/result.h"
#include "core/elf/image_loader.h"
#include "core/tree/tree.h"

namespace intact {

struct RedirectStats {
  std::uint64_t objects = 0;  // with at least one slot patched
  std::uint64_t slots = 0;
  std::uint64_t hits = 0;  // calls answered from the tree
};

// Points the slots of all loaded objects at ours; later objects follow when they are loaded. Idempotent; `tree` and
// `images` must live until the process ends.
void enable_redirect(Tree& tree, ImageLoader& images);

// Puts libc's own functions back into every slot. Files and directories already open go on working.
void disable_redirect();

// Patches one object, or every object that has appeared since the last call. No-ops while disabled.
void redirect_object(const link_map* object);
void redirect_new_objects();

RedirectStats redirect_stats();

}  // namespace intact
