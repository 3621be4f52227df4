#include "core/base/reader.h"

#include <gtest/gtest.h>

#include <array>

namespace intact {
namespace {

constexpr std::array<std::uint8_t, 8> kNumbers = {1, 2, 3, 4, 5, 6, 7, 8};
const auto kBytes = std::as_bytes(std::span(kNumbers));

struct [[gnu::packed]] Record {
  std::uint8_t first;
  std::uint32_t second;
};

TEST(Reader, ReadsLittleEndianNumbers) {
  Reader reader(kBytes);
  EXPECT_EQ(reader.u8(), 1);
  EXPECT_EQ(reader.u16(), 0x0302);
  EXPECT_EQ(reader.u32(), 0x07060504u);
  EXPECT_EQ(reader.left(), 1u);
  EXPECT_TRUE(reader.ok());
  EXPECT_EQ(Reader(kBytes).u64(), 0x0807060504030201u);
}

TEST(Reader, ReadsPackedRecords) {
  Reader reader(kBytes);
  const auto record = reader.record<Record>();
  EXPECT_EQ(record.first, 1);
  EXPECT_EQ(+record.second, 0x05040302u);  // a copy: the field itself is not aligned
  EXPECT_EQ(reader.record<Record>().first, 0);
  EXPECT_FALSE(reader.ok());
}

TEST(Reader, AfterTheFirstFailureEverythingFails) {
  Reader reader(kBytes);
  reader.skip(6);
  EXPECT_EQ(reader.u32(), 0u);
  EXPECT_FALSE(reader.ok());
  EXPECT_EQ(reader.left(), 0u);
  EXPECT_EQ(reader.u8(), 0);
  EXPECT_TRUE(reader.take(0).empty());
}

TEST(Reader, NoSizeIsTooLargeToBeRefused) {
  for (const std::size_t size : {std::size_t{9}, SIZE_MAX, SIZE_MAX - 7}) {
    Reader reader(kBytes);
    reader.skip(4);
    EXPECT_TRUE(reader.take(size).empty());
    EXPECT_FALSE(reader.ok());
    Reader seeking(kBytes);
    seeking.seek(size);
    EXPECT_FALSE(seeking.ok());
  }
}

TEST(Reader, TextIsAViewOfTheBytes) {
  Reader reader(kBytes);
  reader.seek(2);
  const auto text = reader.text(3);
  EXPECT_EQ(text, "\3\4\5");
  EXPECT_EQ(static_cast<const void*>(text.data()), static_cast<const void*>(kBytes.data() + 2));
}

}  // namespace
}  // namespace intact
