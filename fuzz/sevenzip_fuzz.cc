// Fuzzes what checks and decrypts 7z archives: any bytes are decrypted, or no encrypted 7z, or an error; what is
// decrypted is read again and has nothing encrypted in it.
//
// The checksums of the two headers are put right first: no fuzzer guesses them.

#include <cstring>

#include "core/archive/codecs.h"
#include "core/archive/sevenzip_crypto.h"
#include "fuzz/input.h"

namespace {

using namespace intact;
using fuzz::require;

constexpr Limits kLimits{.members = 1000, .member_size = 1 << 20, .directory_size = 1 << 20, .unpacked_size = 1 << 20};

void put_checksums_right(std::span<std::byte> archive) {
  if (archive.size() < 32) return;
  std::uint64_t offset = 0, size = 0;
  std::memcpy(&offset, archive.data() + 12, sizeof offset);
  std::memcpy(&size, archive.data() + 20, sizeof size);
  const std::uint64_t room = archive.size() - 32;
  if (offset <= room && size <= room - offset) {
    const std::uint32_t crc = crc32(archive.subspan(32 + offset, size));
    std::memcpy(archive.data() + 28, &crc, sizeof crc);
  }
  const std::uint32_t crc = crc32(archive.subspan(12, 20));
  std::memcpy(archive.data() + 8, &crc, sizeof crc);
}

// Keys of many rounds are right, and too slow to try by the thousand.
bool is_quick(std::span<const std::byte> archive) {
  for (std::size_t i = 4; i + 2 < archive.size(); ++i) {
    if (std::memcmp(archive.data() + i - 4, "\x06\xF1\x07\x01", 4) != 0) continue;
    const unsigned power = std::to_integer<unsigned>(archive[i + 1]) & 0x3F;
    if (power > 8 && power <= 24) return false;
  }
  return true;
}

Result<std::optional<DecryptedSevenzip>> decrypt(const Bytes& bytes, const OpenOptions& options) {
  Source source{"memory", bytes};
  const auto input = Input::open(source);
  return decrypt_sevenzip(**input, options);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  auto copy = std::make_unique<std::byte[]>(size);
  if (size > 0) std::memcpy(copy.get(), data, size);
  put_checksums_right({copy.get(), size});
  if (!is_quick({copy.get(), size})) return 0;

  OpenOptions options(kLimits);
  options.password = []() -> Result<std::optional<std::string>> { return std::optional<std::string>("sesame"); };
  const auto plain = decrypt(Bytes::own(std::move(copy), size), options);
  if (!plain) {
    require(plain.error().code == ErrorCode::kArchive || plain.error().code == ErrorCode::kPassword);
  } else if (*plain) {
    const auto again = decrypt((*plain)->archive, OpenOptions(kLimits));
    require(again && !*again);
  }
  return 0;
}
