#include "core/elf/private_copy_linux.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <map>
#include <utility>

#ifndef MFD_EXEC
#define MFD_EXEC 0x0010U  // Linux 6.3; older kernels say EINVAL
#endif

namespace intact {

namespace {

constexpr std::size_t kLongestName = 200;  // of a memfd, whose limit is 249 bytes

Result<UniqueFd> create_memory(const std::string& name) {
  const std::string shown = name.substr(0, kLongestName);
  constexpr unsigned kFlags = MFD_CLOEXEC | MFD_ALLOW_SEALING;
  UniqueFd fd(memfd_create(shown.c_str(), kFlags | MFD_EXEC));
  // Where vm.memfd_noexec is 2 that is refused (EACCES); what is made instead cannot be exec'd, but mapped for
  // execution.
  if (!fd && (errno == EINVAL || errno == EACCES)) fd = UniqueFd(memfd_create(shown.c_str(), kFlags));
  if (!fd) return system_error(errno, "cannot make executable memory (memfd_create)");
  return fd;
}

// This process in /proc, by its number there: to a debugger, which opens what is loaded by its path, "self" is the
// debugger.
std::string process_directory() {
  char number[16];
  const ssize_t length = readlink("/proc/self", number, sizeof number);
  return "/proc/" + (length > 0 ? std::string(number, static_cast<std::size_t>(length)) : "self");
}

// A path of the descriptor that was never given before. Numbers are used once while they last; then spellings differ:
// where one '/' would do, the bits of a counter stand as "/" and "/./".
std::string fresh_path(UniqueFd& fd) {
  constexpr int kNumbers = 1000;  // below the usual limit of 1,024
  static int next_number = 3;     // these two: guarded by the load lock
  static std::map<int, std::uint32_t> spellings;
  if (next_number < kNumbers) {
    if (UniqueFd moved(fcntl(fd.get(), F_DUPFD_CLOEXEC, next_number)); moved) {
      next_number = moved.get() + 1;
      fd = std::move(moved);
    } else {
      next_number = kNumbers;
    }
  }
  std::string path = process_directory();
  for (std::uint32_t spelling = spellings[fd.get()]++; spelling > 0; spelling = (spelling - 1) / 2) {
    path += (spelling - 1) % 2 == 0 ? "/" : "/./";
  }
  return path + "/fd/" + std::to_string(fd.get());
}

// Whether nobody but us could have written the file, and it holds these bytes.
bool holds(int fd, std::span<const std::byte> bytes) {
  struct stat status;
  if (fstat(fd, &status) != 0 || !S_ISREG(status.st_mode) || status.st_uid != geteuid()) return false;
  if ((status.st_mode & (S_IWGRP | S_IWOTH)) != 0 || static_cast<std::size_t>(status.st_size) != bytes.size())
    return false;
  std::array<std::byte, 65'536> buffer;
  for (std::size_t at = 0; at < bytes.size();) {
    const ssize_t got = pread(fd, buffer.data(), std::min(buffer.size(), bytes.size() - at), static_cast<off_t>(at));
    if (got <= 0 || std::memcmp(buffer.data(), bytes.data() + at, static_cast<std::size_t>(got)) != 0) return false;
    at += static_cast<std::size_t>(got);
  }
  return true;
}

}  // namespace

PrivateCopy::PrivateCopy(PrivateCopy&& other) noexcept { *this = std::move(other); }

PrivateCopy& PrivateCopy::operator=(PrivateCopy&& other) noexcept {
  std::swap(fd_, other.fd_);
  std::swap(bytes_, other.bytes_);
  std::swap(path_, other.path_);
  std::swap(directory_, other.directory_);
  std::swap(temporary_, other.temporary_);
  return *this;
}

PrivateCopy::~PrivateCopy() {
  if (!bytes_.empty()) munmap(bytes_.data(), bytes_.size());
  if (!temporary_.empty()) unlink(temporary_.c_str());
}

Result<PrivateCopy> PrivateCopy::create(const std::string& name, std::size_t size, const std::string& directory) {
  PrivateCopy copy;
  if (directory.empty()) {
    INTACT_ASSIGN(copy.fd_, create_memory(name));
  } else {
    if (mkdir(directory.c_str(), 0700) != 0 && errno != EEXIST) return system_error(errno, "cannot make " + directory);
    copy.directory_ = directory;
    copy.temporary_ = directory + "/.intact-XXXXXX";
    copy.fd_ = UniqueFd(mkostemp(copy.temporary_.data(), O_CLOEXEC));
    if (!copy.fd_) {
      copy.temporary_.clear();
      return system_error(errno, "cannot write to " + directory);
    }
  }
  // For a file this also makes sure that there is room, so that writing to the mapping cannot end in SIGBUS.
  const int failed = directory.empty() ? (ftruncate(copy.fd_.get(), static_cast<off_t>(size)) == 0 ? 0 : errno)
                                       : posix_fallocate(copy.fd_.get(), 0, static_cast<off_t>(size));
  if (failed != 0) return system_error(failed, "no room for a copy");
  void* memory = mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_SHARED, copy.fd_.get(), 0);
  if (memory == MAP_FAILED) return system_error(errno, "cannot map a copy");
  // A child that had it too would keep `finish` from setting the seal.
  madvise(memory, size, MADV_DONTFORK);
  copy.bytes_ = {static_cast<std::byte*>(memory), size};
  return copy;
}

Result<void> PrivateCopy::fill(const Archive& archive, std::size_t member, Scratch& scratch) {
  std::byte* const unpacked = scratch.get(bytes_.size());
  if (!unpacked)
    return Error{ErrorCode::kMember, "no memory for " + std::to_string(bytes_.size()) + " bytes", archive.name()};
  INTACT_TRY(archive.read_into(member, {unpacked, bytes_.size()}));
  for (std::size_t at = 0; at < bytes_.size();) {
    const ssize_t written = pwrite(fd_.get(), unpacked + at, bytes_.size() - at, static_cast<off_t>(at));
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) return system_error(errno, "cannot write a copy");
    at += static_cast<std::size_t>(written);
  }
  return {};
}

const std::string& PrivateCopy::path() {
  if (path_.empty()) path_ = fresh_path(fd_);
  return path_;
}

Result<void> PrivateCopy::finish(const std::string& keep_as) {
  if (!temporary_.empty() && !keep_as.empty()) INTACT_TRY(keep(directory_ + "/" + keep_as));
  if (!temporary_.empty()) unlink(std::exchange(temporary_, {}).c_str());
  munmap(bytes_.data(), bytes_.size());
  bytes_ = {};
  // A seal cannot be set on a file, and what it guards against does not go through our descriptor there.
  if (directory_.empty() &&
      fcntl(fd_.get(), F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) != 0) {
    return system_error(errno, "cannot seal a copy");
  }
  return {};
}

Result<void> PrivateCopy::keep(const std::string& name) {
  if (UniqueFd there(open(name.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK));
      there && holds(there.get(), bytes_)) {
    fd_ = std::move(there);
    path_.clear();
    return {};
  }
  if (rename(temporary_.c_str(), name.c_str()) != 0) return system_error(errno, "cannot write " + name);
  temporary_.clear();
  return {};
}

bool PrivateCopy::executable() const {
  void* page = mmap(nullptr, 1, PROT_READ | PROT_EXEC, MAP_PRIVATE, fd_.get(), 0);
  if (page == MAP_FAILED) return false;
  munmap(page, 1);
  return true;
}

void PrivateCopy::close() { fd_ = UniqueFd(); }

}  // namespace intact
