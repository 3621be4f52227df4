// Modules on disk, found as importlib's FileFinder finds them, without its Python.
//
// An application that comes out of an archive still imports a hundred modules and more of the standard library. Of what
// importlib takes for each from files, a third or more is FileFinder's and SourceFileLoader's own Python.

#pragma once

#include <optional>

#include "python/ext/state.h"

namespace intact {

// What the entry `directory` of sys.path or of a __path__ says of the module `fullname`, whose last component is
// `name`: its spec, or null where it has no such module. The answer is importlib's own: from the FileFinder that it
// keeps for the entry, while that one's listing of the directory is fresh. Nothing where only importlib can tell, or
// with an exception set.
std::optional<PyRef> find_on_disk(ModuleState& state, PyObject* directory, PyObject* fullname, std::string_view name);

}  // namespace intact
