// Fuzzes the zip reader: any bytes are an archive, an error, or not a zip; never a crash or memory over the limits.
//
// Encrypted members are read with the password of the seeds. Each input is read from memory and from a file, which are
// different paths, and both must say the same.

#include <sys/mman.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>

#include "core/archive/archive.h"

namespace {

using namespace intact;

constexpr Limits kLimits{.members = 1000, .member_size = 1 << 20, .directory_size = 1 << 20};

void require(bool holds) {
  if (!holds) std::abort();
}

void compare(const Archive& memory, const Archive& file) {
  require(memory.size() == file.size());
  require(memory.unreachable() == file.unreachable());
  for (std::size_t i = 0; i < memory.size(); ++i) {
    const Member member = memory.member(i);
    require(member.path == file.member_name(i).path && !member.path.empty());
    require(memory.mtime(i) == file.mtime(i));
    const auto bytes = memory.read(i);
    const auto same = file.read(i);
    require(static_cast<bool>(bytes) == static_cast<bool>(same));
    require(static_cast<bool>(bytes) == static_cast<bool>(file.check(i)));
    if (!bytes) {
      require((bytes.error().code == ErrorCode::kMember || member.encrypted) && bytes.error().member == member.path);
      continue;
    }
    require(bytes->size() == member.size && bytes->text() == same->text());
    const auto extent = file.extent(i);
    require(static_cast<bool>(extent));
    if (*extent) require((*extent)->size == member.size);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  // A copy of exactly this size, so that the sanitizer sees a read beyond.
  auto copy = std::make_unique<std::byte[]>(size);
  if (size > 0) std::memcpy(copy.get(), data, size);
  UniqueFd fd(::memfd_create("input", MFD_CLOEXEC));
  require(::write(fd.get(), data, size) == static_cast<ssize_t>(size));

  OpenOptions options(kLimits);
  options.password = []() -> Result<std::optional<std::string>> { return std::optional<std::string>("sesame"); };
  const auto memory = open_archive(Source{"memory", Bytes::own(std::move(copy), size)}, options);
  const auto file = open_archive(Source{"file", std::move(fd)}, options);
  require(static_cast<bool>(memory) == static_cast<bool>(file));
  if (memory)
    compare(**memory, **file);
  else
    require(memory.error().code == file.error().code && memory.error().reason == file.error().reason);
  return 0;
}
