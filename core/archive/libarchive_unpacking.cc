#include "core/archive/libarchive_unpacking.h"

#include <algorithm>
#include <cerrno>
#include <string>

namespace intact {

namespace {

constexpr std::uint64_t kAskEvery = std::uint64_t{8} << 20;  // bytes between two questions whether to go on

struct Filter {
  int code;
  const char* suffix;
};
constexpr Filter kFilters[] = {{ARCHIVE_FILTER_BZIP2, ".bz2"}, {ARCHIVE_FILTER_XZ, ".xz"},
                               {ARCHIVE_FILTER_ZSTD, ".zst"},  {ARCHIVE_FILTER_LZMA, ".lzma"},
                               {ARCHIVE_FILTER_LZ4, ".lz4"},   {ARCHIVE_FILTER_COMPRESS, ".Z"}};

void support_filters(const Libarchive& library, archive* reader) {
  library.archive_read_support_filter_compress(reader);
  // Built without one of these, libarchive would start a program for it.
  if (library.archive_bzlib_version() != nullptr) library.archive_read_support_filter_bzip2(reader);
  if (library.archive_libzstd_version() != nullptr) library.archive_read_support_filter_zstd(reader);
  if (library.archive_liblz4_version() != nullptr) library.archive_read_support_filter_lz4(reader);
  if (library.archive_liblzma_version() != nullptr) {
    library.archive_read_support_filter_xz(reader);
    library.archive_read_support_filter_lzma(reader);
  }
}

}  // namespace

Result<bool> Unpacking::begin() {
  reader_ = ReaderPtr(library_.archive_read_new(), {library_.archive_read_free});
  if (!reader_) return Error{ErrorCode::kArchive, "no memory for libarchive"};
  support_filters(library_, reader_.get());
  library_.archive_read_support_format_raw(reader_.get());
  archive_entry* entry = nullptr;
  if (feed_.open(reader_.get()) < ARCHIVE_WARN) return broken();
  const int filters = library_.archive_filter_count(reader_.get()) - 1;  // the last one is the source itself
  if (filters == 0) return false;
  if (filters > 1) return Error{ErrorCode::kArchive, "compressed more than once, which is not supported"};
  const int status = library_.archive_read_next_header(reader_.get(), &entry);
  if (status < ARCHIVE_WARN) return broken();
  return true;
}

const char* Unpacking::suffix() const {
  const int code = library_.archive_filter_code(reader_.get(), 0);
  const auto* const found = std::find_if(std::begin(kFilters), std::end(kFilters),
                                         [code](const Filter& filter) { return filter.code == code; });
  return found == std::end(kFilters) ? "" : found->suffix;
}

int Unpacking::open(archive* reader) {
  library_.archive_read_set_callback_data(reader, this);
  library_.archive_read_set_read_callback(reader, read);
  return library_.archive_read_open1(reader);
}

la_ssize_t Unpacking::read(archive* reader, void* self, const void** block) {
  auto& unpacking = *static_cast<Unpacking*>(self);
  auto piece = unpacking.next();
  if (!piece) {
    unpacking.failure_ = std::move(piece).error();
    unpacking.library_.archive_set_error(reader, EIO, "%s", "cannot unpack");
    return -1;
  }
  *block = piece->data();
  return static_cast<la_ssize_t>(piece->size());
}

Result<void> Unpacking::finish() {
  for (;;) {
    INTACT_ASSIGN(const auto piece, next());
    if (piece.empty()) return {};
  }
}

// The next bytes; none at the end.
Result<std::span<const std::byte>> Unpacking::next() {
  const void* data = nullptr;
  std::size_t size = 0;
  la_int64_t offset = 0;
  int status = ARCHIVE_OK;
  while (size == 0 && status == ARCHIVE_OK)
    status = library_.archive_read_data_block(reader_.get(), &data, &size, &offset);
  if (status == ARCHIVE_EOF) return std::span<const std::byte>();
  if (status != ARCHIVE_OK) return broken();
  unpacked_ += size;
  // Contents have a limit of their own; names and all else that describes them are bounded here.
  if (unpacked_ > options_.limits.unpacked_size &&
      unpacked_ - options_.limits.unpacked_size > options_.limits.directory_size)
    return Error{ErrorCode::kArchive, "unpacks to more than max_unpacked_size and max_directory_size allow"};
  if (unpacked_ - asked_ >= kAskEvery) {
    asked_ = unpacked_;
    if (!options_.go_on()) return system_error(EINTR, "opening it");
  }
  return std::span(static_cast<const std::byte*>(data), size);
}

Error Unpacking::broken() const {
  if (feed_.failure()) return *feed_.failure();
  const la_int64_t offset = library_.archive_filter_bytes(reader_.get(), -1);
  return Error{ErrorCode::kArchive,
               library_.reason(reader_.get()),
               {},
               {},
               static_cast<std::uint64_t>(std::max<la_int64_t>(offset, 0))};
}

}  // namespace intact
