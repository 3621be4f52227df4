#include "core/archive/zip_crypto.h"

#include <nettle/aes.h>
#include <nettle/hmac.h>
#include <nettle/memops.h>
#include <nettle/pbkdf2.h>

#include <algorithm>
#include <array>
#include <cstring>

#include "core/archive/zip_format.h"
#include "core/archive/zip_names.h"
#include "core/base/reader.h"

namespace intact::zip {

namespace {

constexpr unsigned kRounds = 1000;
constexpr std::size_t kMostKey = 32;        // bytes
constexpr std::size_t kVerifier = 2;        // bytes
constexpr std::size_t kAuthenticator = 10;  // bytes of a SHA-1's 20

const std::uint8_t* octets(std::span<const std::byte> bytes) {
  return reinterpret_cast<const std::uint8_t*>(bytes.data());
}
const std::uint8_t* octets(std::string_view text) { return reinterpret_cast<const std::uint8_t*>(text.data()); }

// ---- traditional

constexpr std::array<std::uint32_t, 256> kCrcTable = [] {
  std::array<std::uint32_t, 256> table{};
  for (std::uint32_t i = 0; i < table.size(); ++i) {
    std::uint32_t value = i;
    for (int bit = 0; bit < 8; ++bit) value = (value >> 1) ^ ((value & 1) != 0 ? 0xEDB88320u : 0u);
    table[i] = value;
  }
  return table;
}();

std::uint32_t crc_step(std::uint32_t crc, std::uint8_t byte) { return (crc >> 8) ^ kCrcTable[(crc ^ byte) & 0xFF]; }

// Three numbers that the password sets and each byte of plain text moves on (6.1.5).
class TraditionalKeys {
 public:
  explicit TraditionalKeys(std::string_view password) {
    for (const char byte : password) move_on(static_cast<std::uint8_t>(byte));
  }
  ~TraditionalKeys() { explicit_bzero(keys_, sizeof keys_); }

  std::uint8_t decrypt(std::uint8_t byte) {
    const std::uint32_t low = (keys_[2] & 0xFFFF) | 2;
    const auto plain = static_cast<std::uint8_t>(byte ^ ((low * (low ^ 1)) >> 8));
    move_on(plain);
    return plain;
  }
  void decrypt(std::span<const std::byte> from, std::span<std::byte> to) {
    for (std::size_t i = 0; i < from.size(); ++i) to[i] = std::byte{decrypt(std::to_integer<std::uint8_t>(from[i]))};
  }
  // What the last byte of a header is.
  std::uint8_t decrypt_header(std::span<const std::byte> head) {
    std::uint8_t last = 0;
    for (const std::byte byte : head) last = decrypt(std::to_integer<std::uint8_t>(byte));
    return last;
  }

 private:
  void move_on(std::uint8_t plain) {
    keys_[0] = crc_step(keys_[0], plain);
    keys_[1] = (keys_[1] + (keys_[0] & 0xFF)) * 134775813u + 1;
    keys_[2] = crc_step(keys_[2], static_cast<std::uint8_t>(keys_[1] >> 24));
  }

  std::uint32_t keys_[3] = {0x12345678, 0x23456789, 0x34567890};
};

// ---- AES

class AesKeys {
 public:
  AesKeys(const Encryption& encryption, std::string_view password, std::span<const std::byte> salt)
      : size_(encryption.key_size) {
    nettle_pbkdf2_hmac_sha1(password.size(), octets(password), kRounds, salt.size(), octets(salt),
                            2 * size_ + kVerifier, derived_);
  }
  ~AesKeys() { explicit_bzero(derived_, sizeof derived_); }

  bool fits(std::span<const std::byte> verifier) const {
    return std::memcmp(derived_ + 2 * size_, verifier.data(), kVerifier) == 0;
  }

  bool authenticates(std::span<const std::byte> data, std::span<const std::byte> expected) const {
    hmac_sha1_ctx context;
    std::uint8_t digest[SHA1_DIGEST_SIZE];
    nettle_hmac_sha1_set_key(&context, size_, derived_ + size_);
    nettle_hmac_sha1_update(&context, data.size(), octets(data));
    nettle_hmac_sha1_digest(&context, sizeof digest, digest);
    explicit_bzero(&context, sizeof context);
    return nettle_memeql_sec(digest, octets(expected), kAuthenticator) != 0;
  }

  void decrypt(std::span<const std::byte> from, std::span<std::byte> to) const {
    switch (size_) {
      case 16:
        return decrypt<aes128_ctx>(nettle_aes128_set_encrypt_key, nettle_aes128_encrypt, from, to);
      case 24:
        return decrypt<aes192_ctx>(nettle_aes192_set_encrypt_key, nettle_aes192_encrypt, from, to);
      default:
        return decrypt<aes256_ctx>(nettle_aes256_set_encrypt_key, nettle_aes256_encrypt, from, to);
    }
  }

