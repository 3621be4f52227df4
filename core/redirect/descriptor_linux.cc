// Making descriptors and telling what they stand for; see descriptor_linux.h.

#include "core/redirect/descriptor_linux.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <string_view>

#include "core/base/unique_fd.h"
#include "core/redirect/locate_linux.h"

namespace intact {

constinit std::atomic<std::uint64_t> memfd_device{UINT64_MAX};

namespace {

constexpr std::size_t kWrittenWhole = 256 << 10;  // bytes; larger members are unpacked straight into the memfd
constexpr std::int64_t kZipEpoch = 315532800;     // 1980-01-01, the time of directories that nobody wrote down

// "intact:f:MOUNT:NODE:name"; the kernel takes 249 bytes.
UniqueFd new_memfd(const Place& place, bool directory) {
  char name[200];
  const std::string_view own = place.get().name();
  snprintf(name, sizeof name, "intact:%c:%llu:%u:%.*s", directory ? 'd' : 'f',
           static_cast<unsigned long long>(place.mount->id()), place.node,
           static_cast<int>(std::min<std::size_t>(own.size(), 120)), own.data());
  UniqueFd fd(memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING));
  if (struct stat stat;
      fd && memfd_device.load(std::memory_order_relaxed) == UINT64_MAX && ::fstat(fd.get(), &stat) == 0) {
    memfd_device.store(stat.st_dev, std::memory_order_relaxed);
  }
  return fd;
}

int errno_of(const Error& error) {
  return error.code == ErrorCode::kSystem && error.system_errno != 0 ? error.system_errno : EIO;
}

bool write_whole(int fd, std::span<const std::byte> bytes) {
  while (!bytes.empty()) {
    const ssize_t written = ::write(fd, bytes.data(), bytes.size());
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) return false;
    bytes = bytes.subspan(static_cast<std::size_t>(written));
  }
  return ::lseek(fd, 0, SEEK_SET) == 0;
}

// 0 or an errno. What is opened with O_PATH cannot be read, and gets a size only.
int fill(int fd, const Place& place, int flags) {
  const Archive& archive = place.mount->archive();
  const std::uint32_t member = place.get().member;
  const std::size_t size = archive.member(member).size;
  if ((flags & O_PATH) != 0) return ::ftruncate(fd, static_cast<off_t>(size)) == 0 ? 0 : errno;
  if (size <= kWrittenWhole) {
    const auto bytes = archive.read(member);
    if (!bytes) return errno_of(bytes.error());
    return write_whole(fd, bytes->span()) ? 0 : errno;
  }
  if (::ftruncate(fd, static_cast<off_t>(size)) != 0) return errno;
  void* const memory = ::mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  if (memory == MAP_FAILED) return errno;
  const auto read = archive.read_into(member, {static_cast<std::byte*>(memory), size});
  ::munmap(memory, size);
  return read ? 0 : errno_of(read.error());
}

std::int64_t mtime_of(const Place& place) {
  const std::uint32_t member = place.get().member;
  return member == kNone ? kZipEpoch : place.mount->archive().mtime(member);
}

// A directory's time also tells one mount from another under the same root: importlib's finders keep a listing for as
// long as the time stays.
timespec time_of(const Place& place) {
  timespec time = {};
  time.tv_sec = mtime_of(place);
  if (place.directory()) time.tv_nsec = static_cast<long>(place.mount->id() % 1'000'000 * 1000);
  return time;
}

mode_t mode_of(const Place& place) {
  if (place.directory()) return S_IFDIR | 0555;
  const mode_t kept = place.mount->archive().member(place.get().member).mode;
  return S_IFREG | 0444 | (kept & 0111);
}

// Opened anew, so that it can only be read; without /proc the writable one is given, which the seals make useless for
// writing.
int reopen(UniqueFd fd, int flags) {
  char link[64];
  snprintf(link, sizeof link, "/proc/self/fd/%d", fd.get());
  const int kept = flags & (O_CLOEXEC | O_PATH | O_NONBLOCK);
  if (const int readable = ::open(link, O_RDONLY | kept); readable >= 0) return readable;
  if ((flags & O_CLOEXEC) == 0) ::fcntl(fd.get(), F_SETFD, 0);
  return fd.release();
}

