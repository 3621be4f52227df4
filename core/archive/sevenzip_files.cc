#include "core/archive/sevenzip_files.h"

#include <sys/stat.h>

namespace intact::sevenzip {

namespace {

constexpr int kMostKinds = 64;                               // of properties, those that only pad among them
constexpr std::size_t kMostOther = std::size_t{1} << 20;     // bytes of one that says nothing to us
constexpr std::uint64_t kMostLink = std::uint64_t{1} << 16;  // bytes of a symbolic link's target

// Bits, the highest of each byte first. libarchive reads as many as there are things, whatever size is stated.
class Bits {
 public:
  Bits() = default;
  Bits(Reader& reader, std::uint64_t count) : bits_(reader.take((count + 7) / 8)) {
    for (std::uint64_t i = 0; reader.ok() && i < count; ++i) set_ += (*this)[i];
  }
  bool operator[](std::uint64_t i) const {
    return i / 8 < bits_.size() && (std::to_integer<unsigned>(bits_[i / 8]) & (0x80u >> (i % 8))) != 0;
  }
  std::uint64_t set() const { return set_; }

 private:
  Span bits_;
  std::uint64_t set_ = 0;
};

class FilesCheck {
 public:
  FilesCheck(const Contents& contents, std::uint64_t count) : contents_(contents), count_(count) {}

  // A property that is all of `part`.
  Result<void> take(std::uint8_t id, Reader& part);
  // libarchive reads the targets of links into memory, however long they are.
  Result<void> check_links() const;

 private:
  const Contents& contents_;
  const std::uint64_t count_;
  Bits empty_;
  bool all_have_attributes_ = false;
  Bits have_attributes_;
  std::optional<Reader> attributes_;
};

Result<void> FilesCheck::take(std::uint8_t id, Reader& part) {
  switch (id) {
    case kEmptyStream:
      empty_ = Bits(part, count_);
      break;
    case kEmptyFile:
    case kAnti:
      Bits(part, empty_.set());
      break;
    case kCreationTime:
    case kAccessTime:
    case kModificationTime: {
      const bool all = part.u8() != 0;
      const std::uint64_t times = all ? count_ : Bits(part, count_).set();
      if (part.u8() != 0) return broken_header("times that lie elsewhere");
      part.skip(times * 8);
      break;
    }
    case kAttributes:
      if (attributes_) return broken_header("attributes that come twice");
      all_have_attributes_ = part.u8() != 0;
      part.skip(1);  // whether they lie elsewhere, for which libarchive looks here whatever comes next
      if (!all_have_attributes_) have_attributes_ = Bits(part, count_);
      attributes_ = part;
      part.skip((all_have_attributes_ ? count_ : have_attributes_.set()) * 4);
      break;
    case kNames:
      part.skip(part.left());
      break;
    default:
      if (part.left() > kMostOther) return broken_header("a large property that is not known");
      part.skip(part.left());
  }
  if (!part.ok() || part.left() != 0) return broken_header("a property of files of another size than stated");
  return {};
}

Result<void> FilesCheck::check_links() const {
  if (!attributes_) return {};
  Reader attributes = *attributes_;
  for (std::uint64_t i = 0, content = 0; i < count_; ++i) {
    const bool has_any = all_have_attributes_ || have_attributes_[i];
    const std::uint32_t mode = has_any ? attributes.u32() >> 16 : 0;  // Unix's, in the upper half
    if (empty_[i]) continue;
    if (content == contents_.sizes.size()) return broken_header("more files than contents");
    if (S_ISLNK(mode) && contents_.sizes[content] > kMostLink)
      return broken_header("a symbolic link of more than " + std::to_string(kMostLink) + " bytes");
    ++content;
  }
  return {};
}

}  // namespace

Result<void> check_files(Reader& reader, const Contents& contents, Claims& claims) {
  const std::uint64_t count = read_number(reader);
  INTACT_TRY(claims.count("members", count));
  FilesCheck check(contents, count);
  for (int properties = 0;; ++properties) {
    const std::uint8_t id = reader.u8();
    if (id == kEnd) break;
    if (properties == kMostKinds) return broken_header("too many properties of files");
    const std::uint64_t size = read_number(reader);
    Reader part(reader.take(size));
    if (!reader.ok()) break;
    INTACT_TRY(check.take(id, part));
  }
  if (!reader.ok()) return broken_header("files that are cut");
  return check.check_links();
}

}  // namespace intact::sevenzip
