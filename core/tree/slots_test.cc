// That names cannot be chosen so that they share a place in a table.

#include "core/tree/slots.h"

#include <gtest/gtest.h>

#include <set>
#include <string>

namespace intact {
namespace {

TEST(Slots, NamesMadeToCollideSpreadAsOthersDo) {
  constexpr std::size_t kNames = 1 << 14;
  // With 0xa0761d6478bd642f for the second factor these last eight bytes would make it nearly a power of two.
  for (const char* const tail : {"/d=xd\x1dv ", ".d=xd\x1dv ", "ordinary"}) {
    for (const std::string& head : {std::string(), std::string("of more than sixteen bytes/")}) {
      std::set<std::uint64_t> places;
      for (std::size_t i = 0; i < kNames; ++i) {
        std::string name = head + "AAAAAAAA" + tail;
        for (const auto& [at, shift] : {std::pair(1, 0), {2, 4}, {6, 8}, {7, 12}})
          name[head.size() + static_cast<std::size_t>(at)] = static_cast<char>('A' + (i >> shift & 15));
        const auto kept = static_cast<std::uint32_t>(hash_bytes(name));
        places.insert((kept * std::uint64_t{slots_for(kNames)}) >> 32);
      }
      EXPECT_GT(places.size(), kNames / 2) << head << tail;
    }
  }
}

}  // namespace
}  // namespace intact
