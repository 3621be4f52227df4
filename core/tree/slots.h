// Slots: a hash table from strings that stand elsewhere to numbers, in eight bytes a slot.
//
// Open addressing with linear probing. A slot keeps 32 bits of the hash beside the number, so that a miss touches no
// string. A table has as many slots as it needs, not a power of two: a hash's place is its share of them. Keys of equal
// hash are met in the order in which they came.
//
// Hashes are seeded for each process, so an archive cannot be made to collide.

#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

namespace intact {

inline constexpr std::uint32_t kNone = UINT32_MAX;

std::uint64_t hash_bytes(std::string_view bytes);

struct Slot {
  std::uint32_t hash = 0;
  std::uint32_t number = kNone;  // kNone: empty
};

// How many slots that many keys need: never full, for probing ends at an empty one.
constexpr std::size_t slots_for(std::size_t keys) { return keys + keys / 4 + 1; }

// The slot whose number `matches` among those of the same hash, or the empty one where it would go.
template <typename Matches>
const Slot& find_slot(std::span<const Slot> slots, std::uint64_t hash, Matches matches) {
  const auto kept = static_cast<std::uint32_t>(hash);
  for (std::size_t i = (kept * std::uint64_t{slots.size()}) >> 32;; i = i + 1 == slots.size() ? 0 : i + 1) {
    if (slots[i].number == kNone || (slots[i].hash == kept && matches(slots[i].number))) return slots[i];
  }
}

template <typename Matches>
Slot& find_slot(std::span<Slot> slots, std::uint64_t hash, Matches matches) {
  return const_cast<Slot&>(find_slot(std::span<const Slot>(slots), hash, matches));
}

// Puts a number there, in place of one that `matches`.
template <typename Matches>
void put_slot(std::span<Slot> slots, std::uint64_t hash, std::uint32_t number, Matches matches) {
  find_slot(slots, hash, matches) = {static_cast<std::uint32_t>(hash), number};
}

}  // namespace intact
