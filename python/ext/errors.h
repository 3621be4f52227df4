// The one place where an Error becomes an exception.

#pragma once

#include "core/base/result.h"
#include "python/ext/state.h"

namespace intact {

// Makes the exception types and puts them into the module. False with an exception set on failure.
bool add_errors(PyObject* module, ModuleState& state);

// Raises the exception for `error` and returns null, so that a function can `return raise(state, error)`. An
// exception that is already set becomes the cause.
PyObject* raise(ModuleState& state, const Error& error);

}  // namespace intact
