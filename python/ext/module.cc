// The extension module intact._engine: multi-phase initialisation (PEP 489), one state for each interpreter, also for
// interpreters with a GIL of their own (PEP 684) and for builds without one (PEP 703).

#include <new>

#include "core/elf/elf_file.h"
#include "core/elf/load_lock.h"
#include "core/redirect/redirect.h"
#include "python/ext/bytecode.h"
#include "python/ext/engine.h"
#include "python/ext/errors.h"
#include "python/ext/finder.h"
#include "python/ext/found.h"
#include "python/ext/loader.h"
#include "python/ext/mount.h"
#include "python/ext/outermost_import.h"

namespace intact {
namespace {

PyObject* stats(PyObject* module, PyObject*) {
  std::uint64_t counts[3] = {}, copied = 0, mapped = 0;
  const std::vector<ImageInfo> images = engine().images.images();
  for (const ImageInfo& image : images) {
    ++counts[static_cast<std::size_t>(image.origin)];
    copied += image.bytes_copied;
    mapped += image.bytes_mapped;
  }
  const RedirectStats redirect = redirect_stats();
  return Py_BuildValue("{s:K,s:K,s:K,s:K,s:K,s:K,s:K,s:K,s:K,s:K}", "modules_found",
                       module_state(module).modules_found.load(), "images", std::uint64_t{images.size()},
                       "images_grafted", counts[0], "images_copied", counts[1], "images_from_files", counts[2],
                       "bytes_copied", copied, "bytes_mapped", mapped, "redirect_objects", redirect.objects,
                       "redirect_slots", redirect.slots, "redirect_hits", redirect.hits);
}

PyRef image_facts(const ImageInfo& image) {
  static const char* const kOrigins[] = {"graft", "copy", "file"};
  return PyRef::steal(Py_BuildValue("(NsKK)", py_text(image.path).release(),
                                    kOrigins[static_cast<std::size_t>(image.origin)], image.bytes_copied,
                                    image.bytes_mapped));
}

// What images() tells of each, and how long it took.
PyRef image_times(const ImageInfo& image) {
  return PyRef::steal(Py_BuildValue("(NLLLLL)", image_facts(image).release(), image.relocations, image.reading,
                                    image.began, image.linking, image.initialising));
}

template <PyRef describe(const ImageInfo&)>
PyObject* list_images(PyObject*, PyObject*) {
  PyRef list = PyRef::steal(PyList_New(0));
  if (!list) return nullptr;
  for (const ImageInfo& image : engine().images.images()) {
    const PyRef item = describe(image);
    if (!item || PyList_Append(list.get(), item.get()) < 0) return nullptr;
  }
  return list.release();
}

PyObject* set_files(PyObject*, PyObject* argument) {
  const int on = PyObject_IsTrue(argument);
  if (on < 0) return nullptr;
  if (on == 1)
    enable_redirect(engine().tree, engine().images);
  else
    disable_redirect();
  Py_RETURN_NONE;
}

PyObject* watch(PyObject* module, PyObject* args) {
  PyObject *name = nullptr, *find_spec = nullptr;
  if (!PyArg_ParseTuple(args, "UO:_watch", &name, &find_spec)) return nullptr;
  if (PyDict_SetItem(module_state(module).watched.get(), name, find_spec) < 0) return nullptr;
  Py_RETURN_NONE;
}

PyObject* watch_tree(PyObject* module, PyObject* watcher) {
  ModuleState& state = module_state(module);
  state.tree_version = engine().tree.version();
  state.tree_watcher = PyRef::borrow(watcher);
  Py_RETURN_NONE;
}

// The names of the libraries that the shared object in a bytes-like object needs (DT_NEEDED).
PyObject* needed(PyObject* module, PyObject* object) {
  Py_buffer buffer;
  if (PyObject_GetBuffer(object, &buffer, PyBUF_SIMPLE) < 0) return nullptr;
  const auto elf = parse_elf(std::as_bytes(std::span(static_cast<const char*>(buffer.buf),  //
                                                     static_cast<std::size_t>(buffer.len))));
  PyBuffer_Release(&buffer);
  if (!elf) return raise(module_state(module), elf.error());
  PyRef list = PyRef::steal(PyList_New(0));
  if (!list) return nullptr;
  for (const ElfNeeded& library : elf->needed) {
    const PyRef name = py_text(library.name);
    if (!name || PyList_Append(list.get(), name.get()) < 0) return nullptr;
  }
  return list.release();
}

// The bytes of the file at an absolute path; None if there is none below that root, and NotImplemented elsewhere.
PyObject* contents(PyObject* module, PyObject* path) {
  PyRef holder;
  std::string storage;
  std::optional<Place> place;
  {
    const ReadGuard tree(engine().tree);
    const Viewer viewer = module_state(module).viewer;
    const auto [root, rest] = tree->normal_root_of(path_view(path, holder), storage, viewer);
    if (root == nullptr) Py_RETURN_NOTIMPLEMENTED;
    place = tree->lookup(*root, rest, viewer);
  }
  if (!place || place->directory()) Py_RETURN_NONE;
  return read_bytes(module_state(module), *place).release();
}

PyObject* roots(PyObject* module, PyObject*) {
  PyRef list = PyRef::steal(PyList_New(0));
  if (!list) return nullptr;
  const ReadGuard tree(engine().tree);
  for (const MountPtr& mount : tree->mounts()) {
    if (!mount->options().shown_to(module_state(module).viewer)) continue;
    const PyRef root = py_text(mount->root());
    if (!root || PyList_Append(list.get(), root.get()) < 0) return nullptr;
  }
  return list.release();
}

// The number of the next mount that is given no name: no two interpreters give theirs the same.
PyObject* next_number(PyObject*, PyObject*) {
  return PyLong_FromUnsignedLongLong(engine().last_unnamed.fetch_add(1) + 1);
}

// What is left to do when the interpreter ends, whether or not our module is freed by then: its own mounts go, and
// nobody gives buffers back to it any more. In a capsule, in a dict that the interpreter clears late; the capsule
// refers to none of our objects, nor does what is called after a fork: the interpreter keeps both until after its last
// collection.
struct InterpreterEnd {
  Viewer viewer;
  std::shared_ptr<Graveyard> graveyard;
  std::shared_ptr<std::atomic<ModuleState*>> state;  // null once the module is freed
};

InterpreterEnd* end_of(PyObject* capsule) {
  return static_cast<InterpreterEnd*>(PyCapsule_GetPointer(capsule, nullptr));
}

void at_end(PyObject* capsule) {
  const std::unique_ptr<InterpreterEnd> end(end_of(capsule));
  engine().tree.unmount_owned_by(end->viewer);
  end->graveyard->close();
}

PyObject* after_fork(PyObject* capsule, PyObject*) {
  if (ModuleState* state = *end_of(capsule)->state) {
    new (&state->scratch_mutex) std::mutex;  // a thread that is no more may have had it, and so the other
#ifdef Py_GIL_DISABLED
    state->mutex = {};
#endif
    OutermostImport::after_fork(*state);
  }
  Py_RETURN_NONE;
}

PyMethodDef kAfterFork = {"_after_fork", after_fork, METH_NOARGS, nullptr};

bool prepare_end(PyObject* module, ModuleState& state) {
  auto end = std::make_unique<InterpreterEnd>(InterpreterEnd{state.viewer, state.graveyard, state.self});
  const PyRef capsule = PyRef::steal(PyCapsule_New(end.get(), nullptr, at_end));
  if (!capsule) return false;
  end.release();
  PyObject* dict = PyInterpreterState_GetDict(PyInterpreterState_Get());  // borrowed
  const PyRef key = py_text("intact " + std::to_string(state.viewer));
  const PyRef function = PyRef::steal(PyCFunction_New(&kAfterFork, capsule.get()));
  return dict != nullptr && key && PyDict_SetItem(dict, key.get(), capsule.get()) == 0 && function &&
         PyModule_AddObjectRef(module, "_after_fork", function.get()) == 0;
}

int exec(PyObject* module) {
  static const std::string other = other_engine();
  if (!other.empty()) {
    PyErr_Format(PyExc_ImportError, "another intact is loaded in this process: %s", other.c_str());
    return -1;
  }
#ifdef Py_GIL_DISABLED
  LoadLock::instance().set_waiting(
      []() -> void* { return PyThreadState_GetUnchecked() != nullptr ? PyEval_SaveThread() : nullptr; },
      [](void* thread) { retake_gil(static_cast<PyThreadState*>(thread)); });
#endif
  ModuleState& state = *new (PyModule_GetState(module)) ModuleState;
  state.viewer = engine().last_viewer.fetch_add(1) + 1;
  return prepare_end(module, state) && fill(state) && add_errors(module, state) && add_found_type(module, state) &&
                 add_loader_types(module, state) && add_finder_types(module, state) && add_mount_type(module, state)
             ? 0
             : -1;
}

// The module's types hold the module, which holds them, and so do importlib's (SourceFileLoader has a function of ours)
// and who is asked for a watched module or told of the tree: only the collector can end a sub-interpreter's. What else
// the state holds leads back to none of these. Clearing the types is enough to break the circle.
int traverse_module(PyObject* module, visitproc visit, void* arg) {
  const auto* state = static_cast<const ModuleState*>(PyModule_GetState(module));
  if (state == nullptr) return 0;
  for (const PyRef* held : {&state->finder_type,
                            &state->entry_finder_type,
                            &state->mount_type,
                            &state->found_type,
                            &state->source_loader_type,
                            &state->bytecode_loader_type,
                            &state->extension_loader_type,
                            &state->watched,
                            &state->tree_watcher,
                            &state->module_spec_type,
                            &state->call_with_frames_removed,
                            &state->file_get_data,
                            &state->source_path_stats,
                            &state->built_in_importer,
                            &state->frozen_importer,
                            &state->path_finder,
                            &state->path_finder_find_spec,
                            &state->file_finder_type,
                            &state->source_file_loader_type,
                            &state->importlib_globals,
                            &state->cache_from_source}) {
    Py_VISIT(held->get());
  }
  for (const ImportlibClass* held : {&state->path_finder_class, &state->file_finder_class, &state->source_loader_class,
                                     &state->source_file_loader_class}) {
    if (const int stop = held->traverse(visit, arg)) return stop;
  }
  return state->recorder.traverse(visit, arg);
}

void free_module(void* module) {
  void* memory = PyModule_GetState(static_cast<PyObject*>(module));
  if (memory == nullptr) return;
  auto* state = static_cast<ModuleState*>(memory);
  if (state->viewer == kEveryone) return;  // the module was never executed
  state->self->store(nullptr);
  state->~ModuleState();
}

PyMethodDef kFunctions[] = {
    {"stats", stats, METH_NOARGS,
     "stats($module)\n--\n\nCounts since the process began (modules_found: since the interpreter did), sizes in "
     "bytes."},
    {"images", list_images<image_facts>, METH_NOARGS,
     "images($module)\n--\n\n(path, \"graft\" | \"copy\" | \"file\", bytes copied, bytes mapped) of each shared object "
     "loaded."},
    {"_set_files", set_files, METH_O, nullptr},
    {"_contents", contents, METH_O, nullptr},
    {"_image_times", list_images<image_times>, METH_NOARGS, nullptr},
    {"_needed", needed, METH_O, nullptr},
    {"_mount_at", mount_at, METH_O, nullptr},
    {"_next_number", next_number, METH_NOARGS, nullptr},
    {"_roots", roots, METH_NOARGS, nullptr},
    {"_trace_start", trace_start, METH_NOARGS, nullptr},
    {"_trace_stop", trace_stop, METH_O, nullptr},
    {"_watch", watch, METH_VARARGS, nullptr},
    {"_watch_tree", watch_tree, METH_O, nullptr},
    {nullptr, nullptr, 0, nullptr},
};

PyModuleDef_Slot kModuleSlots[] = {
    {Py_mod_exec, reinterpret_cast<void*>(exec)},
#if PY_VERSION_HEX >= 0x030C0000
    {Py_mod_multiple_interpreters, Py_MOD_PER_INTERPRETER_GIL_SUPPORTED},
#endif
#if PY_VERSION_HEX >= 0x030D0000
    {Py_mod_gil, Py_MOD_GIL_NOT_USED},
#endif
    {0, nullptr},
};

PyModuleDef kModule = {PyModuleDef_HEAD_INIT, "_engine",  "The engine of intact.",
                       sizeof(ModuleState),   kFunctions, kModuleSlots,
                       traverse_module,       nullptr,    free_module};

}  // namespace

ModuleState& module_state(PyObject* module) { return *static_cast<ModuleState*>(PyModule_GetState(module)); }
ModuleState& type_state(PyTypeObject* defining_class) {
  return *static_cast<ModuleState*>(PyType_GetModuleState(defining_class));
}
ModuleState& object_state(PyTypeObject* type) { return module_state(PyType_GetModuleByDef(type, &kModule)); }

}  // namespace intact

PyMODINIT_FUNC PyInit__engine() { return PyModuleDef_Init(&intact::kModule); }
