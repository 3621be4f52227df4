// PyRef: one owned reference to a Python object. How it came to be owned is said where it is made:
// PyRef::steal takes over a new reference, PyRef::borrow adds one of its own.

#pragma once

#include <string_view>
#include <utility>

#include "python/ext/gil.h"

namespace intact {

class PyRef {
 public:
  PyRef() = default;
  static PyRef steal(PyObject* object) { return PyRef(object); }
  static PyRef borrow(PyObject* object) {
    Py_XINCREF(object);
    return PyRef(object);
  }
  PyRef(const PyRef& other) : object_(other.object_) { Py_XINCREF(object_); }
  PyRef(PyRef&& other) noexcept : object_(std::exchange(other.object_, nullptr)) {}
  PyRef& operator=(PyRef other) noexcept {
    std::swap(object_, other.object_);
    return *this;
  }
  ~PyRef() { Py_XDECREF(object_); }

  explicit operator bool() const { return object_ != nullptr; }
  PyObject* get() const { return object_; }
  PyObject* release() { return std::exchange(object_, nullptr); }
  void reset() { *this = PyRef(); }

 private:
  explicit PyRef(PyObject* object) : object_(object) {}
  PyObject* object_ = nullptr;
};

inline PyRef py_text(std::string_view text) {
  return PyRef::steal(PyUnicode_DecodeUTF8(text.data(), static_cast<Py_ssize_t>(text.size()), "surrogateescape"));
}

// UTF-8 of a str, valid as long as the str; a null data() with an exception set if it has none (lone surrogates).
inline std::string_view utf8_view(PyObject* text) {
  Py_ssize_t size = 0;
  const char* data = PyUnicode_AsUTF8AndSize(text, &size);
  return data == nullptr ? std::string_view() : std::string_view(data, static_cast<std::size_t>(size));
}

// A str that is a path, as the file system's bytes; null data() without an exception for what is none. A lone surrogate
// stands for a byte that is no UTF-8 (PEP 383); only then `holder` comes to hold a copy.
inline std::string_view path_view(PyObject* text, PyRef& holder) {
  if (!PyUnicode_Check(text)) return {};
  if (const std::string_view view = utf8_view(text); view.data() != nullptr) return view;
  PyErr_Clear();
  holder = PyRef::steal(PyUnicode_EncodeFSDefault(text));
  if (!holder) return PyErr_Clear(), std::string_view();
  return {PyBytes_AS_STRING(holder.get()), static_cast<std::size_t>(PyBytes_GET_SIZE(holder.get()))};
}

// What a list or dict has there, which another thread may take out meanwhile; null without an exception if nothing.
inline PyRef list_item(PyObject* list, Py_ssize_t i) {
#if PY_VERSION_HEX >= 0x030D0000
  PyRef item = PyRef::steal(i < PyList_GET_SIZE(list) ? PyList_GetItemRef(list, i) : nullptr);
  if (!item) PyErr_Clear();
  return item;
#else
  return PyRef::borrow(i < PyList_GET_SIZE(list) ? PyList_GET_ITEM(list, i) : nullptr);
#endif
}
// An exception may be set: a key's comparison is anybody's code.
inline PyRef dict_item(PyObject* dict, PyObject* key) {
#if PY_VERSION_HEX >= 0x030D0000
  PyObject* item = nullptr;
  PyDict_GetItemRef(dict, key, &item);
  return PyRef::steal(item);
#else
  return PyRef::borrow(PyDict_GetItemWithError(dict, key));
#endif
}

// Something of the module sys, which a program may replace; null without an exception if it is not there.
inline PyRef sys_item(const char* name) {
#ifdef Py_GIL_DISABLED
  const PyRef sys = PyRef::steal(PyImport_AddModuleRef("sys"));
  PyObject* item = nullptr;
  if (!sys || PyDict_GetItemStringRef(PyModule_GetDict(sys.get()), name, &item) < 0) PyErr_Clear();
  return PyRef::steal(item);
#else
  return PyRef::borrow(PySys_GetObject(name));
#endif
}

// Around what reads or changes the fields of an object of ours: with a GIL there is nothing to do.
#ifndef Py_BEGIN_CRITICAL_SECTION  // 3.12 and older
#define Py_BEGIN_CRITICAL_SECTION(object) {
#define Py_END_CRITICAL_SECTION() }
#endif

// Calls a function or type with positional arguments.
template <typename... Args>
PyRef py_call(PyObject* callable, Args*... args) {
  PyObject* stack[] = {nullptr, args...};
  return PyRef::steal(call_python(callable, stack + 1, sizeof...(args) | PY_VECTORCALL_ARGUMENTS_OFFSET, nullptr));
}

// PyMethodDef keeps every kind of function as a PyCFunction; the flags beside it say what it is.
inline PyCFunction as_function(PyCMethod method) {
  return reinterpret_cast<PyCFunction>(reinterpret_cast<void*>(method));
}

}  // namespace intact
