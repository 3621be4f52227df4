// What a Mount object holds, and its methods that look into the archive (mount_members.cc).

#pragma once

#include <atomic>
#include <memory>

#include "core/base/secret.h"
#include "core/tree/tree.h"
#include "python/ext/pyref.h"

namespace intact {

struct MountObject {
  PyObject_HEAD
  MountPtr mount;        // null once unmounted; critical section
  MountOptions options;  // never changes
  std::atomic<bool> attached;
  std::shared_ptr<const Secret> password;  // that the archive has asked for; null if it did not. As `mount`
};

inline MountObject* mount_cast(PyObject* self) { return reinterpret_cast<MountObject*>(self); }

// The mount of an object; null when it is unmounted.
MountPtr held(PyObject* self);

// The same, null with ValueError set.
MountPtr opened(PyObject* self);

// The node of a file at a member path given by a user; kNone with an exception set.
std::uint32_t node_of(PyObject* self, const Mount& mount, PyObject* path);

PyObject* mount_read(PyObject* self, PyObject* path);
// (directory, size, mtime, mode) of a member path, None if there is none. What no member names has zeros.
PyObject* mount_stat(PyObject* self, PyObject* path);
// Loads the shared object at a member path, as dlopen with a mode would, and gives the path under which the C library
// has it from then on. The mount need not be visible.
PyObject* mount_load(PyObject* self, PyObject* arguments);
// Whether the member is a shared object; raises if it, or the shared object, is broken.
PyObject* mount_check(PyObject* self, PyObject* path);
PyObject* mount_members(PyObject* self, PyObject*);
PyObject* mount_list(PyObject* self, PyObject* directory);
PyObject* mount_iter(PyObject* self);
Py_ssize_t mount_length(PyObject* self);
int mount_contains(PyObject* self, PyObject* item);

}  // namespace intact
