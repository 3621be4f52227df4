#include "core/elf/graft_linux.h"

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

namespace intact {

namespace {

std::uint64_t page_size() {
  static const auto size = static_cast<std::uint64_t>(sysconf(_SC_PAGESIZE));
  return size;
}

std::uint64_t page_down(std::uint64_t value) { return value & ~(page_size() - 1); }
std::uint64_t page_up(std::uint64_t value) { return page_down(value + page_size() - 1); }

int protection(const ElfSegment& segment) {
  return ((segment.flags & PF_R) ? PROT_READ : 0) | ((segment.flags & PF_W) ? PROT_WRITE : 0) |
         ((segment.flags & PF_X) ? PROT_EXEC : 0);
}

bool loads(const ElfSegment& segment) { return segment.type == PT_LOAD && segment.file_size > 0; }

void* map_segment(const ElfSegment& segment, const Extent& extent, void* where, int flags) {
  const std::uint64_t size = page_up(segment.address + segment.file_size) - page_down(segment.address);
  const std::uint64_t offset = extent.offset + page_down(segment.offset);
  return mmap(where, size, protection(segment), MAP_PRIVATE | flags, extent.fd, static_cast<off_t>(offset));
}

// A writable segment is put together beside the old one and then moved into its place, which is one step for every
// other thread: those in the dynamic linker read the names of all objects, and find them in these pages.
Result<std::uint64_t> replace_writable(std::byte* old, const ElfSegment& segment, const Extent& extent) {
  const std::uint64_t size = page_up(segment.address + segment.file_size) - page_down(segment.address);
  void* fresh = map_segment(segment, extent, nullptr, 0);
  if (fresh == MAP_FAILED) return system_error(errno, "cannot map the archive");
  auto* pages = static_cast<std::byte*>(fresh);
  std::uint64_t changed = 0;
  for (std::uint64_t at = 0; at < size; at += page_size()) {
    if (std::memcmp(pages + at, old + at, page_size()) == 0) continue;
    std::memcpy(pages + at, old + at, page_size());
    changed += page_size();
  }
  if (mremap(fresh, size, size, MREMAP_MAYMOVE | MREMAP_FIXED, old) == MAP_FAILED) {
    const int reason = errno;
    munmap(fresh, size);
    return system_error(reason, "cannot move the mapped archive");
  }
  return changed;
}

// The linker reserves the whole span from the file, and what lies between segments would keep the copy alive.
Result<void> drop_gaps(const link_map& image, const ElfFile& file) {
  std::uint64_t end = 0;  // of the pages so far
  for (const ElfSegment& segment : file.segments) {
    if (segment.type != PT_LOAD) continue;
    const std::uint64_t start = page_down(segment.address);
    if (end > 0 && start > end &&
        mmap(reinterpret_cast<void*>(image.l_addr + end), start - end, PROT_NONE,
             MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1, 0) == MAP_FAILED) {
      return system_error(errno, "cannot map an image");
    }
    end = page_up(segment.address + segment.memory_size);
  }
  return {};
}

}  // namespace

GraftSource::GraftSource(const Extent& extent, std::span<std::byte> target)
    : extent_(extent), target_(target), present_(page_up(target.size()) / page_size()) {}

Result<std::span<const std::byte>> GraftSource::at(std::uint64_t offset, std::uint64_t size) {
  if (size == 0) return std::span<const std::byte>();
  const std::uint64_t end = std::min(page_up(offset + size), std::uint64_t{target_.size()});
  for (std::uint64_t from = page_down(offset); from < end;) {
    if (present_[from / page_size()]) {
      from += page_size();
      continue;
    }
    std::uint64_t to = from;  // a run of absent pages
    while (to < end && !present_[to / page_size()]) present_[to / page_size()] = true, to += page_size();
    to = std::min(to, end);
    while (from < to) {
      const ssize_t got =
          pread(extent_.fd, target_.data() + from, to - from, static_cast<off_t>(extent_.offset + from));
      if (got < 0 && errno == EINTR) continue;
      if (got < 0) return system_error(errno, "cannot read the archive");
      if (got == 0) return Error{ErrorCode::kMember, "the archive was truncated after it was opened", {}, {}, offset};
      from += static_cast<std::uint64_t>(got);
      bytes_read_ += static_cast<std::uint64_t>(got);
    }
  }
  return std::span<const std::byte>(target_.subspan(offset, size));
}

bool extent_mappable(const Extent& extent) {
  if (extent.size == 0 || page_down(extent.offset) != extent.offset) return false;
  void* page = mmap(nullptr, 1, PROT_READ | PROT_EXEC, MAP_PRIVATE, extent.fd, static_cast<off_t>(extent.offset));
  if (page == MAP_FAILED) return false;
  munmap(page, 1);
  return true;
}

bool graftable(const ElfFile& file) {
  if (file.resolves_itself || file.text_relocations) return false;
  std::uint64_t end = 0;  // of the last segment's pages
  bool dynamic_writable = false;
  for (const ElfSegment& segment : file.segments) {
    if (segment.type == PT_LOAD) {
      // Pages are replaced whole, so segments may not share one, and pages must have the same offset as in the file.
      if (page_down(segment.address) < end || (segment.address - segment.offset) % page_size() != 0) return false;
      end = page_up(segment.address + segment.memory_size);
      if (!(segment.flags & PF_W) && segment.file_size != segment.memory_size) return false;
      // We hide entries there, which must survive.
      dynamic_writable |= (segment.flags & PF_W) && !file.dynamic.empty() &&
                          file.dynamic[0].offset - segment.offset < segment.file_size;
    }
  }
  return dynamic_writable;
}

Result<void> read_for_loading(GraftSource& source, const ElfFile& file) {
  for (const ElfSegment& segment : file.segments) {
    const bool read = (segment.type == PT_LOAD && (segment.flags & PF_W)) || segment.type == PT_NOTE ||
                      segment.type == PT_GNU_PROPERTY || segment.type == PT_TLS;
    if (!read || segment.offset > source.size() || segment.file_size > source.size() - segment.offset) continue;
    INTACT_TRY(source.at(segment.offset, segment.file_size));
  }
  return {};
}

Result<std::uint64_t> map_archive_pages(const link_map& image, const ElfFile& file, const Extent& extent) {
  std::uint64_t changed = 0;
  for (const ElfSegment& segment : file.segments) {
    if (!loads(segment)) continue;
    auto* where = reinterpret_cast<std::byte*>(image.l_addr + page_down(segment.address));
    if (segment.flags & PF_W) {
      INTACT_ASSIGN(const std::uint64_t bytes, replace_writable(where, segment, extent));
      changed += bytes;
    } else if (map_segment(segment, extent, where, MAP_FIXED) == MAP_FAILED) {
      return system_error(errno, "cannot map the archive");
    }
  }
  INTACT_TRY(drop_gaps(image, file));
  // What relocation had made read-only, again. The linker takes whole pages inside the area only.
  for (const ElfSegment& segment : file.segments) {
    if (segment.type != PT_GNU_RELRO) continue;
    const std::uint64_t from = page_down(image.l_addr + segment.address);
    const std::uint64_t to = page_down(image.l_addr + segment.address + segment.memory_size);
    if (from < to && mprotect(reinterpret_cast<void*>(from), to - from, PROT_READ) != 0) {
      return system_error(errno, "cannot protect an image");
    }
  }
  return changed;
}

}  // namespace intact
