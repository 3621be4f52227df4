// What the two kinds of encryption promise whatever wrote them: a wrong password is told, a change is told. That they
// are read right is compared with 7-Zip, pyzipper and zipfile in tests/engine/test_encryption.py.

#include "core/archive/zip_crypto.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <iterator>

#include "core/archive/test_files.h"

namespace intact {
namespace {

using testing::HasSubstr;

const std::string kContent = [] {
  std::string content;
  for (int i = 0; i < 4; ++i) content += "print('seven times six is', 7 * 6)\n";
  return content;
}();

std::string seed(const std::string& name) {
  std::ifstream file(INTACT_SOURCE_DIR "/fuzz/corpus/zip/" + name + ".zip", std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

OpenOptions with_password(std::optional<std::string> password) {
  OpenOptions options;
  options.password = [password]() -> Result<std::optional<std::string>> { return password; };
  return options;
}

class ZipCrypto : public testing::TestWithParam<Where> {};
INSTANTIATE_TEST_SUITE_P(Sources, ZipCrypto, testing::Values(Where::kMemory, Where::kFile),
                         [](const auto& where) { return where.param == Where::kMemory ? "Memory" : "File"; });

TEST_P(ZipCrypto, EveryWayOfReadingDecrypts) {
  for (const char* name : {"encrypted", "encrypted-deflate"}) {
    SCOPED_TRACE(name);
    const auto archive = open_content(seed(name), GetParam(), with_password("sesame"));
    ASSERT_TRUE(archive);
    EXPECT_EQ((*archive)->read(0)->text(), kContent);
    EXPECT_TRUE((*archive)->check(0));
    std::string target(kContent.size(), ' ');
    EXPECT_TRUE((*archive)->read_into(0, std::as_writable_bytes(std::span(target))));
    EXPECT_EQ(target, kContent);
    EXPECT_TRUE((*archive)->member(0).encrypted);
  }
}

TEST_P(ZipCrypto, WhatIsEncryptedHasNoExtent) {
  const auto archive = open_content(seed("encrypted"), GetParam(), with_password("sesame"));
  const auto extent = (*archive)->extent(0);
  ASSERT_TRUE(extent);
  EXPECT_FALSE(*extent);
}

TEST_P(ZipCrypto, AWrongPasswordIsToldWhenItIsOpened) {
  for (const char* name : {"encrypted", "encrypted-deflate", "aes-128", "aes-192", "aes-256"}) {
    for (int i = 0; i < 300; ++i) {  // some of which pass the one byte that traditional encryption checks
      if (name[0] == 'a' && i > 3) break;
      const auto archive = open_content(seed(name), GetParam(), with_password("wrong" + std::to_string(i)));
      ASSERT_FALSE(archive);
      EXPECT_EQ(archive.error().code, ErrorCode::kPassword);
      EXPECT_THAT(archive.error().reason, HasSubstr("wrong password"));
    }
  }
}

TEST_P(ZipCrypto, WithoutAPasswordItIsOpenedAndReadingIsAPasswordError) {
  for (const OpenOptions& options : {OpenOptions(), with_password(std::nullopt)}) {
    const auto archive = open_content(seed("aes-256"), GetParam(), options);
    ASSERT_TRUE(archive);
    const auto bytes = (*archive)->read(0);
    ASSERT_FALSE(bytes);
    EXPECT_EQ(bytes.error().code, ErrorCode::kPassword);
    EXPECT_EQ(bytes.error().member, "m");
    EXPECT_FALSE((*archive)->check(0));
  }
}

TEST_P(ZipCrypto, AnyByteOfAuthenticatedDataChangedIsADamagedMember) {
  const std::string archive = seed("aes-128");
  const std::size_t data = 30 + 1 + 8 + 2;
  for (std::size_t at = data; at < data + kContent.size() + 10; ++at) {
    std::string damaged = archive;
    damaged[at] = static_cast<char>(damaged[at] ^ 0x40);
    const auto opened = open_content(damaged, GetParam(), with_password("sesame"));
    ASSERT_TRUE(opened);
    const auto bytes = (*opened)->read(0);
    ASSERT_FALSE(bytes);
    EXPECT_EQ(bytes.error().code, ErrorCode::kMember);
    EXPECT_THAT(bytes.error().reason, HasSubstr("HMAC-SHA1"));
  }
}

TEST_P(ZipCrypto, ThePasswordIsAskedForOnceAndNotForPlainArchives) {
  int asked = 0;
  OpenOptions options;
  options.password = [&asked]() -> Result<std::optional<std::string>> {
    ++asked;
    return std::optional<std::string>("sesame");
  };
  EXPECT_TRUE(open_content(seed("deflate"), GetParam(), options));
  EXPECT_EQ(asked, 0);
  EXPECT_TRUE(open_content(seed("encrypted"), GetParam(), options));
  EXPECT_EQ(asked, 1);
}

TEST_P(ZipCrypto, AnErrorOfAskingIsTheErrorOfOpening) {
  OpenOptions options;
  options.password = []() -> Result<std::optional<std::string>> { return Error{ErrorCode::kArgument, "not now"}; };
  const auto archive = open_content(seed("encrypted"), GetParam(), options);
  ASSERT_FALSE(archive);
  EXPECT_EQ(archive.error().reason, "not now");
}

}  // namespace
}  // namespace intact
