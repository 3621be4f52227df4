#include "core/base/result.h"

#include <gtest/gtest.h>

#include <cerrno>
#include <memory>
#include <vector>

#include "core/base/bytes.h"
#include "core/base/large_allocator.h"
#include "core/base/unique_fd.h"

namespace intact {
namespace {

Result<int> half(int number) {
  if (number % 2) return Error{ErrorCode::kArgument, "odd"};
  return number / 2;
}

Result<int> quarter(int number) {
  INTACT_ASSIGN(const int once, half(number));
  INTACT_ASSIGN(const int twice, half(once));
  return twice;
}

Result<void> check_even(int number) {
  INTACT_TRY(half(number));
  return {};
}

TEST(Result, TryAndAssignLeaveWithTheError) {
  EXPECT_EQ(*quarter(8), 2);
  EXPECT_EQ(quarter(6).error().reason, "odd");
  EXPECT_TRUE(check_even(2));
  EXPECT_EQ(check_even(3).error().reason, "odd");
}

TEST(Error, TheMessageNamesWhatIsKnown) {
  EXPECT_EQ((Error{ErrorCode::kMember, "broken", "a.zip", "m.py", 12}.message()), "a.zip: m.py: offset 12: broken");
  EXPECT_EQ((Error{ErrorCode::kArchive, "broken", "a.zip"}.message()), "a.zip: broken");
  const Error error = system_error(ENOENT, "cannot open");
  EXPECT_EQ(error.message(), "cannot open: No such file or directory");
  EXPECT_EQ(error.system_errno, ENOENT);
}

TEST(Bytes, PartsKeepTheWholeAlive) {
  auto buffer = try_allocate(4);
  buffer[1] = std::byte{'x'};
  const std::byte* where = buffer.get();
  Bytes whole = Bytes::own(std::move(buffer), 4);
  const Bytes part = whole.part(1, 2);
  whole = Bytes();
  EXPECT_EQ(part.data(), where + 1);
  EXPECT_EQ(part.text()[0], 'x');
}

TEST(UniqueFd, ClosesWhatItOwns) {
  int ends[2];
  ASSERT_EQ(::pipe(ends), 0);
  UniqueFd reading(ends[0]);
  {
    UniqueFd writing(ends[1]);
    UniqueFd moved(std::move(writing));
    EXPECT_FALSE(writing);
    EXPECT_EQ(moved.get(), ends[1]);
  }
  char byte;
  EXPECT_EQ(::read(reading.get(), &byte, 1), 0);  // the end: nobody writes any more
}

TEST(LargeAllocator, LargeTablesAreAlignedToHugePages) {
  std::vector<char, LargeAllocator<char>> large(std::size_t{5} << 20);
  EXPECT_EQ(reinterpret_cast<std::uintptr_t>(large.data()) % (2 << 20), 0u);
  large.back() = 'x';
  std::vector<int, LargeAllocator<int>> growing;
  for (int i = 0; i < 2'000'000; ++i) growing.push_back(i);
  for (int i = 0; i < 2'000'000; ++i) ASSERT_EQ(growing[static_cast<std::size_t>(i)], i);
}

}  // namespace
}  // namespace intact
