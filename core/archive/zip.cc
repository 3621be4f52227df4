// Zip: the format of wheels and applications, and the hot path of every import.
//
// Opening reads the central directory (zip_end.cc, zip_directory.cc) and nothing else. Reading a member reads
// its local header, whose name has to be the directory's and which alone says where the data starts, and then the
// data. Both mostly come in one system call: in nearly every archive members lie one after another in the
// directory's order, so where the next one starts tells how long this one's header is. A wrong guess costs a
// second read. All sizes come from the directory; data descriptors and the sizes in local headers are not used.
//
// An app (docs/formats/app.md) is a zip of a few members the last of which is the zip that matters. It is opened as
// that inner zip, whose end is the member's: what stands before it is then what stands before any zip, and all offsets,
// extents among them, are the file's own.
//
// What is encrypted (zip_crypto.cc) is decrypted on its way from the archive to the codec. Members without encryption
// take none of those steps.
//
// docs/formats/zip.md says what is read and what is refused.

#include <algorithm>
#include <atomic>
#include <cstdio>

#include "core/archive/codecs.h"
#include "core/archive/formats.h"
#include "core/archive/input.h"
#include "core/archive/signatures.h"
#include "core/archive/zip_directory.h"
#include "core/base/reader.h"
#include "core/base/secret.h"

namespace intact {

namespace {

using namespace zip;

constexpr std::size_t kPiece = std::size_t{64} << 10;  // check() reads a stored member in pieces of this
constexpr std::uint64_t kMostExtra = 1024;             // bytes of local extra field that a guess may cover
constexpr std::uint64_t kMostProof = 1 << 20;          // bytes of a member that is read to try a password

std::string hex(std::uint32_t number) {
  char text[16];
  std::snprintf(text, sizeof text, "0x%08x", number);
  return text;
}

constexpr const char* kWrongPassword = "wrong password, or the bytes that tell it are damaged";
constexpr std::string_view kPayload = "intact-payload.zip";

// Whether the contents lie in the archive as they are.
bool stored(const Entry& entry) {
  return entry.method == static_cast<std::uint16_t>(Method::kStored) && !entry.encrypted;
}

class ZipArchive final : public Archive {
 public:
  ZipArchive(const char* format, std::string name, Input input, ZipDirectory directory, const Limits& limits)
      : Archive(std::move(name)),
        format_(format),
        input_(std::move(input)),
        directory_(std::move(directory)),
        limits_(limits) {}

  // Where an app's inner zip ends; nothing for any other zip.
  Result<std::optional<std::uint64_t>> payload_end() const;
  // Asks for the password if anything here can be decrypted, and tries it. To be called once, before members are read.
  Result<void> unlock(const OpenOptions::Password& password);
  Input into_input() && { return std::move(input_); }

  const char* format() const override { return format_; }
  std::size_t size() const override { return directory_.size(); }
  Member member(std::size_t index) const override { return directory_.entry(index); }
  MemberName member_name(std::size_t index) const override { return directory_.member_name(index); }
  int descriptor() const override { return input_.fd(); }
  const Input* input() const override { return &input_; }
  bool has_links() const override { return directory_.has_links(); }
  std::size_t unreachable() const override { return directory_.unreachable(); }

  std::int64_t mtime(std::size_t index) const override { return directory_.mtime(index); }
  Result<Bytes> read(std::size_t index) const override;
  Result<void> read_into(std::size_t index, std::span<std::byte> target) const override;
  Result<std::optional<Extent>> extent(std::size_t index) const override;
  Result<void> check(std::size_t index) const override;

 private:
  // The steps of reading.
  Result<void> admit(const Entry& entry) const;
  Result<void> fill(const Entry& entry, std::span<std::byte> target) const;
  Result<void> fill_decrypted(const Entry& entry, std::span<std::byte> target, Workspace& workspace) const;
  Result<void> try_password(const Entry& entry) const;
  std::uint64_t guess_header_size(const Entry& entry) const;
  Result<std::uint64_t> check_header(const Entry& entry, std::span<const std::byte> head) const;
  Result<std::uint64_t> find_data(const Entry& entry, Workspace& workspace) const;
  Result<void> read_stored(const Entry& entry, std::span<std::byte> target, Workspace& workspace) const;
  Result<std::span<const std::byte>> read_packed(const Entry& entry, Workspace& workspace) const;
  Result<void> check_crc(const Entry& entry, std::uint32_t crc) const;

  Result<void> fetch(const Entry& entry, std::uint64_t offset, std::span<std::byte> head,
                     std::span<std::byte> target) const;
  Error failure(const Entry& entry, std::string reason) const {
    return member_error(entry.index, std::move(reason), entry.offset);
  }
  Error wrong_password(const Entry& entry, std::string reason) const {
    Error error = failure(entry, std::move(reason));
    error.code = ErrorCode::kPassword;
    return error;
  }
  Error no_memory(const Entry& entry, std::uint64_t size) const {
    return member_error(entry.index, "no memory for " + std::to_string(size) + " bytes");
  }

