// What may give up the GIL while frames of ours are on the stack.
//
// When the interpreter ends, a daemon thread that wants the GIL is not given it any more. Up to 3.13 CPython has it end
// by pthread_exit, which unwinds its stack. Ours must not be unwound: destructors would touch Python's objects without
// the GIL, and what C++ needs for it is linked into us and does not go together with the system's unwinder: the process
// is aborted. Such a thread stays where it is until the process ends, as CPython has it from 3.14 on.

#pragma once

#define PY_SSIZE_T_CLEAN
#include <Python.h>

namespace intact {

void retake_gil(PyThreadState* thread);

// Without the GIL as long as it lives.
class WithoutGil {
 public:
  WithoutGil() : thread_(PyEval_SaveThread()) {}
  ~WithoutGil() { retake_gil(thread_); }
  WithoutGil(const WithoutGil&) = delete;
  WithoutGil& operator=(const WithoutGil&) = delete;

 private:
  PyThreadState* const thread_;
};

// PyObject_Vectorcall: Python code gives up the GIL all the time.
PyObject* call_python(PyObject* callable, PyObject* const* arguments, std::size_t count, PyObject* keywords);

}  // namespace intact
