#include "core/archive/zip_names.h"

#include <array>
#include <cstdint>
#include <cstring>

#include "core/archive/codecs.h"
#include "core/archive/zip_format.h"
#include "core/base/reader.h"

namespace intact::zip {

namespace {

// U+ for bytes 0x80 to 0xFF; below that cp437 is ASCII (Python's cp437 codec agrees).
constexpr std::array<char16_t, 128> kCp437 = {
    0x00C7, 0x00FC, 0x00E9, 0x00E2, 0x00E4, 0x00E0, 0x00E5, 0x00E7, 0x00EA, 0x00EB, 0x00E8, 0x00EF, 0x00EE,
    0x00EC, 0x00C4, 0x00C5, 0x00C9, 0x00E6, 0x00C6, 0x00F4, 0x00F6, 0x00F2, 0x00FB, 0x00F9, 0x00FF, 0x00D6,
    0x00DC, 0x00A2, 0x00A3, 0x00A5, 0x20A7, 0x0192, 0x00E1, 0x00ED, 0x00F3, 0x00FA, 0x00F1, 0x00D1, 0x00AA,
    0x00BA, 0x00BF, 0x2310, 0x00AC, 0x00BD, 0x00BC, 0x00A1, 0x00AB, 0x00BB, 0x2591, 0x2592, 0x2593, 0x2502,
    0x2524, 0x2561, 0x2562, 0x2556, 0x2555, 0x2563, 0x2551, 0x2557, 0x255D, 0x255C, 0x255B, 0x2510, 0x2514,
    0x2534, 0x252C, 0x251C, 0x2500, 0x253C, 0x255E, 0x255F, 0x255A, 0x2554, 0x2569, 0x2566, 0x2560, 0x2550,
    0x256C, 0x2567, 0x2568, 0x2564, 0x2565, 0x2559, 0x2558, 0x2552, 0x2553, 0x256B, 0x256A, 0x2518, 0x250C,
    0x2588, 0x2584, 0x258C, 0x2590, 0x2580, 0x03B1, 0x00DF, 0x0393, 0x03C0, 0x03A3, 0x03C3, 0x00B5, 0x03C4,
    0x03A6, 0x0398, 0x03A9, 0x03B4, 0x221E, 0x03C6, 0x03B5, 0x2229, 0x2261, 0x00B1, 0x2265, 0x2264, 0x2320,
    0x2321, 0x00F7, 0x2248, 0x00B0, 0x2219, 0x00B7, 0x221A, 0x207F, 0x00B2, 0x25A0, 0x00A0};

}  // namespace

bool is_ascii(std::string_view text) {
  // Eight bytes at a time: asked about every name when an archive is opened.
  std::uint64_t any = 0, word = 0;
  std::size_t at = 0;
  for (; text.size() - at >= sizeof word; at += sizeof word) {
    std::memcpy(&word, text.data() + at, sizeof word);
    any |= word;
  }
  for (; at < text.size(); ++at) any |= static_cast<unsigned char>(text[at]);
  return (any & 0x8080'8080'8080'8080u) == 0;
}

bool is_utf8(std::string_view text) {
  for (std::size_t at = 0; at < text.size();) {
    const auto lead = static_cast<unsigned char>(text[at++]);
    if (lead < 0x80) continue;
    const int more = lead >= 0xF0 ? 3 : lead >= 0xE0 ? 2 : 1;
    if (lead < 0xC2 || lead > 0xF4 || text.size() - at < static_cast<std::size_t>(more)) return false;
    std::uint32_t point = lead & (0x3Fu >> more);
    for (int i = 0; i < more; ++i) {
      const auto byte = static_cast<unsigned char>(text[at++]);
      if ((byte & 0xC0) != 0x80) return false;
      point = point << 6 | (byte & 0x3F);
    }
    if ((more == 2 && point < 0x800) || (more == 3 && point < 0x10000) || point > 0x10FFFF) return false;
    if (point >= 0xD800 && point < 0xE000) return false;
  }
  return true;
}

std::string cp437_to_utf8(std::string_view text) {
  std::string utf8;
  utf8.reserve(text.size() * 2);
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte < 0x80) {
      utf8 += c;
      continue;
    }
    const unsigned point = kCp437[byte - 0x80u];
    if (point < 0x800) {
      utf8 += static_cast<char>(0xC0 | point >> 6);
    } else {
      utf8 += static_cast<char>(0xE0 | point >> 12);
      utf8 += static_cast<char>(0x80 | (point >> 6 & 0x3F));
    }
    utf8 += static_cast<char>(0x80 | (point & 0x3F));
  }
  return utf8;
}

std::optional<std::span<const std::byte>> find_extra(std::span<const std::byte> extra, std::uint16_t kind) {
  Reader reader(extra);
  while (reader.left() >= 4) {
    const std::uint16_t found = reader.u16();
    const auto data = reader.take(reader.u16());
    if (!reader.ok()) return std::nullopt;
    if (found == kind) return data;
  }
  return std::nullopt;
}

std::optional<std::string_view> unicode_path(std::span<const std::byte> extra, std::string_view raw_name) {
  const auto field = find_extra(extra, kExtraUnicodePath);
  if (!field) return std::nullopt;
  Reader reader(*field);
  const std::uint8_t version = reader.u8();
  const std::uint32_t crc = reader.u32();
  const std::string_view name = reader.text(reader.left());
  if (!reader.ok() || version != 1 || name.empty() || crc != crc32(std::as_bytes(std::span(raw_name))))
    return std::nullopt;
  return is_utf8(name) ? std::optional(name) : std::nullopt;
}

}  // namespace intact::zip
