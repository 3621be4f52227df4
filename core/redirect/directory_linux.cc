// opendir, fdopendir, readdir and what goes with them.
//
// A DIR* of ours is the address of a slot in one static array: whether a DIR* is ours is a question of range, with no
// lock and no look-up. The listing is taken when the directory is opened and does not change afterwards.

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include "core/redirect/answer.h"
#include "core/redirect/descriptor_linux.h"
#include "core/redirect/directory_stream_linux.h"
#include "core/redirect/shims.h"

namespace intact {
namespace {

static_assert(sizeof(dirent) == sizeof(dirent64));

struct Entry {
  std::string name;
  std::uint64_t inode;
  unsigned char type;
};

struct Stream {
  Place place;
  std::vector<Entry> entries;
  std::atomic<std::size_t> position{0};
  std::atomic<int> fd{-1};  // what dirfd gave out, or fdopendir was given; closed with the stream
  dirent current = {};      // what readdir points to, until its next call

  ~Stream() {
    if (fd.load() >= 0) ::close(fd.load());
  }
};

// More than a process may usually have descriptors.
constexpr std::size_t kStreams = 4096;
std::array<std::atomic<Stream*>, kStreams> streams;

Stream* stream_of(DIR* directory) {
  const auto offset = reinterpret_cast<std::uintptr_t>(directory) - reinterpret_cast<std::uintptr_t>(streams.data());
  if (offset >= sizeof streams) [[likely]]
    return nullptr;
  return streams[offset / sizeof streams[0]].load(std::memory_order_acquire);
}

DIR* put(std::unique_ptr<Stream> stream) {
  for (std::atomic<Stream*>& slot : streams) {
    Stream* empty = nullptr;
    if (slot.load(std::memory_order_relaxed) == nullptr && slot.compare_exchange_strong(empty, stream.get())) {
      stream.release();
      return reinterpret_cast<DIR*>(&slot);
    }
  }
  errno = EMFILE;
  return nullptr;
}

Entry entry_of(std::string name, const Place& place) {
  const unsigned char type = place.directory() ? DT_DIR : DT_REG;
  return {std::move(name), inode_of(place.mount->id(), place.node), type};
}

std::unique_ptr<Stream> list(const Place& place) {
  auto stream = std::make_unique<Stream>();
  stream->place = place;
  stream->entries.push_back(entry_of(".", place));
  const std::string path = place.mount->path_of(place.node);
  const ReadGuard tree(*redirect_state.tree.load(std::memory_order_acquire));
  const auto above = tree->lookup(path.substr(0, path.rfind('/')));
  stream->entries.push_back(entry_of("..", above ? *above : place));
  if (const auto [root, rest] = tree->root_of(path); root != nullptr) {
    for (const Place& child : tree->list(*root, rest)) {
      const std::string_view name = child.get().name();
      if (name.size() <= NAME_MAX) stream->entries.push_back(entry_of(std::string(name), child));
    }
  }
  return stream;
}

bool next(Stream& stream, dirent& out) {
  const std::size_t position = stream.position.load(std::memory_order_relaxed);
  if (position >= stream.entries.size()) return false;
  stream.position.store(position + 1, std::memory_order_relaxed);
  const Entry& entry = stream.entries[position];
  out.d_ino = entry.inode;
  out.d_off = static_cast<off_t>(position + 1);
  out.d_reclen = static_cast<unsigned short>(sizeof(dirent));
  out.d_type = entry.type;
  std::memcpy(out.d_name, entry.name.c_str(), entry.name.size() + 1);
  return true;
}

DIR* our_fdopendir(int fd) {
  if (redirect_state.any_descriptor.load(std::memory_order_acquire)) {
    if (const auto identity = identity_of(fd)) {
      const auto place = directory_of(fd);
      if (!place) {
        errno = identity->directory ? ENOENT : ENOTDIR;
        return nullptr;
      }
      auto stream = list(*place);
      DIR* const directory = put(std::move(stream));
      if (directory != nullptr) stream_of(directory)->fd.store(fd);
      return directory;
    }
  }
  return ::fdopendir(fd);
}

int our_readdir_r(DIR* directory, dirent* entry, dirent** result) {
  if (Stream* const stream = stream_of(directory)) {
    *result = next(*stream, *entry) ? entry : nullptr;
    return 0;
  }
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wdeprecated-declarations"
  return ::readdir_r(directory, entry, result);
#pragma GCC diagnostic pop
}

void our_rewinddir(DIR* directory) {
  if (Stream* const stream = stream_of(directory))
    stream->position.store(0);
  else
    ::rewinddir(directory);
}

void our_seekdir(DIR* directory, long position) {
  if (Stream* const stream = stream_of(directory))
    stream->position.store(static_cast<std::size_t>(position));
  else
    ::seekdir(directory, position);
}

long our_telldir(DIR* directory) {
  Stream* const stream = stream_of(directory);
  return stream != nullptr ? static_cast<long>(stream->position.load()) : ::telldir(directory);
}

int our_dirfd(DIR* directory) {
  Stream* const stream = stream_of(directory);
  if (stream == nullptr) return ::dirfd(directory);
  int fd = stream->fd.load();
  if (fd >= 0) return fd;
  const int opened = open_directory(stream->place, O_CLOEXEC);
  if (opened < 0 || stream->fd.compare_exchange_strong(fd, opened)) return opened;
  ::close(opened);
  return fd;
}

}  // namespace

DIR* open_stream(const Target& target) {
  if (!target.directory()) {
    errno = target.missing() ? target.error : ENOTDIR;
    return nullptr;
  }
  return put(list(target.place));
}

DIR* our_opendir(const char* path) {
  return answer(
      path, [](const char* there) { return ::opendir(there); }, open_stream);
}

dirent* our_readdir(DIR* directory) {
  Stream* const stream = stream_of(directory);
  if (stream == nullptr) [[likely]]
    return ::readdir(directory);
  return next(*stream, stream->current) ? &stream->current : nullptr;
}

int our_closedir(DIR* directory) {
  if (stream_of(directory) == nullptr) return ::closedir(directory);
  const std::unique_ptr<Stream> stream(reinterpret_cast<std::atomic<Stream*>*>(directory)->exchange(nullptr));
  return 0;
}

std::span<const Shim> directory_shims() {
  static const Shim table[] = {
      shim("opendir", our_opendir),     shim("fdopendir", our_fdopendir), shim("readdir", our_readdir),
      shim("readdir64", our_readdir),   shim("readdir_r", our_readdir_r), shim("readdir64_r", our_readdir_r),
      shim("rewinddir", our_rewinddir), shim("seekdir", our_seekdir),     shim("telldir", our_telldir),
      shim("dirfd", our_dirfd),         shim("closedir", our_closedir),
  };
  return table;
}

}  // namespace intact
