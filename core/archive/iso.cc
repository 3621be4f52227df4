#include "core/archive/iso.h"

#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/base/reader.h"

namespace intact {

namespace {

constexpr std::uint64_t kBlock = 2048;                             // libarchive finds the roots of no other volumes
constexpr std::uint64_t kPiece = 512 * kBlock;                     // of a directory, read at once
constexpr std::uint64_t kMostDirectory = std::uint64_t{64} << 20;  // bytes of one, which libarchive reads at once
constexpr std::uint64_t kMostContinued = std::uint64_t{64} << 20;  // bytes of continuation areas
constexpr std::uint64_t kFile = 512;                               // bytes that libarchive keeps of each record
constexpr std::uint64_t kMostDescriptors = 1000;                   // of a volume
constexpr std::size_t kMostRelocated = 10'000;                     // libarchive looks for each one among all
constexpr std::size_t kMostDepth = 256;                            // of directories: as components of a path
constexpr std::uint64_t kSeparator = 2;                            // bytes, as Joliet has it
constexpr std::uint64_t kMostJoliet = 1022 + 5;                    // bytes of a path, the root's five among them
constexpr std::uint64_t kComponent = 5;                            // times that "hostname" is longer than what means it
constexpr std::size_t kNameAt = 33;                                // in a directory's record; ECMA-119 9.1
constexpr std::uint32_t kNone = 0xFFFF'FFFF;

using Span = std::span<const std::byte>;

Error refused(const std::string& why) { return Error{ErrorCode::kArchive, "an iso9660 volume with " + why}; }

Error over(const char* what, std::uint64_t most) {
  return refused(std::string("more ") + what + " than " + std::to_string(most));
}

struct Place {
  std::uint64_t start = 0, size = 0;  // bytes
  bool operator==(const Place&) const = default;
};

bool lies_in(const Input& input, const Place& place) {
  return place.size <= input.size() && place.start <= input.size() - place.size;
}

// The system use of records. libarchive goes on with what it has found in the root that it looked at first.
struct SystemUse {
  bool used = false;
  std::size_t skipped = 0;  // bytes before it in each record
};

// One tree of directories.
class Walk {
 public:
  Walk(const Input& input, const Limits& limits, SystemUse& system_use, bool joliet)
      : input_(input), limits_(limits), system_use_(system_use), joliet_(joliet) {}

  Result<void> run(const Place& root);
  // Whether the root's own record says that names are Rock Ridge's, which libarchive asks before it asks for Joliet's.
  bool rock_ridge() const { return rock_ridge_; }

 private:
  struct Directory {
    Place place;
    std::uint32_t parent = kNone;   // where it is found
    std::uint32_t belongs = kNone;  // where it is meant to be, if it is relocated
    bool relocated = false;
    std::uint64_t name = 0, children = 0;  // bytes of its name, how many are in it
    std::uint64_t path = 0;                // bytes; known where the depth is
    std::size_t depth = 0;                 // from 1 on; 0: not known yet
  };
  struct Record {
    bool directory = false, relocated = false, rock_ridge = false;
    std::uint64_t link = 0;  // where the relocated directory is that this one stands for
    std::uint64_t name = 0, texts = 0;
  };

  Result<void> read_directory(std::uint32_t index);
  Result<void> read_block(Span block, std::uint64_t at, std::uint32_t index);
  Result<void> take_record(Span bytes, std::uint64_t at, std::uint32_t parent);
  Result<void> take_system_use(Span area, std::uint64_t at, Record& record);
  Result<std::optional<Place>> take_entries(Span area, Record& record) const;
  Result<Span> continuation(const Place& place, std::uint64_t behind);
  Result<void> add_directory(const Place& place, const Record& record, std::uint32_t parent);
  Result<void> add_link(std::uint64_t target, std::uint32_t parent);
  Result<void> measure_paths();
  Result<void> relocate();

