// Zip: the format of wheels and applications, and the hot path of every import.
//
// Opening reads the central directory (zip_end.cc, zip_directory.cc) and nothing else. Reading a member reads
// its local header, whose name has to be the directory's and which alone says where the data starts, and then the
// data. Both mostly come in one system call: in nearly every archive members lie one after another in the
// directory's order, so where the next one starts tells how long this one's header is. A wrong guess costs a
// second read. All sizes come from the directory; data descriptors and the sizes in local headers are not used.
//
// docs/formats/zip.md says what is read and what is refused.

#include <sys/stat.h>

#include <algorithm>
#include <cstdio>
#include <type_traits>

#include "core/archive/codecs.h"
#include "core/archive/dos_time.h"
#include "core/archive/formats.h"
#include "core/archive/input.h"
#include "core/archive/zip_directory.h"
#include "core/archive/zip_names.h"
#include "core/base/reader.h"

namespace intact {

namespace {

using namespace zip;

constexpr std::size_t kPiece = std::size_t{256} << 10;      // check() reads a stored member in pieces of this
constexpr std::uint64_t kMostExtra = 1024;                  // bytes of local extra field that a guess may cover

std::string hex(std::uint32_t number) {
  char text[16];
  std::snprintf(text, sizeof text, "0x%08x", number);
  return text;
}

class ZipArchive final : public Archive {
 public:
  ZipArchive(std::string name, Input input, ZipDirectory directory, const Limits& limits)
      : Archive(std::move(name)), input_(std::move(input)), directory_(std::move(directory)), times_(directory_.members()), limits_(limits) {}

  const char* format() const override { return "zip"; }
  std::span<const Member> members() const override { return directory_.members(); }
  std::size_t unreachable() const override { return directory_.unreachable(); }

  std::int64_t mtime(std::size_t index) const override;
  Result<Bytes> read(std::size_t index) const override;
  Result<void> read_into(std::size_t index, std::span<std::byte> target) const override;
  Result<std::optional<Extent>> extent(std::size_t index) const override;
  Result<void> check(std::size_t index) const override;

 private:
  const Member& member(std::size_t index) const { return members()[index]; }
  bool stored(std::size_t index) const { return member(index).method == static_cast<std::uint16_t>(Method::kStored); }

  // The steps of reading.
  Result<void> admit(std::size_t index) const;
  std::uint64_t guess_header_size(std::size_t index) const;
  Result<std::uint64_t> check_header(std::size_t index, std::span<const std::byte> head) const;
  Result<std::uint64_t> find_data(std::size_t index, Workspace& workspace) const;
  Result<void> read_stored(std::size_t index, std::span<std::byte> target, Workspace& workspace) const;
  Result<std::span<const std::byte>> read_packed(std::size_t index, Workspace& workspace) const;
  Result<void> check_crc(std::size_t index, std::uint32_t crc) const;

  Result<void> fetch(std::size_t index, std::uint64_t offset, std::span<std::byte> head, std::span<std::byte> target) const;
  Error no_memory(std::size_t index, std::uint64_t size) const {
    return member_error(index, "no memory for " + std::to_string(size) + " bytes");
  }

