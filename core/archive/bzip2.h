// bzip2 apart from the other codecs: see bzip2.cc for why its library is not linked.

#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <string>

namespace intact {

// Fills `target` exactly; a reason if the data is broken, too short or too long, or the library is missing.
std::optional<std::string> unpack_bzip2(std::span<const std::byte> packed, std::span<std::byte> target);

}  // namespace intact
