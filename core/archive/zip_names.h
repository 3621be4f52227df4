// Names of zip members: cp437 or UTF-8 in the file, UTF-8 for us. APPNOTE.TXT appendix D.

#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace intact::zip {

bool is_ascii(std::string_view text);

// As Python's strict decoder sees it: no surrogates, nothing overlong, nothing above U+10FFFF.
bool is_utf8(std::string_view text);

std::string cp437_to_utf8(std::string_view text);

// The name in Info-ZIP's Unicode Path field (APPNOTE.TXT 4.6.9), if there is one and it belongs to `raw_name`.
std::optional<std::string_view> unicode_path(std::span<const std::byte> extra, std::string_view raw_name);

// The data of the first extra field of this kind. What is malformed ends the search.
std::optional<std::span<const std::byte>> find_extra(std::span<const std::byte> extra, std::uint16_t kind);

}  // namespace intact::zip
