#include "core/archive/xar.h"

#include <endian.h>
#include <libdeflate.h>
#include <strings.h>

#include <algorithm>
#include <charconv>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/archive/zip_names.h"
#include "core/base/reader.h"

namespace intact {

namespace {

constexpr std::uint64_t kMostToc = std::uint64_t{128} << 20;  // bytes, unpacked: seconds for an XML parser
constexpr std::uint64_t kMostLinks = 20'000;                  // libarchive's time grows with their square
constexpr std::uint64_t kMostExtended = 20'000;               // and with that of extended attributes
constexpr std::uint64_t kFile = 512;                          // bytes that libarchive keeps of each file
constexpr std::size_t kMostDepth = 200;                       // of elements; libxml2 takes 256
constexpr std::size_t kMostAttributes = 32;                   // of an element; libxml2 compares each with each

Error refused(const std::string& why) { return Error{ErrorCode::kArchive, "a xar's table of contents with " + why}; }

Error over(const char* what, std::uint64_t most) {
  return refused(std::string("more ") + what + " than " + std::to_string(most));
}

class TocScan {
 public:
  TocScan(std::string_view toc, const Limits& limits) : rest_(toc), limits_(limits) {}

  Result<void> run();

 private:
  enum class Kind : std::uint8_t { kOther, kFile, kName, kType, kExtended, kExtendedSize };
  struct Element {
    Kind kind = Kind::kOther;
    bool named = false, typed = false;  // a file that has a name, a type
    std::uint64_t path = 0;             // bytes of a file's path, or of the path of the file that it is in
  };

  Result<void> take_declaration();
  Result<void> take_text(std::string_view text);
  Result<void> take_tag();
  Result<std::size_t> end_of_tag();
  Result<void> open(std::string_view name);
  static Kind kind_of(std::string_view name, Kind parent);

