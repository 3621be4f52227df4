#include "core/archive/sequential.h"

#include <sys/stat.h>

#include <algorithm>
#include <unordered_map>
#include <utility>

#include "core/archive/codecs.h"

namespace intact {

namespace {

constexpr std::size_t kNames = std::size_t{64} << 10;  // bytes of names in one piece

}  // namespace

std::string_view SequentialArchive::keep_name(std::string_view name) {
  if (names_.empty() || names_.back().capacity() - names_.back().size() < name.size())
    names_.emplace_back().reserve(std::max(kNames, name.size()));
  std::string& piece = names_.back();
  piece += name;
  return std::string_view(piece).substr(piece.size() - name.size());
}

void SequentialArchive::refuse(Entry& entry, Error reason) {
  entry.contents.where = Where::kRefused;
  entry.contents.offset = reasons_.size();
  reasons_.push_back(std::move(reason));
}

void SequentialArchive::add(const Entry& entry, std::optional<std::string> hard_link_to) {
  if (hard_link_to) hard_links_.push_back({entries_.size(), *std::move(hard_link_to)});
  entries_.push_back(entry);
}

Result<void> SequentialArchive::finish(std::string format) {
  format_ = std::move(format);
  link_hard();
  entries_.shrink_to_fit();
  return spill_.seal();
}

// A hard link is the file that was there before under its target's name. In cpio the last of several links has the
// contents, for all of them.
void SequentialArchive::link_hard() {
  if (hard_links_.empty()) return;
  std::unordered_map<std::string_view, std::size_t> known;  // by path, the first of a set of links
  std::vector<std::pair<std::size_t, std::size_t>> same;    // a link, and the first of its set
  std::vector<bool> gone(entries_.size());
  auto link = hard_links_.begin();
  for (std::size_t i = 0; i < entries_.size(); ++i) {
    std::size_t first = i;
    if (link != hard_links_.end() && link->entry == i) {
      const auto target = known.find((link++)->target);
      if (target != known.end() && !entries_[target->second].directory()) {
        first = target->second;
        if (entries_[i].contents.size > 0) entries_[first].contents = entries_[i].contents;
        same.emplace_back(i, first);
      } else {
        gone[i] = entries_[i].contents.size == 0;
      }
    }
    known.insert_or_assign(entries_[i].path, first);
  }
  for (const auto& [entry, first] : same) entries_[entry].contents = entries_[first].contents;
  std::size_t kept = 0;
  for (std::size_t i = 0; i < entries_.size(); ++i) {
    if (!gone[i]) entries_[kept++] = entries_[i];
  }
  unreachable_ += entries_.size() - kept;
  entries_.resize(kept);
  hard_links_ = std::vector<HardLink>();
}

Member SequentialArchive::member(std::size_t index) const {
  const Entry& entry = entries_[index];
  Member member;
  member.path = entry.path;
  member.size = member.packed_size = entry.contents.size;
  member.offset = entry.contents.where == Where::kSource ? entry.contents.offset : 0;
  member.crc = entry.contents.crc;
  member.mode = entry.contents.mode;
  member.directory = entry.directory();
  member.encrypted = entry.contents.encrypted;
  return member;
}

// The errors that were met when the archive was opened, for who asks for the member.
Result<void> SequentialArchive::admit(std::size_t index) const {
  const Entry& entry = entries_[index];
  if (entry.directory()) return member_error(index, "is a directory");
  if (entry.contents.where != Where::kRefused) return {};
  Error error = reasons_[static_cast<std::size_t>(entry.contents.offset)];
  error.archive = name();
  error.member = entry.path;
  return error;
}

bool SequentialArchive::has_links() const {
  return std::any_of(entries_.begin(), entries_.end(), [](const Entry& entry) { return S_ISLNK(entry.contents.mode); });
}

Result<Bytes> SequentialArchive::read(std::size_t index) const {
  INTACT_TRY(admit(index));
  const Entry& entry = entries_[index];
  if (entry.contents.size == 0) return Bytes();
  if (entry.contents.where == Where::kSpill) return spill_.bytes(entry.contents.offset, entry.contents.size);
  const auto size = static_cast<std::size_t>(entry.contents.size);
  if (source_.in_memory()) {
    Bytes bytes = source_.memory().part(static_cast<std::size_t>(entry.contents.offset), size);
    INTACT_TRY(check_crc(index, bytes.span()));
    return bytes;
  }
  auto buffer = try_allocate(size);
  if (!buffer) return member_error(index, "no memory for " + std::to_string(size) + " bytes");
  INTACT_TRY(read_into(index, {buffer.get(), size}));
  return Bytes::own(std::move(buffer), size);
}

Result<void> SequentialArchive::read_into(std::size_t index, std::span<std::byte> target) const {
  INTACT_TRY(admit(index));
  const Entry& entry = entries_[index];
  if (target.size() != entry.contents.size)
    return Error{ErrorCode::kArgument, "a target of another size than the member", name()};
  if (entry.contents.where != Where::kSource || source_.in_memory()) {
    INTACT_ASSIGN(const Bytes bytes, read(index));
    std::copy(bytes.span().begin(), bytes.span().end(), target.begin());
    return {};
  }
  if (auto got = source_.read(entry.contents.offset, target); !got) {
    Error error = member_error(index, got.error().reason, got.error().offset);
    error.system_errno = got.error().system_errno;
    if (error.system_errno != 0) error.code = ErrorCode::kSystem;
    return error;
  }
  return check_crc(index, target);
}

Result<std::optional<Extent>> SequentialArchive::extent(std::size_t index) const {
  const Entry& entry = entries_[index];
  if (entry.contents.where == Where::kSpill)
    return std::optional(Extent{spill_.fd(), entry.contents.offset, entry.contents.size});
  if (entry.contents.where != Where::kSource || source_.in_memory()) return std::optional<Extent>();
  return std::optional(source_.extent(entry.contents.offset, entry.contents.size));
}

Result<void> SequentialArchive::check(std::size_t index) const {
  if (entries_[index].directory()) return {};
  INTACT_ASSIGN(const Bytes bytes, read(index));
  return check_crc(index, bytes.span());
}

Result<void> SequentialArchive::check_crc(std::size_t index, std::span<const std::byte> bytes) const {
  if (crc32(bytes) == entries_[index].contents.crc) return {};
  return member_error(index, "has changed since the archive was opened", entries_[index].contents.offset);
}

}  // namespace intact