  Input input_;
  ZipDirectory directory_;
  DosTimes times_;
  Limits limits_;
  mutable WorkspacePool workspaces_;  // lock-free
};

std::int64_t ZipArchive::mtime(std::size_t index) const {
  // Info-ZIP's extended timestamp, in UTC: a byte of flags, of which bit 0 says that the modification time follows.
  if (const auto field = find_extra(directory_.extra(index), kExtraTimestamp)) {
    Reader reader(*field);
    const bool modified = reader.u8() & 1;
    const auto seconds = static_cast<std::int32_t>(reader.u32());
    if (modified && reader.ok()) return seconds;
  }
  return times_.seconds(member(index).time);
}

Result<Bytes> ZipArchive::read(std::size_t index) const {
  INTACT_TRY(admit(index));
  const auto size = static_cast<std::size_t>(member(index).size);
  if (stored(index) && input_.in_memory()) {
    WorkspacePool::Lease workspace(workspaces_);
    INTACT_ASSIGN(const std::uint64_t offset, find_data(index, *workspace));
    Bytes bytes = input_.memory().part(static_cast<std::size_t>(offset), size);
    INTACT_TRY(check_crc(index, crc32(bytes.span())));
    return bytes;
  }
  auto buffer = try_allocate(size);
  if (!buffer) return no_memory(index, size);
  INTACT_TRY(read_into(index, {buffer.get(), size}));
  return Bytes::own(std::move(buffer), size);
}

Result<void> ZipArchive::read_into(std::size_t index, std::span<std::byte> target) const {
  INTACT_TRY(admit(index));
  if (target.size() != member(index).size) return Error{ErrorCode::kArgument, "a target of another size than the member", name()};
  WorkspacePool::Lease workspace(workspaces_);
  if (stored(index)) {
    INTACT_TRY(read_stored(index, target, *workspace));
  } else {
    INTACT_ASSIGN(const auto packed, read_packed(index, *workspace));
    if (auto reason = workspace->unpack(static_cast<Method>(member(index).method), packed, target)) {
      return member_error(index, *std::move(reason), member(index).offset);
    }
  }
  return check_crc(index, crc32(target));
}

Result<std::optional<Extent>> ZipArchive::extent(std::size_t index) const {
  if (!stored(index) || member(index).encrypted || input_.in_memory()) return std::optional<Extent>();
  INTACT_TRY(admit(index));
  WorkspacePool::Lease workspace(workspaces_);
  INTACT_ASSIGN(const std::uint64_t offset, find_data(index, *workspace));
  return std::optional(Extent{input_.fd(), offset, member(index).size});
}

Result<void> ZipArchive::check(std::size_t index) const {
  if (!stored(index) || input_.in_memory()) {
    auto bytes = read(index);
    return bytes ? Result<void>() : std::move(bytes).error();
  }
  INTACT_TRY(admit(index));
  WorkspacePool::Lease workspace(workspaces_);
  INTACT_ASSIGN(std::uint64_t offset, find_data(index, *workspace));
  std::byte* piece = workspace->scratch(kPiece);
  if (!piece) return no_memory(index, kPiece);
  std::uint32_t crc = 0;
  for (std::uint64_t left = member(index).size; left > 0;) {
    const auto size = static_cast<std::size_t>(std::min<std::uint64_t>(left, kPiece));
    INTACT_TRY(fetch(index, offset, {}, {piece, size}));
    crc = crc32({piece, size}, crc);
    offset += size;
    left -= size;
  }
  return check_crc(index, crc);
}

// What the directory alone tells: whether the member may be read, before memory or time is spent on it.
Result<void> ZipArchive::admit(std::size_t index) const {
  const Member& m = member(index);
  const auto refuse = [&](std::string reason) { return member_error(index, std::move(reason), m.offset); };
  if (m.encrypted) return refuse("encrypted, which is not supported");
  if (directory_.header(index).flags & kFlagPatch) return refuse("compressed patch data, which is not supported");
  if (auto reason = unsupported_method(m.method)) return refuse(*std::move(reason));
  if (m.size > limits_.member_size || m.packed_size > limits_.member_size) {
    return refuse("of " + std::to_string(std::max(m.size, m.packed_size)) + " bytes, over the limit of " +
                  std::to_string(limits_.member_size));
  }
  if (m.size > SIZE_MAX || m.packed_size > SIZE_MAX) return refuse("larger than this machine's memory");
  const std::uint64_t header = sizeof(LocalHeader) + directory_.raw_name(index).size();
  if (m.offset > directory_.start() || header > directory_.start() - m.offset ||
      m.packed_size > directory_.start() - m.offset - header) {
    return refuse("said to reach into the central directory");
  }
  if (!plausible_size(static_cast<Method>(m.method), m.packed_size, m.size)) {
    return refuse(std::to_string(m.packed_size) + " bytes cannot unpack to " + std::to_string(m.size));
  }
  return {};
}

// How long the local header with name and extra field probably is: what lies between this header's start and the next
// one's, less the data. Its name always fits; the size never reaches into the central directory.
std::uint64_t ZipArchive::guess_header_size(std::size_t index) const {
  const Member& m = member(index);
  const std::uint64_t least = sizeof(LocalHeader) + directory_.raw_name(index).size();
  const std::uint64_t next = index + 1 < members().size() ? member(index + 1).offset : directory_.start();
  const std::uint64_t end = next > m.offset ? std::min(next, directory_.start()) : directory_.start();
  const std::uint64_t header = end - m.offset >= m.packed_size ? end - m.offset - m.packed_size : 0;
  return header >= least && header - least <= kMostExtra ? header : least;
}

// Where the data starts, counted from the local header, of which `head` has at least the fixed part and the name.
Result<std::uint64_t> ZipArchive::check_header(std::size_t index, std::span<const std::byte> head) const {
  const Member& m = member(index);
  Reader reader(head);
  const auto header = reader.record<LocalHeader>();
  if (header.signature != kLocalSignature) return member_error(index, "no local header where one should be", m.offset);
  const std::string_view expected = directory_.raw_name(index);
  if (header.name_size != expected.size() || reader.text(expected.size()) != expected) {
    return member_error(index, "the local header has another name than the central directory", m.offset);
  }
  const std::uint64_t size = reader.position() + header.extra_size;
  // admit() has checked that the fixed part, the name and the data fit; but the bytes are the user's, and may have changed.
  const std::uint64_t room = directory_.start() - m.offset;
  if (size > room || m.packed_size > room - size) {
    return member_error(index, "data reaches into the central directory", m.offset);
  }
  return size;
}

Result<std::uint64_t> ZipArchive::find_data(std::size_t index, Workspace& workspace) const {
  const std::uint64_t offset = member(index).offset;
  const std::size_t size = sizeof(LocalHeader) + directory_.raw_name(index).size();
  std::span<const std::byte> head;
  if (input_.in_memory()) {
    const auto left = input_.memory().span().subspan(static_cast<std::size_t>(offset));
    head = left.first(std::min(size, left.size()));
  } else {
    std::byte* buffer = workspace.scratch(size);
    if (!buffer) return no_memory(index, size);
    INTACT_TRY(fetch(index, offset, {}, {buffer, size}));
    head = {buffer, size};
  }
  INTACT_ASSIGN(const std::uint64_t header, check_header(index, head));
  return offset + header;
}

Result<void> ZipArchive::read_stored(std::size_t index, std::span<std::byte> target, Workspace& workspace) const {
  const std::uint64_t offset = member(index).offset;
  const auto guess = static_cast<std::size_t>(guess_header_size(index));
  std::byte* head = workspace.scratch(guess);
  if (!head) return no_memory(index, guess);
  INTACT_TRY(fetch(index, offset, {head, guess}, target));
  INTACT_ASSIGN(const std::uint64_t header, check_header(index, {head, guess}));
  if (header != guess) INTACT_TRY(fetch(index, offset + header, {}, target));
  return {};
}

// The compressed bytes, in the workspace's scratch buffer or where they lie in memory.
Result<std::span<const std::byte>> ZipArchive::read_packed(std::size_t index, Workspace& workspace) const {
  const std::uint64_t offset = member(index).offset;
  const auto packed_size = static_cast<std::size_t>(member(index).packed_size);
  if (input_.in_memory()) {
    INTACT_ASSIGN(const std::uint64_t data, find_data(index, workspace));
    return input_.memory().span().subspan(static_cast<std::size_t>(data), packed_size);
  }
  const auto guess = static_cast<std::size_t>(guess_header_size(index));
  std::byte* buffer = workspace.scratch(guess + packed_size);
  if (!buffer) return no_memory(index, guess + packed_size);
  INTACT_TRY(fetch(index, offset, {}, {buffer, guess + packed_size}));
  INTACT_ASSIGN(const std::uint64_t header, check_header(index, {buffer, guess}));
  if (header != guess) INTACT_TRY(fetch(index, offset + header, {}, {buffer + guess, packed_size}));
  return std::span<const std::byte>(buffer + guess, packed_size);
}

Result<void> ZipArchive::check_crc(std::size_t index, std::uint32_t crc) const {
  const Member& m = member(index);
  if (crc == m.crc) return {};
  return member_error(index, "CRC-32 is " + hex(crc) + ", the directory says " + hex(m.crc), m.offset);
}

Result<void> ZipArchive::fetch(std::size_t index, std::uint64_t offset, std::span<std::byte> head,
                               std::span<std::byte> target) const {
  auto got = input_.read2(offset, head, target);
  if (got) return {};
  Error error = member_error(index, got.error().reason, got.error().offset);
  error.system_errno = got.error().system_errno;
  if (error.system_errno != 0) error.code = ErrorCode::kSystem;
  return error;
}

Result<std::optional<Input>> make_input(Source& source) {
  if (auto* bytes = std::get_if<Bytes>(&source.bytes)) return std::optional<Input>(*bytes);
  auto& fd = std::get<UniqueFd>(source.bytes);
  struct stat status;
  if (::fstat(fd.get(), &status) != 0) return system_error(errno, "cannot stat");
  if (!S_ISREG(status.st_mode)) return std::optional<Input>();
  return std::optional<Input>(std::in_place, std::move(fd), static_cast<std::uint64_t>(status.st_size));
}

Result<std::unique_ptr<Archive>> open_zip(Source& source, const Limits& limits) {
  INTACT_ASSIGN(auto input, make_input(source));
  if (!input) return std::unique_ptr<Archive>();
  INTACT_ASSIGN(const auto place, find_directory(*input));
  if (!place) {
    if (!input->in_memory()) source.bytes = input->release();
    return std::unique_ptr<Archive>();
  }
  INTACT_ASSIGN(auto directory, ZipDirectory::read(*input, *place, limits));
  return std::unique_ptr<Archive>(
      std::make_unique<ZipArchive>(source.name, *std::move(input), std::move(directory), limits));
}

}  // namespace

const Format kZipFormat{"zip", open_zip};

}  // namespace intact
