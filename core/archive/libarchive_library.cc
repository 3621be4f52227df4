#include "core/archive/libarchive_library.h"

#include <dlfcn.h>

#include "core/base/lazy.h"

namespace intact {

namespace {

Result<Libarchive> load() {
  const auto failure = [] {
    const char* const why = dlerror();
    return Error{ErrorCode::kArchive, std::string("no zip, and what reads other formats cannot be loaded: ") +
                                          (why == nullptr ? "libarchive.so.13" : why)};
  };
  void* const handle = dlopen("libarchive.so.13", RTLD_NOW | RTLD_LOCAL);
  if (handle == nullptr) return failure();
  Libarchive library;
#define INTACT_LOAD(name)                                                        \
  library.name = reinterpret_cast<decltype(library.name)>(dlsym(handle, #name)); \
  if (library.name == nullptr) return failure();
  INTACT_LIBARCHIVE_FUNCTIONS(INTACT_LOAD)
#undef INTACT_LOAD
  return library;
}

// Never destroyed: threads may outlast main.
std::atomic<const Libarchive*> loaded{nullptr};

}  // namespace

// Without a lock, which a child forked meanwhile might find held; threads that load at once load the same.
Result<const Libarchive*> Libarchive::get() {
  if (const Libarchive* const known = loaded.load()) return known;
  INTACT_ASSIGN(const Libarchive library, load());
  return &publish(loaded, library);
}

std::string Libarchive::reason(archive* reader) const {
  const char* const text = archive_error_string(reader);
  const std::string reason = text == nullptr ? "" : text;
  const std::size_t end = reason.find_last_not_of(" \n") + 1;  // npos + 1 is 0
  return end == 0 ? "cut or broken: libarchive does not say how" : reason.substr(0, end);
}

}  // namespace intact
