// The part of a 7z header that says how data is packed: PackInfo and UnPackInfo (7-Zip's DOC/7zFormat.txt).
//
// What stands before and behind them in a header is kept as it is. A folder is one run of packed data with the coders
// that make it into the contents: each coder has inputs and outputs, all inputs and all outputs of a folder are
// numbered through, a bond says which output an input is fed from, and the inputs without one are fed from the packed
// streams.

#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "core/base/reader.h"
#include "core/base/result.h"

namespace intact::sevenzip {

// Of properties, "NID" in 7zFormat.txt.
enum Id : std::uint8_t {
  kEnd = 0x00,
  kHeader = 0x01,
  kArchiveProperties = 0x02,
  kMainStreams = 0x04,
  kPackInfo = 0x06,
  kUnpackInfo = 0x07,
  kSubStreamsInfo = 0x08,
  kSize = 0x09,
  kCrc = 0x0A,
  kFolder = 0x0B,
  kCodersUnpackSize = 0x0C,
  kNumUnpackStream = 0x0D,
  kEncodedHeader = 0x17,
};

using Span = std::span<const std::byte>;

struct Coder {
  std::string method;  // the bytes of its number
  std::uint64_t inputs = 1;
  std::uint64_t outputs = 1;
  Span properties;
};

struct Bond {
  std::uint64_t input = 0;
  std::uint64_t output = 0;
};

struct Folder {
  std::vector<Coder> coders;
  std::vector<Bond> bonds;
  std::vector<std::uint64_t> packed;        // the inputs that packed streams feed, in the streams' order
  std::vector<std::uint64_t> unpack_sizes;  // of each output
  std::optional<std::uint32_t> crc;
};

struct Streams {
  std::uint64_t position = 0;             // of the first packed stream, behind the archive's first 32 bytes
  std::vector<std::uint64_t> pack_sizes;  // the streams lie one after another
  std::vector<Folder> folders;
};

// PackInfo and UnPackInfo at the reader's place, which then is behind them. kArchive if they are broken.
Result<Streams> read_streams(Reader& reader);

// Whether contents have CRC-32s, in UnPackInfo or in the SubStreamsInfo that may be at the reader's place.
bool have_digests(const Streams& streams, Reader reader);

std::string write_streams(const Streams& streams);

}  // namespace intact::sevenzip