  std::string_view rest_;
  const Limits& limits_;
  std::vector<Element> open_;
  std::uint64_t files_ = 0, links_ = 0, extended_ = 0;
  std::uint64_t paths_ = 0, longest_path_ = 0, extended_size_ = 0;  // bytes
};

Result<void> TocScan::run() {
  // A NUL would be UTF-16, as an XML parser sees it.
  if (!zip::is_utf8(rest_) || rest_.find('\0') != std::string_view::npos) return refused("what is no UTF-8");
  INTACT_TRY(take_declaration());
  while (!rest_.empty()) {
    const std::string_view text = rest_.substr(0, rest_.find('<'));
    INTACT_TRY(take_text(text));
    rest_.remove_prefix(text.size());
    if (!rest_.empty()) INTACT_TRY(take_tag());
  }
  // libarchive gives each link the path of its file.
  if (longest_path_ > limits_.directory_size / (links_ + 1))
    return refused("longer paths of links than the limit (max_directory_size)");
  return {};
}

// <?xml version="1.0" encoding="UTF-8"?>
Result<void> TocScan::take_declaration() {
  constexpr std::string_view kMark = "\xEF\xBB\xBF", kEncoding = "encoding";
  if (rest_.starts_with(kMark)) rest_.remove_prefix(kMark.size());
  if (!rest_.starts_with("<?xml")) return {};
  const std::size_t end = rest_.find("?>");
  if (end == std::string_view::npos) return refused("a declaration that does not end");
  std::string_view declaration = rest_.substr(0, end);
  rest_.remove_prefix(end + 2);
  if (const std::size_t at = declaration.find(kEncoding); at != std::string_view::npos) {
    declaration.remove_prefix(at + kEncoding.size());
    declaration.remove_prefix(std::min(declaration.find_first_of("\"'"), declaration.size()));
    if (declaration.size() < 7 || ::strncasecmp(declaration.data() + 1, "utf-8", 5) != 0 ||
        declaration[6] != declaration[0])
      return refused("another encoding than UTF-8");
  }
  return {};
}

Result<void> TocScan::take_text(std::string_view text) {
  if (open_.empty() || text.empty()) return {};
  const Kind kind = open_.back().kind;
  if (kind == Kind::kName) {
    Element& file = open_[open_.size() - 2];
    file.path += 1 + text.size();
    paths_ += file.path;
    longest_path_ = std::max(longest_path_, file.path);
    if (paths_ > limits_.directory_size) return refused("longer paths than the limit (max_directory_size)");
  } else if (kind == Kind::kExtendedSize) {
    std::uint64_t size = 0;
    const auto [end, failure] = std::from_chars(text.data(), text.data() + text.size(), size);
    if (failure != std::errc() || end != text.data() + text.size()) return refused("a size that is no number");
    if (size > limits_.unpacked_size - extended_size_)
      return refused("larger extended attributes than the limit (max_unpacked_size)");
    extended_size_ += size;
  }
  return {};
}

Result<void> TocScan::take_tag() {
  INTACT_ASSIGN(const std::size_t end, end_of_tag());
  std::string_view tag = rest_.substr(1, end - 1);
  rest_.remove_prefix(end + 1);
  const bool closes = tag.starts_with('/'), empty = tag.ends_with('/');
  if (closes) tag.remove_prefix(1);
  tag = tag.substr(0, tag.find_first_of(" \t\r\n/"));
  if (tag.empty() || tag[0] == '!' || tag[0] == '?')
    return refused("a comment, a declaration or a name that is missing");
  if (!closes) INTACT_TRY(open(tag));
  if (!closes && !empty) return {};
  if (open_.empty()) return refused("an end of what has not begun");
  open_.pop_back();
  return {};
}

// Where the tag that `rest_` begins with has its '>', its attributes counted.
Result<std::size_t> TocScan::end_of_tag() {
  std::size_t at = 0;
  for (std::size_t attributes = 0;; ++attributes) {
    const std::size_t stop = rest_.find_first_of(">\"'", at);
    if (stop == std::string_view::npos) return refused("a tag that does not end");
    const std::string_view markup = rest_.substr(at, stop - at);
    if (markup.find(':') != std::string_view::npos) return refused("a prefix of a namespace");
    if (rest_[stop] == '>') return stop;
    links_ += markup.substr(0, markup.find_last_not_of("= \t\r\n") + 1).ends_with("link");
    if (links_ > kMostLinks) return over("hard links", kMostLinks);
    if (attributes == kMostAttributes) return over("attributes of an element", kMostAttributes);
    at = rest_.find(rest_[stop], stop + 1);
    if (at == std::string_view::npos) return refused("a value that does not end");
    ++at;
  }
}

TocScan::Kind TocScan::kind_of(std::string_view name, Kind parent) {
  if (name == "file") return Kind::kFile;
  if (name == "ea") return Kind::kExtended;
  if (parent == Kind::kFile && name == "name") return Kind::kName;
  if (parent == Kind::kFile && name == "type") return Kind::kType;
  if (parent == Kind::kExtended && name == "size") return Kind::kExtendedSize;
  return Kind::kOther;
}

Result<void> TocScan::open(std::string_view name) {
  Element none;
  Element& parent = open_.empty() ? none : open_.back();
  const Kind kind = kind_of(name, parent.kind);
  if (parent.kind == Kind::kName) return refused("an element in a name");
  if ((kind == Kind::kName && std::exchange(parent.named, true)) ||
      (kind == Kind::kType && std::exchange(parent.typed, true)))
    return refused("a file of two names or types");
  if (kind == Kind::kFile && ++files_ > std::min(limits_.members, limits_.unpacked_size / kFile))
    return over("files", files_ - 1);
  if (kind == Kind::kExtended && ++extended_ > kMostExtended) return over("extended attributes", kMostExtended);
  if (open_.size() >= kMostDepth) return over("elements in one another", kMostDepth);
  open_.push_back({.kind = kind, .path = parent.path});
  return {};
}

// Unpacks the zlib data at `offset`, which is to be as long as `packed`, into all of `memory`.
Result<void> unpack(const Input& input, std::uint64_t offset, std::span<std::byte> packed,
                    std::span<std::byte> memory) {
  INTACT_TRY(input.read(offset, packed));
  const std::unique_ptr<libdeflate_decompressor, void (*)(libdeflate_decompressor*)> decoder(
      libdeflate_alloc_decompressor(), libdeflate_free_decompressor);
  if (!decoder) return refused("no memory for it");
  std::size_t used = 0, made = 0;
  const auto result = libdeflate_zlib_decompress_ex(decoder.get(), packed.data(), packed.size(), memory.data(),
                                                    memory.size(), &used, &made);
  if (result == LIBDEFLATE_BAD_DATA) return refused("broken zlib data");
  if (result != LIBDEFLATE_SUCCESS || used != packed.size() || made != memory.size())
    return refused("other sizes than the header states");
  return {};
}

}  // namespace

Result<void> check_xar(const Input& input, const Limits& limits) {
  constexpr std::uint16_t kHeader = 28, kVersion = 1;
  std::byte start[kHeader];
  if (input.size() < sizeof start) return {};
  INTACT_TRY(input.read(0, start));
  Reader header(start);  // its numbers are big-endian
  if (header.text(4) != "xar!") return {};
  if (::be16toh(header.u16()) != kHeader || ::be16toh(header.u16()) != kVersion)
    return Error{ErrorCode::kArchive, "a xar of another version than 1, or with a header of other than 28 bytes"};
  const std::uint64_t packed_size = ::be64toh(header.u64()), size = ::be64toh(header.u64());
  if (packed_size > input.size() - kHeader) return refused("an end beyond that of the archive");
  const std::uint64_t most = std::min(kMostToc, limits.directory_size);
  if (packed_size > most || size > most) return over("bytes", most);
  const auto packed = try_allocate(static_cast<std::size_t>(packed_size));
  const auto toc = try_allocate(static_cast<std::size_t>(size));
  if (!packed || !toc) return refused("no memory for it");
  const auto toc_size = static_cast<std::size_t>(size);
  INTACT_TRY(unpack(input, kHeader, {packed.get(), static_cast<std::size_t>(packed_size)}, {toc.get(), toc_size}));
  return TocScan({reinterpret_cast<const char*>(toc.get()), toc_size}, limits).run();
}

}  // namespace intact
