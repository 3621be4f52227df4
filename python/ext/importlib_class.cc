#include "python/ext/importlib_class.h"

namespace intact {
namespace {

// The function that a class has under a name; a class method's is inside a bound method. Null with an exception set.
PyRef function_of(const PyRef& type, const PyRef& name) {
  PyRef value = PyRef::steal(PyObject_GetAttr(type.get(), name.get()));
  return value && PyMethod_Check(value.get()) ? PyRef::borrow(PyMethod_GET_FUNCTION(value.get())) : std::move(value);
}

// CPython gives a type a new version, none that was ever used, when an attribute of it or of a base is set.
unsigned version_of(const PyRef& type) {
  return std::atomic_ref(reinterpret_cast<PyTypeObject*>(type.get())->tp_version_tag).load(std::memory_order_relaxed);
}

}  // namespace

bool is_importlibs(PyObject* function) {
  if (!PyFunction_Check(function)) return false;
  const PyRef module = PyRef::steal(PyImport_ImportModule("_frozen_importlib_external"));
  if (!module) return PyErr_Clear(), false;
  return PyFunction_GET_GLOBALS(function) == PyModule_GetDict(module.get());
}

bool ImportlibClass::keep(const PyRef& type, std::initializer_list<const char*> methods) {
  type_ = type;
  for (const char* text : methods) {
    Method method{.name = PyRef::steal(PyUnicode_InternFromString(text)), .function = {}};
    if (!method.name) return false;
    method.function = function_of(type_, method.name);
    if (!method.function) PyErr_Clear();
    if (method.function && !is_importlibs(method.function.get())) method.function.reset();
    methods_.push_back(std::move(method));
  }
  return true;
}

bool ImportlibClass::unchanged() {
  const unsigned version = version_of(type_);
  if (version != 0 && version == version_.load(std::memory_order_relaxed)) return true;
  for (const Method& method : methods_) {
    const PyRef now = function_of(type_, method.name);
    if (!now) PyErr_Clear();
    if (!now || now.get() != method.function.get()) return false;
  }
  version_.store(version, std::memory_order_relaxed);  // as it was before they were looked at
  return true;
}

int ImportlibClass::traverse(visitproc visit, void* arg) const {
  Py_VISIT(type_.get());
  for (const Method& method : methods_) Py_VISIT(method.function.get());
  return 0;
}

}  // namespace intact