 private:
  // Counter mode, with a counter that is little-endian and begins with 1; nettle's own is big-endian.
  template <typename Context>
  void decrypt(void (*set_key)(Context*, const std::uint8_t*),
               void (*encrypt)(const Context*, std::size_t, std::uint8_t*, const std::uint8_t*),
               std::span<const std::byte> from, std::span<std::byte> to) const {
    constexpr std::size_t kBlocks = 64;
    Context context;
    set_key(&context, derived_);
    std::uint64_t stream[2 * kBlocks], counter = 0;
    auto* const mask = reinterpret_cast<std::uint8_t*>(stream);
    for (std::size_t at = 0; at < from.size(); at += sizeof stream) {
      for (std::size_t block = 0; block < kBlocks; ++block) {
        stream[2 * block] = ++counter;
        stream[2 * block + 1] = 0;
      }
      encrypt(&context, sizeof stream, mask, mask);
      const std::size_t size = std::min(sizeof stream, from.size() - at);
      for (std::size_t i = 0; i < size; ++i) to[at + i] = from[at + i] ^ std::byte{mask[i]};
    }
    explicit_bzero(&context, sizeof context);
    explicit_bzero(stream, sizeof stream);
  }

  std::size_t size_;  // of the key for AES, and of that for the HMAC, which follows it
  std::uint8_t derived_[2 * kMostKey + kVerifier];
};

Encryption unsupported(const char* refusal) { return {.kind = Encryption::Kind::kUnsupported, .refusal = refusal}; }

}  // namespace

Encryption read_encryption(std::uint16_t flags, std::uint32_t crc, std::uint32_t time, std::span<const std::byte> extra,
                           std::uint16_t& method) {
  if (flags & (kFlagStrongEncryption | kFlagMasked))
    return unsupported("encrypted by PKWARE's strong encryption, which is not supported");
  if (method != kMethodAes) {
    // A writer that did not know the CRC-32 yet took the time in its place, as Info-ZIP does.
    const auto check = static_cast<std::uint8_t>((flags & kFlagDescriptor) != 0 ? time >> 8 : crc >> 24);
    return {.kind = Encryption::Kind::kTraditional, .check = check};
  }
  const auto field = find_extra(extra, kExtraAes);
  if (!field) return unsupported("encrypted by AES, and has no extra field that says how");
  Reader reader(*field);
  const std::uint16_t version = reader.u16(), vendor = reader.u16();
  const std::uint8_t strength = reader.u8();
  const std::uint16_t packed_with = reader.u16();
  if (!reader.ok()) return unsupported("an extra field for AES that is too short");
  if (version < 1 || version > 2 || vendor != kAesVendor)
    return unsupported("encrypted by a version of AES encryption that is not supported");
  if (strength < 1 || strength > 3) return unsupported("encrypted by AES with a key of unknown size");
  method = packed_with;
  const auto key_size = static_cast<std::uint8_t>(8 + 8 * strength);
  return {.kind = Encryption::Kind::kAes, .key_size = key_size, .crc = version == 1};
}

bool fits(const Encryption& encryption, std::string_view password, std::span<const std::byte> head) {
  if (encryption.kind == Encryption::Kind::kTraditional)
    return TraditionalKeys(password).decrypt_header(head) == encryption.check;
  const std::size_t salt = encryption.salt_size();
  return AesKeys(encryption, password, head.first(salt)).fits(head.subspan(salt));
}

Decryption decrypt(const Encryption& encryption, std::string_view password, std::span<const std::byte> packed,
                   std::span<std::byte> target) {
  const auto head = packed.first(encryption.head_size());
  const auto data = packed.subspan(head.size(), target.size());
  if (encryption.kind == Encryption::Kind::kTraditional) {
    TraditionalKeys keys(password);
    if (keys.decrypt_header(head) != encryption.check) return Decryption::kWrongPassword;
    keys.decrypt(data, target);
    return Decryption::kDone;
  }
  const std::size_t salt = encryption.salt_size();
  const AesKeys keys(encryption, password, head.first(salt));
  const bool right = keys.authenticates(data, packed.last(kAuthenticator));
  if (!keys.fits(head.subspan(salt))) return right ? Decryption::kVerifierDamaged : Decryption::kWrongPassword;
  if (!right) return Decryption::kDamaged;
  keys.decrypt(data, target);
  return Decryption::kDone;
}

}  // namespace intact::zip
