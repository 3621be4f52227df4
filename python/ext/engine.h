// Engine: the tree, the images and the redirect of this process, put together.
//
// The one global, because the C library has one set of loaded objects and one set of GOT slots for a
// process; every interpreter in it shares the tree, in which some mounts are for one of them alone. It is never
// destroyed: slots and images outlive main.

#pragma once

#include <atomic>
#include <cstdint>
#include <string>

#include "core/elf/image_loader.h"
#include "core/tree/tree.h"
#include "python/ext/fork_gate.h"

namespace intact {

struct Engine {
  Tree tree;
  ImageLoader images{tree};
  std::atomic<Viewer> last_viewer{kEveryone};  // one for each interpreter that has imported us
  std::atomic<std::uint64_t> last_unnamed{0};
  ForkGate fork_gate;
};

Engine& engine();

// The path of another file of this extension that is loaded, else empty. Two engines in one process would each take
// the other's file functions for the C library's.
std::string other_engine();

}  // namespace intact
