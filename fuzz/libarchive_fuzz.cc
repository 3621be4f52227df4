// Fuzzes what is read by way of libarchive, gzip and links among it: any bytes are an archive, an error, or of no
// format that is known; never a crash or memory over the limits.
//
// Each input is opened from memory, where contents lie in one piece, and from a file, which is read block by block;
// both must say the same. libarchive itself is the system's: it reports no coverage, and is watched for crashes only.

#include <sys/stat.h>
#include <unistd.h>

#include "core/archive/archive.h"
#include "fuzz/input.h"

namespace {

using namespace intact;
using fuzz::kLimits;
using fuzz::require;

void compare(const Archive& memory, const Archive& file) {
  require(std::string_view(memory.format()) == file.format());
  require(memory.size() == file.size() && memory.size() <= kLimits.members);
  require(memory.unreachable() == file.unreachable());
  require(!memory.has_links() && !file.has_links());
  for (std::size_t i = 0; i < memory.size(); ++i) {
    const Member member = memory.member(i);
    require(member.path == file.member_name(i).path && !member.path.empty());
    require(memory.mtime(i) == file.mtime(i));
    require(member.directory == file.member(i).directory && member.size == file.member(i).size);
    if (member.directory) continue;
    require(!S_ISLNK(member.mode) && !S_ISDIR(member.mode));
    const auto bytes = memory.read(i);
    const auto same = file.read(i);
    require(static_cast<bool>(bytes) == static_cast<bool>(same));
    require(static_cast<bool>(bytes) == static_cast<bool>(file.check(i)));
    if (!bytes) {
      require((bytes.error().code == ErrorCode::kMember || member.encrypted) && bytes.error().member == member.path);
      continue;
    }
    require(bytes->size() == member.size && bytes->size() <= kLimits.member_size && bytes->text() == same->text());
    const auto extent = file.extent(i);
    require(static_cast<bool>(extent));
    if (*extent && member.size > 0) {
      require((*extent)->size == member.size);
      std::string there(static_cast<std::size_t>(member.size), '\0');
      require(::pread((*extent)->fd, there.data(), there.size(), static_cast<off_t>((*extent)->offset)) ==
              static_cast<ssize_t>(there.size()));
      require(there == bytes->text());
    }
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto input = std::as_bytes(std::span(data, size));
  const OpenOptions options(kLimits);
  const auto memory = open_archive(Source{"memory", fuzz::in_memory(input)}, options);
  const auto file = open_archive(Source{"file", fuzz::in_file(input)}, options);
  require(static_cast<bool>(memory) == static_cast<bool>(file));
  if (memory) {
    compare(**memory, **file);
  } else {
    require(memory.error().code == file.error().code && !memory.error().reason.empty());
    require(memory.error().code == ErrorCode::kArchive || memory.error().code == ErrorCode::kPassword);
  }
  return 0;
}
