// From a member to a code object: validating cached bytecode, else compiling the source.

#pragma once

#include <optional>
#include <string_view>

#include "python/ext/found.h"

namespace intact {

// A member as a new bytes object; null with an exception set on failure.
PyRef read_bytes(ModuleState& state, const Place& place);

// The place of an absolute path: in the mount of `found`, even if that is unmounted by now, else in the tree.
std::optional<Place> place_of(const Found& found, std::string_view path);

// The code of a source or bytecode module, whose loader `loader` is; null with an exception set on failure.
PyRef load_code(ModuleState& state, const Found& found, PyObject* loader);

// The code of the source on disk at `path`, from bytecode beside it that is valid. Null without an exception where
// there is none, or only importlib can tell.
PyRef load_cached_file(ModuleState& state, const PyRef& path);

// Gives up the scratch memory that bytecode is read into.
void free_scratch(ModuleState& state);

// Raises the audit event "open" for a file that import is about to read, as importlib's open does. False with an
// exception set if a hook refuses.
bool audit_open(PyObject* path);
bool audit_open(const Place& place);

// get_code(fullname) of the class of importlib's from which the loader's `type` is derived.
PyRef importlibs_code(ModuleState& state, const PyRef& type, PyObject* loader, PyObject* fullname);

// importlib's path_stats: {"mtime": seconds, "size": bytes} of a member.
PyRef path_stats(const Place& place);

}  // namespace intact
