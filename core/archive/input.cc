#include "core/archive/input.h"

#include <sys/stat.h>
#include <sys/uio.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <string>

namespace intact {

namespace {

std::span<const std::byte> bounded(std::span<const std::byte> bytes, std::uint64_t offset, std::size_t size) {
  if (offset > bytes.size() || size > bytes.size() - offset) return {};
  return bytes.subspan(static_cast<std::size_t>(offset), size);
}

}  // namespace

Result<std::optional<Input>> Input::open(Source& source) {
  if (auto* bytes = std::get_if<Bytes>(&source.bytes)) return std::optional<Input>(Input(*bytes));
  auto& fd = std::get<UniqueFd>(source.bytes);
  struct stat status;
  if (::fstat(fd.get(), &status) != 0) return system_error(errno, "cannot stat");
  if (!S_ISREG(status.st_mode)) return std::optional<Input>();
  auto size = static_cast<std::uint64_t>(status.st_size);
  if (const auto& window = source.window) {
    if (window->offset > size || window->size > size - window->offset)
      return Error{ErrorCode::kArchive, "a part of a file that is no longer as long", {}, {}, window->offset};
    size = window->size;
  }
  return std::optional<Input>(Input(std::move(fd), source.window, size));
}

void Input::give_back(Source& source) {
  if (!in_memory()) source.bytes = std::move(file_);
}

std::string_view Input::text(std::uint64_t offset, std::span<std::byte> buffer) const {
  const std::uint64_t left = size() - std::min(offset, size());
  buffer = buffer.first(static_cast<std::size_t>(std::min<std::uint64_t>(left, buffer.size())));
  if (!read(offset, buffer)) return {};
  return {reinterpret_cast<const char*>(buffer.data()), buffer.size()};
}

Result<void> Input::read2(std::uint64_t offset, std::span<std::byte> head, std::span<std::byte> target) const {
  if (in_memory()) {
    const auto from = bounded(memory_.span(), offset, head.size() + target.size());
    if (from.size() != head.size() + target.size())
      return Error{ErrorCode::kArchive, "the bytes end before", {}, {}, offset};
    std::copy_n(from.begin(), head.size(), head.begin());
    std::copy(from.begin() + static_cast<std::ptrdiff_t>(head.size()), from.end(), target.begin());
    return {};
  }
  while (!head.empty() || !target.empty()) {
    const iovec parts[] = {{head.data(), head.size()}, {target.data(), target.size()}};
    const ssize_t got = ::preadv(file_.get(), parts, 2, static_cast<off_t>(start() + offset));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) {
      Error error = system_error(errno, "cannot read");
      error.offset = offset;
      return error;
    }
    if (got == 0)
      return Error{ErrorCode::kArchive, "the file ends here; it was longer when it was opened", {}, {}, offset};
    const auto count = static_cast<std::size_t>(got);
    const std::size_t in_head = std::min(count, head.size());
    head = head.subspan(in_head);
    target = target.subspan(count - in_head);
    offset += count;
  }
  return {};
}

}  // namespace intact
