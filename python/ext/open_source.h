// From what Python calls a source to an opened archive. While it is opened the GIL is given up: an archive that has to
// be unpacked takes its time.

#pragma once

#include <memory>
#include <optional>
#include <string>

#include "core/tree/tree.h"
#include "python/ext/pyref.h"
#include "python/ext/state.h"

namespace intact {

// A file that is open already.
struct OpenedFile {
  int descriptor = -1;  // none
  std::optional<Source::Window> window = {};
};

// A converter of PyArg_Parse: None, or (offset, size) into a std::optional<Source::Window>.
int window_of(PyObject* pair, void* window);

// An error, or with an exception set (of a buffer, of Ctrl-C) one that says nothing of its own. `source` is a path,
// which `file`, if it is one, has open, or a bytes-like object, which `name` is the name of.
Result<std::unique_ptr<Archive>> open_source(ModuleState& state, PyObject* source, const OpenedFile& file,
                                             const std::string& name, const OpenOptions& options);

// The archive that a member is: where the member lies, if it lies somewhere as it is, else in memory.
Result<std::unique_ptr<Archive>> open_member_archive(const Place& member, const std::string& name,
                                                     const OpenOptions& options);

}  // namespace intact
