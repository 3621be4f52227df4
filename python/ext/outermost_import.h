// OutermostImport: what holds while an outermost import of ours is under way. The cyclic garbage collector runs seldom,
// small objects lie in huge pages (arenas.h), and shared objects may be unpacked ahead (core/elf/read_ahead.h); what
// nobody asked for is dropped when it ends.
//
// Importing makes objects that stay: the collector goes over them again and again and frees next to nothing (11 to 15 %
// of the time of importing a large application). The pause raises the threshold of the youngest generation instead of
// switching the collector off, so a module that runs a whole program at import still has one. The old thresholds come
// back when the outermost import ends, unless the program has set its own meanwhile; what was made then goes to the
// oldest generation, where it would end up anyway, without being gone over. (Without a GIL there are no generations.)
//
// Imports of several threads may overlap: the first begins the pause, the last ends it. In a child of a fork those of
// other threads are no more.

#pragma once

#include "python/ext/arenas.h"
#include "python/ext/state.h"

namespace intact {

class OutermostImport {
 public:
  explicit OutermostImport(ModuleState& state);
  ~OutermostImport();
  OutermostImport(const OutermostImport&) = delete;
  OutermostImport& operator=(const OutermostImport&) = delete;

  // For a child of a fork: only what this thread imports goes on.
  static void after_fork(ModuleState& state);

 private:
  static thread_local OutermostImport* innermost_;  // of this thread, in whatever interpreter

  HugeArenas arenas_;
  ModuleState& state_;
  OutermostImport* const outer_;
};

}  // namespace intact
