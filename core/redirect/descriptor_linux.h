// Descriptors for members and directories.
//
// Both are memfds: real descriptors, which can be read, sought, mapped, duplicated and inherited. A member's holds its
// bytes and is sealed; a directory's is empty. What one stands for is written in its name, which /proc/self/fd shows,
// so there is no table of descriptors to keep in step with close, dup, fork and exec.

#pragma once

#include <sys/stat.h>

#include <atomic>
#include <cstdint>
#include <optional>

#include "core/tree/tree.h"

namespace intact {

// What a memfd of ours stands for.
struct Identity {
  std::uint64_t mount = 0;  // Mount::id
  std::uint32_t node = 0;
  bool directory = false;
};

// Descriptors for reading; `flags` are open's (O_CLOEXEC, O_PATH and O_NONBLOCK count). -1 and errno on failure; a
// member that cannot be read is EIO.
int open_member(const Place& place, int flags);
int open_directory(const Place& place, int flags);

// The device that all memfds are on, once we have given one out; nothing else that has a path is on it.
extern constinit std::atomic<std::uint64_t> memfd_device;

std::optional<Identity> identity_of(int fd);
// The directory that a descriptor of ours stands for, while its mount is there.
std::optional<Place> directory_of(int fd);

// What stat answers.
void fill_stat(const Place& place, struct stat* out);
// Changes what the C library's fstat said of a memfd into what stat says of the member.
void amend_stat(const Identity& identity, struct stat* out);
std::uint64_t inode_of(std::uint64_t mount, std::uint32_t node);

inline bool may_be_descriptor_of_ours(const struct stat& stat) {
  return stat.st_dev == memfd_device.load(std::memory_order_relaxed);
}

}  // namespace intact
