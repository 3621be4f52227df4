// A 7z header (7-Zip's DOC/7zFormat.txt), read to its end before libarchive gets it, and the part of it that says how
// data is packed, PackInfo and UnPackInfo, also written: what stands behind them is kept as it is.
//
// libarchive believes the numbers in a header: it allocates for a hundred million files that have nothing else, and for
// as many contents of each folder. So what it would keep is counted first, and a header is taken only if libarchive
// reads it byte for byte as we do.
//
// A folder is one run of packed data with the coders that make it into the contents: each coder has inputs and outputs,
// all inputs and all outputs of a folder are numbered through, a bond says which output an input is fed from, and the
// inputs without one are fed from the packed streams.

#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "core/archive/archive.h"
#include "core/base/reader.h"
#include "core/base/result.h"

namespace intact::sevenzip {

// Of properties, "NID" in 7zFormat.txt.
enum Id : std::uint8_t {
  kEnd = 0x00,
  kHeader = 0x01,
  kArchiveProperties = 0x02,
  kMainStreams = 0x04,
  kFilesInfo = 0x05,
  kPackInfo = 0x06,
  kUnpackInfo = 0x07,
  kSubStreamsInfo = 0x08,
  kSize = 0x09,
  kCrc = 0x0A,
  kFolder = 0x0B,
  kCodersUnpackSize = 0x0C,
  kNumUnpackStream = 0x0D,
  kEmptyStream = 0x0E,
  kEmptyFile = 0x0F,
  kAnti = 0x10,
  kNames = 0x11,
  kCreationTime = 0x12,
  kAccessTime = 0x13,
  kModificationTime = 0x14,
  kAttributes = 0x15,
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

// The data of files, one after another in the folders.
struct Contents {
  std::vector<std::uint64_t> sizes;
  bool digests = false;  // SubStreamsInfo has CRC-32s
};

// What a header says that there is, counted before memory is allocated for it: for each thing more than we or
// libarchive keep of it.
class Claims {
 public:
  explicit Claims(const Limits& limits) : limits_(limits), left_(limits.unpacked_size) {}

  // Things of which there are no more than members; `before` of them were counted.
  Result<void> count(const char* what, std::uint64_t number, std::uint64_t before = 0);
  // Any others.
  Result<void> keep(std::uint64_t number);

 private:
  const Limits& limits_;
  std::uint64_t left_;  // bytes
};

struct Header {
  std::optional<Streams> streams;
  std::size_t rest = 1;  // where what is behind these begins
  bool digests = false;  // contents have CRC-32s
};

Error broken_header(const std::string& what);
std::uint64_t read_number(Reader& reader);

// PackInfo and UnPackInfo at the reader's place, which then is behind them. kArchive if they are broken.
Result<Streams> read_streams(Reader& reader, Claims& claims);

// The SubStreamsInfo that may come next, and the end of all three.
Result<Contents> read_contents(Reader& reader, const Streams& streams, Claims& claims);

// A whole header that is not encoded. kArchive if it is broken or one that libarchive is not to be given.
Result<Header> read_header(Span bytes, const Limits& limits);

std::string write_streams(const Streams& streams);

}  // namespace intact::sevenzip
