// Making the ModuleSpec of what was found.

#pragma once

#include "python/ext/found.h"

namespace intact {

// What importlib.util.spec_from_file_location gives for `loader` and the file `origin`, whose bytecode is kept at
// `cached` (null: importlib says where, when it is asked); `directory` is where __path__ of a package points, and null
// for other modules. Null with an exception set on failure.
PyRef make_spec(ModuleState& state, PyObject* name, const PyRef& loader, const PyRef& origin, const PyRef& cached,
                const PyRef& directory);

// Whether sources' bytecode is kept where cached_path says: unless sys.pycache_prefix, sys.implementation.cache_tag or
// a cache_from_source of the program's say otherwise.
bool caches_beside_sources(ModuleState& state);

// A spec equal to the one FileFinder makes for the same tree, field by field, but for the loader. Null with an
// exception set on failure.
PyRef make_spec(ModuleState& state, PyObject* name, Found found);

}  // namespace intact
