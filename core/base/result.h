// How core reports failure: Result<T> holds a value or an Error, and no exception leaves core.
//
// An Error says what kind of failure it is, which archive, member and offset it is about, and why. The
// Python layer turns it into one exception of the intact.Error tree (python/ext/errors.cc), the redirect
// into an errno, the command line into a line of text. Absence is not an error: what may be missing is a
// std::optional or a null pointer.

#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <variant>

namespace intact {

enum class ErrorCode : std::uint8_t {
  kArchive,   // the archive itself is broken, or is of no format we know
  kMember,    // one member is broken, too large or packed with an unknown method
  kPassword,  // encrypted, and no password or the wrong one was given
  kImage,     // a shared object cannot be loaded
  kTag,       // a wheel for another Python, platform or C library
  kNotFound,  // no such member, directory or file
  kArgument,  // the caller asked for something that makes no sense
  kSystem,    // the operating system refused; `system_errno` says why
};

struct Error {
  ErrorCode code = ErrorCode::kArgument;
  std::string reason;                        // one clause, no full stop: "CRC-32 is 0x…, the directory says 0x…"
  std::string archive = {};                  // the archive's name, or empty
  std::string member = {};                   // the member's path, or empty
  std::optional<std::uint64_t> offset = {};  // bytes from the start of the archive
  int system_errno = 0;

  // "archive: member: offset 12: reason", leaving out what is not known.
  std::string message() const;
};

Error system_error(int error_number, std::string doing);

template <typename T>
class [[nodiscard]] Result {
 public:
  Result(T value) : state_(std::in_place_index<0>, std::move(value)) {}
  Result(Error error) : state_(std::in_place_index<1>, std::move(error)) {}

  explicit operator bool() const { return state_.index() == 0; }
  T& operator*() & { return std::get<0>(state_); }
  const T& operator*() const& { return std::get<0>(state_); }
  T&& operator*() && { return std::get<0>(std::move(state_)); }
  T* operator->() { return &std::get<0>(state_); }
  const T* operator->() const { return &std::get<0>(state_); }
  Error& error() & { return std::get<1>(state_); }
  const Error& error() const& { return std::get<1>(state_); }
  Error&& error() && { return std::get<1>(std::move(state_)); }

 private:
  std::variant<T, Error> state_;
};

template <>
class [[nodiscard]] Result<void> {
 public:
  Result() {}  // not "= default": then `return {}` would fill the Error's room with zeros first
  Result(Error error) : error_(std::move(error)) {}

  explicit operator bool() const { return !error_.has_value(); }
  Error& error() & { return *error_; }
  const Error& error() const& { return *error_; }
  Error&& error() && { return *std::move(error_); }

 private:
  std::optional<Error> error_;
};

#define INTACT_CONCAT_(a, b) a##b
#define INTACT_CONCAT(a, b) INTACT_CONCAT_(a, b)

// INTACT_TRY(expression) leaves the function with the error; INTACT_ASSIGN(auto x, expression) also takes the value.
#define INTACT_TRY(expression) \
  if (auto intact_result = (expression); !intact_result) return std::move(intact_result).error()
#define INTACT_ASSIGN_(temporary, declaration, expression) \
  auto temporary = (expression);                           \
  if (!temporary) return std::move(temporary).error();     \
  declaration = *std::move(temporary)
#define INTACT_ASSIGN(declaration, expression) \
  INTACT_ASSIGN_(INTACT_CONCAT(intact_result_, __LINE__), declaration, expression)

}  // namespace intact
