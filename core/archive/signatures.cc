#include "core/archive/signatures.h"

#include <algorithm>
#include <charconv>
#include <numeric>
#include <string_view>
#include <vector>

namespace intact {

namespace {

using namespace std::string_view_literals;

// cpio; 7z, cab, xar and rar; gzip, bzip2, xz, zstd and lz4.
constexpr std::string_view kBeginnings[] = {"070701"sv,
                                            "070702"sv,
                                            "070707"sv,
                                            "\xC7\x71"sv,
                                            "7z\xBC\xAF\x27\x1C"sv,
                                            "MSCF"sv,
                                            "xar!"sv,
                                            "Rar!\x1A\x07"sv,
                                            "\x1F\x8B"sv,
                                            "BZh"sv,
                                            "\xFD\67zXZ"sv,
                                            "\x28\xB5\x2F\xFD"sv,
                                            "\x04\x22\x4D\x18"sv};
constexpr std::size_t kBlock = 512;       // of a tar
constexpr std::size_t kIsoStart = 32769;  // behind the system area and a type
constexpr std::string_view kIso = "CD001";

// Whether a tar's header has the checksum that it states: v7 tars have no other sign.
bool is_tar_header(std::string_view block) {
  constexpr std::size_t kAt = 148, kSize = 8;
  if (block.size() < kBlock) return false;
  std::string_view digits = block.substr(kAt, kSize);
  digits.remove_prefix(std::min(digits.find_first_not_of(' '), digits.size()));
  unsigned stated = 0;
  if (std::from_chars(digits.data(), digits.data() + digits.size(), stated, 8).ec != std::errc()) return false;
  const auto add = [](unsigned sum, char byte) { return sum + static_cast<unsigned char>(byte); };
  const unsigned all = std::accumulate(block.begin(), block.end(), 0u, add);
  const unsigned field = std::accumulate(block.begin() + kAt, block.begin() + kAt + kSize, 0u, add);
  return all - field + kSize * ' ' == stated;
}

}  // namespace

bool begins_as_no_zip(const Input& input) {
  std::byte first[kBlock], iso[kIso.size()];
  const std::string_view start = input.text(0, first);
  return std::any_of(std::begin(kBeginnings), std::end(kBeginnings),
                     [&](std::string_view beginning) { return start.starts_with(beginning); }) ||
         is_tar_header(start) || input.text(kIsoStart, iso) == kIso;
}

}  // namespace intact
