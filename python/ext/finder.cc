// Finder answers `import` from the module index (PEP 451); EntryFinder answers for one directory below a root, for
// whatever walks sys.path or __path__ itself (PEP 302 path hooks): pkgutil, a package that edits its __path__, a
// program that puts a directory of an archive on sys.path.
//
// Finder gives only what is certain: what a mount has, and what plain directories before it have or have not. Where
// more has a say (a namespace package, a path hook or a finder of the program's) it gives nothing, PathFinder walks the
// path as always, and EntryFinder gives our part of it: namespace packages with portions in several mounts and on disk
// need no code here.

#include "python/ext/finder.h"

#include <limits.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <span>

#include "core/base/path.h"
#include "python/ext/engine.h"
#include "python/ext/errors.h"
#include "python/ext/file_finder.h"
#include "python/ext/spec.h"

namespace intact {
namespace {

struct EntryFinder {
  PyObject_HEAD
  PyObject* path;
};

std::string_view last_component(std::string_view dotted) { return dotted.substr(dotted.rfind('.') + 1); }

std::string join(std::string_view directory, std::string_view name) {
  std::string path(directory);
  if (!path.empty()) path += '/';
  return path += name;
}

// The module called `name` in a directory below a root, over all layers of that root: the newest that is a regular one,
// else the newest namespace portion.
std::optional<Found> find_in(Viewer viewer, const Root& root, std::string_view directory, std::string_view name) {
  const std::string stem = join(directory, name);
  std::optional<Found> portion;
  for (const MountPtr& mount : root.mounts) {
    if (!mount->options().shown_to(viewer)) continue;
    const auto module = mount->index().find_module(stem);
    if (module && module->kind != ModuleKind::kNamespace) return Found{mount, *module};
    if (module && !portion) portion = Found{mount, *module};
  }
  return portion;
}

std::optional<Found> find_in(Viewer viewer, const Snapshot& tree, std::string_view directory, std::string_view name) {
  std::string storage;
  const auto [root, rest] = tree.normal_root_of(directory, storage, viewer);
  return root == nullptr ? std::nullopt : find_in(viewer, *root, rest, name);
}

// A directory of an archive that stands on sys.path wins over the module index, as it does over site-packages
// when it stands before it.
std::optional<Found> find_on_sys_path(Viewer viewer, const Snapshot& tree, std::string_view name) {
  const PyRef entries = sys_item("path");
  if (!entries || !PyList_Check(entries.get())) return std::nullopt;
  for (Py_ssize_t i = 0; const PyRef entry = list_item(entries.get(), i); ++i) {
    PyRef holder;
    std::string storage;
    const auto [root, rest] = tree.normal_root_of(path_view(entry.get(), holder), storage, viewer);
    if (root == nullptr || rest.empty()) continue;
    if (auto found = find_in(viewer, *root, rest, name); found && found->module.kind != ModuleKind::kNamespace)
      return found;
  }
  return std::nullopt;
}

// -1 with an exception set on failure.
int in_standard_library(ModuleState& state, PyObject* name) {
  return PySet_Contains(state.stdlib_module_names.get(), name);
}

// Whether sys.path[0], the script's directory or the current one, has the module: a neighbour of the script comes
// before site-packages, as which a mount ranks. PathFinder looks there, and finds it again when it is asked. -1 with an
// exception set on failure: path hooks are anybody's code.
int beside_script(ModuleState& state, const Snapshot& tree, PyObject* name) {
  const PyRef entries = sys_item("path");
  const PyRef entry = entries && PyList_Check(entries.get()) ? list_item(entries.get(), 0) : PyRef();
  if (!entry) return 0;
  PyRef holder;
  std::string storage;
  const std::string_view path = path_view(entry.get(), holder);
  if (path.data() == nullptr || tree.normal_root_of(path, storage, state.viewer).first != nullptr) return 0;
  if (const auto spec = find_on_disk(state, entry.get(), name, utf8_view(name))) return static_cast<bool>(*spec);
  const PyRef places = PyErr_Occurred() ? PyRef() : PyRef::steal(PyList_New(0));
  if (!places || PyList_Append(places.get(), entry.get()) < 0) return -1;
  const PyRef spec = py_call(state.path_finder_find_spec.get(), name, places.get());
  if (!spec || spec.get() == Py_None) return spec ? 0 : -1;
  const PyRef loader = PyRef::steal(PyObject_GetAttrString(spec.get(), "loader"));
  return !loader ? -1 : loader.get() != Py_None;  // a namespace portion has none
}

// A module that is built in or frozen is never shadowed, not even by a mount that comes first. Programs that embed
// Python have some that are not the standard library's.
bool in_interpreter(ModuleState& state, PyObject* name) {
  const int built_in = PySet_Contains(state.builtin_module_names.get(), name);
  const PyRef frozen = built_in == 0 ? py_call(state.is_frozen.get(), name) : PyRef();
  return built_in == 1 || (frozen && frozen.get() == Py_True);
}

// Whether what the entries of sys.path or __path__ say is what import will find: PathFinder is asked after `finder`, or
// after those for what is built in or frozen, which has been looked for.
bool path_finder_follows(ModuleState& state, PyObject* finder) {
  const PyRef finders = sys_item("meta_path");
  if (!finders || !PyList_Check(finders.get())) return false;
  bool after = false;
  for (Py_ssize_t i = 0; const PyRef next = list_item(finders.get(), i); ++i) {
    if (after && next.get() == state.path_finder.get()) return true;
    if (after && next.get() != state.built_in_importer.get() && next.get() != state.frozen_importer.get()) return false;
    after = after || next.get() == finder;
  }
  return false;
}

// What the entries of `path`, which is sys.path or the parent's __path__, say in their order. Only what is certain: not
// a namespace package, whose portions PathFinder gathers. Null: not there, not certain, or an exception is set.
PyRef find_on_path(ModuleState& state, const Snapshot& tree, PyObject* finder, PyObject* path, PyObject* fullname) {
  if (PyIter_Check(path)) return {};  // PathFinder would find it used up
  const PyRef entries = PyList_Check(path) ? PyRef::borrow(path) : PyRef::steal(PySequence_List(path));
  if (!entries && PyErr_ExceptionMatches(PyExc_TypeError)) PyErr_Clear();  // PathFinder says what it thinks of it
  const std::string_view name = last_component(utf8_view(fullname));
  bool disk = false;
  for (Py_ssize_t i = 0; const PyRef entry = entries ? list_item(entries.get(), i) : PyRef(); ++i) {
    PyRef holder;
    std::string storage;
    const auto [root, rest] = tree.normal_root_of(path_view(entry.get(), holder), storage, state.viewer);
    if (root != nullptr) {
      auto found = find_in(state.viewer, *root, rest, name);
      if (!found) continue;
      const bool top_level = name.size() == utf8_view(fullname).size();
      if (found->module.kind == ModuleKind::kNamespace || (top_level && in_interpreter(state, fullname))) return {};
      return make_spec(state, fullname, *std::move(found));
    }
    disk = disk || (path_finder_follows(state, finder) && !in_interpreter(state, fullname));
    if (!disk) return {};
    auto spec = find_on_disk(state, entry.get(), fullname, name);
    if (!spec || *spec) return spec ? *std::move(spec) : PyRef();
  }
  return {};
}

// What the mounts that have a top-level name say of it, which rank as site-packages does. Nothing: not theirs to say,
// or an exception is set.
std::optional<Found> find_in_mounts(ModuleState& state, const Snapshot& tree, PyObject* name,
                                    const std::vector<const Mount*>& mounts) {
  const auto shown = [&](const Mount* mount) { return mount->options().shown_to(state.viewer); };
  const auto newest = std::ranges::find_if(mounts, shown);
  if (newest == mounts.end()) return std::nullopt;
  const std::string_view text = utf8_view(name);
  const int standard = in_standard_library(state, name);
  if (standard < 0 || in_interpreter(state, name)) return std::nullopt;
  if (standard == 0) {
    if (auto found = find_on_sys_path(state.viewer, tree, text)) return found;
    if (!(*newest)->options().first && beside_script(state, tree, name) != 0) return std::nullopt;
  }
  for (const Mount* mount : mounts) {
    if (!shown(mount) || (standard == 1 && !mount->options().first)) continue;
    const auto module = mount->index().find_module(text);
    if (module && module->kind != ModuleKind::kNamespace) return Found{tree.pin(mount), *module};
  }
  return std::nullopt;
}

// Null: not there, not certain, or an exception is set. Of the disk only the standard library is asked for here: of
// other names most are nowhere, and would be looked for in vain twice.
PyRef find_top_level(ModuleState& state, const Snapshot& tree, PyObject* finder, PyObject* name) {
  if (const auto mounts = tree.top_level(utf8_view(name)); !mounts.empty()) {
    if (auto found = find_in_mounts(state, tree, name, mounts)) return make_spec(state, name, *std::move(found));
    if (PyErr_Occurred()) return {};
  }
  if (in_standard_library(state, name) != 1) return {};
  const PyRef path = sys_item("path");
  return path && PyList_Check(path.get()) ? find_on_path(state, tree, finder, path.get(), name) : PyRef();
}

// The arguments of find_spec by position or by name, into `values`, which has a place for each of `names`.
bool read_arguments(std::span<const char* const> names, std::span<PyObject*> values, PyObject* const* args,
                    std::size_t count, PyObject* keywords) {
  std::copy_n(args, std::min(count, values.size()), values.begin());
  const std::size_t named = keywords == nullptr ? 0 : static_cast<std::size_t>(PyTuple_GET_SIZE(keywords));
  bool good = count <= names.size();
  for (std::size_t i = 0; good && i < named; ++i) {
    PyObject* keyword = PyTuple_GET_ITEM(keywords, static_cast<Py_ssize_t>(i));
    const auto at = std::find_if(names.begin(), names.end(), [&](const char* name) {
      return PyUnicode_CompareWithASCIIString(keyword, name) == 0;
    });
    good = at != names.end() && values[static_cast<std::size_t>(at - names.begin())] == nullptr;
    if (good) values[static_cast<std::size_t>(at - names.begin())] = args[count + i];
  }
  if (good && values[0] != nullptr && PyUnicode_Check(values[0])) return true;
  PyErr_SetString(PyExc_TypeError, "find_spec takes fullname, a str, and what its signature says");
  return false;
}

// Other interpreters mount and unmount, too: this one's sys.path follows before it is walked, if it can now. False with
// an exception set.
bool follow_tree(ModuleState& state) {
  const std::uint64_t version = engine().tree.version();
  if (!state.tree_watcher || state.tree_version.load() == version) return true;
  const PyRef followed = py_call(state.tree_watcher.get());
  if (followed.get() == Py_True) state.tree_version.store(version);
  return static_cast<bool>(followed);
}

// find_spec(fullname, path=None, target=None)
PyObject* finder_find_spec(PyObject* self, PyTypeObject* type, PyObject* const* args, std::size_t count,
                           PyObject* keywords) {
  static constexpr const char* kNames[] = {"fullname", "path", "target"};
  PyObject* values[3] = {};
  if (!read_arguments(kNames, values, args, count, keywords)) return nullptr;
  const auto [fullname, path, target] = values;
  if (utf8_view(fullname).data() == nullptr) return PyErr_Clear(), PyRef::borrow(Py_None).release();
  ModuleState& state = type_state(type);
  if (const PyRef watcher = dict_item(state.watched.get(), fullname)) return py_call(watcher.get(), fullname).release();
  if (PyErr_Occurred()) return nullptr;
  if (!follow_tree(state)) return nullptr;
  PyRef spec;
  {
    const ReadGuard tree(engine().tree);
    spec = path == nullptr || path == Py_None ? find_top_level(state, *tree, self, fullname)
                                              : find_on_path(state, *tree, self, path, fullname);
  }
  if (PyErr_Occurred()) return nullptr;
  return spec ? spec.release() : PyRef::borrow(Py_None).release();
}

PyObject* finder_invalidate_caches(PyObject*, PyObject*) { Py_RETURN_NONE; }

PyMethodDef kFinderMethods[] = {
    {"find_spec", as_function(finder_find_spec), METH_METHOD | METH_FASTCALL | METH_KEYWORDS,
     "find_spec($self, fullname, path=None, target=None)\n--\n\n"
     "The ModuleSpec of a module in a mount, or in a directory on disk, or None (PEP 451)."},
    {"invalidate_caches", finder_invalidate_caches, METH_NOARGS,
     "invalidate_caches($self)\n--\n\nDoes nothing: what is in a mount never changes."},
    {nullptr, nullptr, 0, nullptr},
};
PyType_Slot kFinderSlots[] = {
    {Py_tp_methods, kFinderMethods},
    {Py_tp_doc, const_cast<char*>("Meta path finder for every mounted archive, and for plain directories.")},
    {0, nullptr},
};
PyType_Spec kFinderSpec = {"intact._engine.Finder", sizeof(PyObject), 0, Py_TPFLAGS_DEFAULT, kFinderSlots};

// ---- one directory

void entry_dealloc(PyObject* self) {
  Py_CLEAR(reinterpret_cast<EntryFinder*>(self)->path);
  PyTypeObject* type = Py_TYPE(self);
  type->tp_free(self);
  PyRef::steal(reinterpret_cast<PyObject*>(type));
}

// A relative path means what it means now, as to FileFinder.
PyRef absolute(PyObject* path) {
  PyRef holder;
  const std::string_view text = path_view(path, holder);
  char directory[PATH_MAX];
  if (text.empty() || text.front() == '/' || ::getcwd(directory, sizeof directory) == nullptr)
    return PyRef::borrow(path);
  return py_text(normal_path(join(directory, text)));
}

// Whether `path` lies where roots of bytes are, /intact/NAME, and none of them is mounted there. Its finder finds what
// is mounted later and nothing until then. Were the path declined, a thread that mounts meanwhile would have importlib
// take it for a directory on disk, in which it writes bytecode; and where it cannot, below the current directory. A
// real /intact has directories of its own.
bool below_private_root(const Snapshot& tree, std::string_view path, Viewer viewer) {
  constexpr std::string_view kPrivate = "/intact/";
  std::string storage;
  struct stat status;
  return path.starts_with(kPrivate) && normal_path(path).starts_with(kPrivate) &&
         tree.normal_root_of(path, storage, viewer).first == nullptr && ::lstat("/intact", &status) != 0;
}

// EntryFinder(path): the path hook. ImportError for what is no directory of ours, as PEP 302 wants it.
PyObject* entry_new(PyTypeObject* type, PyObject* args, PyObject*) {
  PyObject* given = nullptr;
  if (!PyArg_ParseTuple(args, "O:EntryFinder", &given)) return nullptr;
  PyRef path = absolute(given), holder;
  if (!path) return nullptr;
  const std::string_view text = path_view(path.get(), holder);
  const Viewer viewer = object_state(type).viewer;
  bool taken = false;
  {
    const ReadGuard tree(engine().tree);
    const auto place = tree->lookup(text, viewer);
    taken = place ? place->directory() : below_private_root(*tree, text, viewer);
  }
  if (!taken) {
    PyErr_SetString(PyExc_ImportError, "not a directory of a mounted archive");
    return nullptr;
  }
  PyObject* self = type->tp_alloc(type, 0);
  if (self != nullptr) reinterpret_cast<EntryFinder*>(self)->path = path.release();
  return self;
}

std::string_view entry_path(PyObject* self, PyRef& holder) {
  return path_view(reinterpret_cast<EntryFinder*>(self)->path, holder);
}

PyObject* entry_find_spec(PyObject* self, PyTypeObject* type, PyObject* const* args, std::size_t count,
                          PyObject* keywords) {
  static constexpr const char* kNames[] = {"fullname", "target"};
  PyObject* values[2] = {};
  if (!read_arguments(kNames, values, args, count, keywords)) return nullptr;
  const std::string_view name = utf8_view(values[0]);
  if (name.data() == nullptr) return PyErr_Clear(), PyRef::borrow(Py_None).release();
  std::optional<Found> found;
  {
    PyRef holder;
    found = find_in(type_state(type).viewer, *ReadGuard(engine().tree), entry_path(self, holder), last_component(name));
  }
  if (!found) Py_RETURN_NONE;
  return make_spec(type_state(type), values[0], *std::move(found)).release();
}

// What pkgutil.iter_modules wants of a finder: (prefix + name, is a package) of each module, sorted.
PyObject* entry_iter_modules(PyObject* self, PyObject* args) {
  const char* prefix = "";
  if (!PyArg_ParseTuple(args, "|s:iter_modules", &prefix)) return nullptr;
  PyRef modules = PyRef::steal(PyList_New(0));
  if (!modules) return nullptr;
  const ReadGuard tree(engine().tree);
  PyRef holder;
  std::string storage;
  const Viewer viewer = type_state(Py_TYPE(self)).viewer;
  const auto [root, rest] = tree->normal_root_of(entry_path(self, holder), storage, viewer);
  if (root == nullptr) return modules.release();
  const PyRef seen = PyRef::steal(PySet_New(nullptr));
  if (!seen) return nullptr;
  for (const Place& place : tree->list(*root, rest)) {
    const std::string_view name = place.get().name();
    const std::string_view stem = name.substr(0, name.find('.'));
    const auto found = find_in(viewer, *root, rest, stem);
    if (!found || found->module.kind == ModuleKind::kNamespace || stem == "__init__") continue;
    const PyRef text = py_text(prefix + std::string(stem));
    if (!text) return nullptr;
    const int known = PySet_Contains(seen.get(), text.get());
    if (known == 1) continue;
    const PyRef item = PyRef::steal(PyTuple_Pack(2, text.get(), found->module.package ? Py_True : Py_False));
    if (known < 0 || !item || PySet_Add(seen.get(), text.get()) < 0 || PyList_Append(modules.get(), item.get()) < 0)
      return nullptr;
  }
  if (PyList_Sort(modules.get()) < 0) return nullptr;
  return modules.release();
}

PyObject* entry_repr(PyObject* self) {
  return PyUnicode_FromFormat("intact.EntryFinder(%R)", reinterpret_cast<EntryFinder*>(self)->path);
}

PyObject* entry_get_path(PyObject* self, void*) {
  return PyRef::borrow(reinterpret_cast<EntryFinder*>(self)->path).release();
}

PyMethodDef kEntryMethods[] = {
    {"find_spec", as_function(entry_find_spec), METH_METHOD | METH_FASTCALL | METH_KEYWORDS,
     "find_spec($self, fullname, target=None)\n--\n\n"
     "The ModuleSpec of a module in this directory, a namespace portion included, or None."},
    {"invalidate_caches", finder_invalidate_caches, METH_NOARGS,
     "invalidate_caches($self)\n--\n\nDoes nothing: what is in a mount never changes."},
    {"iter_modules", entry_iter_modules, METH_VARARGS,
     "iter_modules($self, prefix='')\n--\n\nPairs (prefix + name, is a package) of the modules in this directory."},
    {nullptr, nullptr, 0, nullptr},
};
PyGetSetDef kEntryProperties[] = {
    {"path", entry_get_path, nullptr, "The directory, below the root of a mount.", nullptr},
    {nullptr, nullptr, nullptr, nullptr, nullptr},
};
PyType_Slot kEntrySlots[] = {
    {Py_tp_dealloc, reinterpret_cast<void*>(entry_dealloc)},
    {Py_tp_new, reinterpret_cast<void*>(entry_new)},
    {Py_tp_repr, reinterpret_cast<void*>(entry_repr)},
    {Py_tp_methods, kEntryMethods},
    {Py_tp_getset, kEntryProperties},
    {Py_tp_doc, const_cast<char*>(
                    "EntryFinder(path)\n--\n\nPath entry finder for one directory of a mounted archive (PEP 302).\n\n"
                    "Raises ImportError if `path` is none and can be none: below /intact/ it may be mounted yet.")},
    {0, nullptr},
};
PyType_Spec kEntrySpec = {"intact._engine.EntryFinder", sizeof(EntryFinder), 0, Py_TPFLAGS_DEFAULT, kEntrySlots};

}  // namespace

bool add_finder_types(PyObject* module, ModuleState& state) {
  state.finder_type = PyRef::steal(PyType_FromModuleAndSpec(module, &kFinderSpec, nullptr));
  state.entry_finder_type = PyRef::steal(PyType_FromModuleAndSpec(module, &kEntrySpec, nullptr));
  return state.finder_type && state.entry_finder_type &&
         PyModule_AddObjectRef(module, "Finder", state.finder_type.get()) == 0 &&
         PyModule_AddObjectRef(module, "EntryFinder", state.entry_finder_type.get()) == 0;
}

}  // namespace intact
