// HugeArenas: the interpreter's small objects in huge pages while an import of ours is under way.
//
// An import makes tens of megabytes of objects that stay, in arenas of 1 MiB that come from the kernel page by page:
// the faults are some 5 % of the time of a large import. Arenas that are asked for during an import are taken from
// memory for which the kernel is asked for huge pages, where it is set to give them to those who ask (madvise(2); a
// process for which prctl(PR_SET_THP_DISABLE) was called gets none). A fault then brings 2 MiB, at a fifth of the cost.
// The half of a huge page that an import has not used waits for the next one.
//
// At other times, and when the reserve is used up or cannot be had, arenas come from the allocator that was there
// before (PyObject_SetArenaAllocator).
//
// Threads: any. Ours is installed under the GIL of whoever imports first; an interpreter with a GIL of its own that
// asks for an arena at that very moment is given the old allocator's or ours.

#pragma once

namespace intact {

// From construction to destruction; may be nested.
class HugeArenas {
 public:
  HugeArenas();
  ~HugeArenas();
  HugeArenas(const HugeArenas&) = delete;
  HugeArenas& operator=(const HugeArenas&) = delete;

  // For a child of a fork, whose thread has so many.
  static void after_fork(int own);
};

}  // namespace intact
