#include "core/archive/sevenzip_keys.h"

#include <nettle/sha2.h>

#include <algorithm>
#include <cstring>

#include "core/base/reader.h"

namespace intact::sevenzip {

namespace {

constexpr unsigned kMostPower = 24;                            // 2^24 rounds, as 7-Zip
constexpr std::uint64_t kMostRounds = std::uint64_t{1} << 26;  // of all keys of an archive

Error broken(std::string reason) { return {ErrorCode::kArchive, std::move(reason)}; }

// UTF-16 from UTF-8: what 7-Zip derives its keys from. Nothing for what is no UTF-8.
std::optional<std::string> utf16(std::string_view text) {
  std::string out;
  const auto put = [&out](std::uint32_t unit) {
    out += static_cast<char>(unit);
    out += static_cast<char>(unit >> 8);
  };
  for (std::size_t i = 0; i < text.size();) {
    const auto first = static_cast<std::uint8_t>(text[i++]);
    const unsigned more = first < 0x80   ? 0
                          : first < 0xC2 ? 4
                          : first < 0xE0 ? 1
                          : first < 0xF0 ? 2
                          : first < 0xF5 ? 3
                                         : 4;
    if (more == 4 || more > text.size() - i) return std::nullopt;
    std::uint32_t point = more == 0 ? first : first & (0x3Fu >> more);
    for (unsigned k = 0; k < more; ++k) {
      const auto next = static_cast<std::uint8_t>(text[i++]);
      if ((next & 0xC0) != 0x80) return std::nullopt;
      point = point << 6 | (next & 0x3F);
    }
    if (point > 0x10FFFF || (more == 2 && point < 0x800) || (more == 3 && point < 0x10000)) return std::nullopt;
    if (point >= 0xD800 && point < 0xE000) return std::nullopt;
    if (point < 0x10000) {
      put(point);
    } else {
      put(0xD800 + ((point - 0x10000) >> 10));
      put(0xDC00 + ((point - 0x10000) & 0x3FF));
    }
  }
  return out;
}

}  // namespace

Result<Parameters> Parameters::read(Span properties) {
  Reader reader(properties);
  Parameters parameters;
  const std::uint8_t first = reader.u8();
  parameters.power = first & 0x3F;
  std::size_t salt = first >> 7 & 1, iv = first >> 6 & 1;
  if (first & 0xC0) {
    const std::uint8_t sizes = reader.u8();
    salt += sizes >> 4;
    iv += sizes & 0x0F;
  }
  parameters.salt = reader.take(salt);
  const Span start = reader.take(iv);
  if (!reader.ok()) return broken("properties of 7z's encryption that are cut");
  std::copy_n(reinterpret_cast<const std::uint8_t*>(start.data()), start.size(), parameters.iv);
  if (parameters.power > kMostPower && parameters.power != 0x3F)
    return broken("a key of 2^" + std::to_string(parameters.power) + " rounds, over the limit of 2^24");
  return parameters;
}

Keys::~Keys() { explicit_bzero(key_, sizeof key_); }

Result<const std::uint8_t*> Keys::derive(const Parameters& parameters) {
  if (!password_) INTACT_TRY(ask());
  const std::string_view salt(reinterpret_cast<const char*>(parameters.salt.data()), parameters.salt.size());
  if (power_ == parameters.power && salt_ == salt) return static_cast<const std::uint8_t*>(key_);
  const std::string_view password = password_->view();
  if (parameters.power == 0x3F) {
    explicit_bzero(key_, sizeof key_);
    const std::size_t salted = std::min(salt.size(), sizeof key_);
    std::copy_n(salt.data(), salted, key_);
    std::copy_n(password.data(), std::min(password.size(), sizeof key_ - salted), key_ + salted);
  } else {
    INTACT_TRY(hash(parameters.power, salt, password));
  }
  power_ = parameters.power;
  salt_ = salt;
  return static_cast<const std::uint8_t*>(key_);
}

Result<void> Keys::ask() {
  std::optional<std::string> given;
  if (source_) {
    INTACT_ASSIGN(given, source_());
  }
  if (!given) return Error{ErrorCode::kPassword, "encrypted, and no password= was given"};
  const Secret text = Secret::take(*given);
  auto units = utf16(text.view());
  if (!units) return Error{ErrorCode::kPassword, "wrong password: it is no UTF-8, which a 7z's is"};
  password_ = Secret::take(*units);
  return {};
}

Result<void> Keys::hash(unsigned power, std::string_view salt, std::string_view password) {
  const std::uint64_t rounds = std::uint64_t{1} << power;
  if (rounds > kMostRounds - rounds_) return broken("keys of too many rounds");
  rounds_ += rounds;
  sha256_ctx context;
  nettle_sha256_init(&context);
  std::string input(salt);
  input.append(password).append(8, '\0');
  for (std::uint64_t round = 0; round < rounds; ++round) {
    std::memcpy(input.data() + input.size() - 8, &round, 8);
    nettle_sha256_update(&context, input.size(), reinterpret_cast<const std::uint8_t*>(input.data()));
  }
  nettle_sha256_digest(&context, sizeof key_, key_);
  explicit_bzero(&context, sizeof context);
  explicit_bzero(input.data(), input.size());
  return {};
}

}  // namespace intact::sevenzip
