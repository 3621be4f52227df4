// Fuzzes what a xar's table of contents is checked for: any text is an archive or an error, and what is let through
// does libarchive no harm, which would run for ever or end the process.
//
// The input is the table itself, which is packed and put before a few contents here: no fuzzer writes zlib data.

#include <libdeflate.h>

#include <string>

#include "core/archive/archive.h"
#include "fuzz/input.h"

namespace {

using namespace intact;

std::string big_endian(std::uint64_t number, int bytes) {
  std::string text;
  for (int shift = 8 * (bytes - 1); shift >= 0; shift -= 8) text += static_cast<char>(number >> shift);
  return text;
}

std::string pack(const std::uint8_t* data, std::size_t size) {
  const std::unique_ptr<libdeflate_compressor, void (*)(libdeflate_compressor*)> encoder(libdeflate_alloc_compressor(1),
                                                                                         libdeflate_free_compressor);
  std::string packed(libdeflate_zlib_compress_bound(encoder.get(), size), '\0');
  packed.resize(libdeflate_zlib_compress(encoder.get(), data, size, packed.data(), packed.size()));
  return packed;
}

}  // namespace

// libarchive 3.6 does not free what an extended attribute says of its file system.
extern "C" const char* __lsan_default_suppressions() { return "leak:libarchive"; }

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string packed = pack(data, size);
  const std::string start = "xar!" + big_endian(28, 2) + big_endian(1, 2) + big_endian(packed.size(), 8);
  const std::string archive = start + big_endian(size, 8) + big_endian(0, 4) + packed + std::string(160, 'x');
  fuzz::open_or_refuse(archive, "xar");
  return 0;
}
