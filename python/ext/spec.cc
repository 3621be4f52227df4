// What importlib.util.spec_from_file_location does for FileFinder, without its Python: `cached` is computed here
// (PEP 3147), because importlib asks for it at every import.

#include "python/ext/spec.h"

#include "python/ext/loader.h"

namespace intact {
namespace {

bool set(const PyRef& object, const PyRef& name, PyObject* value) {
  return PyObject_SetAttr(object.get(), name.get(), value) == 0;
}

// ModuleSpec._cached is what its `cached` property gives. With sys.pycache_prefix in force, and for extensions, it is
// left to importlib.
bool set_cached(ModuleState& state, const PyRef& spec, const Found& found, const PyRef& origin) {
  if (found.module.kind == ModuleKind::kBytecode) return set(spec, state.str_cached, origin.get());
  if (found.module.kind != ModuleKind::kSource) return true;
  PyObject* prefix = PySys_GetObject("pycache_prefix");  // borrowed
  if (prefix != nullptr && prefix != Py_None) return true;
  const PyRef cached = py_text(found.mount->root() + "/" + found.cached_path(state));
  return cached && set(spec, state.str_cached, cached.get());
}

PyRef namespace_spec(ModuleState& state, PyObject* name, const Found& found) {
  PyRef spec = py_call(state.module_spec_type.get(), name, Py_None);
  const PyRef directory = py_text(found.directory());
  const PyRef locations = PyRef::steal(PyList_New(0));
  if (!spec || !directory || !locations || PyList_Append(locations.get(), directory.get()) < 0 ||
      !set(spec, state.str_locations, locations.get())) {
    return {};
  }
  return spec;
}

}  // namespace

PyRef make_spec(ModuleState& state, PyObject* name, Found found) {
  if (found.module.kind == ModuleKind::kNamespace) return namespace_spec(state, name, found);
  const PyRef origin = py_text(found.path());
  if (!origin) return {};
  const PyRef loader = make_loader(state, name, origin, found);
  if (!loader) return {};
  PyObject* arguments[] = {name, loader.get(), origin.get(), found.module.package ? Py_True : Py_False};
  PyRef spec = PyRef::steal(PyObject_Vectorcall(state.module_spec_type.get(), arguments, 2, state.spec_keywords.get()));
  if (!spec || !set(spec, state.str_set_fileattr, Py_True) || !set_cached(state, spec, found, origin)) return {};
  if (found.module.package) {
    const PyRef directory = py_text(found.directory());
    const PyRef locations = PyRef::steal(PyObject_GetAttr(spec.get(), state.str_locations.get()));
    if (!directory || !locations || PyList_Append(locations.get(), directory.get()) < 0) return {};
  }
  state.modules_found.fetch_add(1, std::memory_order_relaxed);
  return spec;
}

}  // namespace intact