  const Input& input_;
  const Limits& limits_;
  SystemUse& system_use_;
  const bool joliet_;
  std::vector<Directory> directories_;  // the root, then as they are found
  std::map<std::uint64_t, std::uint32_t> by_start_;
  std::map<std::uint64_t, std::uint32_t> links_;  // directories that relocated ones belong into, by their starts
  std::vector<std::byte> piece_;
  std::array<std::byte, kBlock> block_{};  // the continuation read last, which is in
  std::uint64_t block_at_ = 0;             // no block 0: that is no volume's
  std::uint64_t records_ = 0, relocated_ = 0;
  std::uint64_t continued_ = 0, texts_ = 0, directories_size_ = 0;  // bytes
  bool rock_ridge_ = false;
  bool in_pieces_ = false;  // the record before has said that its file goes on in the next
};

// As libarchive does: the first record where the root is said to be, its own, tells where and what it is.
Result<void> Walk::run(const Place& root) {
  std::array<std::byte, 256> record;
  if (root.size == 0 || root.size > kMostDirectory || !lies_in(input_, root) || !lies_in(input_, {root.start, kBlock}))
    return refused("a root beyond its end");
  INTACT_TRY(input_.read(root.start, record));
  const auto length = std::to_integer<std::size_t>(record[0]);
  INTACT_TRY(take_record(Span(record).first(length), root.start, kNone));
  for (std::uint32_t index = 0; index < directories_.size(); ++index) INTACT_TRY(read_directory(index));
  INTACT_TRY(relocate());
  return measure_paths();
}

Result<void> Walk::read_directory(std::uint32_t index) {
  const auto [start, size] = directories_[index].place;
  in_pieces_ = false;
  for (std::uint64_t done = 0; done < size; done += piece_.size()) {
    piece_.resize(static_cast<std::size_t>(std::min(size - done, kPiece)));
    INTACT_TRY(input_.read(start + done, piece_));
    for (std::size_t at = 0; at < piece_.size(); at += kBlock)
      INTACT_TRY(read_block(Span(piece_).subspan(at, kBlock), start + done + at, index));
  }
  return {};
}

Result<void> Walk::read_block(Span block, std::uint64_t at, std::uint32_t index) {
  while (block.size() > kNameAt && block[0] != std::byte{0}) {
    const auto length = std::to_integer<std::size_t>(block[0]);
    if (length > block.size()) break;
    const bool own_or_parents = block[kNameAt - 1] == std::byte{1} && block[kNameAt] <= std::byte{1};
    if (!own_or_parents) INTACT_TRY(take_record(block.first(length), at, index));
    block = block.subspan(length);
    at += length;
  }
  return {};
}

Result<void> Walk::take_record(Span bytes, std::uint64_t at, std::uint32_t parent) {
  Reader reader(bytes);
  reader.skip(2);
  const std::uint64_t start = reader.u32() * kBlock;
  reader.skip(4);
  const std::uint64_t size = reader.u32();
  reader.skip(4 + 7);
  const std::uint8_t flags = reader.u8();
  reader.skip(6);
  const std::size_t name = reader.u8();
  reader.skip(name);
  if (!reader.ok() || name == 0 || bytes.size() <= kNameAt) return refused("a broken record of a directory");
  // What is kept of the files is as much as what is unpacked, but for what the volume has itself.
  const std::uint64_t kept = input_.size() / kFile + limits_.unpacked_size / kFile;
  if (++records_ > std::min(limits_.members, kept) + 1) return over("files", records_ - 2);

  Record record{.directory = (flags & 2) != 0, .name = name};
  reader.skip(std::min(reader.left(), 1 - name % 2));
  Span area = bytes.subspan(reader.position());
  constexpr std::string_view kSystemUse("SP\x07\x01\xbe\xef", 6);
  if (parent == kNone && area.size() >= 7 && Reader(area).text(6) == kSystemUse) {
    system_use_ = {true, std::to_integer<std::size_t>(area[6])};
    area = area.subspan(7);
  }
  if (system_use_.used) {
    area = area.subspan(std::min(system_use_.skipped, area.size()));
    INTACT_TRY(take_system_use(area, at + bytes.size(), record));
  }
  texts_ += record.name + record.texts;
  if (texts_ > limits_.directory_size) return refused("longer names than the limit (max_directory_size)");
  if (parent == kNone && (record.relocated || record.link != 0)) return refused("a root that is relocated");
  if (parent != kNone) ++directories_[parent].children;
  const bool in_pieces = (flags & 0x80) != 0;
  if (record.directory && (in_pieces || in_pieces_)) return refused("a directory in pieces");
  in_pieces_ = in_pieces || (in_pieces_ && record.link != 0);
  if (record.link != 0) INTACT_TRY(add_link(record.link, parent));
  // An empty one is never read, and is its parent's child already.
  if (!record.directory || size == 0) return {};
  return add_directory({start, (size + kBlock - 1) / kBlock * kBlock}, record, parent);
}

// Reads an area and all that it continues in; `end` is where it ends in the input.
Result<void> Walk::take_system_use(Span area, std::uint64_t end, Record& record) {
  const std::uint64_t plain_name = std::exchange(record.name, 0);
  INTACT_ASSIGN(std::optional<Place> next, take_entries(area, record));
  if (records_ == 1) rock_ridge_ = record.rock_ridge;
  while (next) {
    INTACT_ASSIGN(area, continuation(*next, end));
    end = next->start + next->size;
    INTACT_ASSIGN(next, take_entries(area, record));
  }
  record.name = std::max(record.name, plain_name);
  return {};
}

// The entries of one area, with libarchive's own rules; gives where the area continues.
Result<std::optional<Place>> Walk::take_entries(Span area, Record& record) const {
  const auto letter = [](std::byte byte) { return byte >= std::byte{'A'} && byte <= std::byte{'Z'}; };
  std::optional<Place> next;
  while (area.size() >= 4 && letter(area[0]) && letter(area[1])) {
    const auto length = std::to_integer<std::size_t>(area[2]);
    if (length < 4 || length > area.size()) break;
    Reader reader(area.first(length));
    const std::string_view kind = reader.text(2);
    reader.skip(1);
    area = area.subspan(length);
    if (reader.u8() != 1) continue;
    record.rock_ridge =
        record.rock_ridge || kind == "NM" || kind == "PX" || kind == "RE" || kind == "SL" || kind == "TF";
    if (kind == "CE" && length == 28) {
      const std::uint64_t block = reader.u32();
      reader.skip(4);
      const std::uint64_t offset = reader.u32();
      reader.skip(4);
      const std::uint64_t size = reader.u32();
      if (next) return refused("an area that continues in two");
      if (offset > kBlock || size > kBlock - offset) return refused("a continuation area beyond its block");
      next = Place{block * kBlock + offset, size};
    } else if (kind == "CL" && length == 12) {
      record.link = reader.u32() * kBlock;
    } else if (kind == "RE") {
      record.relocated = true;
    } else if (kind == "PX" && length >= 12) {
      record.directory = record.directory || S_ISDIR(reader.u32());
    } else if (kind == "NM" && length > 5) {
      record.name += length - 5;
    } else if (kind == "SL") {
      record.texts += kComponent * length;
    } else if (kind == "ST" && length == 4) {
      record.rock_ridge = false;
      break;
    }
  }
  return next;
}

// libarchive takes a place in the same block for one that it has yet to come to.
Result<Span> Walk::continuation(const Place& place, std::uint64_t behind) {
  if (place.start < behind) return refused("a continuation area that is not behind what it continues");
  continued_ += place.size;
  if (continued_ > kMostContinued) return over("bytes of continuation areas", kMostContinued);
  const std::uint64_t offset = place.start % kBlock, at = place.start - offset;
  if (at != block_at_) {
    if (!lies_in(input_, {at, kBlock})) return refused("a continuation area beyond its end");
    INTACT_TRY(input_.read(at, block_));
    block_at_ = at;
  }
  return Span(block_).subspan(static_cast<std::size_t>(offset), static_cast<std::size_t>(place.size));
}

Result<void> Walk::add_directory(const Place& place, const Record& record, std::uint32_t parent) {
  if (!lies_in(input_, place)) return refused("a directory beyond its end");
  if (place.size > kMostDirectory) return over("bytes of a directory", kMostDirectory);
  if (place.size > limits_.directory_size - directories_size_)
    return refused("larger directories than the limit (max_directory_size)");
  directories_size_ += place.size;
  const auto next = by_start_.lower_bound(place.start);
  if (next != by_start_.end() && next->first < place.start + place.size)
    return refused("directories that share a place");
  if (next != by_start_.begin()) {
    const auto& [start, index] = *std::prev(next);
    if (place.start - start < directories_[index].place.size) return refused("directories that share a place");
  }
  by_start_.emplace_hint(next, place.start, static_cast<std::uint32_t>(directories_.size()));
  if (record.relocated && ++relocated_ > kMostRelocated) return over("relocated directories", kMostRelocated);
  // Where xorriso puts relocated directories is marked as one, too.
  if (record.relocated && parent != 0 && directories_[parent].parent != 0)
    return refused("a relocated directory too far from the root");
  directories_.push_back(
      {.place = place, .parent = parent, .belongs = parent, .relocated = record.relocated, .name = record.name});
  return {};
}

Result<void> Walk::add_link(std::uint64_t target, std::uint32_t parent) {
  if (links_.size() == kMostRelocated) return over("relocated directories", kMostRelocated);
  if (!links_.emplace(target, parent).second) return refused("a directory that is relocated from two places");
  return {};
}

// Joins what stands for a relocated directory with that, if it is there. libarchive does so one by one: at no time is
// one to be in itself.
Result<void> Walk::relocate() {
  for (const auto& [start, parent] : links_) {
    const auto found = by_start_.find(start);
    if (found == by_start_.end() || !directories_[found->second].relocated) continue;
    Directory& directory = directories_[found->second];
    if (directory.parent == 0) return refused("a directory that is relocated from the root");
    directory.belongs = parent;
  }
  return {};
}

// libarchive makes each path anew, and goes from each record up to the root.
Result<void> Walk::measure_paths() {
  std::uint64_t paths = texts_;
  std::vector<std::uint32_t> open;
  for (std::uint32_t index = 0; index < directories_.size(); ++index) {
    open.clear();
    std::uint32_t above = index;
    for (; above != kNone && directories_[above].depth == 0; above = directories_[above].belongs) {
      if (open.size() > kMostDepth) break;
      open.push_back(above);
    }
    Directory parent = above == kNone ? Directory() : directories_[above];
    // Also where they are in a circle.
    if (open.size() > kMostDepth - parent.depth) return over("directories in one another", kMostDepth);
    for (; !open.empty(); open.pop_back()) {
      Directory& directory = directories_[open.back()];
      directory.depth = parent.depth + 1;
      directory.path = parent.path + kSeparator + directory.name;
      if (directory.belongs != directory.parent) directory.path += kSeparator + directories_[directory.parent].name;
      parent = directory;
    }
  }
  for (const Directory& directory : directories_) {
    if (directory.children == 0) continue;
    if (joliet_ && directory.path > kMostJoliet) return refused("too long a path");
    if (directory.path > (limits_.directory_size - paths) / directory.children)
      return refused("longer paths than the limit (max_directory_size)");
    paths += directory.path * directory.children;
  }
  return {};
}

// The volume descriptors that tell where trees begin.
struct Roots {
  std::optional<Place> primary, joliet;

