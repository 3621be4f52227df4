// HugeArenas: the interpreter's small objects in huge pages while an import of ours is under way.
//
// An import makes tens of megabytes of objects that stay, in arenas of 1 MiB that come from the kernel page by page:
// the faults are some 5 % of the time of a large import. Arenas that are asked for during an import are taken from
// memory for which the kernel is asked for huge pages, where it is set to give them to those who ask (madvise(2); a
// process for which prctl(PR_SET_THP_DISABLE) was called gets none). A fault then brings 2 MiB, at a fifth of the cost.
// The half of a huge page that an import has not used is given back when it ends.
//
// At all other times, and when the reserve is used up or cannot be had, arenas come from the allocator that was there
// before (PyObject_SetArenaAllocator, whose struct is written once and holds no context of ours, so that a reader in
// another interpreter sees the one allocator or the other).
//
// Threads: any, also of interpreters with a GIL of their own.

#pragma once

namespace intact {

// From construction to destruction; may be nested.
class HugeArenas {
 public:
  HugeArenas();
  ~HugeArenas();
  HugeArenas(const HugeArenas&) = delete;
  HugeArenas& operator=(const HugeArenas&) = delete;
};

}  // namespace intact
