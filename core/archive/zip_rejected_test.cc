// Zips that must be refused, and how each refusal reads; and what damage to a good zip may lead to.
//
// The inputs are files of tests/rejected/zip (fuzz/make_corpus.py writes them). Each has one defect and is named for
// it. The table says what the error has to say, so a file that is refused for some other reason fails the test.

#include <dirent.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>
#include <iterator>
#include <map>

#include "core/archive/archive.h"
#include "core/archive/test_files.h"
#include "core/archive/zip_builder.h"

namespace intact {
namespace {

using namespace zip;
using testing::HasSubstr;

struct Rejection {
  const char* file;
  ErrorCode code;
  const char* reason;
};

constexpr auto kArchive = ErrorCode::kArchive;
constexpr auto kMember = ErrorCode::kMember;

constexpr Rejection kRejections[] = {
    {"aes-authentication-cut", kMember, "19 bytes, which has no room for what encryption adds"},
    {"aes-data-cut", kMember, "bytes cannot unpack to"},
    {"aes-data-damaged", kMember, "not what its HMAC-SHA1 says"},
    {"aes-field-missing", kMember, "no extra field that says how"},
    {"aes-field-short", kMember, "extra field for AES that is too short"},
    {"aes-in-aes", kMember, "method 99 (AES encryption), which is not supported"},
    {"aes-method-unknown", kMember, "method 1234, which is not supported"},
    {"aes-salt-cut", kMember, "4 bytes, which has no room for what encryption adds"},
    {"aes-strength-0", kMember, "a key of unknown size"},
    {"aes-strength-4", kMember, "a key of unknown size"},
    {"aes-vendor-unknown", kMember, "a version of AES encryption that is not supported"},
    {"aes-verifier-cut", kMember, "9 bytes, which has no room for what encryption adds"},
    {"aes-version-3", kMember, "a version of AES encryption that is not supported"},
    {"app-payload-compressed", kArchive, "the payload of an app: compressed or encrypted, where it has to be stored"},
    {"app-payload-cut", kArchive, "an app whose payload is no zip"},
    {"app-payload-header-missing", kArchive, "the payload of an app: no local header where one should be"},
    {"app-payload-no-zip", kArchive, "an app whose payload is no zip"},
    {"bzip2-broken", kMember, "broken bzip2 data"},
    {"bzip2-ends-before-its-size", kMember, "ends before the stated size"},
    {"bzip2-goes-on-past-its-size", kMember, "goes on past the stated size"},
    {"comment-cut", kArchive, "no end of central directory record"},
    {"count-says-most", kArchive, "more members stated than the central directory has room for"},
    {"count-says-none", kArchive, "0 members stated, 1 found"},
    {"count-says-two", kArchive, "more members stated than the central directory has room for"},
    {"crc-wrong", kMember, "CRC-32 is 0xbe16f451, the directory says 0x00000001"},
    {"deflate-bomb", kMember, "cannot unpack to 4294967280"},
    {"deflate-broken", kMember, "broken deflate data"},
    {"deflate-ends-before-its-size", kMember, "ends before the stated size"},
    {"deflate-goes-on-past-its-size", kMember, "goes on past the stated size"},
    {"directory-larger-than-file", kArchive, "larger than what stands before its end"},
    {"directory-size-one-less", kArchive, "no record of the central directory where one should be"},
    {"directory-starts-after-its-end", kArchive, "said to start after its end"},
    {"disk-counts-differ", kArchive, "several disks"},
    {"disk-is-not-the-first", kArchive, "several disks"},
    {"encrypted", kMember, "128 bytes cannot unpack to 140"},
    {"encrypted-header-cut", kMember, "11 bytes, which has no room for what encryption adds"},
    {"encrypted-sizes-differ", kMember, "140 bytes cannot unpack to 139"},
    {"encrypted-strongly", kMember, "PKWARE's strong encryption, which is not supported"},
    {"end-record-cut", kArchive, "no end of central directory record"},
    {"end-record-missing", kArchive, "no end of central directory record"},
    {"local-extra-past-directory", kMember, "reaches into the central directory"},
    {"local-extra-past-next-member", kMember, "reaches into another member"},
    {"local-header-missing", kMember, "no local header where one should be"},
    {"local-name-differs", kMember, "another name than the central directory"},
    {"lzma-broken", kMember, "broken lzma properties"},
    {"lzma-ends-before-its-size", kMember, "ends before the stated size"},
    {"lzma-goes-on-past-its-size", kMember, "CRC-32"},
    {"lzma-properties-cut", kMember, "broken lzma properties"},
    {"member-on-another-disk", kArchive, "another disk"},
    {"member-over-the-limit", kMember, "over the limit of 4294967296"},
    {"member-zip64-field-short", kArchive, "zip64 field that is too short"},
    {"members-in-one-place", kMember, "reaches into another member"},
    {"members-overlap", kMember, "reaches into another member"},
    {"members-overlap-and-are-listed-backwards", kMember, "reaches into another member"},
    {"method-deflate64", kMember, "method 9 (Deflate64), which is not supported"},
    {"method-unknown", kMember, "method 1234, which is not supported"},
    {"offset-past-directory", kMember, "reaches into the central directory"},
    {"packed-size-past-directory", kMember, "reaches into the central directory"},
    {"patch-data", kMember, "patch data, which is not supported"},
    {"record-cut-by-its-name", kArchive, "record of the central directory is cut"},
    {"record-signature-wrong", kArchive, "no record of the central directory where one should be"},
    {"stored-sizes-differ", kMember, "140 bytes cannot unpack to 10"},
    {"zip64-count-huge", kArchive, "more members stated than the central directory has room for"},
    {"zip64-directory-huge", kArchive, "larger than what stands before its end"},
    {"zip64-offset-huge", kArchive, "said to start after its end"},
    {"zip64-record-disagrees", kArchive, "disagree"},
    {"zip64-record-missing", kArchive, "no zip64 end record"},
    {"zip64-record-on-another-disk", kArchive, "several disks"},
    {"zip64-record-too-long", kArchive, "zip64 end record of the wrong size"},
    {"zip64-several-disks", kArchive, "several disks"},
    {"zstd-broken", kMember, "broken zstd data"},
    {"zstd-ends-before-its-size", kMember, "ends before the stated size"},
    {"zstd-goes-on-past-its-size", kMember, "broken zstd data"},
};

const std::string kFolder = INTACT_SOURCE_DIR "/tests/rejected/zip/";

std::string content_of(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

// The error of opening, or of reading the first member that cannot be read.
std::optional<Error> first_error(const std::string& content, Where where, const Limits& limits = {}) {
  OpenOptions options(limits);
  options.password = []() -> Result<std::optional<std::string>> { return std::optional<std::string>("sesame"); };
  auto opened = open_content(content, where, options);
  if (!opened) return opened.error();
  for (std::size_t i = 0; i < (*opened)->size(); ++i) {
    auto bytes = (*opened)->read(i);
    EXPECT_EQ(static_cast<bool>(bytes), static_cast<bool>((*opened)->check(i)));
    if (!bytes) return bytes.error();
  }
  return std::nullopt;
}

TEST(ZipRejected, EveryFileOfTheFolderIsRefusedForItsDefect) {
  for (const Rejection& rejection : kRejections) {
    for (const Where where : {Where::kMemory, Where::kFile}) {
      SCOPED_TRACE(rejection.file);
      const auto error = first_error(content_of(kFolder + rejection.file + ".zip"), where);
      ASSERT_TRUE(error);
      EXPECT_EQ(error->code, rejection.code);
      EXPECT_THAT(error->reason, HasSubstr(rejection.reason));
      EXPECT_EQ(error->archive, "test.zip");
      EXPECT_TRUE(error->offset);
      EXPECT_EQ(error->member.empty(), rejection.code == kArchive);
    }
  }
}

TEST(ZipRejected, TheTableHasEveryFileOfTheFolder) {
  std::unique_ptr<DIR, int (*)(DIR*)> folder(::opendir(kFolder.c_str()), ::closedir);
  ASSERT_TRUE(folder);
  while (const dirent* entry = ::readdir(folder.get())) {
    const std::string name = entry->d_name;
    if (!name.ends_with(".zip")) continue;
    const auto is_it = [&](const Rejection& rejection) { return rejection.file + std::string(".zip") == name; };
    EXPECT_TRUE(std::any_of(std::begin(kRejections), std::end(kRejections), is_it)) << name;
  }
}

TEST(ZipRejected, WhatIsNoZipIsOfNoKnownFormat) {
  for (const std::string& content :
       {std::string(), std::string("PK"), std::string("text"), std::string(100'000, '\0')}) {
    for (const Where where : {Where::kMemory, Where::kFile}) {
      const auto opened = open_content(content, where);
      ASSERT_FALSE(opened);
      EXPECT_EQ(opened.error().code, kArchive);
      EXPECT_EQ(opened.error().reason, "of no known archive format");
    }
  }
}

TEST(ZipLimits, ALimitIsTheMostThatIsAllowed) {
  const std::string content = ZipBuilder().add("a", "content", Method::kDeflate).build();
  const std::uint64_t directory = sizeof(CentralHeader) + 1;
  EXPECT_FALSE(first_error(content, Where::kFile, {.members = 1, .member_size = 12, .directory_size = directory}));
  EXPECT_THAT(first_error(content, Where::kFile, {.members = 0})->reason, HasSubstr("1 members are over the limit"));
  EXPECT_THAT(first_error(content, Where::kFile, {.member_size = 6})->reason, HasSubstr("over the limit of 6"));
  EXPECT_THAT(first_error(content, Where::kFile, {.directory_size = directory - 1})->reason,
              HasSubstr("over the limit"));
}

TEST(ZipLimits, ACountThatWrapsDoesNotPassTheLimit) {
  ZipBuilder builder;
  for (int i = 0; i < 0x10001; ++i) builder.add("a", "");
  const auto opened = open_content(builder.build(), Where::kMemory, Limits{.members = 10});
  ASSERT_FALSE(opened);
  EXPECT_THAT(opened.error().reason, HasSubstr("more members than the limit"));
}

TEST(ZipErrors, ReadingIntoMemoryOfAnotherSizeIsTheCallersError) {
  const auto opened = open_content(ZipBuilder().add("a", "content").build(), Where::kFile);
  std::byte target[6];
  const auto read = (*opened)->read_into(0, target);
  ASSERT_FALSE(read);
  EXPECT_EQ(read.error().code, ErrorCode::kArgument);
}

// An archive with every method and record that a good writer makes, and its members' contents.
class ZipDamage : public testing::TestWithParam<Where> {
 protected:
  ZipDamage() {
    ZipBuilder builder;
    const auto add = [&](Entry entry) {
      entry.data = "content of " + entry.name + std::string(20, '.') + entry.name;
      contents_[entry.name] = entry.data;
      builder.add(entry);
    };
    add({.name = "stored"});
    add({.name = "deflate", .method = Method::kDeflate, .local_extra = "12345678"});
    add({.name = "bzip2", .method = Method::kBzip2, .descriptor = true});
    add({.name = "lzma", .method = Method::kLzma, .zip64 = true});
    add({.name = "zstd", .method = Method::kZstd, .central_extra = extra_field(kExtraTimestamp, "\0011234")});
    archive_ = builder.build({.comment = "comment", .zip64 = true});
  }

  // Whatever can be read has to be right.
  void read_all(const std::string& content) {
    const auto opened = open_content(content, GetParam());
    if (!opened) {
      ++refused_;
      EXPECT_FALSE(opened.error().reason.empty());
      return;
    }
    for (std::size_t i = 0; i < (*opened)->size(); ++i) {
      const auto bytes = (*opened)->read(i);
      EXPECT_EQ(static_cast<bool>(bytes), static_cast<bool>((*opened)->check(i)));
      if (!bytes) {
        ++refused_;
        // A changed flag may say that it is encrypted.
        const bool encrypted = (*opened)->member(i).encrypted;
        EXPECT_TRUE(bytes.error().code == kMember || (encrypted && bytes.error().code == ErrorCode::kPassword));
        continue;
      }
      ++read_;
      const auto expected = contents_.find(std::string((*opened)->member_name(i).path));
      ASSERT_NE(expected, contents_.end());
      EXPECT_EQ(bytes->text(), expected->second);
    }
  }

  std::string archive_;
  std::map<std::string, std::string> contents_;
  int refused_ = 0;
  int read_ = 0;
};
INSTANTIATE_TEST_SUITE_P(Sources, ZipDamage, testing::Values(Where::kMemory, Where::kFile),
                         [](const auto& where) { return where.param == Where::kMemory ? "Memory" : "File"; });

TEST_P(ZipDamage, TheArchiveIsGoodToBeginWith) {
  read_all(archive_);
  EXPECT_EQ(read_, 5);
  EXPECT_EQ(refused_, 0);
}

TEST_P(ZipDamage, CutAnywhereItIsAnError) {
  for (std::size_t size = 0; size < archive_.size(); ++size) {
    SCOPED_TRACE(size);
    read_all(archive_.substr(0, size));
  }
  EXPECT_EQ(read_, 0);
}

TEST_P(ZipDamage, WithAnyByteChangedItIsAnErrorOrRight) {
  for (std::size_t at = 0; at < archive_.size(); ++at) {
    for (const int change : {0x01, 0x80, 0xFF}) {
      SCOPED_TRACE(testing::Message() << "byte " << at << " ^ " << change);
      std::string damaged = archive_;
      damaged[at] = static_cast<char>(damaged[at] ^ change);
      read_all(damaged);
    }
  }
  EXPECT_GT(refused_, 1000);
  EXPECT_GT(read_, 1000);
}

}  // namespace
}  // namespace intact
