// Recorder: what `intact.trace()` sees of imports.
//
// Every import that has to be made goes through four functions of importlib's, whoever finds and loads: built-in and
// frozen modules, PathFinder's, ours, those of finders that a program brings. While a trace runs, functions of ours
// stand in their places, note when they begin and end, and call them. They are written in C, so no traceback shows
// them; without a trace they are not there. What the engine itself calls and reads costs a branch.
//
//   _find_and_load(name, …)         kImport   the whole, with whatever the module imports
//   _find_spec(name, …)             kFind     asking the finders
//   _load_unlocked(spec)            kLoad     from the spec to the complete module
//   _call_with_frames_removed(f, …) kDecode   f makes a module or its code: create_dynamic, get_frozen_object…
//                                   kCompile  f is compile
//                                   kExecute  f runs the module: exec, exec_dynamic, exec_builtin
//
// and a fifth is zipimport's, which reads and compiles a module already when it finds it, to tell its file:
//
//   _get_module_code(importer, …)   kFetch
//
// Spans nest, by thread. Traces may nest or overlap: all share one recording, of which each takes the part from its
// start to its end; the last one ends it.

#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <mutex>
#include <unordered_map>
#include <vector>

#include "python/ext/pyref.h"

namespace intact {

struct ModuleState;

class Recorder {
 public:
  enum class Phase : std::uint8_t { kImport, kFind, kLoad, kDecode, kCompile, kExecute, kFetch };
  static constexpr std::size_t kNone = static_cast<std::size_t>(-1);
  static constexpr std::size_t kHooks = 5;

  struct Span {
    Phase phase;
    bool failed = false;
    PyRef subject;  // a module's name; of kLoad its spec; of kCompile the path; none for what else makes code
    PyRef detail;   // of kImport who imports (none: the module around it); of kFind the spec that was found
    int line = 0;   // of kImport: where
    unsigned long thread = 0;
    std::size_t parent = kNone;
    std::int64_t start = 0;  // nanoseconds of the monotonic clock
    std::int64_t end = 0;    // 0: not yet
    std::uint64_t bytes = 0;
  };

  // Whether a trace runs.
  bool on() const { return users_.load(std::memory_order_relaxed) > 0; }

  // The number of the next span. False with an exception set.
  bool start(PyObject* module, std::size_t& next);
  // What was recorded since `start` gave `first`.
  std::vector<Span> stop(std::size_t first);

  // Bytes that were read for what this thread is at.
  void read(std::uint64_t bytes) {
    if (on()) add_bytes(bytes);
  }

  // Who imports, of an import that importlib makes within what this thread is at: for a parent package who asked for
  // the child, none while an extension module makes or runs itself. False where frames tell.
  bool take_importer(Span& span);

  // kNone if nothing is recorded.
  std::size_t begin(Span span);
  void end(std::size_t span, std::uint64_t recording, bool failed, PyRef detail);
  std::uint64_t recording() const { return recording_.load(std::memory_order_relaxed); }

  // Whether it runs, and `hook` is its own, not one that an earlier trace had to leave.
  bool records(PyObject* hook) const;

  int traverse(visitproc visit, void* arg) const;

 private:
  bool install(PyObject* module);
  void remove();
  void add_bytes(std::uint64_t bytes);

  struct Hook {
    PyRef self;      // (the module, what it stands for, the number of the recording)
    PyRef function;  // what stands in that module
  };
  Hook hooks_[kHooks];  // touched by start and stop only, which the façade has one thread at a time call

  std::atomic<int> users_{0};
  std::atomic<std::uint64_t> recording_{0};  // which one it is: what began in an earlier one is not ended in this
  std::mutex mutex_;                         // never held while Python runs
  std::vector<Span> spans_;                  // guarded by mutex_
  std::unordered_map<unsigned long, std::size_t> innermost_;  // guarded by mutex_; open spans, by thread
};

// Calls importlib's _call_with_frames_removed; `keywords` names the last of the arguments.
PyRef call_with_frames_removed(ModuleState& state, std::initializer_list<PyObject*> arguments,
                               PyObject* keywords = nullptr);

// _trace_start() and _trace_stop(first) of the extension module.
PyObject* trace_start(PyObject* module, PyObject*);
PyObject* trace_stop(PyObject* module, PyObject* first);

}  // namespace intact
