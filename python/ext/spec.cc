// What importlib.util.spec_from_file_location does for FileFinder, without its Python: `cached` is computed here
// (PEP 3147), because importlib asks for it at every import.

#include "python/ext/spec.h"

#include "python/ext/loader.h"

namespace intact {
namespace {

bool set(const PyRef& object, const PyRef& name, PyObject* value) {
  return PyObject_SetAttr(object.get(), name.get(), value) == 0;
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

bool caches_beside_sources(ModuleState& state) {
  const PyRef prefix = sys_item("pycache_prefix");
  if ((prefix && prefix.get() != Py_None) || !PyUnicode_Check(state.cache_tag.get())) return false;
  // Type checkers put a function of their own there while they load what they have instrumented.
  const PyRef function = dict_item(state.importlib_globals.get(), state.str_cache_from_source.get());
  const PyRef tag = PyRef::steal(PyObject_GetAttr(state.implementation.get(), state.str_cache_tag.get()));
  if (PyErr_Occurred()) return PyErr_Clear(), false;
  return function && function.get() == state.cache_from_source.get() && tag.get() == state.cache_tag.get();
}

PyRef make_spec(ModuleState& state, PyObject* name, const PyRef& loader, const PyRef& origin, const PyRef& cached,
                const PyRef& directory) {
  PyObject* arguments[] = {name, loader.get(), origin.get(), directory ? Py_True : Py_False};
  PyRef spec = PyRef::steal(call_python(state.module_spec_type.get(), arguments, 2, state.spec_keywords.get()));
  if (!spec || !set(spec, state.str_set_fileattr, Py_True)) return {};
  if (cached && !set(spec, state.str_cached, cached.get())) return {};
  if (directory) {
    const PyRef locations = PyRef::steal(PyObject_GetAttr(spec.get(), state.str_locations.get()));
    if (!locations || PyList_Append(locations.get(), directory.get()) < 0) return {};
  }
  return spec;
}

PyRef make_spec(ModuleState& state, PyObject* name, Found found) {
  const Module& module = found.module;
  if (module.kind == ModuleKind::kNamespace) return namespace_spec(state, name, found);
  const PyRef origin = py_text(found.path());
  const PyRef loader = origin ? make_loader(state, name, origin, found) : PyRef();
  if (!loader) return {};
  PyRef cached, directory;
  if (module.kind == ModuleKind::kBytecode) cached = origin;
  if (module.kind == ModuleKind::kSource && caches_beside_sources(state)) {
    cached = py_text(found.mount->root() + "/" + cached_path(state, found.node().path));
    if (!cached) return {};
  }
  if (module.package && !(directory = py_text(found.directory()))) return {};
  PyRef spec = make_spec(state, name, loader, origin, cached, directory);
  if (spec) state.modules_found.fetch_add(1, std::memory_order_relaxed);
  return spec;
}

}  // namespace intact
