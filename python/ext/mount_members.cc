// Looking into a mounted archive.

#include <numeric>
#include <optional>
#include <string_view>
#include <vector>

#include "core/elf/elf_file.h"
#include "python/ext/bytecode.h"
#include "python/ext/engine.h"
#include "python/ext/errors.h"
#include "python/ext/gil.h"
#include "python/ext/mount_object.h"
#include "python/ext/state.h"

namespace intact {
namespace {

constexpr std::string_view kElfMagic = "\177ELF";

// A member's path as it is listed, where a lone surrogate stands for a byte that is no UTF-8; null data() with an
// exception set for what is none. Only with such bytes `holder` comes to hold a copy.
std::string_view member_path(PyObject* path, PyRef& holder) {
  if (!PyUnicode_Check(path)) return PyErr_SetString(PyExc_TypeError, "a member's path is a str"), std::string_view();
  if (const std::string_view view = utf8_view(path); view.data() != nullptr) return view;
  PyErr_Clear();
  holder = PyRef::steal(PyUnicode_AsEncodedString(path, "utf-8", "surrogateescape"));
  if (!holder) return {};
  return {PyBytes_AS_STRING(holder.get()), static_cast<std::size_t>(PyBytes_GET_SIZE(holder.get()))};
}

}  // namespace

MountPtr held(PyObject* self) {
  MountPtr mount;
  Py_BEGIN_CRITICAL_SECTION(self);
  mount = mount_cast(self)->mount;
  Py_END_CRITICAL_SECTION();
  return mount;
}

MountPtr opened(PyObject* self) {
  MountPtr mount = held(self);
  if (!mount) PyErr_Format(PyExc_ValueError, "%U is unmounted", py_text(mount_cast(self)->options.name).get());
  return mount;
}

std::uint32_t node_of(PyObject* self, const Mount& mount, PyObject* argument) {
  PyRef holder;
  const std::string_view path = member_path(argument, holder);
  if (path.data() == nullptr) return kNone;
  const auto node = mount.index().find(path);
  if (node && !mount.index().is_directory(*node)) return *node;
  raise(object_state(Py_TYPE(self)), Error{ErrorCode::kNotFound, node ? "is a directory" : "no such member",
                                           mount.archive().name(), std::string(path)});
  return kNone;
}

PyObject* mount_read(PyObject* self, PyObject* argument) {
  const MountPtr mount = opened(self);
  const std::uint32_t node = mount ? node_of(self, *mount, argument) : kNone;
  if (node == kNone) return nullptr;
  return read_bytes(object_state(Py_TYPE(self)), {mount, node}).release();
}

PyObject* mount_stat(PyObject* self, PyObject* argument) {
  const MountPtr mount = opened(self);
  if (!mount) return nullptr;
  if (!PyUnicode_Check(argument)) return PyErr_SetString(PyExc_TypeError, "a member's path is a str"), nullptr;
  PyRef holder;
  const std::string_view path = path_view(argument, holder);
  const auto number = path.data() == nullptr ? std::nullopt : mount->index().find(path);
  if (!number) Py_RETURN_NONE;
  const std::uint32_t index = mount->index().node(*number).member;
  const Member member = index == kNone ? Member{} : mount->archive().member(index);
  const long long mtime = index == kNone ? 0 : mount->archive().mtime(index);
  return Py_BuildValue("(OKLI)", mount->index().is_directory(*number) ? Py_True : Py_False, member.size, mtime,
                       member.mode);
}

PyObject* mount_load(PyObject* self, PyObject* args) {
  PyObject* argument = nullptr;
  int mode = 0;
  if (!PyArg_ParseTuple(args, "Oi:_load", &argument, &mode)) return nullptr;
  const MountPtr mount = opened(self);
  const std::uint32_t node = mount ? node_of(self, *mount, argument) : kNone;
  if (node == kNone) return nullptr;
  if (const auto image = engine().images.load({mount, node}, mode); !image)
    return raise(object_state(Py_TYPE(self)), image.error());
  return py_text(mount->path_of(node)).release();
}

PyObject* mount_check(PyObject* self, PyObject* argument) {
  const MountPtr mount = opened(self);
  const std::uint32_t node = mount ? node_of(self, *mount, argument) : kNone;
  if (node == kNone) return nullptr;
  const Archive& archive = mount->archive();
  const std::uint32_t member = mount->index().node(node).member;
  bool shared_object = false;
  Error failure;
  bool failed = false;
  {
    const WithoutGil released;
    const auto bytes = archive.read(member);
    if (!bytes) {
      failure = bytes.error();
      failed = true;
    } else if (bytes->text().starts_with(kElfMagic) &&
               mount->index().node(node).name().find(".so") != std::string_view::npos) {
      shared_object = true;
      if (const auto elf = parse_elf(bytes->span()); !elf) {
        failure = elf.error();
        failure.archive = archive.name();
        failure.member = mount->index().node(node).path;
        failed = true;
      }
    }
  }
  return failed ? raise(object_state(Py_TYPE(self)), failure) : PyBool_FromLong(shared_object);
}

PyObject* mount_members(PyObject* self, PyObject*) {
  const MountPtr mount = opened(self);
  PyRef list = PyRef::steal(mount ? PyList_New(0) : nullptr);
  if (!list) return nullptr;
  const Index& index = mount->index();
  std::vector<std::uint32_t> numbers(index.directory_count() - 1);
  std::iota(numbers.begin(), numbers.end(), 1);  // without the root
  numbers.insert(numbers.end(), index.files().begin(), index.files().end());
  for (const std::uint32_t number : numbers) {
    const Node node = index.node(number);
    const Member member =
        node.member == kNone ? Member{.path = node.path, .directory = true} : mount->archive().member(node.member);
    const long long mtime = node.member == kNone ? 0 : mount->archive().mtime(node.member);
    const PyRef item =
        PyRef::steal(Py_BuildValue("(NOKKHIIKLO)", py_text(node.path).release(), node.directory ? Py_True : Py_False,
                                   member.size, member.packed_size, member.method, member.crc, member.mode,
                                   member.offset, mtime, member.encrypted ? Py_True : Py_False));
    if (!item || PyList_Append(list.get(), item.get()) < 0) return nullptr;
  }
  return list.release();
}

PyObject* mount_list(PyObject* self, PyObject* argument) {
  const MountPtr mount = opened(self);
  PyRef list = PyRef::steal(mount ? PyList_New(0) : nullptr);
  if (!list) return nullptr;
  PyRef holder;
  const std::string_view path = member_path(argument, holder);
  if (path.data() == nullptr) return nullptr;
  const Index& index = mount->index();
  const auto directory = index.find(path);
  if (!directory || !index.is_directory(*directory)) return list.release();
  for (const Child& child : index.children(*directory)) {
    const PyRef name = py_text(child.name);
    if (!name || PyList_Append(list.get(), name.get()) < 0) return nullptr;
  }
  return list.release();
}

PyObject* mount_iter(PyObject* self) {
  const MountPtr mount = opened(self);
  const PyRef list = PyRef::steal(mount ? PyList_New(0) : nullptr);
  if (!list) return nullptr;
  for (const std::uint32_t number : mount->index().files()) {
    const PyRef path = py_text(mount->index().node(number).path);
    if (!path || PyList_Append(list.get(), path.get()) < 0) return nullptr;
  }
  return PyObject_GetIter(list.get());
}

Py_ssize_t mount_length(PyObject* self) {
  const MountPtr mount = opened(self);
  return mount ? static_cast<Py_ssize_t>(mount->index().files().size()) : -1;
}

int mount_contains(PyObject* self, PyObject* item) {
  const MountPtr mount = opened(self);
  if (!mount) return -1;
  if (!PyUnicode_Check(item)) return 0;
  PyRef holder;
  const std::string_view path = member_path(item, holder);
  if (path.data() == nullptr) return -1;
  return !path.empty() && mount->index().find(path).has_value();
}

}  // namespace intact
