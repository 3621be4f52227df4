#include <fcntl.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "core/archive/spill.h"

#ifndef MFD_NOEXEC_SEAL
#define MFD_NOEXEC_SEAL 0x0008U  // Linux 6.3; older kernels say EINVAL
#endif

namespace intact {

namespace {

constexpr std::size_t kPiece = std::size_t{256} << 10;      // bytes that are gathered for one write
constexpr std::size_t kLargePiece = std::size_t{16} << 10;  // bytes that are worth a write of their own
constexpr std::size_t kPage = 4096;                         // as `intact merge` aligns; larger pages map less
constexpr std::size_t kLongestName = 200;                   // of a memfd, whose limit is 249 bytes

UniqueFd make_memory(const std::string& name) {
  const std::string shown = ("intact:spill:" + name).substr(0, kLongestName);
  constexpr unsigned kFlags = MFD_CLOEXEC | MFD_ALLOW_SEALING;
  UniqueFd fd(::memfd_create(shown.c_str(), kFlags | MFD_NOEXEC_SEAL));
  if (!fd && errno == EINVAL) fd = UniqueFd(::memfd_create(shown.c_str(), kFlags));
  return fd;
}

}  // namespace

Result<void> Spill::create() {
  file_ = directory_.empty() ? make_memory(name_)
                             : UniqueFd(::open(directory_.c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC, 0600));
  if (!file_)
    return system_error(errno, "no file for what is unpacked in " + (directory_.empty() ? "memory" : directory_));
  waiting_.reserve(kPiece);
  return {};
}

Result<void> Spill::append(std::span<const std::byte> bytes) {
  if (!file_) INTACT_TRY(create());
  if (bytes.size() < kLargePiece && waiting_.size() + bytes.size() <= kPiece) {
    waiting_.insert(waiting_.end(), bytes.begin(), bytes.end());
    return {};
  }
  INTACT_TRY(write(waiting_, bytes));
  waiting_.clear();
  return {};
}

Result<void> Spill::append_zeros(std::uint64_t count) {
  static constexpr std::byte kZeros[kPage] = {};
  for (; count > 0; count -= std::min<std::uint64_t>(count, kPage))
    INTACT_TRY(append({kZeros, static_cast<std::size_t>(std::min<std::uint64_t>(count, kPage))}));
  return {};
}

Result<void> Spill::align() { return append_zeros((kPage - size() % kPage) % kPage); }

Result<void> Spill::write(std::span<const std::byte> first, std::span<const std::byte> second) {
  while (!first.empty() || !second.empty()) {
    const iovec parts[] = {{const_cast<std::byte*>(first.data()), first.size()},
                           {const_cast<std::byte*>(second.data()), second.size()}};
    const ssize_t got = ::writev(file_.get(), parts, 2);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return system_error(errno, "cannot keep what is unpacked");
    const auto count = static_cast<std::size_t>(got);
    written_ += count;
    const std::size_t in_first = std::min(count, first.size());
    first = first.subspan(in_first);
    second = second.subspan(count - in_first);
  }
  return {};
}

Result<void> Spill::seal() {
  if (!file_) return {};
  INTACT_TRY(write(waiting_, {}));
  waiting_ = std::vector<std::byte>();
  if (directory_.empty()) ::fcntl(file_.get(), F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL);
  if (written_ == 0) return {};
  const auto size = static_cast<std::size_t>(written_);
  void* const memory = ::mmap(nullptr, size, PROT_READ, MAP_SHARED, file_.get(), 0);
  if (memory == MAP_FAILED) return system_error(errno, "cannot map what is unpacked");
  const std::shared_ptr<const void> owner(memory, [size](void* mapped) { ::munmap(mapped, size); });
  bytes_ = Bytes::borrow({static_cast<const std::byte*>(memory), size}, owner);
  return {};
}

}  // namespace intact