int finish(UniqueFd fd, const Place& place, int flags) {
  ::fchmod(fd.get(), mode_of(place) & 07777);
  const timespec time = time_of(place);
  const timespec times[2] = {time, time};
  ::futimens(fd.get(), times);
  ::fcntl(fd.get(), F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL);
  return reopen(std::move(fd), flags);
}

}  // namespace

int open_member(const Place& place, int flags) {
  UniqueFd fd = new_memfd(place, false);
  if (!fd) return -1;
  if (const int error = fill(fd.get(), place, flags); error != 0) {
    fd = UniqueFd();
    errno = error;
    return -1;
  }
  return finish(std::move(fd), place, flags);
}

int open_directory(const Place& place, int flags) {
  UniqueFd fd = new_memfd(place, true);
  if (!fd) return -1;
  redirect_state.any_descriptor.store(true, std::memory_order_release);
  // With O_PATH reading is an error (EBADF for EISDIR); an empty file would have been read as one.
  return finish(std::move(fd), place, flags | O_PATH);
}

std::optional<Identity> identity_of(int fd) {
  struct stat stat;
  if (memfd_device.load(std::memory_order_relaxed) == UINT64_MAX || ::fstat(fd, &stat) != 0) return std::nullopt;
  if (!may_be_descriptor_of_ours(stat)) return std::nullopt;
  char link[64];
  snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
  char name[256];
  const ssize_t length = ::readlink(link, name, sizeof name - 1);
  if (length <= 0) return std::nullopt;
  name[length] = '\0';
  char kind = 0;
  unsigned long long mount = 0;
  Identity identity;
  if (sscanf(name, "/memfd:intact:%c:%llu:%u:", &kind, &mount, &identity.node) != 3) return std::nullopt;
  identity.mount = mount;
  identity.directory = kind == 'd';
  return identity;
}

std::optional<Place> directory_of(int fd) {
  const int before = errno;
  const auto identity = identity_of(fd);
  errno = before;
  if (!identity || !identity->directory) return std::nullopt;
  const ReadGuard tree(*redirect_state.tree.load(std::memory_order_acquire));
  for (const MountPtr& mount : tree->mounts()) {
    if (mount->id() == identity->mount && mount->index().is_directory(identity->node))
      return Place{mount, identity->node};
  }
  return std::nullopt;
}

std::uint64_t inode_of(std::uint64_t mount, std::uint32_t node) {
  std::uint64_t mixed = (mount << 32 | node) + 0x9e3779b97f4a7c15u;
  mixed = (mixed ^ (mixed >> 30)) * 0xbf58476d1ce4e5b9u;
  mixed = (mixed ^ (mixed >> 27)) * 0x94d049bb133111ebu;
  return (mixed ^ (mixed >> 31)) | 1;
}

void fill_stat(const Place& place, struct stat* out) {
  *out = {};
  out->st_mode = mode_of(place);
  out->st_uid = ::geteuid();
  out->st_gid = ::getegid();
  if (!place.directory()) out->st_size = static_cast<off_t>(place.mount->archive().member(place.get().member).size);
  out->st_mtim = time_of(place);
  amend_stat({place.mount->id(), place.node, place.directory()}, out);
}

void amend_stat(const Identity& identity, struct stat* out) {
  constexpr unsigned kMajor = 0xfff;  // of no device that there is
  constexpr unsigned kMinor = 0x1a7ac;
  out->st_dev = makedev(kMajor, kMinor);
  out->st_ino = inode_of(identity.mount, identity.node);
  out->st_nlink = identity.directory ? 2 : 1;
  if (identity.directory) out->st_mode = S_IFDIR | (out->st_mode & 07777);
  out->st_atim = out->st_mtim;
  out->st_ctim = out->st_mtim;
  out->st_blksize = 4096;
  out->st_blocks = (out->st_size + 511) / 512;
}

}  // namespace intact
