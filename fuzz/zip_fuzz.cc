// Fuzzes the zip reader: any bytes are an archive, an error, or not a zip; never a crash or memory over the limits.
//
// Encrypted members are read with the password of the seeds. Each input is read from memory and from a file, which are
// different paths, and both must say the same.

#include "core/archive/archive.h"
#include "fuzz/input.h"

namespace {

using namespace intact;
using fuzz::require;

constexpr Limits kLimits{.members = 1000, .member_size = 1 << 20, .directory_size = 1 << 20};

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
  const auto input = std::as_bytes(std::span(data, size));
  OpenOptions options(kLimits);
  options.password = []() -> Result<std::optional<std::string>> { return std::optional<std::string>("sesame"); };
  const auto memory = open_archive(Source{"memory", fuzz::in_memory(input)}, options);
  const auto file = open_archive(Source{"file", fuzz::in_file(input)}, options);
  require(static_cast<bool>(memory) == static_cast<bool>(file));
  if (memory)
    compare(**memory, **file);
  else
    require(memory.error().code == file.error().code && memory.error().reason == file.error().reason);
  return 0;
}
