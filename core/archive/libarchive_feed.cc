#include "core/archive/libarchive_feed.h"

#include <algorithm>
#include <cerrno>
#include <cstdio>

namespace intact {

int Feed::open(archive* reader) {
  library_.archive_read_set_callback_data(reader, this);
  library_.archive_read_set_read_callback(reader, read);
  library_.archive_read_set_skip_callback(reader, skip);
  library_.archive_read_set_seek_callback(reader, seek);
  return library_.archive_read_open1(reader);
}

la_ssize_t Feed::read(archive* reader, void* self, const void** block) {
  Feed& feed = cast(self);
  const std::uint64_t left = feed.input_.size() - feed.next_;
  feed.block_offset_ = feed.next_;
  if (feed.input_.in_memory()) {
    feed.block_ = feed.input_.memory().span().subspan(static_cast<std::size_t>(feed.next_));
  } else {
    const std::span<std::byte> target(feed.buffer_.get(),
                                      static_cast<std::size_t>(std::min<std::uint64_t>(left, kBlock)));
    if (auto got = feed.input_.read(feed.next_, target); !got) {
      feed.failure_ = std::move(got).error();
      feed.library_.archive_set_error(reader, EIO, "%s", "cannot read the file");
      return -1;
    }
    feed.block_ = target;
  }
  feed.next_ += feed.block_.size();
  *block = feed.block_.data();
  return static_cast<la_ssize_t>(feed.block_.size());
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
