// exec and posix_spawn. The kernel starts programs, and it does not know our paths: what exists below a root is EACCES
// (as on a file system mounted noexec), what does not is ENOENT. A root that is a file on disk is started as that file.
//
// These run in children of vfork, on their parent's memory: nothing is allocated unless the path is below a root, and
// no second look is taken, since the C library's own errno says the same.

#include <alloca.h>
#include <spawn.h>
#include <unistd.h>

#include <cerrno>
#include <cstdarg>
#include <cstring>

#include "core/redirect/answer.h"
#include "core/redirect/shims.h"

namespace intact {
namespace {

// The errno for starting `path`, or 0 if it is the kernel's business.
int refusal(const char* path) {
  if (!may_be_ours(AT_FDCWD, path)) return 0;
  const Target target = locate(path);
  if (!target.ours() || is_file_on_disk(target)) return 0;
  redirect_state.hits.fetch_add(1, std::memory_order_relaxed);
  return target.missing() ? target.error : EACCES;
}

int our_execve(const char* path, char* const arguments[], char* const environment[]) {
  const int error = refusal(path);
  return error != 0 ? fail(error) : ::execve(unknown(path), arguments, environment);
}
int our_execv(const char* path, char* const arguments[]) { return our_execve(path, arguments, environ); }

// Without a slash the name is looked for on PATH; directories of it below a root are passed over.
int our_execvpe(const char* name, char* const arguments[], char* const environment[]) {
  const int error = refusal(name);
  return error != 0 ? fail(error) : ::execvpe(unknown(name), arguments, environment);
}
int our_execvp(const char* name, char* const arguments[]) { return our_execvpe(name, arguments, environ); }

std::size_t count(va_list list) {
  std::size_t size = 1;
  while (va_arg(list, char*) != nullptr) ++size;
  return size;
}

// The arguments of an execl call, with the ending null, in the memory given.
char** collect(char** out, const char* first, std::size_t size, va_list list) {
  out[0] = const_cast<char*>(first);
  for (std::size_t i = 1; i <= size; ++i) out[i] = va_arg(list, char*);
  return out;
}

int our_execl(const char* path, const char* first, ...) {
  va_list list;
  va_start(list, first);
  const std::size_t size = first == nullptr ? 0 : count(list);
  va_end(list);
  va_start(list, first);
  char** const arguments = collect(static_cast<char**>(alloca((size + 1) * sizeof(char*))), first, size, list);
  va_end(list);
  return our_execv(path, arguments);
}

int our_execlp(const char* name, const char* first, ...) {
  va_list list;
  va_start(list, first);
  const std::size_t size = first == nullptr ? 0 : count(list);
  va_end(list);
  va_start(list, first);
  char** const arguments = collect(static_cast<char**>(alloca((size + 1) * sizeof(char*))), first, size, list);
  va_end(list);
  return our_execvp(name, arguments);
}

// The environment follows the ending null.
int our_execle(const char* path, const char* first, ...) {
  va_list list;
  va_start(list, first);
  const std::size_t size = first == nullptr ? 0 : count(list);
  va_end(list);
  va_start(list, first);
  char** const arguments = collect(static_cast<char**>(alloca((size + 1) * sizeof(char*))), first, size, list);
  char* const* const environment = va_arg(list, char* const*);
  va_end(list);
  return our_execve(path, arguments, environment);
}

// These return the error instead of setting errno.
int our_posix_spawn(pid_t* pid, const char* path, const posix_spawn_file_actions_t* actions,
                    const posix_spawnattr_t* attributes, char* const arguments[], char* const environment[]) {
  const int error = refusal(path);
  return error != 0 ? error : ::posix_spawn(pid, path, actions, attributes, arguments, environment);
}

int our_posix_spawnp(pid_t* pid, const char* name, const posix_spawn_file_actions_t* actions,
                     const posix_spawnattr_t* attributes, char* const arguments[], char* const environment[]) {
  const int error = refusal(name);
  return error != 0 ? error : ::posix_spawnp(pid, name, actions, attributes, arguments, environment);
}

}  // namespace

std::span<const Shim> process_shims() {
  static const Shim table[] = {
      shim("execve", our_execve),
      shim("execv", our_execv),
      shim("execvpe", our_execvpe),
      shim("execvp", our_execvp),
      shim("execl", our_execl),
      shim("execlp", our_execlp),
      shim("execle", our_execle),
      shim("posix_spawn", our_posix_spawn),
      shim("posix_spawnp", our_posix_spawnp),
  };
  return table;
}

}  // namespace intact
