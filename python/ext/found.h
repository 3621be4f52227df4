// Found: what the finder found for one module, kept by its loader, so that creating, executing, get_code and
// get_data never look the name up again.

#pragma once

#include <optional>
#include <string>

#include "core/tree/tree.h"
#include "python/ext/state.h"

namespace intact {

struct Found {
  MountPtr mount;
  Module module;

  Place place() const { return {mount, module.node}; }
  Node node() const { return mount->index().node(module.node); }
  std::string path() const { return mount->path_of(module.node); }
  // Where __path__ of a package points.
  std::string directory() const;
};

// Where the cached bytecode of the source at `path` lies, beside it (PEP 3147).
std::string cached_path(const ModuleState& state, std::string_view path);

// A new object that holds `found`; null with an exception set on failure.
PyRef make_found(ModuleState& state, Found found);

// What the `_found` attribute of a loader holds; nothing with an exception set if that is not ours.
std::optional<Found> found_of(ModuleState& state, PyObject* loader);

bool add_found_type(PyObject* module, ModuleState& state);

}  // namespace intact
