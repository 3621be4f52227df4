// WithoutGil: gives the GIL up for a scope, in which nothing of Python's may be touched.
//
// A daemon thread that wants the GIL back when the interpreter ends is ended by CPython up to 3.13: pthread_exit unwinds
// its stack. Our references on it must not be given up then, without the GIL; so this layer is compiled without exceptions,
// which leaves nothing on the stack to be run (CMakeLists.txt).

#pragma once

#include "python/ext/pyref.h"

namespace intact {

class WithoutGil {
 public:
  WithoutGil() : thread_(PyEval_SaveThread()) {}
  ~WithoutGil() { PyEval_RestoreThread(thread_); }
  WithoutGil(const WithoutGil&) = delete;
  WithoutGil& operator=(const WithoutGil&) = delete;

  // With the GIL, in between.
  template <typename Work>
  auto interrupt(Work work) {
    PyEval_RestoreThread(thread_);
    auto result = work();
    thread_ = PyEval_SaveThread();
    return result;
  }

 private:
  PyThreadState* thread_;
};

}  // namespace intact
