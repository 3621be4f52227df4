#include "core/archive/libarchive_library.h"

#include <dlfcn.h>

#include <optional>

namespace intact {

namespace {

std::optional<Libarchive> load() {
  void* const handle = dlopen("libarchive.so.13", RTLD_NOW | RTLD_LOCAL);
  if (handle == nullptr) return std::nullopt;
  Libarchive library;
  bool complete = true;
#define INTACT_LOAD(name)                                                        \
  library.name = reinterpret_cast<decltype(library.name)>(dlsym(handle, #name)); \
  complete = complete && library.name != nullptr;
  INTACT_LIBARCHIVE_FUNCTIONS(INTACT_LOAD)
#undef INTACT_LOAD
  if (!complete) return std::nullopt;
  return library;
}

}  // namespace

const Libarchive* Libarchive::get() {
  static const std::optional<Libarchive> library = load();
  return library ? &*library : nullptr;
}

std::string Libarchive::reason(archive* reader) const {
  const char* const text = archive_error_string(reader);
  const std::string reason = text == nullptr ? "" : text;
  const std::size_t end = reason.find_last_not_of(" \n") + 1;  // npos + 1 is 0
  return end == 0 ? "cut or broken: libarchive does not say how" : reason.substr(0, end);
}

}  // namespace intact
