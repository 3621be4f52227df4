// The Mount type: what intact.mount() gives.

#pragma once

#include "python/ext/state.h"

namespace intact {

bool add_mount_type(PyObject* module, ModuleState& state);

// A Mount object for the newest mount of an archive, not of a directory, whose root is `path`, whoever mounted it; None
// if this interpreter sees none there.
PyObject* mount_at(PyObject* module, PyObject* path);

}  // namespace intact
