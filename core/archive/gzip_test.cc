#include "core/archive/gzip.h"

#include <gtest/gtest.h>
#include <libdeflate.h>

#include <memory>
#include <string>

#include "core/archive/test_files.h"

namespace intact {
namespace {

constexpr std::uint64_t kMost = std::uint64_t{1} << 30;

std::string gzip(const std::string& text) {
  const std::unique_ptr<libdeflate_compressor, void (*)(libdeflate_compressor*)> encoder(libdeflate_alloc_compressor(6),
                                                                                         libdeflate_free_compressor);
  std::string packed(libdeflate_gzip_compress_bound(encoder.get(), text.size()), '\0');
  packed.resize(libdeflate_gzip_compress(encoder.get(), text.data(), text.size(), packed.data(), packed.size()));
  return packed;
}

Result<std::optional<Bytes>> unpack(const std::string& packed, Where where, std::uint64_t most = kMost) {
  Source source{"test.gz", Bytes()};
  if (where == Where::kMemory)
    source.bytes = bytes_from(packed);
  else
    source.bytes = file_from(packed);
  const auto input = Input::open(source);
  return gunzip(**input, most);
}

class Gzip : public testing::TestWithParam<Where> {};
INSTANTIATE_TEST_SUITE_P(Sources, Gzip, testing::Values(Where::kMemory, Where::kFile),
                         [](const auto& where) { return where.param == Where::kMemory ? "Memory" : "File"; });

TEST_P(Gzip, UnpacksAllMembersAfterOneAnother) {
  const std::string first(100'000, 'a'), second = "b";
  const auto bytes = unpack(gzip(first) + gzip("") + gzip(second), GetParam());
  ASSERT_TRUE(bytes && *bytes);
  EXPECT_EQ((*bytes)->text(), first + second);
}

TEST_P(Gzip, TakesZerosBehindTheLastMemberAndNothingElse) {
  const std::string zeros(1000, '\0');
  const auto padded = unpack(gzip("te") + zeros + gzip("xt") + zeros, GetParam());
  ASSERT_TRUE(padded && *padded);
  EXPECT_EQ((*padded)->text(), "text");
  std::string second = gzip("more");
  second[0] ^= 1;
  for (const std::string& rest : {std::string("garbage"), std::string("\x1f\x8b"), second}) {
    const auto bytes = unpack(gzip("text") + rest, GetParam());
    ASSERT_FALSE(bytes);
    EXPECT_EQ(bytes.error().code, ErrorCode::kArchive);
    EXPECT_EQ(bytes.error().offset, gzip("text").size());
  }
}

TEST_P(Gzip, IsNothingForWhatBeginsOtherwise) {
  for (const std::string& other : {std::string(), std::string("\x1f\x8b\x08"), std::string(100, 'x')}) {
    const auto bytes = unpack(other, GetParam());
    ASSERT_TRUE(bytes);
    EXPECT_FALSE(*bytes);
  }
}

TEST_P(Gzip, AnyByteChangedIsAnErrorOrNoGzipOrUnpacksToTheSame) {
  const std::string text = "text that is packed, packed, packed", packed = gzip(text);
  int refused = 0;
  for (std::size_t at = 0; at < packed.size(); ++at) {
    for (const int change : {0x01, 0x80, 0xFF}) {
      std::string damaged = packed;
      damaged[at] = static_cast<char>(damaged[at] ^ change);
      const auto bytes = unpack(damaged, GetParam());
      refused += !bytes;
      if (bytes && *bytes) {
        EXPECT_EQ((*bytes)->text(), text) << at << " ^ " << change;
      }
    }
  }
  EXPECT_GT(refused, 50);
}

TEST_P(Gzip, CutAnywhereIsAnErrorOrNoGzip) {
  const std::string packed = gzip(std::string(5000, 'a'));
  for (std::size_t size = 0; size < packed.size(); ++size) {
    const auto bytes = unpack(packed.substr(0, size), GetParam());
    EXPECT_TRUE(!bytes || !*bytes) << size;
  }
}

TEST_P(Gzip, TheLimitIsTheMostThatIsUnpacked) {
  const std::string packed = gzip(std::string(100'000, 'a'));
  EXPECT_TRUE(unpack(packed, GetParam(), 100'000));
  const auto refused = unpack(packed, GetParam(), 99'999);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::kArchive);
  EXPECT_NE(refused.error().reason.find("max_unpacked_size"), std::string::npos);
}

TEST_P(Gzip, ASizeThatLiesTakesNoMemory) {
  std::string packed = gzip("text");
  packed.replace(packed.size() - 4, 4, "\xff\xff\xff\xff");
  const auto bytes = unpack(packed, GetParam());
  ASSERT_FALSE(bytes);
  EXPECT_EQ(bytes.error().offset, 0u);
}

}  // namespace
}  // namespace intact
