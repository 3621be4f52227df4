// Reader: the one way untrusted bytes are turned into numbers.
//
// Every read is checked against what is left; after the first failed read `ok()` is false, every further
// read gives zero, and the caller tests once at the end of a record. Numbers are little-endian, as in zip
// and in the ELF files we load.

#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string_view>
#include <type_traits>

namespace intact {

static_assert(std::endian::native == std::endian::little);

class Reader {
 public:
  explicit Reader(std::span<const std::byte> bytes) : bytes_(bytes) {}

  std::uint8_t u8() { return number<std::uint8_t>(); }
  std::uint16_t u16() { return number<std::uint16_t>(); }
  std::uint32_t u32() { return number<std::uint32_t>(); }
  std::uint64_t u64() { return number<std::uint64_t>(); }

  std::span<const std::byte> take(std::size_t size) {
    if (!ok_ || size > bytes_.size() - position_) {
      ok_ = false;
      return {};
    }
    auto part = bytes_.subspan(position_, size);
    position_ += size;
    return part;
  }
  std::string_view text(std::size_t size) {
    auto part = take(size);
    return {reinterpret_cast<const char*>(part.data()), part.size()};
  }
  // An on-disk structure of packed little-endian numbers; all zero if not enough is left.
  template <typename T>
  T record() {
    static_assert(std::is_trivially_copyable_v<T> && alignof(T) == 1);
    return number<T>();
  }
  void skip(std::size_t size) { take(size); }
  void seek(std::size_t position) {
    if (position > bytes_.size())
      ok_ = false;
    else
      position_ = position;
  }

  bool ok() const { return ok_; }
  std::size_t position() const { return position_; }
  std::size_t left() const { return ok_ ? bytes_.size() - position_ : 0; }

 private:
  template <typename T>
  T number() {
    T value{};
    if (auto part = take(sizeof(T)); part.size() == sizeof(T)) std::memcpy(&value, part.data(), sizeof(T));
    return value;
  }

  std::span<const std::byte> bytes_;
  std::size_t position_ = 0;
  bool ok_ = true;
};

}  // namespace intact
