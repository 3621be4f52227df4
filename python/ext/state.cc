// What a ModuleState holds of importlib and the interpreter, as they are when the module is executed.

#include "python/ext/state.h"

#include <cstdlib>

namespace intact {
namespace {

// Attribute `name` of an importable module.
PyRef attribute(const char* module, const char* name) {
  const PyRef imported = PyRef::steal(PyImport_ImportModule(module));
  return PyRef::steal(imported ? PyObject_GetAttrString(imported.get(), name) : nullptr);
}

// What of importlib is only used while it is importlib's own.
bool know_importlib(ModuleState& state) {
  const PyRef module = PyRef::steal(PyImport_ImportModule("_frozen_importlib_external"));
  const PyRef source_loader = attribute("_frozen_importlib_external", "SourceLoader");
  if (!module || !source_loader) return false;
  state.importlib_globals = PyRef::borrow(PyModule_GetDict(module.get()));
  if (!is_importlibs(state.cache_from_source.get())) state.cache_from_source.reset();
  return state.path_finder_class.keep(state.path_finder, {"find_spec", "_get_spec", "_path_importer_cache"}) &&
         state.file_finder_class.keep(state.file_finder_type, {"find_spec", "_get_spec"}) &&
         state.source_loader_class.keep(source_loader, {"get_code"}) &&
         state.source_file_loader_class.keep(state.source_file_loader_type, {"get_data", "get_filename", "path_stats"});
}

bool borrow_importlib(ModuleState& state) {
  struct {
    PyRef& slot;
    const char* module;
    const char* name;
  } const wanted[] = {
      {state.module_spec_type, "_frozen_importlib", "ModuleSpec"},
      {state.call_with_frames_removed, "_frozen_importlib", "_call_with_frames_removed"},
      {state.built_in_importer, "_frozen_importlib", "BuiltinImporter"},
      {state.frozen_importer, "_frozen_importlib", "FrozenImporter"},
      {state.path_finder, "_frozen_importlib_external", "PathFinder"},
      {state.file_finder_type, "_frozen_importlib_external", "FileFinder"},
      {state.source_file_loader_type, "_frozen_importlib_external", "SourceFileLoader"},
      {state.cache_from_source, "_frozen_importlib_external", "cache_from_source"},
      {state.create_dynamic, "_imp", "create_dynamic"},
      {state.fix_co_filename, "_imp", "_fix_co_filename"},
      {state.source_hash, "_imp", "source_hash"},
      {state.is_frozen, "_imp", "is_frozen"},
      {state.builtin_module_names, "sys", "builtin_module_names"},
      {state.builtin_exec, "builtins", "exec"},
      {state.builtin_compile, "builtins", "compile"},
      {state.stdlib_module_names, "sys", "stdlib_module_names"},
      {state.get_dlopen_flags, "sys", "getdlopenflags"},
      {state.gc_get_threshold, "gc", "get_threshold"},
      {state.gc_set_threshold, "gc", "set_threshold"},
      {state.gc_get_count, "gc", "get_count"},
      {state.gc_get_freeze_count, "gc", "get_freeze_count"},
      {state.gc_freeze, "gc", "freeze"},
      {state.gc_unfreeze, "gc", "unfreeze"},
  };
  for (const auto& item : wanted) {
    item.slot = attribute(item.module, item.name);
    if (!item.slot) return false;
  }
  state.path_finder_find_spec = PyRef::steal(PyObject_GetAttrString(state.path_finder.get(), "find_spec"));
  state.builtin_module_names = PyRef::steal(PyFrozenSet_New(state.builtin_module_names.get()));
  state.imp = PyRef::steal(PyImport_ImportModule("_imp"));
  return state.path_finder_find_spec && state.builtin_module_names && state.imp && know_importlib(state);
}

bool intern_names(ModuleState& state) {
  struct {
    PyRef& slot;
    const char* text;
  } const wanted[] = {
      {state.str_found, "_found"},
      {state.str_name, "name"},
      {state.str_path, "path"},
      {state.str_cached, "_cached"},
      {state.str_set_fileattr, "_set_fileattr"},
      {state.str_locations, "submodule_search_locations"},
      {state.str_dict, "__dict__"},
      {state.str_exec, "exec"},
      {state.str_check_pycs, "check_hash_based_pycs"},
      {state.str_path_cache, "_path_cache"},
      {state.str_path_mtime, "_path_mtime"},
      {state.str_loaders, "_loaders"},
      {state.str_find_spec, "find_spec"},
      {state.str_get_code, "get_code"},
      {state.str_cache_from_source, "cache_from_source"},
      {state.str_cache_tag, "cache_tag"},
      {state.str_module_name, "__name__"},
  };
  for (const auto& item : wanted) {
    item.slot = PyRef::steal(PyUnicode_InternFromString(item.text));
    if (!item.slot) return false;
  }
  state.spec_keywords = PyRef::steal(Py_BuildValue("(ss)", "origin", "is_package"));
  state.compile_keywords = PyRef::steal(Py_BuildValue("(s)", "dont_inherit"));
  state.empty_tuple = PyRef::steal(PyTuple_New(0));
  state.watched = PyRef::steal(PyDict_New());
  return state.spec_keywords && state.compile_keywords && state.empty_tuple && state.watched;
}

// What this interpreter imports: extension suffixes, and the suffix of cached bytecode (PEP 3147, PEP 488).
bool learn_rules(ModuleState& state) {
  const PyRef suffixes = attribute("_imp", "extension_suffixes");
  const PyRef list = suffixes ? py_call(suffixes.get()) : PyRef();
  if (!list || !PyList_Check(list.get())) return false;
  for (Py_ssize_t i = 0; i < PyList_GET_SIZE(list.get()); ++i) {
    state.rules.extension_suffixes.emplace_back(utf8_view(PyList_GET_ITEM(list.get(), i)));
  }
  state.implementation = attribute("sys", "implementation");
  if (!state.implementation) return false;
  state.cache_tag = PyRef::steal(PyObject_GetAttr(state.implementation.get(), state.str_cache_tag.get()));
  const PyRef& tag = state.cache_tag;
  const PyRef flags = attribute("sys", "flags");
  const PyRef optimize = PyRef::steal(flags ? PyObject_GetAttrString(flags.get(), "optimize") : nullptr);
  const PyRef verbose = PyRef::steal(flags ? PyObject_GetAttrString(flags.get(), "verbose") : nullptr);
  if (!tag || !optimize || !verbose) return false;
  const long level = PyLong_AsLong(optimize.get());
  state.verbose = PyLong_AsLong(verbose.get()) != 0;
  state.cache_suffix = '.';
  state.cache_suffix += PyUnicode_Check(tag.get()) ? utf8_view(tag.get()) : "none";
  if (level > 0) state.cache_suffix += ".opt-" + std::to_string(level);
  state.cache_suffix += ".pyc";
  const char* trace = std::getenv("INTACT_TRACE");
  state.print_modules = trace != nullptr && *trace != '\0' && *trace != '0';
  return true;
}

}  // namespace

bool fill(ModuleState& state) { return borrow_importlib(state) && intern_names(state) && learn_rules(state); }

}  // namespace intact
