#include "python/ext/file_finder.h"

#include <sys/stat.h>

#include <string>

#include "python/ext/found.h"
#include "python/ext/spec.h"

namespace intact {
namespace {

// The GIL is given up: the file system may be this very process.
bool status_of(const std::string& path, struct stat& status) {
  const WithoutGil released;
  return ::stat(path.c_str(), &status) == 0;
}

// S_IFREG, S_IFDIR and so on; 0 if nothing is there.
mode_t type_of(const std::string& path) {
  struct stat status;
  return status_of(path, status) ? status.st_mode & S_IFMT : 0;
}

// The time as os.stat gives it, which FileFinder keeps.
double seconds(const timespec& time) {
  return static_cast<double>(time.tv_sec) + 1e-9 * static_cast<double>(time.tv_nsec);
}

// A FileFinder: its directory without a / at its end, the names in it, and what loads which suffix, in order of
// precedence.
struct Listing {
  std::string directory;
  PyRef names, loaders;
};

std::optional<Listing> fresh_listing(ModuleState& state, const PyRef& finder) {
  const PyRef dict = PyRef::steal(PyObject_GenericGetDict(finder.get(), nullptr));
  if (!dict) return PyErr_Clear(), std::nullopt;
  const PyRef path = dict_item(dict.get(), state.str_path.get());
  const PyRef mtime = dict_item(dict.get(), state.str_path_mtime.get());  // before the names, which it was set after
  Listing listing{.directory = {},
                  .names = dict_item(dict.get(), state.str_path_cache.get()),
                  .loaders = dict_item(dict.get(), state.str_loaders.get())};
  if (!path || !mtime || !listing.names || !listing.loaders) return std::nullopt;
  if (PyDict_Contains(dict.get(), state.str_find_spec.get()) != 0) return std::nullopt;  // the program's own
  if (!PyAnySet_Check(listing.names.get()) || !PyList_Check(listing.loaders.get()) || !PyFloat_Check(mtime.get()))
    return std::nullopt;
  PyRef holder;
  listing.directory = path_view(path.get(), holder);
  struct stat status;
  if (!listing.directory.starts_with('/') || !status_of(listing.directory, status)) return std::nullopt;
  if (PyFloat_AS_DOUBLE(mtime.get()) != seconds(status.st_mtim)) return std::nullopt;
  while (listing.directory.ends_with('/')) listing.directory.pop_back();
  return listing;
}

// The spec of the file called `stem` and one of the suffixes, as FileFinder takes the first; `package` is where
// __path__ points, if it is one. Null without an exception if there is none.
PyRef find_file(ModuleState& state, const Listing& listing, PyObject* fullname, const std::string& stem,
                const PyRef& package) {
  for (Py_ssize_t i = 0; const PyRef pair = list_item(listing.loaders.get(), i); ++i) {
    PyObject *suffix, *loader_type;
    if (!PyArg_ParseTuple(pair.get(), "UO", &suffix, &loader_type)) return {};
    const std::string path = stem + std::string(utf8_view(suffix));
    if (!package) {
      const PyRef name = py_text(std::string_view(path).substr(path.rfind('/') + 1));
      const int listed = name ? PySet_Contains(listing.names.get(), name.get()) : -1;
      if (listed < 0) return {};
      if (listed == 0) continue;
    }
    if (type_of(path) != S_IFREG) continue;
    const bool source = loader_type == state.source_file_loader_type.get() && path.ends_with(".py");
    const PyRef origin = py_text(path);
    if (!origin) return {};
    const PyRef loader = py_call(loader_type, fullname, origin.get());
    const PyRef cached = source && caches_beside_sources(state) ? py_text(cached_path(state, path)) : PyRef();
    return loader ? make_spec(state, fullname, loader, origin, cached, package) : PyRef();
  }
  return {};
}

}  // namespace

std::optional<PyRef> find_on_disk(ModuleState& state, PyObject* directory, PyObject* fullname, std::string_view name) {
  if (state.verbose || !state.path_finder_class.unchanged() || !state.file_finder_class.unchanged())
    return std::nullopt;
  const PyRef finders = sys_item("path_importer_cache");
  if (!finders || !PyDict_Check(finders.get()) || !PyUnicode_Check(directory)) return std::nullopt;
  // What is kept for "" was made in what was then the current directory; and no name of a module leads elsewhere.
  if (PyUnicode_GET_LENGTH(directory) == 0 || name.find('/') != std::string_view::npos) return std::nullopt;
  const PyRef finder = dict_item(finders.get(), directory);
  if (finder.get() == Py_None) return PyRef();  // there is no such place, or no hook takes it
  if (!finder || Py_TYPE(finder.get()) != reinterpret_cast<PyTypeObject*>(state.file_finder_type.get()))
    return std::nullopt;
  const auto listing = fresh_listing(state, finder);
  if (!listing) return std::nullopt;
  const std::string stem = listing->directory + "/" + std::string(name);
  const PyRef key = py_text(name);
  const int listed = key ? PySet_Contains(listing->names.get(), key.get()) : -1;
  if (listed < 0) return std::nullopt;
  const PyRef package = listed == 1 ? py_text(stem) : PyRef();
  PyRef spec;
  if (package) spec = find_file(state, *listing, fullname, stem + "/__init__", package);
  if (!spec && !PyErr_Occurred()) spec = find_file(state, *listing, fullname, stem, PyRef());
  if (PyErr_Occurred()) return std::nullopt;
  if (!spec && package && type_of(stem) == S_IFDIR) return std::nullopt;  // a portion of a namespace package, perhaps
  return spec;
}

}  // namespace intact
