// Every format that is not ours, by way of libarchive: tar, cpio, 7z, iso9660, cab, xar, rar, and what compresses them.
//
// libarchive reads an archive from its beginning to its end. So one pass is made when the archive is opened, which
// gives the index and all contents (sequential.h): a solid block is unpacked once, and nothing is unpacked twice. What
// libarchive hands out of our own buffer lies in the source as it is, byte for byte; such a member is left there and
// read from there. All the rest goes to the spill.
//
// The formats are named one by one: "all" would include some that libarchive reads by starting other programs.
// docs/formats/libarchive.md says what is read and refused, and what it costs.

#include <locale.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <optional>
#include <unordered_map>

#include "core/archive/codecs.h"
#include "core/archive/formats.h"
#include "core/archive/gzip.h"
#include "core/archive/libarchive_feed.h"
#include "core/archive/libarchive_library.h"
#include "core/archive/sequential.h"
#include "core/archive/sevenzip_crypto.h"
#include "core/archive/zip_names.h"
#include "core/base/path.h"

namespace intact {

namespace {

using Entry = SequentialArchive::Entry;
using Where = SequentialArchive::Where;

constexpr std::size_t kPiece = std::size_t{1} << 20;         // bytes copied at once
constexpr std::uint64_t kAskEvery = std::uint64_t{8} << 20;  // bytes of contents between two questions whether to go on
constexpr std::size_t kMostLink = 4095;                      // bytes of a symbolic link's target (PATH_MAX)
constexpr std::string_view kElfMagic = "\177ELF";
constexpr const char* kNotMine = "Unrecognized archive format";  // libarchive has no number for it

struct Free {
  void operator()(archive* reader) const { Libarchive::get()->archive_read_free(reader); }
};
using ReaderPtr = std::unique_ptr<archive, Free>;

// libarchive converts names to and from the locale's character set, and in the C locale cannot.
class Utf8Locale {
 public:
  Utf8Locale() : ours_(::newlocale(LC_CTYPE_MASK, "C.UTF-8", nullptr)) {
    if (ours_ != nullptr) before_ = ::uselocale(ours_);
  }
  ~Utf8Locale() {
    if (ours_ == nullptr) return;
    ::uselocale(before_);
    ::freelocale(ours_);
  }
  Utf8Locale(const Utf8Locale&) = delete;
  Utf8Locale& operator=(const Utf8Locale&) = delete;

 private:
  locale_t ours_, before_ = nullptr;
};

// What libarchive reads in the place of the source: it does not check what gzip says of itself, and knows no encryption
// of 7z.
struct Unwrapped {
  std::optional<Input> input;  // nothing: the source itself
  const char* suffix = "";
  bool password_in_doubt = false;
};

Result<Unwrapped> unwrap(const Input& source, const std::string& name, const OpenOptions& options) {
  Unwrapped unwrapped;
  std::optional<Bytes> bytes;
  INTACT_ASSIGN(bytes, gunzip(source, options.limits.unpacked_size));
  if (bytes) {
    unwrapped.suffix = ".gz";
  } else {
    INTACT_ASSIGN(auto decrypted, decrypt_sevenzip(source, options));
    if (!decrypted) return unwrapped;
    bytes = std::move(decrypted->archive);
    unwrapped.password_in_doubt = !decrypted->proven;
  }
  Source memory{name, *std::move(bytes)};
  INTACT_ASSIGN(unwrapped.input, Input::open(memory));
  return unwrapped;
}

// Pass: the one time that an archive is gone through.
class Pass {
 public:
  Pass(const Libarchive& library, const Unwrapped& unwrapped, const OpenOptions& options, SequentialArchive& archive)
      : library_(library),
        input_(unwrapped.input ? *unwrapped.input : archive.source()),
        in_place_(!unwrapped.input),
        options_(options),
        archive_(archive),
        feed_(library, input_),
        password_in_doubt_(unwrapped.password_in_doubt) {}

