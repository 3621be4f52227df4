#include "core/base/scratch.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <cstring>

namespace intact {
namespace {

TEST(Scratch, IsKeptUntilMoreIsNeeded) {
  Scratch scratch;
  std::byte* const first = scratch.get(1000);
  ASSERT_NE(first, nullptr);
  EXPECT_EQ(scratch.get(10), first);
  EXPECT_EQ(scratch.get(scratch.size()), first);
  for (const std::size_t size : {std::size_t{100'000}, std::size_t{9} << 20}) {
    std::byte* const larger = scratch.get(size);
    ASSERT_NE(larger, nullptr);
    std::memset(larger, 1, size);
    EXPECT_GE(scratch.size(), size);
  }
  scratch.release();
  EXPECT_EQ(scratch.size(), 0u);
}

TEST(Scratch, NoMemoryIsNullAndNotTheEnd) {
  Scratch scratch;
  EXPECT_EQ(scratch.get(SIZE_MAX / 4), nullptr);
  EXPECT_EQ(scratch.size(), 0u);
  EXPECT_NE(scratch.get(1), nullptr);
}

}  // namespace
}  // namespace intact
