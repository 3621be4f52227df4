// The Mount type: what intact.mount() gives.

#pragma once

#include "python/ext/state.h"

namespace intact {

bool add_mount_type(PyObject* module, ModuleState& state);

}  // namespace intact
