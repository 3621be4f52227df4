#include "core/archive/libarchive_feed.h"

#include <algorithm>
#include <cerrno>
#include <cstdio>

namespace intact {

Result<void> HeaderCap::take(archive* reader, std::size_t size) {
  constexpr std::uint64_t kMost = std::uint64_t{16} << 20;
  if (!open_ || (library_.archive_format(reader) & ARCHIVE_FORMAT_BASE_MASK) != ARCHIVE_FORMAT_TAR) return {};
  taken_ += size;
  if (taken_ <= kMost) return {};
  return Error{ErrorCode::kArchive, "a member's header of more than " + std::to_string(kMost) + " bytes"};
}

int Feed::open(archive* reader, HeaderCap* cap) {
  cap_ = cap;
  library_.archive_read_set_callback_data(reader, this);
  library_.archive_read_set_read_callback(reader, read);
  library_.archive_read_set_skip_callback(reader, skip);
  library_.archive_read_set_seek_callback(reader, seek);
  return library_.archive_read_open1(reader);
}

la_ssize_t Feed::read(archive* reader, void* self, const void** block) {
  Feed& feed = cast(self);
  auto got = feed.next(reader);
  if (!got) {
    feed.failure_ = std::move(got).error();
    feed.library_.archive_set_error(reader, EIO, "%s", "cannot read on");
    return -1;
  }
  *block = feed.block_.data();
  return static_cast<la_ssize_t>(feed.block_.size());
}

Result<void> Feed::next(archive* reader) {
  const auto size = static_cast<std::size_t>(std::min<std::uint64_t>(input_.size() - next_, kBlock));
  if (cap_ != nullptr) INTACT_TRY(cap_->take(reader, size));
  if (input_.in_memory()) {
    block_ = input_.memory().span().subspan(static_cast<std::size_t>(next_), size);
  } else {
    const std::span<std::byte> target(buffer_.get(), size);
    INTACT_TRY(input_.read(next_, target));
    block_ = target;
  }
  block_offset_ = next_;
  next_ += size;
  return {};
}

la_int64_t Feed::skip(archive*, void* self, la_int64_t count) {
  Feed& feed = cast(self);
  const std::uint64_t step =
      std::min(static_cast<std::uint64_t>(std::max<la_int64_t>(count, 0)), feed.input_.size() - feed.next_);
  feed.next_ += step;
  return static_cast<la_int64_t>(step);
}

la_int64_t Feed::seek(archive*, void* self, la_int64_t offset, int whence) {
  Feed& feed = cast(self);
  const auto size = static_cast<la_int64_t>(feed.input_.size());
  const la_int64_t base = whence == SEEK_SET ? 0 : whence == SEEK_CUR ? static_cast<la_int64_t>(feed.next_) : size;
  if (offset < -base || offset > size - base) return ARCHIVE_FATAL;
  feed.next_ = static_cast<std::uint64_t>(base + offset);
  return base + offset;
}

}  // namespace intact