  const char* format_;
  Input input_;
  ZipDirectory directory_;
  Limits limits_;
  std::optional<Secret> password_;            // set by unlock() and never afterwards
  mutable std::atomic<bool> proven_ = false;  // an encrypted member was read right with it
  mutable WorkspacePool workspaces_;          // lock-free
};

Result<Bytes> ZipArchive::read(std::size_t index) const {
  const Entry entry = directory_.entry(index);
  INTACT_TRY(admit(entry));
  const auto size = static_cast<std::size_t>(entry.size);
  if (stored(entry) && input_.in_memory()) {
    WorkspacePool::Lease workspace(workspaces_);
    INTACT_ASSIGN(const std::uint64_t offset, find_data(entry, *workspace));
    Bytes bytes = input_.memory().part(static_cast<std::size_t>(offset), size);
    INTACT_TRY(check_crc(entry, crc32(bytes.span())));
    return bytes;
  }
  auto buffer = try_allocate(size);
  if (!buffer) return no_memory(entry, size);
  INTACT_TRY(fill(entry, {buffer.get(), size}));
  return Bytes::own(std::move(buffer), size);
}

Result<void> ZipArchive::read_into(std::size_t index, std::span<std::byte> target) const {
  const Entry entry = directory_.entry(index);
  INTACT_TRY(admit(entry));
  if (target.size() != entry.size)
    return Error{ErrorCode::kArgument, "a target of another size than the member", name()};
  return fill(entry, target);
}

Result<std::optional<Extent>> ZipArchive::extent(std::size_t index) const {
  const Entry entry = directory_.entry(index);
  if (!stored(entry) || input_.in_memory()) return std::optional<Extent>();
  INTACT_TRY(admit(entry));
  WorkspacePool::Lease workspace(workspaces_);
  INTACT_ASSIGN(const std::uint64_t offset, find_data(entry, *workspace));
  return std::optional(input_.extent(offset, entry.size));
}

Result<std::optional<std::uint64_t>> ZipArchive::payload_end() const {
  if (size() == 0 || directory_.member_name(size() - 1).path != kPayload) return std::optional<std::uint64_t>();
  const Entry entry = directory_.entry(size() - 1);
  if (!stored(entry)) return failure(entry, "compressed or encrypted, where it has to be stored");
  if (auto reason = directory_.overrun(entry, entry.least_header())) return failure(entry, *std::move(reason));
  WorkspacePool::Lease workspace(workspaces_);
  INTACT_ASSIGN(const std::uint64_t data, find_data(entry, *workspace));
  return std::optional(data + entry.packed_size);
}

Result<void> ZipArchive::check(std::size_t index) const {
  const Entry entry = directory_.entry(index);
  if (!stored(entry) || input_.in_memory()) {
    auto bytes = read(index);
    return bytes ? Result<void>() : std::move(bytes).error();
  }
  INTACT_TRY(admit(entry));
  WorkspacePool::Lease workspace(workspaces_);
  INTACT_ASSIGN(std::uint64_t offset, find_data(entry, *workspace));
  std::byte* piece = workspace->scratch(kPiece);
  if (!piece) return no_memory(entry, kPiece);
  std::uint32_t crc = 0;
  for (std::uint64_t left = entry.size; left > 0;) {
    const auto size = static_cast<std::size_t>(std::min<std::uint64_t>(left, kPiece));
    INTACT_TRY(fetch(entry, offset, {}, {piece, size}));
    crc = crc32({piece, size}, crc);
    offset += size;
    left -= size;
  }
  return check_crc(entry, crc);
}

// Whether the member may be read, before memory or time is spent on it.
Result<void> ZipArchive::admit(const Entry& entry) const {
  if (auto reason = directory_.refusal(entry, limits_)) return failure(entry, *std::move(reason));
  if (entry.encrypted && !password_) return wrong_password(entry, "encrypted, and no password= was given");
  return {};
}

// Of a member that was admitted, into as much memory as it says it has.
Result<void> ZipArchive::fill(const Entry& entry, std::span<std::byte> target) const {
  WorkspacePool::Lease workspace(workspaces_);
  if (entry.encrypted) return fill_decrypted(entry, target, *workspace);
  if (stored(entry)) {
    INTACT_TRY(read_stored(entry, target, *workspace));
  } else {
    INTACT_ASSIGN(const auto packed, read_packed(entry, *workspace));
    if (auto reason = workspace->unpack(static_cast<Method>(entry.method), packed, target))
      return failure(entry, *std::move(reason));
  }
  return check_crc(entry, crc32(target));
}

// A wrong password can pass the one byte that traditional encryption has to tell it, and then looks like damage.
Result<void> ZipArchive::fill_decrypted(const Entry& entry, std::span<std::byte> target, Workspace& workspace) const {
  INTACT_ASSIGN(const auto packed, read_packed(entry, workspace));
  const auto method = static_cast<Method>(entry.method);
  const auto size = static_cast<std::size_t>(entry.data_size());
  const auto buffer = method == Method::kStored ? nullptr : try_allocate(size);
  if (method != Method::kStored && !buffer) return no_memory(entry, size);
  const std::span<std::byte> data = buffer ? std::span(buffer.get(), size) : target;
  switch (decrypt(entry.encryption, password_->view(), packed, data)) {
    case Decryption::kWrongPassword:
      return wrong_password(entry, kWrongPassword);
    case Decryption::kVerifierDamaged:
      return failure(entry, "the bytes that tell a wrong password are damaged, and the password is right");
    case Decryption::kDamaged:
      return failure(entry, "the encrypted data is not what its HMAC-SHA1 says");
    case Decryption::kDone:
      break;
  }
  auto reason = buffer ? workspace.unpack(method, data, target) : std::nullopt;
  Result<void> right = reason ? failure(entry, *std::move(reason)) : Result<void>();
  if (right && entry.encryption.crc) right = check_crc(entry, crc32(target));
  if (!right && entry.encryption.kind == Encryption::Kind::kTraditional && !proven_.load(std::memory_order_relaxed))
    return wrong_password(entry, "wrong password, or the member is damaged: " + right.error().reason);
  if (right) proven_.store(true, std::memory_order_relaxed);
  return right;
}

// Reading is what tells for certain, if the member is not too large.
Result<void> ZipArchive::try_password(const Entry& entry) const {
  INTACT_TRY(admit(entry));
  if (std::max(entry.size, entry.packed_size) <= kMostProof) return check(entry.index);
  WorkspacePool::Lease workspace(workspaces_);
  INTACT_ASSIGN(const std::uint64_t offset, find_data(entry, *workspace));
  std::byte head[18];
  const std::span<std::byte> used(head, entry.encryption.head_size());
  INTACT_TRY(fetch(entry, offset, {}, used));
  if (!fits(entry.encryption, password_->view(), used)) return wrong_password(entry, kWrongPassword);
  return {};
}

// Wrong is a password that fits none of the first encrypted members; members may have different ones. A member that is
// broken tells nothing, and says so when it is read.
Result<void> ZipArchive::unlock(const OpenOptions::Password& password) {
  std::vector<Entry> trials;
  for (const std::uint32_t index : directory_.encrypted()) {
    Entry entry = directory_.entry(index);
    if (entry.encryption.kind != Encryption::Kind::kUnsupported) trials.push_back(std::move(entry));
  }
  if (trials.empty() || !password) return {};
  INTACT_ASSIGN(auto given, password());
  if (!given) return {};
  password_ = Secret::take(*given);
  Result<void> wrong;
  for (const Entry& entry : trials) {
    auto tried = try_password(entry);
    if (tried) return {};
    if (wrong && tried.error().code == ErrorCode::kPassword) wrong = std::move(tried);
  }
  return wrong;
}

// How long the local header with name and extra field probably is: what lies between this header's start and the next
// one's, less the data. Its name always fits; the size never reaches into what comes next.
std::uint64_t ZipArchive::guess_header_size(const Entry& entry) const {
  const std::uint64_t header = directory_.end_of(entry) - entry.offset - entry.packed_size;
  return header - entry.least_header() <= kMostExtra ? header : entry.least_header();
}

// Where the data starts, counted from the local header, of which `head` has at least the fixed part and the name.
Result<std::uint64_t> ZipArchive::check_header(const Entry& entry, std::span<const std::byte> head) const {
  Reader reader(head);
  const auto header = reader.record<LocalHeader>();
  if (header.signature != kLocalSignature) return failure(entry, "no local header where one should be");
  const std::string_view expected = entry.raw_name;
  if (header.name_size != expected.size() || reader.text(expected.size()) != expected) {
    return failure(entry, "the local header has another name than the central directory");
  }
  const std::uint64_t size = reader.position() + header.extra_size;
  // That the fixed part, the name and the data fit is known; the extra field is known only now.
  if (auto reason = directory_.overrun(entry, size)) return failure(entry, *std::move(reason));
  return size;
}

Result<std::uint64_t> ZipArchive::find_data(const Entry& entry, Workspace& workspace) const {
  const auto size = static_cast<std::size_t>(entry.least_header());
  std::span<const std::byte> head;
  if (input_.in_memory()) {
    const auto left = input_.memory().span().subspan(static_cast<std::size_t>(entry.offset));
    head = left.first(std::min(size, left.size()));
  } else {
    std::byte* buffer = workspace.scratch(size);
    if (!buffer) return no_memory(entry, size);
    INTACT_TRY(fetch(entry, entry.offset, {}, {buffer, size}));
    head = {buffer, size};
  }
  INTACT_ASSIGN(const std::uint64_t header, check_header(entry, head));
  return entry.offset + header;
}

Result<void> ZipArchive::read_stored(const Entry& entry, std::span<std::byte> target, Workspace& workspace) const {
  const auto guess = static_cast<std::size_t>(guess_header_size(entry));
  std::byte* head = workspace.scratch(guess);
  if (!head) return no_memory(entry, guess);
  INTACT_TRY(fetch(entry, entry.offset, {head, guess}, target));
  INTACT_ASSIGN(const std::uint64_t header, check_header(entry, {head, guess}));
  if (header != guess) INTACT_TRY(fetch(entry, entry.offset + header, {}, target));
  return {};
}

// The compressed bytes, in the workspace's scratch buffer or where they lie in memory.
Result<std::span<const std::byte>> ZipArchive::read_packed(const Entry& entry, Workspace& workspace) const {
  const auto packed_size = static_cast<std::size_t>(entry.packed_size);
  if (input_.in_memory()) {
    INTACT_ASSIGN(const std::uint64_t data, find_data(entry, workspace));
    return input_.memory().span().subspan(static_cast<std::size_t>(data), packed_size);
  }
  const auto guess = static_cast<std::size_t>(guess_header_size(entry));
  std::byte* buffer = workspace.scratch(guess + packed_size);
  if (!buffer) return no_memory(entry, guess + packed_size);
  INTACT_TRY(fetch(entry, entry.offset, {}, {buffer, guess + packed_size}));
  INTACT_ASSIGN(const std::uint64_t header, check_header(entry, {buffer, guess}));
  if (header != guess) INTACT_TRY(fetch(entry, entry.offset + header, {}, {buffer + guess, packed_size}));
  return std::span<const std::byte>(buffer + guess, packed_size);
}

Result<void> ZipArchive::check_crc(const Entry& entry, std::uint32_t crc) const {
  if (crc == entry.crc) return {};
  return failure(entry, "CRC-32 is " + hex(crc) + ", the directory says " + hex(entry.crc));
}

Result<void> ZipArchive::fetch(const Entry& entry, std::uint64_t offset, std::span<std::byte> head,
                               std::span<std::byte> target) const {
  auto got = input_.read2(offset, head, target);
  if (got) return {};
  Error error = member_error(entry.index, got.error().reason, got.error().offset);
  error.system_errno = got.error().system_errno;
  if (error.system_errno != 0) error.code = ErrorCode::kSystem;
  return error;
}

Result<std::unique_ptr<ZipArchive>> open_at(const DirectoryPlace& place, const char* format, const std::string& name,
                                            Input input, const OpenOptions& options) {
  INTACT_ASSIGN(auto directory, ZipDirectory::read(input, place, options.limits));
  return std::make_unique<ZipArchive>(format, name, std::move(input), std::move(directory), options.limits);
}

Result<std::unique_ptr<Archive>> open_zip(Source& source, const OpenOptions& options) {
  INTACT_ASSIGN(auto input, Input::open(source));
  if (!input) return std::unique_ptr<Archive>();
  auto found = find_directory(*input);
  const bool whole = found && *found && (*found)->prefix == 0;
  if (!whole && begins_as_no_zip(*input)) found = std::optional<DirectoryPlace>();
  INTACT_ASSIGN(const auto place, std::move(found));
  if (!place) {
    input->give_back(source);
    return std::unique_ptr<Archive>();
  }
  INTACT_ASSIGN(auto archive, open_at(*place, "zip", source.name, *std::move(input), options));
  auto end = archive->payload_end();
  if (!end) {
    Error error = std::move(end).error();
    if (error.code != ErrorCode::kMember) return error;
    // Whoever opens an app knows of no members around its payload: to them the archive is broken.
    return Error{ErrorCode::kArchive, "the payload of an app: " + error.reason, {}, {}, error.offset};
  }
  if (*end) {
    Input inner = std::move(*archive).into_input();
    inner.cut(**end);
    INTACT_ASSIGN(const auto inner_place, find_directory(inner));
    if (!inner_place) return Error{ErrorCode::kArchive, "an app whose payload is no zip", {}, {}, **end};
    INTACT_ASSIGN(archive, open_at(*inner_place, "app", source.name, std::move(inner), options));
  }
  INTACT_TRY(archive->unlock(options.password));
  return std::unique_ptr<Archive>(std::move(archive));
}

}  // namespace

const Format kZipFormat{"zip", open_zip};

}  // namespace intact
