// What the tests of Python cannot reach well: a file that changes under the archive, extents, hard links, small limits.
// tests/engine/test_formats.py and its neighbours have each format with the programs that write it as control.

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <string>

#include "core/archive/sequential.h"
#include "core/archive/test_files.h"

namespace intact {
namespace {

using testing::HasSubstr;

constexpr std::size_t kBlock = 512;

// A member of a ustar tar.
std::string member(const std::string& name, const std::string& content, char type = '0',
                   const std::string& target = "") {
  std::string block(kBlock, '\0');
  const auto put = [&block](std::size_t at, const std::string& field) { block.replace(at, field.size(), field); };
  const auto octal = [](std::size_t value) {
    char text[12];
    std::snprintf(text, sizeof text, "%011zo", value);
    return std::string(text);
  };
  put(0, name);
  put(100, "0000644");
  put(124, octal(content.size()));
  put(136, octal(1'714'996'800));
  put(148, "        ");
  put(156, std::string(1, type) + target);
  put(257, "ustar");
  put(263, "00");
  unsigned sum = 0;
  for (const char byte : block) sum += static_cast<unsigned char>(byte);
  char text[8];
  std::snprintf(text, sizeof text, "%06o", sum);
  put(148, std::string(text) + '\0');
  return block + content + std::string((kBlock - content.size() % kBlock) % kBlock, '\0');
}

// Large enough for libarchive to read from our buffer: what is smaller it has copied while it looked for the format.
std::string tar(const std::string& members) { return members + std::string(64 * 1024, '\0'); }

TEST(Libarchive, MembersOfAPlainTarAreReadFromWhereTheyLie) {
  const std::string content(3000, 'c');
  const auto archive = open_content(tar(member("a", "first") + member("b", content)), Where::kFile);
  ASSERT_TRUE(archive);
  EXPECT_STREQ((*archive)->format(), "tar");
  const auto extent = (*archive)->extent(1);
  ASSERT_TRUE(extent && *extent);
  EXPECT_EQ((*extent)->offset, 3 * kBlock);
  EXPECT_EQ((*extent)->size, content.size());
  EXPECT_EQ((*extent)->fd, (*archive)->descriptor());
  EXPECT_EQ((*archive)->member(1).offset, 3 * kBlock);
  EXPECT_EQ((*archive)->mtime(1), 1'714'996'800);
}

TEST(Libarchive, MembersOfAPlainTarInMemoryAreNotCopied) {
  const Bytes bytes = bytes_from(tar(member("a", "first")));
  const auto archive = open_archive(Source{"test.tar", bytes}, OpenOptions());
  ASSERT_TRUE(archive);
  const auto read = (*archive)->read(0);
  ASSERT_TRUE(read);
  EXPECT_EQ(read->data(), bytes.data() + kBlock);
}

TEST(Libarchive, AnArchiveInAPartOfAFileIsReadThere) {
  const std::string before(1000, 'x'), content = tar(member("a", "first"));
  Source source{"test.tar", file_from(before + content + before)};
  source.window = Source::Window{before.size(), content.size()};
  const auto archive = open_archive(std::move(source), OpenOptions());
  ASSERT_TRUE(archive);
  EXPECT_EQ((*archive)->read(0)->text(), "first");
  EXPECT_EQ((**(*archive)->extent(0)).offset, before.size() + kBlock);
}

TEST(Libarchive, AFileThatChangesUnderItIsAnError) {
  const std::string content = tar(member("a", "first"));
  UniqueFd fd = file_from(content);
  const int changing = ::dup(fd.get());
  const auto archive = open_archive(Source{"test.tar", std::move(fd)}, OpenOptions());
  ASSERT_TRUE(archive);
  ASSERT_TRUE((*archive)->check(0));
  ASSERT_EQ(::pwrite(changing, "F", 1, kBlock), 1);
  auto read = (*archive)->read(0);
  ASSERT_FALSE(read);
  EXPECT_EQ(read.error().code, ErrorCode::kMember);
  EXPECT_THAT(read.error().reason, HasSubstr("has changed since the archive was opened"));
  EXPECT_FALSE((*archive)->check(0));
  ASSERT_EQ(::ftruncate(changing, 100), 0);
  read = (*archive)->read(0);
  ASSERT_FALSE(read);
  EXPECT_THAT(read.error().reason, HasSubstr("it was longer"));
  ::close(changing);
}

TEST(Libarchive, ReadingIntoMemoryOfAnotherSizeIsTheCallersError) {
  const auto archive = open_content(tar(member("a", "first")), Where::kFile);
  std::byte target[4];
  const auto read = (*archive)->read_into(0, target);
  ASSERT_FALSE(read);
  EXPECT_EQ(read.error().code, ErrorCode::kArgument);
}

TEST(Libarchive, ATarWithAZipAtItsEndIsATar) {
  const std::string empty_zip = std::string("PK\5\6", 4) + std::string(18, '\0');
  for (const Where where : {Where::kMemory, Where::kFile}) {
    const auto archive =
        open_content(member("a", "first") + member("b.zip", empty_zip) + std::string(1024, '\0'), where);
    ASSERT_TRUE(archive);
    EXPECT_STREQ((*archive)->format(), "tar");
    EXPECT_EQ((*archive)->size(), 2u);
  }
}

TEST(Libarchive, HardLinksAreTheFileThatWasThereBefore) {
  const auto archive =
      open_content(tar(member("a", "old") + member("b", "", '1', "a") + member("a", "new") + member("c", "", '1', "a") +
                       member("none", "", '1', "missing") + member("d", "", '5') + member("directory", "", '1', "d")),
                   Where::kMemory);
  ASSERT_TRUE(archive);
  ASSERT_EQ((*archive)->size(), 5u);
  EXPECT_EQ((*archive)->read(1)->text(), "old");
  EXPECT_EQ((*archive)->read(3)->text(), "new");
  EXPECT_EQ((*archive)->unreachable(), 2u);
}

TEST(Libarchive, ALinkWhoseTargetIsOverTheLimitOfAMemberIsRefused) {
  OpenOptions options(Limits{.member_size = 3});
  options.follow_links = false;
  const auto archive =
      open_content(tar(member("a", "abc") + member("link", "", '2', "target")), Where::kMemory, options);
  ASSERT_TRUE(archive);
  const auto read = (*archive)->read(1);
  ASSERT_FALSE(read);
  EXPECT_THAT(read.error().reason, HasSubstr("over the limit of 3"));
}

TEST(Libarchive, TheTimeThatItTakesIsBounded) {
  std::string list = " SCHILY.acl.access=";  // libarchive compares each entry of it with each
  for (int i = 0; i < 20'000; ++i) list += "user:a:r,";
  const std::string record = std::to_string(list.size() + 7) + list + "\n";
  const std::string members = member("pax", record, 'x') + member("a", "a");
  const auto archive = open_content(tar(members + members), Where::kMemory, OpenOptions(Limits{.seconds = 0}));
  ASSERT_FALSE(archive);
  EXPECT_EQ(archive.error().code, ErrorCode::kArchive);
  EXPECT_EQ(archive.error().reason, "takes longer to read than 0 s");
  EXPECT_TRUE(open_content(tar(members), Where::kMemory));
}

TEST(Libarchive, TheHeaderOfAMemberIsBounded) {
  const auto sparse = [](std::size_t pieces) {  // GNU.sparse 1.0: a map in front of the contents
    std::string map = std::to_string(pieces) + "\n";
    for (std::size_t i = 0; i < pieces; ++i) map += "0\n0\n";
    map.resize((map.size() + kBlock - 1) / kBlock * kBlock);
    const std::string records = "22 GNU.sparse.major=1\n22 GNU.sparse.minor=0\n25 GNU.sparse.realsize=0\n";
    return member("pax", records, 'x') + member("a", map);
  };
  for (const Where where : {Where::kMemory, Where::kFile}) {
    EXPECT_TRUE(open_content(tar(sparse(1 << 20)), where));
    const auto archive = open_content(tar(sparse(5 << 20)), where);
    ASSERT_FALSE(archive);
    EXPECT_EQ(archive.error().reason, "a member's header of more than 16777216 bytes");
  }
}

TEST(Libarchive, OpeningEndsWhenItIsToldNotToGoOn) {
  OpenOptions options;
  options.go_on = [] { return false; };
  const auto archive = open_content(tar(member("a", std::string(20 << 20, 'x'))), Where::kFile, options);
  ASSERT_FALSE(archive);
  EXPECT_EQ(archive.error().code, ErrorCode::kSystem);
  EXPECT_EQ(archive.error().system_errno, EINTR);
}

}  // namespace
}  // namespace intact
