// gzip (RFC 1952), unpacked whole with its CRC-32 and size checked, which libarchive does not do; twice as fast, too.

#pragma once

#include <cstdint>
#include <optional>

#include "core/archive/input.h"

namespace intact {

// What is packed in `input`, all its members after one another; nothing if it does not begin as gzip does. Only zeros
// may stand between members and behind them, as tapes have them: else a member with a broken first byte would be missing
// without a word. kArchive if it is broken or unpacks to more than `most` bytes.
Result<std::optional<Bytes>> gunzip(const Input& input, std::uint64_t most);

}  // namespace intact
