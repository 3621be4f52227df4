// Compiled without exceptions: pthread_cleanup_push is then the C library's, else a C++ object with a destructor.

#include "python/ext/gil.h"

#include <pthread.h>
#include <unistd.h>

namespace intact {
namespace {

void stay(void*) {
  for (;;) ::pause();
}

}  // namespace

void retake_gil(PyThreadState* thread) {
  pthread_cleanup_push(stay, nullptr);
  PyEval_RestoreThread(thread);
  pthread_cleanup_pop(0);
}

PyObject* call_python(PyObject* callable, PyObject* const* arguments, std::size_t count, PyObject* keywords) {
  PyObject* result;
  pthread_cleanup_push(stay, nullptr);
  result = PyObject_Vectorcall(callable, arguments, count, keywords);
  pthread_cleanup_pop(0);
  return result;
}

}  // namespace intact
