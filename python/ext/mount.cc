// Mount(source, root, …) opens and indexes an archive; attach() makes it visible, unmount() takes it out of the tree.
// Between the two the façade looks at a wheel's tags: nothing of a wheel for another interpreter is ever visible.

#include "python/ext/mount.h"

#include <fcntl.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <new>
#include <utility>

#include "core/archive/input.h"
#include "core/redirect/redirect.h"
#include "python/ext/bytecode.h"
#include "python/ext/engine.h"
#include "python/ext/errors.h"
#include "python/ext/mount_object.h"
#include "python/ext/open_source.h"
#include "python/ext/password.h"

namespace intact {
namespace {

std::shared_ptr<const Secret> password_of(PyObject* self) {
  std::shared_ptr<const Secret> password;
  Py_BEGIN_CRITICAL_SECTION(self);
  password = mount_cast(self)->password;
  Py_END_CRITICAL_SECTION();
  return password;
}

// A path as the file system's bytes, "" for none; false with a UnicodeEncodeError set where it has no such bytes.
bool path_text(PyObject* text, std::string& bytes) {
  PyRef holder;
  if (text == nullptr) return true;
  const std::string_view view = path_view(text, holder);
  if (view.data() == nullptr) return !PyUnicode_Check(text) || PyRef::steal(PyUnicode_EncodeFSDefault(text));
  bytes = view;
  return true;
}

bool strings_of(PyObject* sequence, std::vector<std::string>& strings) {
  if (PyUnicode_Check(sequence))
    return PyErr_SetString(PyExc_TypeError, "prefixes is a sequence of str, not a str"), false;
  const PyRef items = PyRef::steal(PySequence_Tuple(sequence));
  for (Py_ssize_t i = 0; items && i < PyTuple_GET_SIZE(items.get()); ++i) {
    PyObject* item = PyTuple_GET_ITEM(items.get(), i);
    const std::string_view text = PyUnicode_Check(item) ? utf8_view(item) : std::string_view();
    if (text.empty()) {
      if (!PyErr_Occurred()) PyErr_SetString(PyExc_TypeError, "a prefix is a non-empty str");
      return false;
    }
    strings.emplace_back(text.substr(0, text.find_last_not_of('/') + 1));
  }
  return static_cast<bool>(items);
}

// A converter of PyArg_Parse: a count that is negative or beyond 64 bits is an OverflowError.
int count_of(PyObject* number, void* count) {
  const unsigned long long value = PyLong_AsUnsignedLongLong(number);
  if (value == static_cast<unsigned long long>(-1) && PyErr_Occurred()) return 0;
  *static_cast<std::uint64_t*>(count) = value;
  return 1;
}

// "cpython-311-x86_64-linux-gnu", from the suffix of this interpreter's own extension modules (PEP 3149).
std::string abi_tag(const ImportRules& rules) {
  const std::string& suffix = rules.extension_suffixes.front();
  return suffix.substr(1, suffix.rfind('.') - 1);
}

PyObject* make_object(PyTypeObject* type, MountOptions options, MountPtr mount, bool attached,
                      std::shared_ptr<const Secret> password = nullptr) {
  PyObject* self = type->tp_alloc(type, 0);
  if (self == nullptr) return nullptr;
  new (&mount_cast(self)->options) MountOptions(std::move(options));
  new (&mount_cast(self)->mount) MountPtr(std::move(mount));
  mount_cast(self)->attached = attached;
  new (&mount_cast(self)->password) std::shared_ptr<const Secret>(std::move(password));
  return self;
}

// Another object for the same mount: of the façade's type, for one that was made before the façade could be imported.
PyObject* share_mount(PyTypeObject* type, PyObject* other) {
  return make_object(type, mount_cast(other)->options, held(other), mount_cast(other)->attached, password_of(other));
}

PyObject* mount_new(PyTypeObject* type, PyObject* args, PyObject* keywords) {
  static const char* const kNames[] = {"source",
                                       "root",
                                       "name",
                                       "prefixes",
                                       "first",
                                       "files",
                                       "extract",
                                       "descriptor",
                                       "window",
                                       "shared",
                                       "member",
                                       "spill",
                                       "links",
                                       "password",
                                       "trusted",
                                       "max_members",
                                       "max_member_size",
                                       "max_directory_size",
                                       "max_unpacked_size",
                                       nullptr};
  PyObject *source = nullptr, *root = nullptr, *name = nullptr, *prefixes = nullptr;
  PyObject *extract = nullptr, *member = nullptr, *spill = nullptr, *password = Py_None;
  int first = 0, files = 1, links = 1, shared = 1, trusted = 0;
  OpenedFile file;
  std::shared_ptr<const Secret> answer;
  OpenOptions opening;
  Limits& limits = opening.limits;
  if (!PyArg_ParseTupleAndKeywords(args, keywords, "OUUO|$ppUiO&pUUpOpO&O&O&O&:Mount", const_cast<char**>(kNames),
                                   &source, &root, &name, &prefixes, &first, &files, &extract, &file.descriptor,
                                   window_of, &file.window, &shared, &member, &spill, &links, &password, &trusted,
                                   count_of, &limits.members, count_of, &limits.member_size, count_of,
                                   &limits.directory_size, count_of, &limits.unpacked_size)) {
    return nullptr;
  }
  ModuleState& state = object_state(type);
  const bool is_mount = PyObject_TypeCheck(source, reinterpret_cast<PyTypeObject*>(state.mount_type.get())) != 0;
  if (is_mount && member == nullptr) return share_mount(type, source);
  state.graveyard->empty();
  if (PyUnicode_Check(source) && file.descriptor < 0 && !audit_open(source)) return nullptr;
  opening.follow_links = links != 0;
  opening.trusted = trusted != 0;
  MountOptions options;
  options.first = first != 0;
  options.files = files != 0;
  options.owner = shared ? kEveryone : state.viewer;
  if (!path_text(root, options.root) || !path_text(name, options.name) || !path_text(spill, opening.spill_directory) ||
      !path_text(extract, options.extract_directory) || !strings_of(prefixes, options.prefixes)) {
    return nullptr;
  }
  if (password != Py_None) opening.password = password_from(password, answer);
  Result<std::unique_ptr<Archive>> archive = std::unique_ptr<Archive>();
  if (is_mount) {
    const MountPtr outer = opened(source);
    const std::uint32_t node = outer ? node_of(source, *outer, member) : kNone;
    if (node == kNone) return nullptr;
    archive = open_member_archive({outer, node}, options.root, opening);
  } else {
    archive = open_source(state, source, file, options.name, opening);
  }
  if (!archive) return PyErr_Occurred() ? nullptr : raise(state, archive.error());
  const std::string_view format = (*archive)->format();
  // What the file system itself answers needs no redirect.
  if (format == "directory") options.files = false;
  // What an app has for this interpreter alone (docs/formats/app.md) lies in a directory named after its ABI.
  if (format == "app") options.prefixes.push_back(".intact/" + abi_tag(state.rules));
  options.most_directories = limits.members;
  auto mount = std::make_shared<const Mount>(*std::move(archive), options, state.rules);
  if (!mount->index().whole()) {
    const std::string most = std::to_string(limits.members);
    return raise(state, Error{ErrorCode::kArchive, "more directories than the limit of " + most, options.name});
  }
  return make_object(type, std::move(options), std::move(mount), false, std::move(answer));
}

void mount_dealloc(PyObject* self) {
  // A mount that nobody holds stays mounted: only unmount() ends it.
  mount_cast(self)->mount.~MountPtr();
  mount_cast(self)->password.~shared_ptr();
  mount_cast(self)->options.~MountOptions();
  PyTypeObject* type = Py_TYPE(self);
  type->tp_free(self);
  PyRef::steal(reinterpret_cast<PyObject*>(type));
}

PyObject* mount_attach(PyObject* self, PyObject*) {
  const MountPtr mount = opened(self);
  if (!mount) return nullptr;
  engine().tree.attach(mount);
  if (mount->options().files) enable_redirect(engine().tree, engine().images);
  mount_cast(self)->attached = true;
  Py_RETURN_NONE;
}

PyObject* mount_detach(PyObject* self, PyObject*) {
  MountPtr mount;
  Py_BEGIN_CRITICAL_SECTION(self);
  mount.swap(mount_cast(self)->mount);
  mount_cast(self)->password.reset();
  Py_END_CRITICAL_SECTION();
  const bool was_there = mount && mount_cast(self)->attached && engine().tree.unmount(*mount);
  mount.reset();
  object_state(Py_TYPE(self)).graveyard->empty();
  return PyBool_FromLong(was_there);
}

// (a descriptor of the caller's own, at least `minimum`, of what the archive is read from; the window of it that is the
// archive, or None); None for memory.
PyObject* mount_duplicate(PyObject* self, PyObject* minimum) {
  const MountPtr mount = opened(self);
  const long least = mount ? PyLong_AsLong(minimum) : -1;
  if (!mount || (least == -1 && PyErr_Occurred())) return nullptr;
  const Archive& archive = mount->archive();
  if (archive.descriptor() < 0) Py_RETURN_NONE;
  const int own = ::fcntl(archive.descriptor(), F_DUPFD_CLOEXEC, static_cast<int>(least));
  if (own < 0) return PyErr_SetFromErrno(PyExc_OSError);
  const auto window = archive.input() == nullptr ? std::nullopt : archive.input()->window();
  return window ? Py_BuildValue("i(KK)", own, window->offset, window->size) : Py_BuildValue("iO", own, Py_None);
}

// The bytes of memory that the archive is read from, copied.
PyObject* mount_memory(PyObject* self, PyObject*) {
  const MountPtr mount = opened(self);
  if (!mount) return nullptr;
  const Input* const input = mount->archive().input();
  const std::string_view text = input == nullptr ? std::string_view() : input->memory().text();
  return PyBytes_FromStringAndSize(text.data(), static_cast<Py_ssize_t>(text.size()));
}

// What the archive was given when it asked, for a child process; None if it did not.
PyObject* mount_password(PyObject* self, PyObject*) {
  const auto password = password_of(self);
  if (!password) Py_RETURN_NONE;
  return PyBytes_FromStringAndSize(password->view().data(), static_cast<Py_ssize_t>(password->view().size()));
}

PyObject* mount_repr(PyObject* self) {
  const PyRef root = py_text(mount_cast(self)->options.root);
  return root ? PyUnicode_FromFormat("<intact.Mount %R%s>", root.get(), held(self) ? "" : " (unmounted)") : nullptr;
}

PyObject* get_root(PyObject* self, void*) { return py_text(mount_cast(self)->options.root).release(); }
PyObject* get_name(PyObject* self, void*) { return py_text(mount_cast(self)->options.name).release(); }
PyObject* get_first(PyObject* self, void*) { return PyBool_FromLong(mount_cast(self)->options.first); }
PyObject* get_files(PyObject* self, void*) { return PyBool_FromLong(mount_cast(self)->options.files); }
PyObject* get_shared(PyObject* self, void*) { return PyBool_FromLong(mount_cast(self)->options.owner == kEveryone); }
PyObject* get_mounted(PyObject* self, void*) { return PyBool_FromLong(held(self) && mount_cast(self)->attached); }
PyObject* get_format(PyObject* self, void*) {
  const MountPtr mount = opened(self);
  return mount ? PyUnicode_FromString(mount->archive().format()) : nullptr;
}

PyObject* get_unreachable(PyObject* self, void*) {
  const MountPtr mount = opened(self);
  return mount ? PyLong_FromSize_t(mount->archive().unreachable()) : nullptr;
}

PyMethodDef kMethods[] = {
    {"read", mount_read, METH_O,
     "read($self, path, /)\n--\n\nThe bytes of the member at `path`, relative to the root.\n\n"
     "Raises FileNotFoundError if there is none, MemberError if it is broken, PasswordError if it is encrypted\n"
     "and no password or the wrong one was given."},
    {"_attach", mount_attach, METH_NOARGS, nullptr},
    {"_detach", mount_detach, METH_NOARGS, nullptr},
    {"_check", mount_check, METH_O, nullptr},
    {"_duplicate", mount_duplicate, METH_O, nullptr},
    {"_list", mount_list, METH_O, nullptr},
    {"_load", mount_load, METH_VARARGS, nullptr},
    {"_memory", mount_memory, METH_NOARGS, nullptr},
    {"_members", mount_members, METH_NOARGS, nullptr},
    {"_password", mount_password, METH_NOARGS, nullptr},
    {"_stat", mount_stat, METH_O, nullptr},
    {nullptr, nullptr, 0, nullptr},
};
PyGetSetDef kProperties[] = {
    {"root", get_root, nullptr, "The absolute path under which the members appear.", nullptr},
    {"name", get_name, nullptr, "The name given to mount(), else the archive's path.", nullptr},
    {"first", get_first, nullptr, "Whether its modules may shadow the standard library's.", nullptr},
    {"files", get_files, nullptr, "Whether file functions are answered below the root.", nullptr},
    {"mounted", get_mounted, nullptr, "False before mount() has finished and after unmount().", nullptr},
    {"shared", get_shared, nullptr, "Whether every interpreter imports from it, or the one that mounted it.", nullptr},
    {"_unreachable", get_unreachable, nullptr, nullptr, nullptr},
    {"format", get_format, nullptr,
     "\"zip\", \"app\", \"directory\", \"tar.xz\", \"7z\": what it is and what it is packed with.", nullptr},
    {nullptr, nullptr, nullptr, nullptr, nullptr},
};
PyType_Slot kSlots[] = {
    {Py_tp_new, reinterpret_cast<void*>(mount_new)},
    {Py_tp_dealloc, reinterpret_cast<void*>(mount_dealloc)},
    {Py_tp_repr, reinterpret_cast<void*>(mount_repr)},
    {Py_tp_iter, reinterpret_cast<void*>(mount_iter)},
    {Py_sq_length, reinterpret_cast<void*>(mount_length)},
    {Py_sq_contains, reinterpret_cast<void*>(mount_contains)},
    {Py_tp_methods, kMethods},
    {Py_tp_getset, kProperties},
    {Py_tp_doc,
     const_cast<char*>("An archive, opened and indexed. len() counts its files, iterating gives their paths.")},
    {0, nullptr},
};
PyType_Spec kSpec = {"intact._engine.Mount", sizeof(MountObject), 0, Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE, kSlots};

}  // namespace

PyObject* mount_at(PyObject* module, PyObject* path) {
  const ModuleState& state = module_state(module);
  PyRef holder;
  const std::string_view root = path_view(path, holder);
  MountPtr found;
  {
    const ReadGuard tree(engine().tree);
    const auto fits = [&](const MountPtr& mount) {
      return mount->root() == root && mount->options().shown_to(state.viewer) &&
             mount->archive().format() != std::string_view("directory");
    };
    const auto newest = std::find_if(tree->mounts().begin(), tree->mounts().end(), fits);
    if (newest == tree->mounts().end()) Py_RETURN_NONE;
    found = *newest;
  }
  return make_object(reinterpret_cast<PyTypeObject*>(state.mount_type.get()), found->options(), found, true);
}

bool add_mount_type(PyObject* module, ModuleState& state) {
  state.mount_type = PyRef::steal(PyType_FromModuleAndSpec(module, &kSpec, nullptr));
  return state.mount_type && PyModule_AddObjectRef(module, "Mount", state.mount_type.get()) == 0;
}

}  // namespace intact
