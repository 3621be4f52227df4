// A .pyc begins with 16 bytes: magic number, flags, then source mtime and size, or the source's hash (PEP 552).
//
// For a source, bytecode that is not valid for this interpreter and this source is passed over and the source compiled.
// Bytecode that is valid and cannot be unmarshalled is an error, as in importlib; so is the archive's own damage: a
// member whose CRC-32 is wrong raises MemberError.

#include "python/ext/bytecode.h"

#include <fcntl.h>
#include <marshal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <span>

#include "core/base/reader.h"
#include "core/base/unique_fd.h"
#include "python/ext/engine.h"
#include "python/ext/errors.h"
#include "python/ext/spec.h"

namespace intact {
namespace {

constexpr std::size_t kHeaderSize = 16;
constexpr std::uint32_t kHashBased = 1, kCheckSource = 2;

struct Header {
  std::uint32_t flags = 0;
  std::uint32_t mtime = 0, size = 0;  // of the source; where flags say so the eight bytes are its hash
  std::string_view hash;
};

std::optional<Header> read_header(std::span<const std::byte> pyc) {
  Reader reader(pyc);
  const std::uint32_t magic = reader.u32();
  Header header{.flags = reader.u32(), .hash = {}};
  header.hash = reader.text(8);
  Reader stamp(std::as_bytes(std::span(header.hash)));
  header.mtime = stamp.u32();
  header.size = stamp.u32();
  if (!reader.ok() || magic != static_cast<std::uint32_t>(PyImport_GetMagicNumber())) return std::nullopt;
  if ((header.flags & ~(kHashBased | kCheckSource)) != 0) return std::nullopt;
  return header;
}

// Zip keeps times to two seconds where it has no extended timestamp; zipimport allows one second.
bool same_time(std::uint32_t a, std::uint32_t b) { return a - b <= 1 || b - a <= 1; }

// Whether a hash-based .pyc has to be compared with its source: _imp.check_hash_based_pycs overrides the flag.
bool must_check_source(ModuleState& state, std::uint32_t flags) {
  const PyRef setting = PyRef::steal(PyObject_GetAttr(state.imp.get(), state.str_check_pycs.get()));
  if (!setting || !PyUnicode_Check(setting.get())) return PyErr_Clear(), true;
  if (PyUnicode_CompareWithASCIIString(setting.get(), "always") == 0) return true;
  return (flags & kCheckSource) != 0 && PyUnicode_CompareWithASCIIString(setting.get(), "never") != 0;
}

// A directory's file may have been edited since it was mounted.
std::uint64_t size_now(const Archive& archive, std::uint32_t member) {
  struct stat status;
  const auto path = archive.real_path(member);
  const bool live = path && ::stat(path->c_str(), &status) == 0;
  return live ? static_cast<std::uint64_t>(status.st_size) : archive.member(member).size;
}

// 1 valid, 0 not, -1 with an exception set on failure.
int valid_for_source(ModuleState& state, const Found& found, const Header& header) {
  const Archive& archive = found.mount->archive();
  const std::uint32_t member = found.node().member;
  if ((header.flags & kHashBased) == 0) {
    return same_time(header.mtime, static_cast<std::uint32_t>(archive.mtime(member))) &&
           header.size == static_cast<std::uint32_t>(size_now(archive, member));
  }
  if (!must_check_source(state, header.flags)) return 1;
  const PyRef source = audit_open(found.place()) ? read_bytes(state, found.place()) : PyRef();
  const PyRef magic = PyRef::steal(PyLong_FromLong(PyImport_GetMagicNumber()));
  if (!source || !magic) return -1;
  const PyRef hash = py_call(state.source_hash.get(), magic.get(), source.get());
  if (!hash || !PyBytes_Check(hash.get())) return -1;
  return std::string_view(PyBytes_AS_STRING(hash.get()), static_cast<std::size_t>(PyBytes_GET_SIZE(hash.get()))) ==
         header.hash;
}

PyRef unmarshal(std::span<const std::byte> pyc) {
  const auto* body = reinterpret_cast<const char*>(pyc.data() + kHeaderSize);
  return PyRef::steal(PyMarshal_ReadObjectFromString(body, static_cast<Py_ssize_t>(pyc.size() - kHeaderSize)));
}

bool is_code(const PyRef& object) { return object && PyCode_Check(object.get()); }

constexpr std::size_t kDirectMost = std::size_t{64} << 20;  // bytes that are unpacked right into a bytes object
constexpr std::size_t kScratchMost = std::size_t{1} << 20;

// The interpreter's scratch memory, which spares an allocation for each module. Unmarshalling can run the garbage
// collector, which can run anything, another import too: that one finds the scratch gone and makes its own.
class BorrowedScratch {
 public:
  explicit BorrowedScratch(ModuleState& state) : state_(state) { exchange(); }
  ~BorrowedScratch() { exchange(); }
  BorrowedScratch(const BorrowedScratch&) = delete;
  BorrowedScratch& operator=(const BorrowedScratch&) = delete;

