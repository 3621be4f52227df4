// The shape all path functions share: ours if the path is below a root, else the C library's, and where that finds
// nothing a second look.

#pragma once

#include <cerrno>
#include <type_traits>
#include <utility>

#include "core/redirect/locate_linux.h"

namespace intact {

template <typename T>
bool failed(T result) {
  if constexpr (std::is_pointer_v<T>)
    return result == nullptr;
  else
    return result == -1;
}

inline int fail(int error_number) {
  errno = error_number;
  return -1;
}

template <typename Ours>
auto answer_ours(const Target& target, Ours& ours) {
  redirect_state.hits.fetch_add(1, std::memory_order_relaxed);
  const int before = errno;
  auto result = ours(target);
  if (!failed(result)) errno = before;
  return result;
}

// `real(directory, path)` calls the C library, `ours(target)` answers for what is below a root.
template <typename Real, typename Ours>
auto answer_at(int directory, const char* path, Real real, Ours ours) -> decltype(real(directory, path)) {
  if (may_be_ours(directory, path)) [[unlikely]] {
    const Target target = locate_at(directory, path);
    if (target.ours()) return answer_ours(target, ours);
    if (!target.path.empty()) return real(AT_FDCWD, target.path.c_str());
  }
  auto result = real(directory, unknown(path));
  if (failed(result)) [[unlikely]] {
    if (const auto target = second_look(directory, path)) return answer_ours(*target, ours);
  }
  return result;
}

template <typename Real, typename Ours>
auto answer(const char* path, Real real, Ours ours) {
  return answer_at(
      AT_FDCWD, path, [&](int, const char* there) { return real(there); }, std::move(ours));
}

// The same for functions that change what they name: to them a root with a place on disk is the file there.
template <typename Real, typename Ours>
auto answer_change_at(int directory, const char* path, Real real, Ours ours) {
  return answer_at(directory, path, real, [&](const Target& target) {
    if (!target.slash && has_place_on_disk(target)) return real(directory, path);
    return ours(target);
  });
}

template <typename Real, typename Ours>
auto answer_change(const char* path, Real real, Ours ours) {
  return answer_change_at(
      AT_FDCWD, path, [&](int, const char* there) { return real(there); }, std::move(ours));
}

}  // namespace intact