  // False if libarchive knows no format like this.
  Result<bool> run();
  // "tar", "tar.xz": afterwards.
  std::string format_name() const;

 private:
  struct HardLink {
    std::size_t entry = 0;
    std::string target;
  };
  // Contents on their way: first taken to lie in the source, until a piece shows otherwise.
  struct Growing {
    bool in_place = true;
    bool kept = true;
    std::uint64_t start = 0;  // in the source or the spill
    std::uint64_t size = 0;
    std::uint32_t crc = 0;
  };

  bool prepare();
  Result<void> add(archive_entry* entry);
  Result<void> read_contents(archive_entry* header, Entry& entry);
  Result<void> take(Growing& contents, std::span<const std::byte> piece);
  Result<void> move_to_spill(Growing& contents);
  Result<void> take_zeros(Growing& contents, std::uint64_t count);
  Result<void> count_unpacked(std::uint64_t size);
  Result<void> ask_whether_to_go_on(std::uint64_t size);
  void link_hard();
  std::optional<std::string> path_of(const char* name) const;
  Error failure(std::string_view member = {}) const;
  std::string reason() const;
  int format() const { return library_.archive_format(reader_.get()) & ARCHIVE_FORMAT_BASE_MASK; }

  const Libarchive& library_;
  const Input& input_;
  const bool in_place_;
  const OpenOptions& options_;
  SequentialArchive& archive_;
  Feed feed_;
  ReaderPtr reader_;
  std::vector<HardLink> hard_links_;
  std::uint64_t unpacked_ = 0;
  std::uint64_t names_size_ = 0;
  std::uint64_t unasked_ = 0;
  bool password_in_doubt_;  // until the first contents are there
};

bool Pass::prepare() {
  reader_.reset(library_.archive_read_new());
  if (!reader_) return false;
  archive* const reader = reader_.get();
  for (const auto support : {library_.archive_read_support_format_tar, library_.archive_read_support_format_cpio,
                             library_.archive_read_support_format_7zip, library_.archive_read_support_format_iso9660,
                             library_.archive_read_support_format_cab, library_.archive_read_support_format_xar,
                             library_.archive_read_support_format_rar, library_.archive_read_support_format_rar5,
                             library_.archive_read_support_filter_compress}) {
    support(reader);
  }
  // Built without one of these, libarchive would start a program for it.
  if (library_.archive_bzlib_version() != nullptr) library_.archive_read_support_filter_bzip2(reader);
  if (library_.archive_libzstd_version() != nullptr) library_.archive_read_support_filter_zstd(reader);
  if (library_.archive_liblz4_version() != nullptr) library_.archive_read_support_filter_lz4(reader);
  if (library_.archive_liblzma_version() != nullptr) {
    library_.archive_read_support_filter_xz(reader);
    library_.archive_read_support_filter_lzma(reader);
  }
  return library_.archive_read_set_options(reader, "hdrcharset=UTF-8") >= ARCHIVE_WARN;
}

Result<bool> Pass::run() {
  const Utf8Locale locale;
  if (!prepare()) return Error{ErrorCode::kArchive, "no memory for libarchive"};
  int status = feed_.open(reader_.get());
  for (bool first = true; status >= ARCHIVE_WARN; first = false) {
    archive_entry* entry = nullptr;
    status = library_.archive_read_next_header(reader_.get(), &entry);
    // A tar without members is nothing but zeros, which are no sign of an archive.
    if (status == ARCHIVE_EOF && first && format() == ARCHIVE_FORMAT_TAR) return false;
    if (status == ARCHIVE_EOF) break;
    if (status >= ARCHIVE_WARN) INTACT_TRY(add(entry));
  }
  if (status < ARCHIVE_WARN) {
    const bool plain = library_.archive_filter_code(reader_.get(), 0) <= ARCHIVE_FILTER_NONE;
    if (plain && reason() == kNotMine) return false;
    return failure();
  }
  link_hard();
  return true;
}

Result<void> Pass::add(archive_entry* header) {
  const char* const stored_name = library_.archive_entry_pathname_utf8(header);
  const auto path = path_of(stored_name);
  const mode_t type = library_.archive_entry_filetype(header);
  const bool hard_link = library_.archive_entry_hardlink(header) != nullptr;
  const bool known = hard_link || type == AE_IFREG || type == AE_IFDIR || type == AE_IFLNK;
  if (!path || !known || (hard_link && !path_of(library_.archive_entry_hardlink_utf8(header)))) {
    // "." is the root itself, which every archive has.
    if (stored_name == nullptr || type != AE_IFDIR || normal_path(stored_name) != "/") archive_.leave_out();
    return ask_whether_to_go_on(512);
  }
  names_size_ += path->size();
  if (archive_.entries().size() == options_.limits.members || names_size_ > options_.limits.directory_size)
    return Error{ErrorCode::kArchive, "more members, or longer names, than the limit"};
  Entry entry;
  entry.path = archive_.keep_name(*path);
  entry.mtime = library_.archive_entry_mtime(header);
  entry.mode = library_.archive_entry_mode(header);
  entry.directory = type == AE_IFDIR;
  entry.encrypted = library_.archive_entry_is_encrypted(header) != 0;
  if (hard_link)
    hard_links_.push_back({archive_.entries().size(), *path_of(library_.archive_entry_hardlink_utf8(header))});
  if (type == AE_IFLNK && !hard_link) {
    const char* const target = library_.archive_entry_symlink_utf8(header);
    const std::string_view text = target == nullptr ? std::string_view() : target;
    Growing contents;
    INTACT_TRY(take(contents, std::as_bytes(std::span(text.substr(0, kMostLink + 1)))));
    entry.contents = {contents.size, contents.start, contents.crc, Where::kSpill};
  } else if (!entry.directory) {
    INTACT_TRY(read_contents(header, entry));
  }
  archive_.entries().push_back(entry);
  return {};
}

Result<void> Pass::read_contents(archive_entry* header, Entry& entry) {
  Growing contents;
  int status = ARCHIVE_OK;
  for (;;) {
    const void* data = nullptr;
    std::size_t size = 0;
    la_int64_t offset = 0;
    status = library_.archive_read_data_block(reader_.get(), &data, &size, &offset);
    if (status != ARCHIVE_OK) break;
    if (offset < 0 || static_cast<std::uint64_t>(offset) < contents.size)
      return Error{ErrorCode::kArchive, "contents that go back", {}, std::string(entry.path)};
    INTACT_TRY(take_zeros(contents, static_cast<std::uint64_t>(offset) - contents.size));
    INTACT_TRY(take(contents, {static_cast<const std::byte*>(data), size}));
    INTACT_TRY(ask_whether_to_go_on(size));
  }
  if (status != ARCHIVE_EOF && password_in_doubt_)
    return Error{ErrorCode::kPassword, "wrong password, or the archive is damaged: " + reason()};
  password_in_doubt_ = password_in_doubt_ && contents.size == 0;
  if (status <= ARCHIVE_FATAL) return failure(entry.path);
  const la_int64_t stated = library_.archive_entry_size_is_set(header) != 0 ? library_.archive_entry_size(header) : 0;
  const std::uint64_t size = std::max(contents.size, static_cast<std::uint64_t>(std::max<la_int64_t>(stated, 0)));
  entry.contents.size = size;
  if (status != ARCHIVE_EOF) {  // broken, but the next member can be read
    archive_.refuse(entry, Error{ErrorCode::kMember, reason()});
  } else if (size > options_.limits.member_size) {
    archive_.refuse(entry, Error{ErrorCode::kMember, "of " + std::to_string(size) + " bytes, over the limit of " +
                                                         std::to_string(options_.limits.member_size)});
  } else {
    INTACT_TRY(take_zeros(contents, size - contents.size));
    entry.contents = {size, contents.start, contents.crc, contents.in_place ? Where::kSource : Where::kSpill};
  }
  return {};
}

Result<void> Pass::take(Growing& contents, std::span<const std::byte> piece) {
  if (piece.empty()) return {};
  if (contents.in_place) {
    const auto at = in_place_ ? feed_.offset_of(piece.data(), piece.size()) : std::nullopt;
    if (at && contents.size == 0) contents.start = *at;
    if (!at || *at != contents.start + contents.size) INTACT_TRY(move_to_spill(contents));
  }
  const bool first = contents.size == 0;
  contents.size += piece.size();
  contents.crc = crc32(piece, contents.crc);
  if (contents.in_place) return {};
  INTACT_TRY(count_unpacked(piece.size()));
  contents.kept = contents.kept && contents.size <= options_.limits.member_size;
  if (!contents.kept) return {};
  if (first) {
    const std::string_view text(reinterpret_cast<const char*>(piece.data()), piece.size());
    if (text.starts_with(kElfMagic)) INTACT_TRY(archive_.spill().align());
    contents.start = archive_.spill().size();
  }
  return archive_.spill().append(piece);
}

// What was taken to lie in the source so far.
Result<void> Pass::move_to_spill(Growing& contents) {
  const std::uint64_t from = contents.start, size = contents.size;
  contents = {.in_place = false, .start = archive_.spill().size()};
  std::vector<std::byte> piece(static_cast<std::size_t>(std::min<std::uint64_t>(size, kPiece)));
  while (contents.size < size) {
    piece.resize(static_cast<std::size_t>(std::min<std::uint64_t>(size - contents.size, kPiece)));
    INTACT_TRY(input_.read(from + contents.size, piece));
    INTACT_TRY(take(contents, piece));
  }
  return {};
}

// A hole of a sparse file.
Result<void> Pass::take_zeros(Growing& contents, std::uint64_t count) {
  static constexpr std::byte kZeros[4096] = {};
  while (count > 0) {
    const auto size = static_cast<std::size_t>(std::min<std::uint64_t>(count, sizeof kZeros));
    INTACT_TRY(take(contents, {kZeros, size}));
    INTACT_TRY(ask_whether_to_go_on(size));
    count -= size;
  }
  return {};
}

// Also of what is not kept: time is a cost too.
Result<void> Pass::count_unpacked(std::uint64_t size) {
  unpacked_ += size;
  if (unpacked_ <= options_.limits.unpacked_size) return {};
  return Error{ErrorCode::kArchive, "unpacks to more than " + std::to_string(options_.limits.unpacked_size) +
                                        " bytes, the limit (max_unpacked_size)"};
}

Result<void> Pass::ask_whether_to_go_on(std::uint64_t size) {
  unasked_ += size;
  if (unasked_ < kAskEvery) return {};
  unasked_ = 0;
  return options_.go_on() ? Result<void>() : system_error(EINTR, "opening it");
}

// A hard link is the member that was there before under its target's name. In cpio the last of several links has the
// contents, for all of them.
void Pass::link_hard() {
  if (hard_links_.empty()) return;
  auto& entries = archive_.entries();
  std::unordered_map<std::string_view, std::size_t> known;  // by path, the first of a set of links
  std::vector<std::pair<std::size_t, std::size_t>> same;    // a link, and the first of its set
  std::vector<bool> gone(entries.size());
  auto link = hard_links_.begin();
  for (std::size_t i = 0; i < entries.size(); ++i) {
    std::size_t first = i;
    if (link != hard_links_.end() && link->entry == i) {
      const auto target = known.find((link++)->target);
      if (target != known.end()) {
        first = target->second;
        if (entries[i].contents.size > 0) entries[first].contents = entries[i].contents;
        same.emplace_back(i, first);
      } else {
        gone[i] = entries[i].contents.size == 0;
      }
    }
    known.insert_or_assign(entries[i].path, first);
  }
  for (const auto& [entry, first] : same) {
    entries[entry].contents = entries[first].contents;
    entries[entry].mode = entries[first].mode;
  }
  std::size_t kept = 0;
  for (std::size_t i = 0; i < entries.size(); ++i) {
    if (!gone[i]) entries[kept++] = entries[i];
  }
  for (std::size_t i = kept; i < entries.size(); ++i) archive_.leave_out();
  entries.resize(kept);
}

// The path of a member or of a hard link's target; nothing if it is none below a root. Tars often begin theirs with
// "./".
std::optional<std::string> Pass::path_of(const char* name) const {
  if (name == nullptr) return std::nullopt;
  std::string_view text = name;
  while (text.starts_with("./")) text.remove_prefix(std::min(text.find_first_not_of('/', 1), text.size()));
  if (!zip::is_utf8(text)) return std::nullopt;
  const auto path = member_path(text);
  return path ? std::optional<std::string>(*path) : std::nullopt;
}

std::string Pass::format_name() const {
  struct Named {
    int code;
    const char* name;
  };
  static constexpr Named kFormats[] = {{ARCHIVE_FORMAT_TAR, "tar"}, {ARCHIVE_FORMAT_CPIO, "cpio"},
                                       {ARCHIVE_FORMAT_7ZIP, "7z"}, {ARCHIVE_FORMAT_ISO9660, "iso9660"},
                                       {ARCHIVE_FORMAT_CAB, "cab"}, {ARCHIVE_FORMAT_XAR, "xar"},
                                       {ARCHIVE_FORMAT_RAR, "rar"}, {ARCHIVE_FORMAT_RAR_V5, "rar"}};
  static constexpr Named kFilters[] = {{ARCHIVE_FILTER_BZIP2, ".bz2"}, {ARCHIVE_FILTER_XZ, ".xz"},
                                       {ARCHIVE_FILTER_ZSTD, ".zst"},  {ARCHIVE_FILTER_LZMA, ".lzma"},
                                       {ARCHIVE_FILTER_LZ4, ".lz4"},   {ARCHIVE_FILTER_COMPRESS, ".Z"}};
  const auto find = [](std::span<const Named> names, int code) {
    const auto found =
        std::find_if(names.begin(), names.end(), [code](const Named& named) { return named.code == code; });
    return found == names.end() ? std::string() : std::string(found->name);
  };
  return find(kFormats, format()) + find(kFilters, library_.archive_filter_code(reader_.get(), 0));
}

std::string Pass::reason() const {
  const char* const text = library_.archive_error_string(reader_.get());
  return text == nullptr ? "broken: libarchive does not say how" : text;
}

Error Pass::failure(std::string_view member) const {
  if (feed_.failure()) return *feed_.failure();
  const la_int64_t offset = library_.archive_filter_bytes(reader_.get(), -1);
  return Error{ErrorCode::kArchive,
               reason(),
               {},
               std::string(member),
               static_cast<std::uint64_t>(std::max<la_int64_t>(offset, 0))};
}

Result<std::unique_ptr<Archive>> open_libarchive(Source& source, const OpenOptions& options) {
  INTACT_ASSIGN(auto input, Input::open(source));
  if (!input) return std::unique_ptr<Archive>();
  const Libarchive* const library = Libarchive::get();
  if (library == nullptr) {
    return Error{ErrorCode::kArchive, "no zip, and libarchive.so.13, which reads other formats, is not on this system"};
  }
  INTACT_ASSIGN(const Unwrapped unwrapped, unwrap(*input, source.name, options));
  auto archive =
      std::make_unique<SequentialArchive>(source.name, *std::move(input), Spill(source.name, options.spill_directory));
  Pass pass(*library, unwrapped, options, *archive);
  INTACT_ASSIGN(const bool known, pass.run());
  if (!known && unwrapped.input) return Error{ErrorCode::kArchive, "gzip data with no archive of a known format in it"};
  if (!known) return std::unique_ptr<Archive>();
  INTACT_TRY(archive->finish(pass.format_name() + unwrapped.suffix));
  return std::unique_ptr<Archive>(std::move(archive));
}

}  // namespace

const Format kLibarchiveFormat{"libarchive", open_libarchive};

}  // namespace intact
