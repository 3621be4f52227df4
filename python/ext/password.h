// The password that a caller of mount() gave, on its way to an archive.

#pragma once

#include <memory>

#include "core/archive/archive.h"
#include "core/base/secret.h"
#include "python/ext/pyref.h"

namespace intact {

// For OpenOptions: `given` is a str, which stands for its UTF-8, bytes, or a callable that gives one of these or None;
// it is borrowed, and used with the GIL held. `answer` comes to hold what was given once an archive has asked. A
// failure leaves a Python exception set.
OpenOptions::Password password_from(PyObject* given, std::shared_ptr<const Secret>& answer);

}  // namespace intact
