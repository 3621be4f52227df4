#include "core/archive/libarchive_pass.h"

#include <locale.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include "core/archive/codecs.h"
#include "core/archive/rar.h"
#include "core/archive/sevenzip_crypto.h"
#include "core/archive/zip_names.h"
#include "core/base/clock.h"
#include "core/base/path.h"

namespace intact {

namespace {

using Entry = SequentialArchive::Entry;
using Where = SequentialArchive::Where;

constexpr std::size_t kPiece = std::size_t{1} << 20;         // bytes copied at once
constexpr std::uint64_t kAskEvery = std::uint64_t{8} << 20;  // bytes of contents between two questions whether to go on
constexpr std::int64_t kSecond = 1'000'000'000;              // nanoseconds
constexpr std::int64_t kAskAfter = kSecond / 10;             // without a question
constexpr std::size_t kMostLinked = 50'000;                  // for which libarchive takes some two seconds
constexpr std::uint64_t kHeader = 512;                       // bytes that a member counts as beside its contents
constexpr int kMostEmpty = 1000;                             // pieces after one another that have nothing in them
constexpr std::size_t kMostLink = 4095;                      // bytes of a symbolic link's target (PATH_MAX)
constexpr std::string_view kElfMagic = "\177ELF";
constexpr const char* kNotMine = "Unrecognized archive format";  // libarchive has no number for it

// libarchive converts names to and from the locale's character set, and in the C locale cannot. (Its option hdrcharset
// is no way around that: with it the cpio reader of 3.6 crashes where a name of a hard link is no UTF-8.)
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

}  // namespace

void Pass::support_formats() {
  // One by one: "all" would include some that libarchive reads by starting other programs.
  library_.archive_read_support_format_tar(reader_.get());
  library_.archive_read_support_format_cpio(reader_.get());
  // The others are checked before libarchive reads them (libarchive.cc), which needs all of the archive.
  if (unpacking_ != nullptr) return;
  if (is_sevenzip(input_)) library_.archive_read_support_format_7zip(reader_.get());
  for (const auto support : {library_.archive_read_support_format_iso9660, library_.archive_read_support_format_cab,
                             library_.archive_read_support_format_xar}) {
    support(reader_.get());
  }
  // libarchive would look for a rar behind a program, where nobody has checked it.
  const int rar = rar_version(input_);
  if (rar == 4) library_.archive_read_support_format_rar(reader_.get());
  if (rar == 5) library_.archive_read_support_format_rar5(reader_.get());
}

Result<bool> Pass::run() {
  const Utf8Locale locale;
  reader_ = ReaderPtr(library_.archive_read_new(), {library_.archive_read_free});
  if (!reader_) return Error{ErrorCode::kArchive, "no memory for libarchive"};
  support_formats();
  began_ = thread_time_now(), asked_ = monotonic_now();
  auto members = read_members();
  if (password_in_doubt_ && wrong_password_ && (members || members.error().code == ErrorCode::kArchive))
    return *wrong_password_;
  INTACT_ASSIGN(const bool known, std::move(members));
  if (known && unpacking_ != nullptr) INTACT_TRY(unpacking_->finish());
  return known;
}

Result<bool> Pass::read_members() {
  int status =
      unpacking_ != nullptr ? unpacking_->open(reader_.get(), header_cap_) : feed_.open(reader_.get(), &header_cap_);
  for (bool first = true; status == ARCHIVE_OK || status == ARCHIVE_WARN; first = false) {
    archive_entry* header = nullptr;
    header_cap_.begin();
    errno = 0;
    status = library_.archive_read_next_header(reader_.get(), &header);
    header_cap_.end();
    // A tar without members is nothing but zeros, which are no sign of an archive, unless somebody has compressed them.
    if (status == ARCHIVE_EOF && first && format() == ARCHIVE_FORMAT_TAR) return !in_place_;
    if (status == ARCHIVE_EOF) return true;
    if (status == ARCHIVE_OK || status == ARCHIVE_WARN) {
      INTACT_TRY(add(header));
      INTACT_TRY(check_end());
    }
  }
  if (!feed_.failure() && reason() == kNotMine) return false;
  return failure();
}

Result<void> Pass::add(archive_entry* header) {
  // What it is asked for and cannot convert libarchive takes for a want of memory if that is what errno says, of
  // whatever went before; and then it ends the process.
  errno = 0;
  const char* const stored_name = library_.archive_entry_pathname_utf8(header);
  const auto path = path_of(stored_name);
  const mode_t type = library_.archive_entry_filetype(header);
  const bool hard_link = library_.archive_entry_hardlink(header) != nullptr;
  const auto linked = hard_link ? path_of(library_.archive_entry_hardlink_utf8(header)) : std::nullopt;
  // In a cpio directories may say that they are links, too.
  const bool known =
      hard_link ? linked.has_value() && type != AE_IFDIR : type == AE_IFREG || type == AE_IFDIR || type == AE_IFLNK;
  INTACT_TRY(ask_whether_to_go_on(kHeader));
  if (archive_.entries().size() + archive_.unreachable() >= options_.limits.members)
    return Error{ErrorCode::kArchive, "more members than the limit of " + std::to_string(options_.limits.members)};
  // libarchive looks for each such member of a cpio among all that came before and still have links to come.
  if (format() == ARCHIVE_FORMAT_CPIO && library_.archive_entry_nlink(header) > 1 && ++linked_ > kMostLinked) {
    return Error{ErrorCode::kArchive,
                 "more files with hard links, or directories, than " + std::to_string(kMostLinked) + " in a cpio"};
  }
  if (!path || !known) {
    // "." is the root itself, which every archive has.
    if (stored_name == nullptr || type != AE_IFDIR || normal_path(stored_name) != "/") archive_.leave_out();
    return pass_over();
  }
  names_size_ += path->size() + (linked ? linked->size() : 0);
  if (names_size_ > options_.limits.directory_size)
    return Error{ErrorCode::kArchive, "longer names than the limit (max_directory_size)"};
  Entry entry;
  entry.path = archive_.keep_name(*path);
  entry.mtime = library_.archive_entry_mtime(header);
  if (type == AE_IFLNK && !hard_link) {
    const char* const target = library_.archive_entry_symlink_utf8(header);
    const std::string_view text = target == nullptr ? std::string_view() : target;
    Growing contents;
    INTACT_TRY(take(contents, std::as_bytes(std::span(text.substr(0, kMostLink + 1)))));
    entry.contents = {contents.size, contents.start, contents.crc, Where::kSpill};
    if (!contents.kept) archive_.refuse(entry, over_limit(contents.size));
    INTACT_TRY(pass_over());
  } else if (type == AE_IFDIR && !hard_link) {
    INTACT_TRY(pass_over());
  } else {
    INTACT_TRY(read_contents(header, entry));
  }
  entry.contents.mode = static_cast<std::uint16_t>(library_.archive_entry_mode(header));
  entry.contents.encrypted = library_.archive_entry_is_encrypted(header) != 0;
  archive_.add(entry, linked);
  return {};
}

Result<void> Pass::read_contents(archive_entry* header, Entry& entry) {
  Growing contents;
  const Result<int> pieces = read_pieces(contents);
  if (!pieces) {
    Error error = pieces.error();
    error.member = entry.path;
    return error;
  }
  const int status = *pieces;
  if (status == ARCHIVE_EOF && contents.size > 0 && contents_tell_) password_in_doubt_ = false;
  if (status != ARCHIVE_EOF && !wrong_password_)
    wrong_password_ = Error{ErrorCode::kPassword, "wrong password, or the archive is damaged: " + reason()};
  if (status <= ARCHIVE_FATAL) return failure(entry.path);
  const la_int64_t stated = library_.archive_entry_size_is_set(header) != 0 ? library_.archive_entry_size(header) : 0;
  const std::uint64_t size = std::max(contents.size, static_cast<std::uint64_t>(std::max<la_int64_t>(stated, 0)));
  entry.contents.size = size;
  if (status != ARCHIVE_EOF) {  // broken, but the next member can be read
    archive_.refuse(entry, Error{ErrorCode::kMember, reason()});
  } else if (size > options_.limits.member_size) {
    archive_.refuse(entry, over_limit(size));
  } else {
    INTACT_TRY(take_zeros(contents, size - contents.size));
    entry.contents = {size, contents.start, contents.crc, contents.in_place ? Where::kSource : Where::kSpill};
  }
  return {};
}

// Reads what the entry has and nobody will ask for. libarchive would do that by itself, however much it is.
Result<void> Pass::pass_over() {
  Growing contents{.kept = false};
  INTACT_ASSIGN(const int status, read_pieces(contents));
  return status <= ARCHIVE_FATAL ? Result<void>(failure()) : Result<void>();
}

// All that libarchive has of an entry; gives what it says in the end.
Result<int> Pass::read_pieces(Growing& contents) {
  for (int empty = 0;;) {
    const void* data = nullptr;
    std::size_t size = 0;
    la_int64_t offset = 0;
    const int status = library_.archive_read_data_block(reader_.get(), &data, &size, &offset);
    if (status != ARCHIVE_OK) return status;
    if (offset < 0 || static_cast<std::uint64_t>(offset) < contents.size)
      return Error{ErrorCode::kArchive, "contents that go back"};
    // Of a xar whose zlib data ends before its stated length libarchive gives nothing, for ever.
    empty = size == 0 ? empty + 1 : 0;
    if (empty > kMostEmpty) return Error{ErrorCode::kArchive, "contents that do not come to an end"};
    INTACT_TRY(take_zeros(contents, static_cast<std::uint64_t>(offset) - contents.size));
    INTACT_TRY(take(contents, {static_cast<const std::byte*>(data), size}));
    INTACT_TRY(ask_whether_to_go_on(size));
  }
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
  if (contents.in_place) {
    left_in_place_ += piece.size();
    if (left_in_place_ <= input_.size() + options_.limits.unpacked_size) return {};
    return Error{ErrorCode::kArchive, "contents that overlap, of more bytes than the limit (max_unpacked_size)"};
  }
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
  contents = {.in_place = false, .kept = contents.kept, .start = archive_.spill().size()};
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

Result<void> Pass::check_end() const {
  const la_int64_t at = library_.archive_filter_bytes(reader_.get(), -1);
  if (ends_.empty() || std::binary_search(ends_.begin(), ends_.end(), static_cast<std::uint64_t>(at))) return {};
  return Error{ErrorCode::kArchive, "contents that end elsewhere than their header states"};
}

// Also bounds the time: what libarchive does for a header or a piece may take seconds, and that for each of them.
Result<void> Pass::ask_whether_to_go_on(std::uint64_t size) {
  unasked_ += size;
  const std::int64_t now = monotonic_now();
  if (unasked_ < kAskEvery && now - asked_ < kAskAfter) return {};
  handed_out_ += std::exchange(unasked_, 0);
  asked_ = now;
  if (!options_.go_on()) return system_error(EINTR, "opening it");
  const std::uint64_t most = options_.limits.seconds + (handed_out_ >> 20);
  if (thread_time_now() - began_ <= static_cast<std::int64_t>(most) * kSecond) return {};
  return Error{ErrorCode::kArchive, "takes longer to read than " + std::to_string(most) + " s"};
}

// The path of a member or of a hard link's target; nothing if it is none below a root. Tars often begin theirs with
// "./".
std::optional<std::string> Pass::path_of(const char* name) const {
  if (name == nullptr) return std::nullopt;
  std::string_view text = name;
  while (text.starts_with("./")) text.remove_prefix(std::min(text.find_first_not_of('/', 1), text.size()));
  if (!zip::is_utf8(text)) return std::nullopt;
  const auto path = reachable_path(text);
  return path ? std::optional<std::string>(*path) : std::nullopt;
}

const char* Pass::format_name() const {
  switch (format()) {
    case ARCHIVE_FORMAT_TAR:
      return "tar";
    case ARCHIVE_FORMAT_CPIO:
      return "cpio";
    case ARCHIVE_FORMAT_7ZIP:
      return "7z";
    case ARCHIVE_FORMAT_ISO9660:
      return "iso9660";
    case ARCHIVE_FORMAT_CAB:
      return "cab";
    case ARCHIVE_FORMAT_XAR:
      return "xar";
    default:
      return "rar";
  }
}

Error Pass::over_limit(std::uint64_t size) const {
  return {ErrorCode::kMember,
          "of " + std::to_string(size) + " bytes, over the limit of " + std::to_string(options_.limits.member_size)};
}

std::string Pass::reason() const { return library_.reason(reader_.get()); }

Error Pass::failure(std::string_view member) const {
  if (feed_.failure()) return *feed_.failure();
  if (unpacking_ != nullptr && unpacking_->failure()) return *unpacking_->failure();
  const la_int64_t offset = library_.archive_filter_bytes(reader_.get(), -1);
  return Error{ErrorCode::kArchive,
               reason(),
               {},
               std::string(member),
               static_cast<std::uint64_t>(std::max<la_int64_t>(offset, 0))};
}

}  // namespace intact
