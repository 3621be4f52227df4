// dlopen and dlerror.
//
// A path below a root, or a bare name that a mount has, is the image loader's. Everything else is glibc's, and then
// the objects that came are patched. glibc looks at who calls dlopen: a bare name is sought in the caller's own RPATH
// or RUNPATH, and the caller would now be us. So where the caller has such a path, its directories are tried here
// first, in glibc's place.
//
// dlerror's message is glibc's own and cannot be set, so dlerror is ours too: after a failure of ours it gives ours.

#include <dlfcn.h>
#include <link.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <string>
#include <string_view>

#include "core/redirect/locate_linux.h"
#include "core/redirect/patch_linux.h"
#include "core/redirect/shims.h"

namespace intact {
namespace {

struct Message {
  std::string text;
  bool pending = false;
};

Message& message() {
  thread_local Message message;
  return message;
}

// The directories of the calling object's own search path; DT_RPATH does not count beside a DT_RUNPATH.
std::string search_path_of(const void* caller) {
  Dl_info info;
  link_map* object = nullptr;
  if (::dladdr1(caller, &info, reinterpret_cast<void**>(&object), RTLD_DL_LINKMAP) == 0 || object == nullptr) return {};
  const char* strings = nullptr;
  std::size_t rpath = 0;
  std::size_t runpath = 0;
  for (const ElfW(Dyn)* entry = object->l_ld; entry->d_tag != DT_NULL; ++entry) {
    if (entry->d_tag == DT_STRTAB) strings = reinterpret_cast<const char*>(entry->d_un.d_ptr);
    if (entry->d_tag == DT_RPATH) rpath = entry->d_un.d_val;
    if (entry->d_tag == DT_RUNPATH) runpath = entry->d_un.d_val;
  }
  const std::size_t offset = runpath != 0 ? runpath : rpath;
  if (strings == nullptr || offset == 0) return {};

  std::string path = strings + offset;
  const std::string name = info.dli_fname != nullptr ? info.dli_fname : "";
  const std::string origin = name.substr(0, name.rfind('/') == std::string::npos ? 0 : name.rfind('/'));
  for (std::string_view token : {"${ORIGIN}", "$ORIGIN"}) {
    for (std::size_t at; (at = path.find(token)) != std::string::npos;) path.replace(at, token.size(), origin);
  }
  return path;
}

void* open_in_search_path(const char* name, int mode, const void* caller) {
  const std::string path = search_path_of(caller);
  for (std::size_t start = 0; start < path.size();) {
    const std::size_t end = std::min(path.find(':', start), path.size());
    const std::string candidate = path.substr(start, end - start) + "/" + name;
    start = end + 1;
    if (candidate.front() != '/' || ::access(candidate.c_str(), F_OK) != 0) continue;
    if (void* const handle = ::dlopen(candidate.c_str(), mode)) return handle;
  }
  return nullptr;
}

void* open_with_system(const char* name, int mode, const void* caller) {
  void* handle = nullptr;
  // What is loaded under this name is that, wherever it came from.
  if (name != nullptr && *name != '\0' && std::strchr(name, '/') == nullptr) {
    handle = ::dlopen(name, mode | RTLD_NOLOAD);
    if (handle == nullptr && (mode & RTLD_NOLOAD) == 0) handle = open_in_search_path(name, mode, caller);
  }
  if (handle == nullptr) handle = ::dlopen(name, mode);
  if (handle != nullptr && redirect_state.enabled.load(std::memory_order_relaxed)) patch_new_objects();
  return handle;
}

// Names with a slash are ours by their place, bare names by the image loader's word.
bool may_be_image(const char* name) {
  if (name == nullptr || *name == '\0' || !redirect_state.enabled.load(std::memory_order_relaxed)) return false;
  return std::strchr(name, '/') == nullptr || may_be_ours(AT_FDCWD, name);
}

void* open_for(const char* name, int mode, const void* caller) {
  message().pending = false;
  if (may_be_image(name)) {
    auto opened = redirect_state.images.load(std::memory_order_acquire)->open(name, mode, caller);
    if (opened && *opened != nullptr) {
      redirect_state.hits.fetch_add(1, std::memory_order_relaxed);
      patch_new_objects();
      return *opened;
    }
    if (!opened) {
      message() = {opened.error().message(), true};
      return nullptr;
    }
  }
  return open_with_system(name, mode, caller);
}

void* our_dlopen(const char* name, int mode) { return open_for(name, mode, __builtin_return_address(0)); }

void* our_dlmopen(Lmid_t space, const char* name, int mode) {
  if (space == LM_ID_BASE) return open_for(name, mode, __builtin_return_address(0));
  message().pending = false;
  return ::dlmopen(space, name, mode);
}

char* our_dlerror() {
  Message& last = message();
  if (!last.pending) return ::dlerror();
  last.pending = false;
  return last.text.data();
}

}  // namespace

std::span<const Shim> library_shims() {
  static const Shim table[] = {
      shim("dlopen", our_dlopen),
      shim("dlmopen", our_dlmopen),
      shim("dlerror", our_dlerror),
  };
  return table;
}

}  // namespace intact