  Result<void> take(Span descriptor);
};

Result<void> Roots::take(Span descriptor) {
  constexpr std::uint8_t kPrimary = 1, kSupplementary = 2;
  Reader reader(descriptor);
  const std::uint8_t type = reader.u8();
  reader.seek(88);
  const std::string_view escape = reader.text(3);
  const bool joliet = type == kSupplementary && escape.starts_with("%/");
  if (type != kPrimary && !joliet) return {};
  reader.seek(128);
  if (reader.u16() != kBlock) return refused("logical blocks of other than 2048 bytes");
  reader.seek(156 + 2);
  const std::uint64_t location = reader.u32();
  reader.skip(4);
  const Place root{location * kBlock, reader.u32()};
  std::optional<Place>& known = joliet ? this->joliet : primary;
  if (location <= 16) return refused("a root among its descriptors");
  if (known && *known != root) return refused("two roots of one kind");
  known = root;
  return {};
}

}  // namespace

Result<void> check_iso(const Input& input, const Limits& limits) {
  constexpr std::uint64_t kFirst = 16;
  constexpr std::uint8_t kEnd = 255;
  Roots roots;
  for (std::uint64_t block = kFirst;; ++block) {
    std::array<std::byte, kBlock> descriptor;
    if (!lies_in(input, {block * kBlock, kBlock})) return {};
    INTACT_TRY(input.read(block * kBlock, descriptor));
    Reader reader(descriptor);
    const std::uint8_t type = reader.u8();
    if (reader.text(5) != "CD001") return {};
    if (type == kEnd) break;
    if (block == kFirst + kMostDescriptors) return over("descriptors", kMostDescriptors);
    INTACT_TRY(roots.take(descriptor));
  }
  if (!roots.primary) return {};
  SystemUse system_use;
  Walk primary(input, limits, system_use, false);
  INTACT_TRY(primary.run(*roots.primary));
  if (!roots.joliet || (primary.rock_ridge() && roots.primary->start <= roots.joliet->start)) return {};
  return Walk(input, limits, system_use, true).run(*roots.joliet);
}

}  // namespace intact
