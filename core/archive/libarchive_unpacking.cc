#include "core/archive/libarchive_unpacking.h"

#include <algorithm>
#include <bit>
#include <cerrno>
#include <string>
#include <string_view>

#include "core/base/reader.h"

namespace intact {

namespace {

constexpr std::uint64_t kAskEvery = std::uint64_t{8} << 20;  // bytes between two questions whether to go on

constexpr std::size_t kLongestMagic = 13;  // bytes of lzma's header

using namespace std::string_view_literals;

bool is_bzip2(std::string_view start) {  // a block's beginning or the end behind a digit
  return start.size() > 4 && start.starts_with("BZh"sv) &&
         (start.substr(4, 6) == "1AY&SY"sv || start.substr(4, 6) == "\x17rE8P\x90"sv);
}
bool is_xz(std::string_view start) { return start.starts_with("\xFD\67zXZ\0"sv); }
bool is_zstd(std::string_view start) {  // the second is a skippable frame, as pzstd's begin
  return start.starts_with("\x28\xB5\x2F\xFD"sv) || start.starts_with("\x50\x2A\x4D\x18"sv);
}
bool is_lz4(std::string_view start) { return start.starts_with("\x04\x22\x4D\x18"sv); }

// There is no magic: properties, a dictionary's size that an encoder makes, and the size, or that it is unknown (XZ
// Utils' doc/lzma-file-format.txt).
bool is_lzma(std::string_view start) {
  Reader reader(std::as_bytes(std::span(start)));
  const std::uint8_t properties = reader.u8();
  const std::uint32_t dictionary = reader.u32();
  const std::uint64_t size = reader.u64();
  return reader.ok() && (properties == 0x5D || properties == 0x5E) && dictionary >= 4096 &&
         (std::has_single_bit(dictionary) || dictionary % (1 << 20) == 0) &&
         (size == UINT64_MAX || size < std::uint64_t{1} << 38);
}

}  // namespace

struct Unpacking::Filter {
  int code;
  const char* suffix;
  bool (*begins)(std::string_view start);
  decltype(&::archive_liblzma_version) Libarchive::*version;  // without it libarchive would start a program
};

// By the first bytes, and one: libarchive's own search would go on in what it unpacks, without an end.
const Unpacking::Filter* Unpacking::find_filter() const {
  static constexpr Filter kFilters[] = {
      {ARCHIVE_FILTER_BZIP2, ".bz2", is_bzip2, &Libarchive::archive_bzlib_version},
      {ARCHIVE_FILTER_XZ, ".xz", is_xz, &Libarchive::archive_liblzma_version},
      {ARCHIVE_FILTER_ZSTD, ".zst", is_zstd, &Libarchive::archive_libzstd_version},
      {ARCHIVE_FILTER_LZ4, ".lz4", is_lz4, &Libarchive::archive_liblz4_version},
      {ARCHIVE_FILTER_LZMA, ".lzma", is_lzma, &Libarchive::archive_liblzma_version},
  };
  std::byte buffer[kLongestMagic];
  const std::string_view start = input_.text(0, buffer);
  const auto* const found =
      std::ranges::find_if(kFilters, [start](const Filter& filter) { return filter.begins(start); });
  const bool can = found != std::end(kFilters) && (library_.*found->version)() != nullptr;
  return can ? found : nullptr;
}

Result<bool> Unpacking::begin() {
  filter_ = find_filter();
  if (filter_ == nullptr) return false;
  reader_ = ReaderPtr(library_.archive_read_new(), {library_.archive_read_free});
  if (!reader_) return Error{ErrorCode::kArchive, "no memory for libarchive"};
  library_.archive_read_support_format_raw(reader_.get());
  archive_entry* entry = nullptr;
  if (library_.archive_read_append_filter(reader_.get(), filter_->code) >= ARCHIVE_WARN &&
      feed_.open(reader_.get()) >= ARCHIVE_WARN &&
      library_.archive_read_next_header(reader_.get(), &entry) >= ARCHIVE_WARN)
    return true;
  if (feed_.failure()) return *feed_.failure();
  return Error{ErrorCode::kArchive, std::string("compressed (") + suffix() + ") data that is empty, cut or broken"};
}

const char* Unpacking::suffix() const { return filter_->suffix; }

int Unpacking::open(archive* reader, HeaderCap& cap) {
  cap_ = &cap;
  library_.archive_read_set_callback_data(reader, this);
  library_.archive_read_set_read_callback(reader, read);
  return library_.archive_read_open1(reader);
}

la_ssize_t Unpacking::read(archive* reader, void* self, const void** block) {
  auto& unpacking = *static_cast<Unpacking*>(self);
  const auto piece = unpacking.next();
  const auto capped = piece ? unpacking.cap_->take(reader, piece->size()) : Result<void>();
  if (!piece || !capped) {
    unpacking.failure_ = piece ? capped.error() : piece.error();
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
