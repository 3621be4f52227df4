// Fuzzes what the directories of an iso9660 volume are checked for: any sectors are an archive or an error, and what is
// let through does libarchive no harm, which would run for ever or end the process.
//
// The input is what lies behind the descriptors, from sector 19 on, where the root is. They are put before it here: a
// fuzzer need not keep them.

#include <algorithm>
#include <string>

#include "core/archive/archive.h"
#include "fuzz/input.h"

namespace {

using namespace intact;

constexpr std::size_t kSector = 2048, kFirst = 19, kMost = 64;

void put(std::string& text, std::size_t at, std::string_view value) { text.replace(at, value.size(), value); }

// As a volume has them: the number's other order is left out, which libarchive does not read.
std::string number(std::uint32_t value) {
  return {static_cast<char>(value), static_cast<char>(value >> 8), static_cast<char>(value >> 16), 0};
}

// ECMA-119 8.4: the volume, its end and a path table.
std::string descriptors(std::size_t sectors) {
  std::string text(kFirst * kSector, '\0');
  const std::size_t volume = 16 * kSector, root = volume + 156;
  put(text, volume, "\1CD001\1");
  put(text, volume + 80, number(static_cast<std::uint32_t>(sectors)));
  put(text, volume + 128, number(kSector));
  put(text, volume + 140, number(kFirst - 1));
  put(text, root, "\x22");
  put(text, root + 2, number(kFirst));
  put(text, root + 10, number(kSector));
  put(text, volume + 881, "\1");
  put(text, volume + kSector, "\xff\x43\x44\x30\x30\x31\1");
  return text;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::size_t sectors = kFirst + std::min(std::max(size / kSector + 1, std::size_t{8}), kMost);
  std::string archive = descriptors(sectors) + std::string(reinterpret_cast<const char*>(data), size);
  archive.resize(sectors * kSector);
  fuzz::open_or_refuse(archive, "iso9660");
  return 0;
}
