// Making the ModuleSpec of what was found.

#pragma once

#include "python/ext/found.h"

namespace intact {

// A spec equal to the one FileFinder makes for the same tree, field by field, but for the loader. Null with an
// exception set on failure.
PyRef make_spec(ModuleState& state, PyObject* name, Found found);

}  // namespace intact
