#include "python/ext/password.h"

namespace intact {
namespace {

const Error kRaised{ErrorCode::kArgument, "no password: an exception was raised"};

// As bytes; null with an exception set, which does not hold the password as UnicodeEncodeError would.
PyRef encoded(const PyRef& password) {
  if (PyBytes_Check(password.get())) return password;
  if (!PyUnicode_Check(password.get())) {
    PyErr_SetString(PyExc_TypeError, "a password is a str, bytes, or a callable that gives one of these or None");
    return {};
  }
  PyRef bytes = PyRef::steal(PyUnicode_AsEncodedString(password.get(), "utf-8", "surrogateescape"));
  if (!bytes) {
    PyErr_Clear();
    PyErr_SetString(PyExc_ValueError, "a password that has no UTF-8");
  }
  return bytes;
}

}  // namespace

OpenOptions::Password password_from(PyObject* given, std::shared_ptr<const Secret>& answer) {
  return [given, &answer]() -> Result<std::optional<std::string>> {
    const PyRef password = PyCallable_Check(given) ? py_call(given) : PyRef::borrow(given);
    if (!password) return kRaised;
    if (password.get() == Py_None) return std::optional<std::string>();
    const PyRef bytes = encoded(password);
    if (!bytes) return kRaised;
    std::string text(PyBytes_AS_STRING(bytes.get()), static_cast<std::size_t>(PyBytes_GET_SIZE(bytes.get())));
    answer = std::make_shared<const Secret>(text);
    return std::optional(std::move(text));
  };
}

}  // namespace intact
