// The exception tree:
//
//     Error (Exception)       archive, member, offset and reason as attributes, each None where unknown
//       ArchiveError          the archive is broken, or of no format we know
//       MemberError           one member is broken, too large or packed with an unknown method
//       PasswordError         encrypted, and no password was given, or the wrong one
//       ImageError            a shared object cannot be loaded; also an ImportError
//       TagError              a wheel for another Python, platform or C library; also an ImportError
//
// What the operating system refuses is an OSError, what is not there a FileNotFoundError, a wrong argument a
// ValueError.

#include "python/ext/errors.h"

#include <cerrno>

namespace intact {
namespace {

struct ErrorType {
  PyRef ModuleState::*slot;
  const char* name;
  bool import_error;
  const char* doc;
};

const ErrorType kTypes[] = {
    {&ModuleState::archive_error, "intact.ArchiveError", false,
     "The archive is broken, or of no format that intact reads."},
    {&ModuleState::member_error, "intact.MemberError", false,
     "One member is broken, over a cap, or packed with a method that intact does not read."},
    {&ModuleState::password_error, "intact.PasswordError", false,
     "A member or an archive is encrypted, and no password was given, or the wrong one."},
    {&ModuleState::image_error, "intact.ImageError", true, "A shared object cannot be loaded from an archive."},
    {&ModuleState::tag_error, "intact.TagError", true,
     "A wheel is for another Python, platform or C library than this interpreter's."},
};

PyRef optional_text(const std::string& text) { return text.empty() ? PyRef::borrow(Py_None) : py_text(text); }

PyRef make_os_error(int number, const Error& error) {
  const PyRef name = optional_text(error.member.empty() ? error.archive : error.archive + "/" + error.member);
  const PyRef reason = py_text(error.reason);
  const PyRef code = PyRef::steal(PyLong_FromLong(number));
  if (!name || !reason || !code) return {};
  return py_call(PyExc_OSError, code.get(), reason.get(), name.get());
}

PyRef make_exception(PyObject* type, const Error& error) {
  const PyRef message = py_text(error.message());
  if (!message) return {};
  PyRef exception = py_call(type, message.get());
  if (!exception) return {};
  const PyRef archive = optional_text(error.archive), member = optional_text(error.member),
              reason = py_text(error.reason);
  const PyRef offset = error.offset ? PyRef::steal(PyLong_FromUnsignedLongLong(*error.offset)) : PyRef::borrow(Py_None);
  if (!archive || !member || !reason || !offset ||
      PyObject_SetAttrString(exception.get(), "archive", archive.get()) < 0 ||
      PyObject_SetAttrString(exception.get(), "member", member.get()) < 0 ||
      PyObject_SetAttrString(exception.get(), "reason", reason.get()) < 0 ||
      PyObject_SetAttrString(exception.get(), "offset", offset.get()) < 0) {
    return {};
  }
  return exception;
}

PyRef exception_for(ModuleState& state, const Error& error) {
  switch (error.code) {
    case ErrorCode::kArchive:
      return make_exception(state.archive_error.get(), error);
    case ErrorCode::kMember:
      return make_exception(state.member_error.get(), error);
    case ErrorCode::kPassword:
      return make_exception(state.password_error.get(), error);
    case ErrorCode::kImage:
      return make_exception(state.image_error.get(), error);
    case ErrorCode::kTag:
      return make_exception(state.tag_error.get(), error);
    case ErrorCode::kNotFound:
      return make_os_error(ENOENT, error);
    case ErrorCode::kSystem:
      return make_os_error(error.system_errno, error);
    case ErrorCode::kArgument:
      break;
  }
  return py_call(PyExc_ValueError, py_text(error.message()).get());
}

}  // namespace

bool add_errors(PyObject* module, ModuleState& state) {
  const PyRef defaults = PyRef::steal(
      Py_BuildValue("{s:O,s:O,s:O,s:O}", "archive", Py_None, "member", Py_None, "reason", Py_None, "offset", Py_None));
  if (!defaults) return false;
  state.error = PyRef::steal(PyErr_NewExceptionWithDoc(
      "intact.Error",
      "Whatever intact itself finds wrong. `archive`, `member`, `offset` (bytes) and `reason` say what and where.",
      PyExc_Exception, defaults.get()));
  if (!state.error || PyModule_AddObjectRef(module, "Error", state.error.get()) < 0) return false;
  for (const ErrorType& type : kTypes) {
    PyRef bases = type.import_error ? PyRef::steal(PyTuple_Pack(2, state.error.get(), PyExc_ImportError)) : state.error;
    if (!bases) return false;
    PyRef exception = PyRef::steal(PyErr_NewExceptionWithDoc(type.name, type.doc, bases.get(), nullptr));
    if (!exception || PyModule_AddObjectRef(module, type.name + sizeof "intact", exception.get()) < 0) return false;
    state.*type.slot = std::move(exception);
  }
  return true;
}

PyObject* raise(ModuleState& state, const Error& error) {
  PyObject *type = nullptr, *cause = nullptr, *traceback = nullptr;
  PyErr_Fetch(&type, &cause, &traceback);
  PyErr_NormalizeException(&type, &cause, &traceback);
  const PyRef owned_type = PyRef::steal(type), owned_traceback = PyRef::steal(traceback);
  PyRef owned_cause = PyRef::steal(cause);
  const PyRef exception = exception_for(state, error);
  if (!exception) return nullptr;
  if (owned_cause) PyException_SetCause(exception.get(), owned_cause.release());  // steals
  PyErr_SetObject(reinterpret_cast<PyObject*>(Py_TYPE(exception.get())), exception.get());
  return nullptr;
}

}  // namespace intact