  // Empty without memory.
  std::span<std::byte> get(std::size_t size) {
    std::byte* memory = scratch_.get(size);
    return {memory, memory ? size : 0};
  }

 private:
  void exchange() {
    const std::lock_guard lock(state_.scratch_mutex);
    std::swap(scratch_, state_.scratch);
  }

  ModuleState& state_;
  Scratch scratch_;
};

// A member, in `scratch` unless it is large.
Result<Bytes> read_member(ModuleState& state, BorrowedScratch& scratch, const Archive& archive, std::uint32_t member) {
  const auto size = static_cast<std::size_t>(archive.member(member).size);
  state.recorder.read(size);
  if (archive.real_path(member) || size > kScratchMost) return archive.read(member);
  const std::span<std::byte> target = scratch.get(size);
  if (target.size() < size)
    return Error{ErrorCode::kMember, "no memory", archive.name(), std::string(archive.member_name(member).path)};
  if (auto done = archive.read_into(member, target); !done) return std::move(done).error();
  return Bytes::borrow(target, nullptr);
}

// A file, in `scratch`; empty if it cannot be read, is large, or is none. Looked at before it is opened: a pipe's
// writer would take us for importlib, which is to have what it writes.
std::span<const std::byte> read_file(BorrowedScratch& scratch, const char* path) {
  struct stat status;
  if (::stat(path, &status) != 0 || !S_ISREG(status.st_mode) || status.st_size > std::int64_t{kScratchMost}) return {};
  const UniqueFd file(::open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  // One byte more: it may be another file by now.
  const std::span<std::byte> target = scratch.get(static_cast<std::size_t>(status.st_size) + 1);
  const ssize_t got = file ? ::read(file.get(), target.data(), target.size()) : -1;
  return target.first(got == status.st_size ? static_cast<std::size_t>(got) : 0);
}

// The audit event for opening a path that is made, by `path_of`, only if there is a hook.
bool audit_open(PyObject* (*path_of)(void*), const void* of) {
  return PySys_Audit("open", "O&si", path_of, const_cast<void*>(of), "r", O_RDONLY | O_CLOEXEC) == 0;
}

struct Cached {
  const ModuleState& state;
  const Found& found;

  std::string path() const { return found.mount->root() + "/" + cached_path(state, found.node().path); }
};

// Whether audit hooks let cached bytecode be read. They hear of it also where there is none: importlib opens it to see.
bool audit_cached(ModuleState& state, const Found& found) {
  const Cached cached{state, found};
  if (audit_open([](void* at) { return py_text(static_cast<const Cached*>(at)->path()).release(); }, &cached))
    return true;
  if (PyErr_ExceptionMatches(PyExc_OSError)) PyErr_Clear();  // to importlib it means that there is none
  return false;
}

// As importlib says it.
PyRef raise_no_code(ModuleState& state, PyObject* loader, const std::string& path) {
  const PyRef name = PyRef::steal(PyObject_GetAttr(loader, state.str_name.get())), where = py_text(path);
  const PyRef message = PyRef::steal(where ? PyUnicode_FromFormat("Non-code object in %R", where.get()) : nullptr);
  if (name && message) PyErr_SetImportError(message.get(), name.get(), where.get());
  return {};
}

// Cached bytecode of a source. Null without an exception: there is none that is valid.
PyRef load_cached(ModuleState& state, const Found& found, const PyRef& path, PyObject* loader) {
  if (!audit_cached(state, found)) return {};
  const Index& index = found.mount->index();
  if (!index.has_bytecode_cache()) return {};
  const auto node = index.find(cached_path(state, found.node().path));
  if (!node || index.is_directory(*node)) return {};
  BorrowedScratch scratch(state);
  const auto pyc = read_member(state, scratch, found.mount->archive(), index.node(*node).member);
  if (!pyc) return raise(state, pyc.error()), PyRef();
  const auto header = read_header(pyc->span());
  if (!header || valid_for_source(state, found, *header) != 1) return {};
  PyRef code = unmarshal(pyc->span());
  if (code && !is_code(code)) return raise_no_code(state, loader, Cached{state, found}.path());
  // Compiled under another path, most likely: tracebacks name the member.
  if (code && !py_call(state.fix_co_filename.get(), code.get(), path.get())) return {};
  return code;
}

PyRef compile_source(ModuleState& state, const Found& found, const PyRef& path) {
  const PyRef source = audit_open(found.place()) ? read_bytes(state, found.place()) : PyRef();
  if (!source) return {};
  // As in exec_module: a SyntaxError's traceback leaves importlib's frames out.
  return call_with_frames_removed(
      state, {state.builtin_compile.get(), source.get(), path.get(), state.str_exec.get(), Py_True},
      state.compile_keywords.get());
}

PyRef load_sourceless(ModuleState& state, const Found& found, PyObject* loader) {
  if (!audit_open(found.place())) return {};
  BorrowedScratch scratch(state);
  const auto pyc = read_member(state, scratch, found.mount->archive(), found.node().member);
  if (!pyc) return raise(state, pyc.error()), PyRef();
  if (read_header(pyc->span())) {
    PyRef code = unmarshal(pyc->span());
    return !code || is_code(code) ? std::move(code) : raise_no_code(state, loader, found.path());
  }
  // What is wrong with it, importlib says.
  const PyRef name = PyRef::steal(PyObject_GetAttr(loader, state.str_name.get()));
  return name ? importlibs_code(state, state.bytecode_loader_type, loader, name.get()) : PyRef();
}

}  // namespace

PyRef importlibs_code(ModuleState& state, const PyRef& type, PyObject* loader, PyObject* fullname) {
  auto* base = static_cast<PyObject*>(PyType_GetSlot(reinterpret_cast<PyTypeObject*>(type.get()), Py_tp_base));
  const PyRef get_code = PyRef::steal(PyObject_GetAttr(base, state.str_get_code.get()));
  return get_code ? py_call(get_code.get(), loader, fullname) : PyRef();
}

bool audit_open(PyObject* path) { return PySys_Audit("open", "Osi", path, "r", O_RDONLY | O_CLOEXEC) == 0; }

bool audit_open(const Place& place) {
  return audit_open(
      [](void* at) {
        const auto& file = *static_cast<const Place*>(at);
        return py_text(file.mount->path_of(file.node)).release();
      },
      &place);
}

PyRef read_bytes(ModuleState& state, const Place& place) {
  const Archive& archive = place.mount->archive();
  const std::uint32_t member = place.get().member;
  const std::uint64_t size = archive.member(member).size;
  state.recorder.read(size);
  // A file on disk may have another size now; and a size that may be a lie is looked at before memory is taken.
  if (archive.real_path(member) || size > kDirectMost) {
    const auto bytes = archive.read(member);
    if (!bytes) return PyRef::steal(raise(state, bytes.error()));
    return PyRef::steal(PyBytes_FromStringAndSize(bytes->text().data(), static_cast<Py_ssize_t>(bytes->size())));
  }
  PyRef bytes = PyRef::steal(PyBytes_FromStringAndSize(nullptr, static_cast<Py_ssize_t>(size)));
  if (!bytes) return {};
  const std::span target(reinterpret_cast<std::byte*>(PyBytes_AS_STRING(bytes.get())), static_cast<std::size_t>(size));
  const auto done = archive.read_into(member, target);
  return done ? std::move(bytes) : PyRef::steal(raise(state, done.error()));
}

PyRef load_cached_file(ModuleState& state, const PyRef& path) {
  PyRef holder;
  const std::string source(path_view(path.get(), holder));
  if (source.empty() || source.find('\0') != std::string::npos || !caches_beside_sources(state)) return {};
  const std::string cached = cached_path(state, source);
  BorrowedScratch scratch(state);
  struct stat status = {};
  std::span<const std::byte> pyc;
  {
    const WithoutGil released;  // the file system may be this very process
    if (::stat(source.c_str(), &status) == 0) pyc = read_file(scratch, cached.c_str());
  }
  const auto header = read_header(pyc);
  if (!header) return {};
  const bool valid = (header->flags & kHashBased) != 0 ? !must_check_source(state, header->flags)
                                                       : header->mtime == static_cast<std::uint32_t>(status.st_mtime) &&
                                                             header->size == static_cast<std::uint32_t>(status.st_size);
  if (!valid) return {};
  // Only now, or hooks would hear twice of what importlib then opens.
  const PyRef opened = py_text(cached);
  if (!opened || !audit_open(opened.get())) return {};
  state.recorder.read(pyc.size());
  PyRef code = unmarshal(pyc);
  if (!is_code(code)) return PyErr_Clear(), PyRef();  // importlib says so
  if (!py_call(state.fix_co_filename.get(), code.get(), path.get())) return {};
  return code;
}

PyRef path_stats(const Place& place) {
  const Archive& archive = place.mount->archive();
  const std::uint32_t member = place.get().member;
  return PyRef::steal(Py_BuildValue("{s:L,s:K}", "mtime", static_cast<long long>(archive.mtime(member)), "size",
                                    size_now(archive, member)));
}

std::optional<Place> place_of(const Found& found, std::string_view path) {
  const std::string& root = found.mount->root();
  if (path.size() > root.size() && path[root.size()] == '/' && path.starts_with(root)) {
    if (const auto node = found.mount->index().find(path.substr(root.size() + 1))) return Place{found.mount, *node};
  }
  return ReadGuard(engine().tree)->lookup(path);
}

void free_scratch(ModuleState& state) {
  Scratch scratch;  // freed without the lock
  const std::lock_guard lock(state.scratch_mutex);
  std::swap(scratch, state.scratch);
}

PyRef load_code(ModuleState& state, const Found& found, PyObject* loader) {
  if (found.module.kind == ModuleKind::kBytecode) return load_sourceless(state, found, loader);
  const PyRef path = py_text(found.path());
  if (!path) return {};
  PyRef code = load_cached(state, found, path, loader);
  if (code || PyErr_Occurred()) return code;
  return compile_source(state, found, path);
}

}  // namespace intact
