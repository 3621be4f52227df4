// Encrypted members of a zip: the traditional encryption of PKWARE (APPNOTE.TXT 6.1) and WinZip's AES
// (https://www.winzip.com/en/support/aes-encryption/, AE-1 and AE-2).
//
// What the directory says about a member's encryption is an Encryption, a few bytes in each Entry. The data of such a
// member has more around it than what was packed:
//
//   traditional  12 bytes, the last of which tells a wrong password in 255 of 256 cases; data
//   AES          salt; 2 bytes that tell a wrong password in 65,535 of 65,536; data; 10 bytes that authenticate it
//
// Nothing that was derived from a password outlives a call. AES derives its key anew for each member, since each
// has a salt of its own: 1,000 rounds of HMAC-SHA1.

#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

namespace intact::zip {

struct Encryption {
  enum class Kind : std::uint8_t { kNone, kTraditional, kAes, kUnsupported };

  Kind kind = Kind::kNone;
  std::uint8_t key_size = 0;      // bytes, of AES
  std::uint8_t check = 0;         // what the last byte of a traditional header has to be
  bool crc = true;                // whether the directory has the contents' CRC-32: not in AE-2
  const char* refusal = nullptr;  // of kUnsupported: why it cannot be read

  std::size_t salt_size() const { return key_size / 2u; }
  // What stands before and behind the data, in bytes.
  std::size_t head_size() const { return kind == Kind::kTraditional ? 12 : salt_size() + 2; }
  std::size_t tail_size() const { return kind == Kind::kTraditional ? 0 : 10; }
};

// The encryption of a record of the directory with one of the flags for it. In `method` is then what the data was
// packed with, which AES keeps in its extra field.
Encryption read_encryption(std::uint16_t flags, std::uint32_t crc, std::uint32_t time, std::span<const std::byte> extra,
                           std::uint16_t& method);

// Whether the password fits the member, by what stands before its data, of which `head` has head_size() bytes.
bool fits(const Encryption& encryption, std::string_view password, std::span<const std::byte> head);

enum class Decryption : std::uint8_t { kDone, kWrongPassword, kDamaged, kVerifierDamaged };

// From the member's packed bytes, all that the directory says there are and no less than head and tail, to the data
// between these. AES alone can tell that they are not what the writer authenticated, kDamaged, or that they are and the
// bytes that should tell a wrong password are not, kVerifierDamaged.
Decryption decrypt(const Encryption& encryption, std::string_view password, std::span<const std::byte> packed,
                   std::span<std::byte> target);

}  // namespace intact::zip
