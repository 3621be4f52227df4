// Finding modules: the meta path finder, the finder of one directory below a root, and the path hook that makes it.

#pragma once

#include "python/ext/state.h"

namespace intact {

bool add_finder_types(PyObject* module, ModuleState& state);

}  // namespace intact
