#include "python/ext/loader.h"

#include <dlfcn.h>

#include <chrono>
#include <cstdio>

#include "core/elf/read_ahead.h"
#include "python/ext/bytecode.h"
#include "python/ext/engine.h"
#include "python/ext/errors.h"
#include "python/ext/outermost_import.h"

namespace intact {
namespace {

using Clock = std::chrono::steady_clock;

// INTACT_TRACE=1: one line for each module, when it is complete.
void print_module(const Found& found, PyObject* module, const char* kind, Clock::time_point start) {
  const PyRef name = PyRef::steal(PyObject_GetAttrString(module, "__name__"));
  const std::chrono::duration<double, std::milli> took = Clock::now() - start;
  PySys_FormatStderr("intact: %S from %s (%s, ", name ? name.get() : Py_None, found.path().c_str(), kind);
  PySys_WriteStderr("%.2f ms)\n", took.count());
  PyErr_Clear();
}

// The one argument of a method, by position or by name; null with TypeError set.
PyObject* only_argument(const char* name, PyObject* const* args, std::size_t count, PyObject* keywords) {
  const Py_ssize_t named = keywords == nullptr ? 0 : PyTuple_GET_SIZE(keywords);
  if (static_cast<Py_ssize_t>(count) + named == 1 &&
      (named == 0 || PyUnicode_CompareWithASCIIString(PyTuple_GET_ITEM(keywords, 0), name) == 0)) {
    return args[0];
  }
  PyErr_Format(PyExc_TypeError, "takes one argument, %s", name);
  return nullptr;
}

// Whether the loader is that of the module `fullname`; as everywhere in importlib another's is an ImportError, and None
// is no name.
bool is_for(const ModuleState& state, PyObject* self, PyObject* fullname) {
  const PyRef name = PyRef::steal(PyObject_GetAttr(self, state.str_name.get()));
  const int same = !name ? -1 : fullname == Py_None ? 1 : PyObject_RichCompareBool(name.get(), fullname, Py_EQ);
  if (same == 0) {
    const PyRef message = PyRef::steal(PyUnicode_FromFormat("loader for %S cannot handle %S", name.get(), fullname));
    if (message) PyErr_SetImportError(message.get(), fullname, nullptr);
  }
  return same == 1;
}

// exec_module(module) of SourceLoader and BytecodeLoader
PyObject* exec_module(PyObject* self, PyTypeObject* type, PyObject* const* args, std::size_t count,
                      PyObject* keywords) {
  PyObject* module = only_argument("module", args, count, keywords);
  if (module == nullptr) return nullptr;
  ModuleState& state = type_state(type);
  const PyRef name = PyRef::steal(PyObject_GetAttr(module, state.str_module_name.get()));
  if (!name || !is_for(state, self, name.get())) return nullptr;
  const auto found = found_of(state, self);
  if (!found) return nullptr;
  const auto start = state.print_modules ? Clock::now() : Clock::time_point();
  const OutermostImport import(state);
  if (found->module.package) {
    if (const auto directory = found->mount->index().find(found->module.stem))
      ReadAhead::instance().expect(found->mount, *directory);
  }
  const PyRef code = load_code(state, *found, self);
  const PyRef dict = PyRef::steal(code ? PyObject_GetAttr(module, state.str_dict.get()) : nullptr);
  // importlib's own function runs the module, so that tracebacks leave importlib's frames out.
  PyRef result;
  if (dict) result = call_with_frames_removed(state, {state.builtin_exec.get(), code.get(), dict.get()});
  if (result && state.print_modules)
    print_module(*found, module, found->module.kind == ModuleKind::kSource ? "source" : "bytecode", start);
  return result.release();
}

// get_code(fullname)
PyObject* get_code(PyObject* self, PyTypeObject* type, PyObject* const* args, std::size_t count, PyObject* keywords) {
  PyObject* fullname = count == 0 && keywords == nullptr ? Py_None : only_argument("fullname", args, count, keywords);
  if (fullname == nullptr) return nullptr;
  ModuleState& state = type_state(type);
  if (!is_for(state, self, fullname)) return nullptr;
  const auto found = found_of(state, self);
  return found ? load_code(state, *found, self).release() : nullptr;
}

// Raises `error` with what ImportError has besides: the module's name, and the path it was to come from.
PyObject* raise_for_module(ModuleState& state, const Error& error, PyObject* loader) {
  raise(state, error);
  if (!PyErr_ExceptionMatches(PyExc_ImportError)) return nullptr;
  PyObject *type, *value, *traceback;
  PyErr_Fetch(&type, &value, &traceback);
  for (const PyRef& attribute : {state.str_name, state.str_path}) {
    const PyRef text = PyRef::steal(PyObject_GetAttr(loader, attribute.get()));
    if (!text || PyObject_SetAttr(value, attribute.get(), text.get()) < 0) PyErr_Clear();
  }
  PyErr_Restore(type, value, traceback);
  return nullptr;
}

// create_module(spec) of ExtensionLoader. The image is loaded here, under the member's path; importlib's create_dynamic
// then asks glibc for that path, is given the image, and does single-phase or multi-phase initialisation as ever.
PyObject* create_module(PyObject* self, PyTypeObject* type, PyObject* const* args, std::size_t count,
                        PyObject* keywords) {
  PyObject* spec = only_argument("spec", args, count, keywords);
  if (spec == nullptr) return nullptr;
  ModuleState& state = type_state(type);
  const auto found = found_of(state, self);
  if (!found) return nullptr;
  const auto start = state.print_modules ? Clock::now() : Clock::time_point();
  const PyRef flags = py_call(state.get_dlopen_flags.get());
  const long mode = flags ? PyLong_AsLong(flags.get()) : -1;
  if (mode == -1 && PyErr_Occurred()) return nullptr;
  const auto image = engine().images.load(found->place(), static_cast<int>(mode));
  if (!image) return raise_for_module(state, image.error(), self);
  PyRef module = call_with_frames_removed(state, {state.create_dynamic.get(), spec});
  if (module && state.print_modules) print_module(*found, module.get(), "extension", start);
  return module.release();
}

// A function of one path: ours for a member of any mount, importlib's for what is on disk.
template <typename Ours>
PyObject* on_path(PyObject* self, ModuleState& state, PyObject* argument, const PyRef& importlibs, Ours ours) {
  if (argument == nullptr) return nullptr;
  const auto found = found_of(state, self);
  if (!found) return nullptr;
  const PyRef path = PyRef::steal(PyOS_FSPath(argument));
  if (!path) return nullptr;
  PyRef holder;
  if (const auto place = place_of(*found, path_view(path.get(), holder)); place && !place->directory())
    return ours(*place).release();
  return py_call(importlibs.get(), self, path.get()).release();
}

PyObject* get_data(PyObject* self, PyTypeObject* type, PyObject* const* args, std::size_t count, PyObject* keywords) {
  ModuleState& state = type_state(type);
  return on_path(self, state, only_argument("path", args, count, keywords), state.file_get_data,
                 [&](const Place& place) { return audit_open(place) ? read_bytes(state, place) : PyRef(); });
}

PyObject* get_stats(PyObject* self, PyTypeObject* type, PyObject* const* args, std::size_t count, PyObject* keywords) {
  ModuleState& state = type_state(type);
  return on_path(self, state, only_argument("path", args, count, keywords), state.source_path_stats,
                 [](const Place& place) { return path_stats(place); });
}

// The path of the source of a SourceFileLoader, if it is that module's, and a program has changed neither the loader
// nor its class. Null without an exception: importlib is to go on.
PyRef path_of_file(ModuleState& state, PyObject* loader, PyObject* fullname) {
  if (state.verbose || reinterpret_cast<PyObject*>(Py_TYPE(loader)) != state.source_file_loader_type.get()) return {};
  const PyRef dict = PyRef::steal(PyObject_GenericGetDict(loader, nullptr));
  if (!dict || PyDict_GET_SIZE(dict.get()) != 2) return PyErr_Clear(), PyRef();  // methods of its own, perhaps
  const PyRef name = dict_item(dict.get(), state.str_name.get());
  if (!name || !PyUnicode_Check(name.get()) || !PyUnicode_Check(fullname)) return {};
  if (PyUnicode_Compare(name.get(), fullname) != 0) return {};
  if (!state.source_loader_class.unchanged() || !state.source_file_loader_class.unchanged()) return {};
  return dict_item(dict.get(), state.str_path.get());
}

// get_code(self, fullname) of SourceFileLoader: cached bytecode that is plainly valid; all else is importlib's.
PyObject* get_file_code(PyObject* module, PyObject* const* args, Py_ssize_t count, PyObject* keywords) {
  if (count == 0) return PyErr_SetString(PyExc_TypeError, "get_code() takes a loader"), nullptr;
  PyObject* loader = args[0];
  PyObject* fullname = only_argument("fullname", args + 1, static_cast<std::size_t>(count) - 1, keywords);
  if (fullname == nullptr) return nullptr;
  ModuleState& state = module_state(module);
  const PyRef path = path_of_file(state, loader, fullname);
  PyRef code = path ? load_cached_file(state, path) : PyRef();
  if (state.import_depth.load() == 0) free_scratch(state);
  if (PyErr_Occurred() && PyErr_ExceptionMatches(PyExc_OSError)) PyErr_Clear();  // an audit hook's; importlib goes on
  if (code || PyErr_Occurred()) return code.release();
  const PyRef above = py_call(reinterpret_cast<PyObject*>(&PySuper_Type), state.source_file_loader_type.get(), loader);
  const PyRef importlibs = PyRef::steal(above ? PyObject_GetAttr(above.get(), state.str_get_code.get()) : nullptr);
  return importlibs ? py_call(importlibs.get(), fullname).release() : nullptr;
}

PyMethodDef kFileGetCode = {"get_code", reinterpret_cast<PyCFunction>(reinterpret_cast<void*>(get_file_code)),
                            METH_FASTCALL | METH_KEYWORDS,
                            "get_code($module, self, fullname)\n--\n\nThe module's code: cached bytecode if it is "
                            "valid (PEP 552), else compiled."};

// SourceFileLoader inherits its get_code; ours goes before that, unless a program has put one there. Loaders are then
// importlib's own class, whoever made them.
bool put_before_importlibs(PyObject* module, ModuleState& state) {
  const PyRef& type = state.source_file_loader_type;
  const PyRef dict = PyRef::steal(PyObject_GetAttr(type.get(), state.str_dict.get()));
  if (!dict) return false;
  const PyRef known = PyRef::steal(PyObject_GetItem(dict.get(), state.str_get_code.get()));
  if (!known) PyErr_Clear();
  PyObject* function =
      known && PyInstanceMethod_Check(known.get()) ? PyInstanceMethod_GET_FUNCTION(known.get()) : nullptr;
  const bool older = function != nullptr && PyCFunction_Check(function) &&
                     PyCFunction_GET_FUNCTION(function) == kFileGetCode.ml_meth;  // this extension's, loaded before
  if (known && !older) return true;
  const PyRef ours = PyRef::steal(PyCFunction_New(&kFileGetCode, module));
  const PyRef method = PyRef::steal(ours ? PyInstanceMethod_New(ours.get()) : nullptr);
  return method && PyObject_SetAttr(type.get(), state.str_get_code.get(), method.get()) == 0;
}

constexpr int kFlags = METH_METHOD | METH_FASTCALL | METH_KEYWORDS;
#define INTACT_GET_DATA                                                                            \
  {                                                                                                \
    "get_data", as_function(get_data), kFlags,                                                     \
        "get_data($self, path)\n--\n\nThe bytes at `path`, in any mount or on disk (PEP 302).\n\n" \
        "Raises OSError if there are none, MemberError if the member is broken."                   \
  }
#define INTACT_CODE_METHODS                                                                                            \
  {"exec_module", as_function(exec_module), kFlags, "exec_module($self, module)\n--\n\nRuns the module (PEP 451)."}, { \
    "get_code", as_function(get_code), kFlags,                                                                         \
        "get_code($self, fullname)\n--\n\nThe module's code: cached bytecode if it is valid (PEP 552), else compiled." \
  }

PyMethodDef kSourceMethods[] = {
    INTACT_CODE_METHODS,
    INTACT_GET_DATA,
    {"path_stats", as_function(get_stats), kFlags,
     "path_stats($self, path)\n--\n\n{\"mtime\": seconds since the epoch, \"size\": bytes}."},
    {nullptr, nullptr, 0, nullptr}};
PyMethodDef kBytecodeMethods[] = {INTACT_CODE_METHODS, INTACT_GET_DATA, {nullptr, nullptr, 0, nullptr}};
PyMethodDef kExtensionMethods[] = {
    {"create_module", as_function(create_module), kFlags,
     "create_module($self, spec)\n--\n\nLoads the shared object from its archive and initialises it (PEP 489).\n\n"
     "Raises ImageError if it cannot be loaded, and CPython's ImportError if it is no extension module."},
    INTACT_GET_DATA,
    {nullptr, nullptr, 0, nullptr}};
#undef INTACT_CODE_METHODS
#undef INTACT_GET_DATA

PyRef make_type(PyObject* module, const char* name, PyMethodDef* methods, const char* doc, PyObject* base) {
  PyType_Slot slots[] = {{Py_tp_methods, methods}, {Py_tp_doc, const_cast<char*>(doc)}, {0, nullptr}};
  PyType_Spec spec = {name, 0, 0, Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE, slots};
  return PyRef::steal(PyType_FromModuleAndSpec(module, &spec, base));
}

}  // namespace

PyRef make_loader(ModuleState& state, PyObject* name, const PyRef& path, const Found& found) {
  const PyRef& type = found.module.kind == ModuleKind::kSource      ? state.source_loader_type
                      : found.module.kind == ModuleKind::kExtension ? state.extension_loader_type
                                                                    : state.bytecode_loader_type;
  auto* type_object = reinterpret_cast<PyTypeObject*>(type.get());
  PyRef loader = PyRef::steal(type_object->tp_new(type_object, state.empty_tuple.get(), nullptr));
  const PyRef held = loader ? make_found(state, found) : PyRef();
  if (!held || PyObject_SetAttr(loader.get(), state.str_name.get(), name) < 0 ||
      PyObject_SetAttr(loader.get(), state.str_path.get(), path.get()) < 0 ||
      PyObject_SetAttr(loader.get(), state.str_found.get(), held.get()) < 0) {
    return {};
  }
  return loader;
}

bool add_loader_types(PyObject* module, ModuleState& state) {
  const PyRef importlib = PyRef::steal(PyImport_ImportModule("_frozen_importlib_external"));
  if (!importlib) return false;
  struct {
    PyRef& type;
    const char* name;
    const char* base;
    PyMethodDef* methods;
    const char* doc;
  } const kinds[] = {
      {state.source_loader_type, "intact._engine.SourceLoader", "SourceFileLoader", kSourceMethods,
       "Loads source, or its bytecode, from an archive."},
      {state.bytecode_loader_type, "intact._engine.BytecodeLoader", "SourcelessFileLoader", kBytecodeMethods,
       "Loads sourceless bytecode from an archive."},
      {state.extension_loader_type, "intact._engine.ExtensionLoader", "ExtensionFileLoader", kExtensionMethods,
       "Loads an extension module from an archive."},
  };
  for (const auto& kind : kinds) {
    const PyRef base = PyRef::steal(PyObject_GetAttrString(importlib.get(), kind.base));
    if (!base) return false;
    kind.type = make_type(module, kind.name, kind.methods, kind.doc, base.get());
    if (!kind.type || PyModule_AddType(module, reinterpret_cast<PyTypeObject*>(kind.type.get())) < 0) return false;
  }
  PyObject* source_loader = state.source_file_loader_type.get();
  state.file_get_data = PyRef::steal(PyObject_GetAttrString(source_loader, "get_data"));
  state.source_path_stats = PyRef::steal(PyObject_GetAttrString(source_loader, "path_stats"));
  return state.file_get_data && state.source_path_stats && put_before_importlibs(module, state);
}

}  // namespace intact
