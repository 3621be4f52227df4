// The hash of all tables: 64 by 64 bits multiplied and folded, eight bytes of the key at a time.

#include "core/tree/slots.h"

#include <sys/random.h>

#include <array>
#include <cstring>

namespace intact {
namespace {

std::uint64_t fold(std::uint64_t a, std::uint64_t b) {
  const auto product = static_cast<unsigned __int128>(a) * b;
  return static_cast<std::uint64_t>(product) ^ static_cast<std::uint64_t>(product >> 64);
}

template <std::size_t size>
std::uint64_t load(const char* bytes) {
  std::uint64_t value = 0;
  std::memcpy(&value, bytes, size);
  return value;
}

// Both factors of a product have one: who knew a factor could choose keys that make it a power of two.
const std::array<std::uint64_t, 2>& process_seeds() {
  static const std::array<std::uint64_t, 2> seeds = [] {
    std::array<std::uint64_t, 2> values{};
    if (getrandom(values.data(), sizeof values, GRND_NONBLOCK) != sizeof values)
      values[0] = values[1] = reinterpret_cast<std::uintptr_t>(&values) * 0x9e3779b97f4a7c15u;
    return values;
  }();
  return seeds;
}

}  // namespace

std::uint64_t hash_bytes(std::string_view bytes) {
  const auto [seed, factor] = process_seeds();
  const char* at = bytes.data();
  std::size_t left = bytes.size();
  std::uint64_t hash = seed ^ (left * 0x9e3779b97f4a7c15u);
  for (; left > 16; at += 8, left -= 8) hash = fold(hash ^ load<8>(at), factor);
  // The last sixteen bytes or fewer in two loads that may overlap.
  std::uint64_t first = 0, last = 0;
  if (left >= 8) {
    first = load<8>(at), last = load<8>(at + left - 8);
  } else if (left >= 4) {
    first = load<4>(at), last = load<4>(at + left - 4);
  } else if (left > 0) {
    first = load<1>(at) | load<1>(at + left / 2) << 8, last = load<1>(at + left - 1);
  }
  return fold(hash ^ first, factor ^ last) ^ hash;
}

}  // namespace intact
