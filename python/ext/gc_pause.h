// GcPause: while an outermost import of ours is under way, the cyclic garbage collector runs seldom.
//
// Importing makes objects that stay: the collector goes over them again and again and frees next to nothing (11 to 15 %
// of the time of importing a large application). The pause raises the threshold of the youngest generation instead of
// switching the collector off, so a module that runs a whole program at import still has one. The old thresholds come
// back when the outermost import ends, unless the program has set its own meanwhile; what was made then goes to the oldest
// generation, where it would end up anyway, without being gone over.

#pragma once

#include "python/ext/state.h"

namespace intact {

class GcPause {
 public:
  explicit GcPause(ModuleState& state);
  ~GcPause();
  GcPause(const GcPause&) = delete;
  GcPause& operator=(const GcPause&) = delete;

 private:
  ModuleState& state_;
};

}  // namespace intact
