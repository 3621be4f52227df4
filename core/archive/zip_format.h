// The zip format as it lies on disk, APPNOTE.TXT 4.3: little-endian, packed.

#pragma once

#include <cstdint>

namespace intact::zip {

inline constexpr std::uint32_t kLocalSignature = 0x04034b50;
inline constexpr std::uint32_t kCentralSignature = 0x02014b50;
inline constexpr std::uint32_t kEndSignature = 0x06054b50;
inline constexpr std::uint32_t kEnd64Signature = 0x06064b50;
inline constexpr std::uint32_t kLocator64Signature = 0x07064b50;

// "Look in the zip64 record": 4.4.1.4.
inline constexpr std::uint16_t kIn64Short = 0xFFFF;
inline constexpr std::uint32_t kIn64 = 0xFFFFFFFF;

// General purpose bit flag, 4.4.4.
inline constexpr std::uint16_t kFlagEncrypted = 1u << 0;
inline constexpr std::uint16_t kFlagDescriptor = 1u << 3;
inline constexpr std::uint16_t kFlagPatch = 1u << 5;
inline constexpr std::uint16_t kFlagStrongEncryption = 1u << 6;
inline constexpr std::uint16_t kFlagUtf8 = 1u << 11;
inline constexpr std::uint16_t kFlagMasked = 1u << 13;

// Extra fields, 4.5 and 4.6.
inline constexpr std::uint16_t kExtraZip64 = 0x0001;
inline constexpr std::uint16_t kExtraTimestamp = 0x5455;
inline constexpr std::uint16_t kExtraUnicodePath = 0x7075;
inline constexpr std::uint16_t kExtraAes = 0x9901;

// The method of a member that AES encrypts; the real one is in its extra field.
inline constexpr std::uint16_t kMethodAes = 99;
inline constexpr std::uint16_t kAesVendor = 0x4541;  // "AE"

struct [[gnu::packed]] LocalHeader {  // 4.3.7
  std::uint32_t signature;
  std::uint16_t version_needed;
  std::uint16_t flags;
  std::uint16_t method;
  std::uint32_t time;
  std::uint32_t crc;
  std::uint32_t packed_size;
  std::uint32_t size;
  std::uint16_t name_size;
  std::uint16_t extra_size;
};
static_assert(sizeof(LocalHeader) == 30);

struct [[gnu::packed]] CentralHeader {  // 4.3.12
  std::uint32_t signature;
  std::uint16_t version_made_by;
  std::uint16_t version_needed;
  std::uint16_t flags;
  std::uint16_t method;
  std::uint32_t time;  // DOS time, and DOS date above it
  std::uint32_t crc;
  std::uint32_t packed_size;
  std::uint32_t size;
  std::uint16_t name_size;
  std::uint16_t extra_size;
  std::uint16_t comment_size;
  std::uint16_t disk;
  std::uint16_t internal_attributes;
  std::uint32_t external_attributes;
  std::uint32_t offset;
};
static_assert(sizeof(CentralHeader) == 46);

struct [[gnu::packed]] EndRecord {  // 4.3.16
  std::uint32_t signature = 0;
  std::uint16_t disk = 0;
  std::uint16_t directory_disk = 0;
  std::uint16_t count_here = 0;
  std::uint16_t count = 0;
  std::uint32_t directory_size = 0;
  std::uint32_t directory_offset = 0;
  std::uint16_t comment_size = 0;
};
static_assert(sizeof(EndRecord) == 22);

struct [[gnu::packed]] Locator64 {  // 4.3.15
  std::uint32_t signature;
  std::uint32_t end_disk;
  std::uint64_t end_offset;
  std::uint32_t disks;
};
static_assert(sizeof(Locator64) == 20);

struct [[gnu::packed]] EndRecord64 {  // 4.3.14
  std::uint32_t signature = 0;
  std::uint64_t size = 0;  // of what follows this number
  std::uint16_t version_made_by = 0;
  std::uint16_t version_needed = 0;
  std::uint32_t disk = 0;
  std::uint32_t directory_disk = 0;
  std::uint64_t count_here = 0;
  std::uint64_t count = 0;
  std::uint64_t directory_size = 0;
  std::uint64_t directory_offset = 0;
};
static_assert(sizeof(EndRecord64) == 56);

}  // namespace intact::zip
