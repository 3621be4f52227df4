#include "python/ext/open_source.h"

#include <fcntl.h>

#include <cerrno>
#include <optional>

#include "python/ext/engine.h"
#include "python/ext/gil.h"
#include "python/ext/graveyard.h"

namespace intact {

namespace {

// An archive being opened: without the GIL, and with forks kept waiting.
class Opening {
 public:
  Opening() { begin(); }
  ~Opening() { end(); }
  Opening(const Opening&) = delete;
  Opening& operator=(const Opening&) = delete;

  // With the GIL, in between.
  template <typename Work>
  auto interrupt(Work work) {
    end();
    auto result = work();
    begin();
    return result;
  }

 private:
  void begin() {
    released_.emplace();
    engine().fork_gate.hold();
  }
  void end() {
    engine().fork_gate.let_go();
    released_.reset();
  }

  std::optional<WithoutGil> released_;
};

// `open(options)`, in which the GIL is taken again to look for signals and to ask for a password.
template <typename Open>
Result<std::unique_ptr<Archive>> without_gil(OpenOptions options, Open open) {
  Opening opening;
  options.go_on = [&opening] { return opening.interrupt([] { return PyErr_CheckSignals() == 0; }); };
  if (options.password) options.password = [&opening, ask = options.password] { return opening.interrupt(ask); };
  return open(options);
}

Result<UniqueFd> duplicate(int descriptor, const std::string& name) {
  UniqueFd own(::fcntl(descriptor, F_DUPFD_CLOEXEC, 3));
  if (own) return own;
  Error error = system_error(errno, "its descriptor is not open");
  error.archive = name;
  return error;
}

Result<std::unique_ptr<Archive>> open_bytes(Source source, const OpenOptions& options) {
  return without_gil(options, [&](const OpenOptions& own) { return open_archive(std::move(source), own); });
}

}  // namespace

int window_of(PyObject* pair, void* window) {
  if (pair == Py_None) return 1;
  unsigned long long offset = 0, size = 0;
  if (!PyTuple_Check(pair)) return PyErr_SetString(PyExc_TypeError, "a window is (offset, size) or None"), 0;
  if (!PyArg_ParseTuple(pair, "KK:window", &offset, &size)) return 0;
  *static_cast<std::optional<Source::Window>*>(window) = Source::Window{offset, size};
  return 1;
}

Result<std::unique_ptr<Archive>> open_source(ModuleState& state, PyObject* source, const OpenedFile& file,
                                             const std::string& name, const OpenOptions& options) {
  if (PyUnicode_Check(source)) {
    PyRef holder;
    std::string path(path_view(source, holder));
    if (file.descriptor >= 0) {
      INTACT_ASSIGN(auto own, duplicate(file.descriptor, path));
      return open_bytes(Source{std::move(path), std::move(own), file.window}, options);
    }
    return without_gil(options, [&](const OpenOptions& own) { return open_archive(path, own); });
  }
  Py_buffer buffer;
  if (PyObject_GetBuffer(source, &buffer, PyBUF_SIMPLE) < 0) {
    return Error{ErrorCode::kArgument, "the source is neither a path nor a contiguous bytes-like object"};
  }
  return open_bytes(Source{name, Graveyard::adopt(state.graveyard, buffer)}, options);
}

Result<std::unique_ptr<Archive>> open_member_archive(const Place& member, const std::string& name,
                                                     const OpenOptions& options) {
  const Archive& outer = member.mount->archive();
  const std::uint32_t number = member.get().member;
  if (const auto path = outer.real_path(number)) {
    return without_gil(options, [&](const OpenOptions& own) { return open_archive(*path, own); });
  }
  INTACT_ASSIGN(const auto extent, outer.extent(number));
  if (extent) {
    INTACT_TRY(outer.check(number));
    INTACT_ASSIGN(auto own, duplicate(extent->fd, name));
    return open_bytes(Source{name, std::move(own), Source::Window{extent->offset, extent->size}}, options);
  }
  INTACT_ASSIGN(const Bytes bytes, outer.read(number));
  return open_bytes(Source{name, bytes}, options);
}

}  // namespace intact
