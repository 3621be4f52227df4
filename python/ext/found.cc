#include "python/ext/found.h"

#include <new>

namespace intact {
namespace {

struct FoundObject {
  PyObject_HEAD
  Found found;
};

void dealloc(PyObject* self) {
  reinterpret_cast<FoundObject*>(self)->found.~Found();
  PyTypeObject* type = Py_TYPE(self);
  // It may have been the last to hold a mount. At the interpreter's end the collector may have cleared the type before.
  if (PyObject* module = reinterpret_cast<PyHeapTypeObject*>(type)->ht_module) module_state(module).graveyard->empty();
  type->tp_free(self);
  PyRef::steal(reinterpret_cast<PyObject*>(type));
}

// Loaders compare their attributes: two that found the same thing are equal.
PyObject* compare(PyObject* self, PyObject* other, int operation) {
  if (Py_TYPE(self) != Py_TYPE(other) || (operation != Py_EQ && operation != Py_NE)) Py_RETURN_NOTIMPLEMENTED;
  const Found& a = reinterpret_cast<FoundObject*>(self)->found;
  const Found& b = reinterpret_cast<FoundObject*>(other)->found;
  return PyBool_FromLong((a.mount == b.mount && a.module.node == b.module.node) == (operation == Py_EQ));
}

Py_hash_t hash(PyObject* self) {
  const Found& found = reinterpret_cast<FoundObject*>(self)->found;
  return static_cast<Py_hash_t>(found.mount->id() << 32 | found.module.node);
}

PyObject* itself(PyObject* self, PyObject*) { return PyRef::borrow(self).release(); }

PyObject* refuse_pickling(PyObject*, PyObject*) {
  PyErr_SetString(
      PyExc_TypeError,
      "what was found in a mount of this process cannot be pickled; pickle the module's name, and import it");
  return nullptr;
}

PyMethodDef kMethods[] = {{"__copy__", itself, METH_NOARGS, nullptr},
                          {"__deepcopy__", itself, METH_O, nullptr},
                          {"__reduce__", refuse_pickling, METH_NOARGS, nullptr},
                          {nullptr, nullptr, 0, nullptr}};

PyObject* root(PyObject* self, void*) {
  return py_text(reinterpret_cast<FoundObject*>(self)->found.mount->root()).release();
}

PyGetSetDef kProperties[] = {
    {"root", root, nullptr, "Where the members of its mount appear, or did.", nullptr},
    {nullptr, nullptr, nullptr, nullptr, nullptr},
};
PyType_Slot kSlots[] = {
    {Py_tp_methods, kMethods},
    {Py_tp_getset, kProperties},
    {Py_tp_richcompare, reinterpret_cast<void*>(compare)},
    {Py_tp_hash, reinterpret_cast<void*>(hash)},
    {Py_tp_dealloc, reinterpret_cast<void*>(dealloc)},
    {Py_tp_doc, const_cast<char*>("What was found for one module: a mount and a member of it.")},
    {0, nullptr},
};
PyType_Spec kSpec = {"intact._engine.Found", sizeof(FoundObject), 0,
                     Py_TPFLAGS_DEFAULT | Py_TPFLAGS_DISALLOW_INSTANTIATION | Py_TPFLAGS_IMMUTABLETYPE, kSlots};

}  // namespace

std::string Found::directory() const { return mount->root() + "/" + std::string(module.stem); }

std::string cached_path(const ModuleState& state, std::string_view path) {
  const std::size_t base = path.rfind('/') + 1;  // npos + 1 is 0
  std::string cached(path.substr(0, base));
  cached += "__pycache__/";
  cached += path.substr(base, path.rfind('.') - base);
  return cached += state.cache_suffix;
}

PyRef make_found(ModuleState& state, Found found) {
  auto* type = reinterpret_cast<PyTypeObject*>(state.found_type.get());
  PyRef object = PyRef::steal(type->tp_alloc(type, 0));
  if (object) new (&reinterpret_cast<FoundObject*>(object.get())->found) Found(std::move(found));
  return object;
}

std::optional<Found> found_of(ModuleState& state, PyObject* loader) {
  const PyRef object = PyRef::steal(PyObject_GetAttr(loader, state.str_found.get()));
  if (!object && !PyErr_ExceptionMatches(PyExc_AttributeError)) return std::nullopt;
  if (!object || Py_TYPE(object.get()) != reinterpret_cast<PyTypeObject*>(state.found_type.get())) {
    PyErr_SetString(PyExc_TypeError, "this loader was not made by intact's finder");
    return std::nullopt;
  }
  return reinterpret_cast<FoundObject*>(object.get())->found;
}

bool add_found_type(PyObject* module, ModuleState& state) {
  state.found_type = PyRef::steal(PyType_FromModuleAndSpec(module, &kSpec, nullptr));
  return static_cast<bool>(state.found_type);
}

}  // namespace intact
