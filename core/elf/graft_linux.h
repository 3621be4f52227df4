// Graft: a shared object that runs out of the archive's own pages.
//
// glibc only loads what it can open as a file of its own, beginning at 0; a member lies somewhere inside an archive. So
// glibc is given a memfd that is as large as the object and mostly hole: in it are the pages that the dynamic linker
// reads or writes while it loads (the header, the tables that the parser follows, the segments that can be written).
// Once glibc has mapped and relocated that, the archive's pages are mapped over it:
//
//   read-only and executable segments   whole, from the archive
//   writable segments                   from the archive, private; pages that relocation changed are copied
//
// In the end nothing maps the memfd and its memory is free again; what remains is what loading a file would have
// given: shared page cache, and private pages where something was written. glibc notices nothing: its tables lie at the
// same addresses with the same bytes.
//
// Code may not run before the archive's pages are there, so objects that ld.so itself calls into while it relocates
// (IFUNC) and those whose text is relocated (DT_TEXTREL) get a full copy.

#pragma once

#include <link.h>

#include <cstdint>
#include <vector>

#include "core/archive/archive.h"
#include "core/elf/elf_file.h"

namespace intact {

// Reads an extent into a mapping of the same size, page by page as the parser asks.
class GraftSource final : public ElfSource {
 public:
  GraftSource(const Extent& extent, std::span<std::byte> target);
  std::uint64_t size() const override { return target_.size(); }
  Result<std::span<const std::byte>> at(std::uint64_t offset, std::uint64_t size) override;

  std::uint64_t bytes_read() const { return bytes_read_; }

 private:
  Extent extent_;
  std::span<std::byte> target_;
  std::vector<bool> present_;  // by page
  std::uint64_t bytes_read_ = 0;
};

// Whether a member at this place can be mapped and executed: it begins at a page, and its file lies on no file
// system that is mounted noexec.
bool extent_mappable(const Extent& extent);

// Whether this object can be grafted, and if so its writable segments and notes are read too.
bool graftable(const ElfFile& file);
Result<void> read_for_loading(GraftSource& source, const ElfFile& file);

// Maps the archive's pages over the image that glibc has loaded. Gives the bytes that remain private to this process.
// An error leaves the image unusable: its code may be missing.
Result<std::uint64_t> map_archive_pages(const link_map& image, const ElfFile& file, const Extent& extent);

}  // namespace intact
