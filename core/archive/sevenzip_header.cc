#include "core/archive/sevenzip_header.h"

#include <algorithm>

#include "core/archive/sevenzip_files.h"

namespace intact::sevenzip {

namespace {

constexpr std::uint64_t kMostCoders = 32;       // of a folder, as are inputs and outputs
constexpr std::uint64_t kMostProperties = 256;  // bytes of a coder
constexpr std::uint64_t kEach = 128;            // bytes that anything counts as

// A count of things that take at least one byte each.
std::uint64_t read_count(Reader& reader, std::uint64_t most) {
  const std::uint64_t count = read_number(reader);
  if (count > most || count > reader.left()) reader.skip(SIZE_MAX);
  return reader.ok() ? count : 0;
}

bool expect(Reader& reader, Id id) { return reader.u8() == id && reader.ok(); }

// Which of `count` things have a CRC-32, and these: a byte that says "all", or else bits, the highest first.
std::vector<std::optional<std::uint32_t>> read_digests(Reader& reader, std::size_t count) {
  std::vector<std::optional<std::uint32_t>> digests(count);
  const bool all = reader.u8() != 0;
  const Span bits = all ? Span() : reader.take((count + 7) / 8);
  for (std::size_t i = 0; i < count && reader.ok(); ++i) {
    if (all || (std::to_integer<unsigned>(bits[i / 8]) & (0x80u >> (i % 8))) != 0) digests[i] = reader.u32();
  }
  return digests;
}

Result<Coder> read_coder(Reader& reader) {
  Coder coder;
  const std::uint8_t flags = reader.u8();
  coder.method = reader.text(flags & 0x0F);
  if (flags & 0x10) {
    coder.inputs = read_count(reader, kMostCoders);
    coder.outputs = read_count(reader, kMostCoders);
  }
  if (flags & 0x20) coder.properties = reader.take(read_count(reader, kMostProperties));
  if (flags & 0xC0) return broken_header("a coder of an unknown kind");
  return coder;
}

Result<Folder> read_folder(Reader& reader) {
  Folder folder;
  std::uint64_t inputs = 0, outputs = 0;
  for (std::uint64_t left = read_count(reader, kMostCoders); left > 0; --left) {
    INTACT_ASSIGN(folder.coders.emplace_back(), read_coder(reader));
    inputs += folder.coders.back().inputs;
    outputs += folder.coders.back().outputs;
  }
  if (!reader.ok() || folder.coders.empty() || outputs == 0 || inputs > kMostCoders || outputs > kMostCoders)
    return broken_header("a folder without coders, or with too many");
  if (inputs < outputs) return broken_header("bonds that its coders do not have");
  std::vector<bool> fed(inputs), used(outputs);
  for (std::uint64_t i = 0; i + 1 < outputs; ++i) {
    const Bond bond{read_number(reader), read_number(reader)};
    if (bond.input >= inputs || bond.output >= outputs || fed[bond.input] || used[bond.output])
      return broken_header("bonds that its coders do not have");
    fed[bond.input] = used[bond.output] = true;
    folder.bonds.push_back(bond);
  }
  const std::uint64_t packed = inputs - folder.bonds.size();
  for (std::uint64_t i = 0; i < packed; ++i) {
    // A single one is not stated.
    const auto open = static_cast<std::uint64_t>(std::find(fed.begin(), fed.end(), false) - fed.begin());
    const std::uint64_t input = packed == 1 ? open : read_number(reader);
    if (input >= inputs || fed[input]) return broken_header("packed streams that its coders do not have");
    fed[input] = true;
    folder.packed.push_back(input);
  }
  folder.unpack_sizes.resize(outputs);
  return folder;
}

void write_number(std::string& to, std::uint64_t value) {
  unsigned bytes = 0;
  while (bytes < 8 && value >> (7 * (bytes + 1)) != 0) ++bytes;
  const unsigned marks = 0xFF00u >> bytes & 0xFF;
  const unsigned top = bytes < 7 ? static_cast<unsigned>(value >> (8 * bytes)) : 0;
  to += static_cast<char>(marks | top);
  for (unsigned i = 0; i < bytes; ++i) to += static_cast<char>(value >> (8 * i));
}

void write_folder(std::string& to, const Folder& folder) {
  write_number(to, folder.coders.size());
  for (const Coder& coder : folder.coders) {
    const bool simple = coder.inputs == 1 && coder.outputs == 1;
    to += static_cast<char>(coder.method.size() | (simple ? 0 : 0x10u) | (coder.properties.empty() ? 0 : 0x20u));
    to += coder.method;
    if (!simple) {
      write_number(to, coder.inputs);
      write_number(to, coder.outputs);
    }
    if (coder.properties.empty()) continue;
    write_number(to, coder.properties.size());
    to.append(reinterpret_cast<const char*>(coder.properties.data()), coder.properties.size());
  }
  for (const Bond& bond : folder.bonds) {
    write_number(to, bond.input);
    write_number(to, bond.output);
  }
  for (std::size_t i = 0; folder.packed.size() > 1 && i < folder.packed.size(); ++i) write_number(to, folder.packed[i]);
}

std::uint64_t unpacked_size(const Folder& folder) {
  std::size_t last = folder.unpack_sizes.size() - 1;
  const auto is_bound = [&](const Bond& bond) { return bond.output == last; };
  while (std::any_of(folder.bonds.begin(), folder.bonds.end(), is_bound)) --last;
  return folder.unpack_sizes[last];
}

}  // namespace

Error broken_header(const std::string& what) { return {ErrorCode::kArchive, "a 7z header with " + what}; }

// 1 to 9 bytes: as many as the first has leading ones follow it, the lowest first; the rest of its bits come on top.
std::uint64_t read_number(Reader& reader) {
  const std::uint8_t first = reader.u8();
  std::uint64_t value = 0;
  for (unsigned i = 0; i < 8; ++i) {
    const unsigned mask = 0x80u >> i;
    if ((first & mask) == 0) return value | std::uint64_t{first & (mask - 1)} << (8 * i);
    value |= std::uint64_t{reader.u8()} << (8 * i);
  }
  return value;
}

Result<void> Claims::count(const char* what, std::uint64_t number, std::uint64_t before) {
  if (number > limits_.members - before)
    return broken_header(std::string("more ") + what + " than the limit of " + std::to_string(limits_.members));
  return keep(number);
}

Result<void> Claims::keep(std::uint64_t number) {
  if (number > left_ / kEach) return broken_header("more in it than the memory that it may take (max_unpacked_size)");
  left_ -= number * kEach;
  return {};
}

Result<Streams> read_streams(Reader& reader, Claims& claims) {
  Streams streams;
  if (!expect(reader, kPackInfo)) return broken_header("no packed streams where they should be");
  streams.position = read_number(reader);
  const std::uint64_t packed_streams = read_number(reader);
  INTACT_TRY(claims.keep(packed_streams));
  if (packed_streams > reader.left()) return broken_header("packed streams that are cut");
  streams.pack_sizes.resize(packed_streams);
  std::uint8_t id = reader.u8();
  if (id == kSize) {
    for (std::uint64_t& size : streams.pack_sizes) size = read_number(reader);
    id = reader.u8();
  }
  if (id == kCrc) {  // of what is packed: not to be kept where that changes, and told by that of the contents
    read_digests(reader, streams.pack_sizes.size());
    id = reader.u8();
  }
  if (id != kEnd || !expect(reader, kUnpackInfo) || !expect(reader, kFolder)) return broken_header("no folders");
  const std::uint64_t count = read_number(reader);
  INTACT_TRY(claims.count("folders", count));
  if (count > reader.left()) return broken_header("folders that are cut");
  streams.folders.reserve(count);
  if (reader.u8() != 0) return broken_header("folders that lie elsewhere");
  std::size_t packed = 0;
  for (std::uint64_t i = 0; i < count; ++i) {
    INTACT_ASSIGN(streams.folders.emplace_back(), read_folder(reader));
    const Folder& folder = streams.folders.back();
    INTACT_TRY(
        claims.keep(folder.coders.size() + folder.bonds.size() + folder.packed.size() + folder.unpack_sizes.size()));
    packed += folder.packed.size();
  }
  if (packed > streams.pack_sizes.size()) return broken_header("fewer packed streams than its folders need");
  if (!expect(reader, kCodersUnpackSize)) return broken_header("no sizes of its folders");
  for (Folder& folder : streams.folders) {
    for (std::uint64_t& size : folder.unpack_sizes) size = read_number(reader);
  }
  id = reader.u8();
  if (id == kCrc) {
    const auto digests = read_digests(reader, streams.folders.size());
    for (std::size_t i = 0; i < digests.size(); ++i) streams.folders[i].crc = digests[i];
    id = reader.u8();
  }
  if (id != kEnd || !reader.ok()) return broken_header("folders that are cut");
  return streams;
}

Result<Contents> read_contents(Reader& reader, const Streams& streams, Claims& claims) {
  Contents contents;
  std::uint8_t id = reader.u8();
  if (id == kSubStreamsInfo) {
    std::vector<std::uint64_t> counts(streams.folders.size(), 1);
    id = reader.u8();
    const bool stated = id == kNumUnpackStream;
    std::uint64_t all = 0, without_crc = 0;
    for (std::size_t i = 0; i < counts.size(); ++i) {
      if (stated) counts[i] = read_number(reader);
      INTACT_TRY(claims.count("contents", counts[i], all));
      all += counts[i];
      if (counts[i] != 1 || !streams.folders[i].crc) without_crc += counts[i];
    }
    if (stated) id = reader.u8();

    // The last one of each folder is what is left of it. libarchive fills those that it is not told with zeros.
    contents.sizes.reserve(all);
    for (std::size_t i = 0; i < counts.size(); ++i) {
      if (counts[i] == 0) continue;
      std::uint64_t left = unpacked_size(streams.folders[i]);
      for (std::uint64_t j = 1; id == kSize && j < counts[i]; ++j)
        left -= contents.sizes.emplace_back(read_number(reader));
      contents.sizes.push_back(left);
    }
    contents.sizes.resize(all);
    if (id == kSize) id = reader.u8();
    contents.digests = id == kCrc;
    if (contents.digests) {
      read_digests(reader, without_crc);
      id = reader.u8();
    }
    if (id != kEnd) return broken_header("contents of another kind");
    id = reader.u8();
  }
  if (id != kEnd || !reader.ok()) return broken_header("contents that are cut");
  return contents;
}

Result<Header> read_header(Span bytes, const Limits& limits) {
  Header header;
  Claims claims(limits);
  Contents contents;
  Reader reader(bytes);
  reader.skip(1);  // kHeader
  std::uint8_t id = reader.u8();
  if (id == kArchiveProperties) return broken_header("properties, which are not supported");
  if (id == kMainStreams) {
    INTACT_ASSIGN(header.streams, read_streams(reader, claims));
    header.rest = reader.position();
    INTACT_ASSIGN(contents, read_contents(reader, *header.streams, claims));
    header.digests = contents.digests;
    for (const Folder& folder : header.streams->folders) {
      header.digests |= folder.crc.has_value();
      // libarchive takes more than two coders only of BCJ2, and unpacks two of its streams before anything else.
      const auto& sizes = folder.unpack_sizes;
      if (folder.coders.size() > 2 && sizes.size() > 2 &&
          (sizes[0] > limits.unpacked_size || sizes[1] > limits.unpacked_size - sizes[0]))
        return broken_header("larger streams of BCJ2 than the limit (max_unpacked_size)");
    }
    id = reader.u8();
  }
  if (id != kFilesInfo && id != kEnd) return broken_header("what is of another kind");
  if (id == kFilesInfo) INTACT_TRY(check_files(reader, contents, claims));
  return header;
}

std::string write_streams(const Streams& streams) {
  std::string to{static_cast<char>(kPackInfo)};
  write_number(to, streams.position);
  write_number(to, streams.pack_sizes.size());
  to += static_cast<char>(kSize);
  for (const std::uint64_t size : streams.pack_sizes) write_number(to, size);
  to += {static_cast<char>(kEnd), static_cast<char>(kUnpackInfo), static_cast<char>(kFolder)};
  write_number(to, streams.folders.size());
  to += '\0';
  for (const Folder& folder : streams.folders) write_folder(to, folder);
  to += static_cast<char>(kCodersUnpackSize);
  for (const Folder& folder : streams.folders) {
    for (const std::uint64_t size : folder.unpack_sizes) write_number(to, size);
  }
  to += {static_cast<char>(kCrc), '\0'};
  for (std::size_t i = 0; i < streams.folders.size(); i += 8) {
    unsigned bits = 0;
    for (std::size_t j = i; j < std::min(i + 8, streams.folders.size()); ++j)
      bits |= streams.folders[j].crc ? 0x80u >> (j - i) : 0;
    to += static_cast<char>(bits);
  }
  for (const Folder& folder : streams.folders) {
    if (folder.crc) to.append(reinterpret_cast<const char*>(&*folder.crc), sizeof *folder.crc);
  }
  return to + static_cast<char>(kEnd);
}

}  // namespace intact::sevenzip
