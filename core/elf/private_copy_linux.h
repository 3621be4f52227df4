// PrivateCopy: a shared object's bytes, copied into something that dlopen can open.
//
// Until it is finished it is writable and mapped: a memfd, or a file. Then it is sealed and has a path, /proc/PID/fd/N,
// that no other object had: the dynamic linker knows objects by the path it was asked for, and would take a second
// memfd that gets a closed one's number for the first. Once dlopen has mapped it, the descriptor can go.
//
// A file is taken where memory may not be executed (a seccomp filter, SELinux) and the mount names a
// directory to extract to.

#pragma once

#include <cstddef>
#include <span>
#include <string>

#include "core/archive/archive.h"
#include "core/base/result.h"
#include "core/base/scratch.h"
#include "core/base/unique_fd.h"

namespace intact {

class PrivateCopy {
 public:
  PrivateCopy() = default;
  PrivateCopy(PrivateCopy&& other) noexcept;
  PrivateCopy& operator=(PrivateCopy&& other) noexcept;
  ~PrivateCopy();

  // `size` zero bytes: a memfd called `name`, or a file in `directory`, which is made if it is not there. Errors:
  // kSystem.
  static Result<PrivateCopy> create(const std::string& name, std::size_t size, const std::string& directory);

  std::span<std::byte> bytes() const { return bytes_; }

  // Makes it the member, of its size, which is unpacked in `scratch` and then written: for a page that is new to a
  // file, writing takes half the time of a fault in its mapping. Errors: kMember, kSystem.
  Result<void> fill(const Archive& archive, std::size_t member, Scratch& scratch);

  // The path to give to dlopen. Under the load lock. Short ones are given while they last.
  const std::string& path();

  // Ends the writing; bytes() is empty from then on. A file takes the name `keep_as` in its directory, or none if that
  // is empty. Where a file of that name with this content is there already, that one is used, and path() may change.
  Result<void> finish(const std::string& keep_as);

  void close();

  bool in_file() const { return !directory_.empty(); }
  // Whether the operating system lets it be executed.
  bool executable() const;

 private:
  Result<void> keep(const std::string& name);

  UniqueFd fd_;
  std::span<std::byte> bytes_;
  std::string path_;
  std::string directory_;
  std::string temporary_;  // name of the file that is being written; empty for a memfd
};

}  // namespace intact
