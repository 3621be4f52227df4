// ModuleState: everything the extension keeps for one interpreter. There is no other state in this layer; the
// engine (tree, images, redirect) is the process's.
//
// Lock: the interpreter's GIL guards all of it. Where there is none (PEP 703), counters are atomic, `graveyard` needs
// no lock, `watched` is a dict and has its own, what names StateLock or scratch_mutex is guarded by that, and the rest
// is set once while the module is executed.

#pragma once

#include <atomic>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "core/base/scratch.h"
#include "core/tree/tree.h"
#include "python/ext/graveyard.h"
#include "python/ext/importlib_class.h"
#include "python/ext/pyref.h"
#include "python/ext/trace.h"

namespace intact {

struct ModuleState {
  // our types
  PyRef finder_type, entry_finder_type, mount_type, found_type;
  PyRef source_loader_type, bytecode_loader_type, extension_loader_type;
  // our exceptions
  PyRef error, archive_error, member_error, password_error, image_error, tag_error;
  // importlib's: functions and types that we call as it would
  PyRef module_spec_type, call_with_frames_removed, file_get_data, source_path_stats;
  PyRef built_in_importer, frozen_importer, path_finder, path_finder_find_spec;
  PyRef file_finder_type, source_file_loader_type;
  ImportlibClass path_finder_class, file_finder_class, source_loader_class, source_file_loader_class;
  PyRef importlib_globals, cache_from_source, implementation, cache_tag;  // as they were; see caches_beside_sources
  PyRef imp, create_dynamic, fix_co_filename, source_hash, is_frozen, builtin_module_names;
  PyRef builtin_exec, builtin_compile, stdlib_module_names, get_dlopen_flags, gc_get_threshold, gc_set_threshold;
  PyRef gc_get_count, gc_get_freeze_count, gc_freeze, gc_unfreeze;
  // attribute names
  PyRef str_found, str_name, str_path, str_cached, str_set_fileattr, str_locations, str_dict, str_exec, str_check_pycs;
  PyRef str_path_cache, str_path_mtime, str_loaders, str_find_spec, str_get_code, str_cache_from_source, str_cache_tag;
  PyRef str_module_name;                               // "__name__"
  PyRef spec_keywords, compile_keywords, empty_tuple;  // ("origin", "is_package"), ("dont_inherit",), ()

  PyRef watched;  // dict from a module's name to who is asked for its spec instead of us, see Finder
  // Whom Finder calls first where the tree has another version than the last that was followed; set once, when intact
  // is imported.
  PyRef tree_watcher;
  std::atomic<std::uint64_t> tree_version{0};

  Viewer viewer = kEveryone;  // the number of this interpreter, which no other has or had; set when we are executed
  ImportRules rules;
  std::string cache_suffix;  // ".cpython-311.opt-1.pyc"
  std::shared_ptr<Graveyard> graveyard = std::make_shared<Graveyard>();
  // Where this is, for what may outlive it.
  std::shared_ptr<std::atomic<ModuleState*>> self = std::make_shared<std::atomic<ModuleState*>>(this);
  std::atomic<std::uint64_t> modules_found{0};
  std::atomic<int> import_depth{0};  // imports of ours under way, see outermost_import.h
  PyRef thresholds_before;           // gc.get_threshold() before the pause; null while there is none. StateLock
  // For bytecode on its way to code, taken out while it is used.
  std::mutex scratch_mutex;
  Scratch scratch;  // guarded by scratch_mutex
#ifdef Py_GIL_DISABLED
  PyMutex mutex = {};  // of StateLock
#endif
  Recorder recorder;           // for intact.trace()
  bool print_modules = false;  // INTACT_TRACE=1
  bool verbose = false;        // importlib says on stderr what it does (python -v)
};

// Takes what is importlib's and the interpreter's, and names. False with an exception set.
bool fill(ModuleState& state);

// Held while something of the state is changed in several steps. With a GIL there is nothing to do; without one, who
// waits for it lets the interpreter stop the world.
class StateLock {
 public:
#ifdef Py_GIL_DISABLED
  explicit StateLock(ModuleState& state) : mutex_(state.mutex) { PyMutex_Lock(&mutex_); }
  ~StateLock() { PyMutex_Unlock(&mutex_); }
  StateLock(const StateLock&) = delete;
  StateLock& operator=(const StateLock&) = delete;

 private:
  PyMutex& mutex_;
#else
  explicit StateLock(ModuleState&) {}
  ~StateLock() {}
#endif
};

ModuleState& module_state(PyObject* module);
ModuleState& type_state(PyTypeObject* defining_class);
// The same for a type that may be derived from one of ours in Python.
ModuleState& object_state(PyTypeObject* type);

}  // namespace intact
