// Whether a program has changed a class of importlib's.
//
// We spare what FileFinder and the like would do in Python. Tools that want to have a say in imports may replace those
// very methods (import hooks, profilers, test doubles): then it is theirs to be called.

#pragma once

#include <atomic>
#include <initializer_list>
#include <vector>

#include "python/ext/pyref.h"

namespace intact {

class ImportlibClass {
 public:
  // Keeps the class `type`, whose `methods` are looked at. False with an exception set on failure.
  bool keep(const PyRef& type, std::initializer_list<const char*> methods);
  // Whether these are importlib's own. Costs a comparison while nothing about the class has changed.
  bool unchanged();
  // For the collector of garbage.
  int traverse(visitproc visit, void* arg) const;

 private:
  struct Method {
    PyRef name, function;  // function is null if it was not importlib's own when it was kept
  };

  PyRef type_;
  std::vector<Method> methods_;
  std::atomic<unsigned> version_{0};  // of the type, when its methods were last looked at; 0 is no version
};

// Whether `function` is one that the module importlib._bootstrap_external itself defines.
bool is_importlibs(PyObject* function);

}  // namespace intact
