// The keys of encrypted 7z archives: AES-256, from a password by SHA-256 many times over.

#pragma once

#include <nettle/aes.h>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "core/archive/archive.h"
#include "core/archive/sevenzip_header.h"
#include "core/base/secret.h"

namespace intact::sevenzip {

// The properties of an AES coder.
struct Parameters {
  unsigned power = 0;
  Span salt;
  std::uint8_t iv[AES_BLOCK_SIZE] = {};

  static Result<Parameters> read(Span properties);
};

// The password and the last key that was derived from it: all folders of an archive mostly have the same.
class Keys {
 public:
  explicit Keys(const OpenOptions::Password& source) : source_(source) {}
  ~Keys();
  Keys(const Keys&) = delete;
  Keys& operator=(const Keys&) = delete;

  // Of AES256_KEY_SIZE bytes, until the next one is derived. kPassword if there is no password.
  Result<const std::uint8_t*> derive(const Parameters& parameters);

 private:
  Result<void> ask();
  Result<void> hash(unsigned power, std::string_view salt, std::string_view password);

  const OpenOptions::Password& source_;
  std::optional<Secret> password_;  // in UTF-16, once it was asked for
  std::uint64_t rounds_ = 0;
  unsigned power_ = UINT32_MAX;
  std::string salt_;
  std::uint8_t key_[AES256_KEY_SIZE] = {};
};

}  // namespace intact::sevenzip
