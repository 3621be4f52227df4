// Loaders: importlib's own classes with the hot functions in C++.
//
// SourceLoader, BytecodeLoader and ExtensionLoader derive from importlib's SourceFileLoader, SourcelessFileLoader and
// ExtensionFileLoader. What is seldom called (get_source, get_filename, is_package, get_resource_reader, equality)
// is CPython's; what every import calls (get_code, exec_module, create_module, get_data) is ours and reads the
// member that the finder found. Whoever asks `isinstance(loader, SourceFileLoader)` gets the answer that is true.

#pragma once

#include "python/ext/found.h"

namespace intact {

// The loader for what was found; null with an exception set on failure.
PyRef make_loader(ModuleState& state, PyObject* name, const PyRef& path, const Found& found);

bool add_loader_types(PyObject* module, ModuleState& state);

}  // namespace intact
