// Well-formed zips of every kind we read, in memory and in a file.

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <atomic>
#include <ctime>
#include <thread>

#include "core/archive/archive.h"
#include "core/archive/test_files.h"
#include "core/archive/zip_builder.h"

namespace intact {
namespace {

using namespace zip;
using testing::ElementsAre;

constexpr Method kMethods[] = {Method::kStored, Method::kDeflate, Method::kBzip2, Method::kLzma, Method::kZstd};

std::vector<std::string> paths(const Archive& archive) {
  std::vector<std::string> all;
  for (std::size_t i = 0; i < archive.size(); ++i) all.emplace_back(archive.member_name(i).path);
  return all;
}

class ZipTest : public testing::TestWithParam<Where> {
 protected:
  std::unique_ptr<Archive> open(const std::string& content, const Limits& limits = {}) {
    auto opened = open_content(content, GetParam(), limits);
    if (opened) return *std::move(opened);
    ADD_FAILURE() << opened.error().message();
    return nullptr;
  }
  static std::string text(const Archive& archive, std::size_t index) {
    auto bytes = archive.read(index);
    return bytes ? std::string(bytes->text()) : "error: " + bytes.error().message();
  }
};
INSTANTIATE_TEST_SUITE_P(Sources, ZipTest, testing::Values(Where::kMemory, Where::kFile),
                         [](const auto& where) { return where.param == Where::kMemory ? "Memory" : "File"; });

TEST_P(ZipTest, EveryMethodGivesTheBytesBack) {
  for (const Method method : kMethods) {
    ZipBuilder builder;
    const std::vector<std::string> contents = {"", "x", varied(300), varied(700'000), std::string(3'000'000, 'a')};
    for (std::size_t i = 0; i < contents.size(); ++i) builder.add("member_" + std::to_string(i), contents[i], method);
    const auto archive = open(builder.build());
    ASSERT_TRUE(archive);
    for (std::size_t i = 0; i < contents.size(); ++i) {
      SCOPED_TRACE(testing::Message() << "method " << static_cast<int>(method) << ", " << contents[i].size()
                                      << " bytes");
      EXPECT_TRUE(text(*archive, i) == contents[i]) << text(*archive, i).substr(0, 200);
      EXPECT_TRUE(archive->check(i));
      std::string target(contents[i].size(), '?');
      ASSERT_TRUE(archive->read_into(i, std::as_writable_bytes(std::span(target))));
      EXPECT_TRUE(target == contents[i]);
    }
  }
}

TEST_P(ZipTest, ListsWhatTheDirectorySays) {
  const auto archive = open(
      ZipBuilder()
          .add(Entry{.name = "pkg/", .mode = 040755})
          .add(Entry{.name = "pkg/a.py", .data = std::string(1000, 'a'), .method = Method::kDeflate, .mode = 0100755})
          .build());
  ASSERT_TRUE(archive);
  EXPECT_STREQ(archive->format(), "zip");
  EXPECT_EQ(archive->name(), "test.zip");
  ASSERT_EQ(archive->size(), 2u);
  const Member directory = archive->member(0);
  EXPECT_EQ(directory.path, "pkg");
  EXPECT_TRUE(directory.directory);
  const Member file = archive->member(1);
  EXPECT_EQ(file.path, "pkg/a.py");
  EXPECT_FALSE(file.directory);
  EXPECT_EQ(file.size, 1000u);
  EXPECT_LT(file.packed_size, 100u);
  EXPECT_EQ(file.offset, 30u + 4);
  EXPECT_EQ(file.crc, crc32(bytes_of(std::string(1000, 'a'))));
  EXPECT_EQ(file.mode, 0100755u);
  EXPECT_EQ(file.method, 8);
  EXPECT_FALSE(file.encrypted);
}

TEST_P(ZipTest, AnEmptyArchiveHasNoMembers) {
  const auto archive = open(ZipBuilder().build());
  ASSERT_TRUE(archive);
  EXPECT_EQ(archive->size(), 0u);
}

TEST_P(ZipTest, FindsTheEndBehindAnyComment) {
  ZipBuilder builder;
  builder.add("a", "content");
  const std::string fake_end = raw(EndRecord{kEndSignature, 0, 0, 7, 7, 7, 7, 3});
  const std::string comments[] = {"c", std::string(0xFFFF, 'c'), fake_end, "before" + fake_end + "after", "PK\5\6"};
  for (const std::string& comment : comments) {
    const auto archive = open(builder.build({.comment = comment}));
    ASSERT_TRUE(archive);
    EXPECT_EQ(text(*archive, 0), "content");
  }
}

TEST_P(ZipTest, IgnoresWhatFollowsTheComment) {
  const auto archive = open(ZipBuilder().add("a", "content").build({.comment = "c", .after = "\n\n"}));
  ASSERT_TRUE(archive);
  EXPECT_EQ(text(*archive, 0), "content");
}

TEST_P(ZipTest, OffsetsDoNotCountWhatStandsBeforeTheArchive) {
  for (const bool zip64 : {false, true}) {
    const Ending ending{.prefix = "#!/usr/bin/env python3\n", .zip64 = zip64};
    const auto archive = open(ZipBuilder().add("a", "content").add("b", "more").build(ending));
    ASSERT_TRUE(archive);
    EXPECT_EQ(archive->member(0).offset, 23u);
    EXPECT_EQ(text(*archive, 0), "content");
    EXPECT_EQ(text(*archive, 1), "more");
  }
}

TEST_P(ZipTest, OffsetsMayCountWhatStandsBeforeTheArchive) {
  const std::string stub = "#!/usr/bin/env python3\n";
  const auto archive =
      open(ZipBuilder()
               .add(Entry{.name = "a", .data = "content", .offset = stub.size()})
               .build({.prefix = stub, .end = {.directory_offset = static_cast<std::uint32_t>(stub.size())}}));
  ASSERT_TRUE(archive);
  EXPECT_EQ(text(*archive, 0), "content");
}

TEST_P(ZipTest, ReadsZip64SizesAndOffsets) {
  const auto archive = open(
      ZipBuilder()
          .add("first", "x")
          .add(Entry{.name = "second", .data = "content", .zip64 = true, .central_extra = extra_field(0x7777, "other")})
          .build({.zip64 = true}));
  ASSERT_TRUE(archive);
  EXPECT_EQ(archive->member(1).size, 7u);
  EXPECT_EQ(text(*archive, 1), "content");
}

TEST_P(ZipTest, ReadsAZip64EndRecordWithDataOfItsOwn) {
  std::string content = ZipBuilder().add("a", "content").build({.zip64 = true, .end64 = {.size = 5}});
  content.insert(content.size() - sizeof(EndRecord) - sizeof(Locator64), "extra");
  const auto archive = open(content);
  ASSERT_TRUE(archive);
  EXPECT_EQ(text(*archive, 0), "content");
}

TEST_P(ZipTest, ReadsMoreMembersThanSixteenBitsCount) {
  ZipBuilder builder;
  for (int i = 0; i < 70'000; ++i) builder.add("m" + std::to_string(i), "");
  builder.add("last", "content");
  for (const bool zip64 : {false, true}) {  // without zip64 the count wraps; old writers do that
    const auto archive = open(builder.build({.zip64 = zip64}));
    ASSERT_TRUE(archive);
    ASSERT_EQ(archive->size(), 70'001u);
    EXPECT_EQ(text(*archive, 70'000), "content");
  }
}

TEST_P(ZipTest, ReadsMembersWithDataDescriptors) {
  ZipBuilder builder;
  for (const Method method : kMethods) {
    builder.add(Entry{
        .name = std::to_string(static_cast<int>(method)), .data = varied(500), .method = method, .descriptor = true});
  }
  const auto archive = open(builder.build());
  ASSERT_TRUE(archive);
  for (std::size_t i = 0; i < std::size(kMethods); ++i) EXPECT_EQ(text(*archive, i), varied(500));
}

// Where a member's data starts is guessed from where the next header is; the local header has the last word.
TEST_P(ZipTest, ReadsMembersWhereverTheirDataStarts) {
  for (const std::size_t padding : {0u, 1u, 4u, 60u, 900u, 1100u, 4096u, 65'000u}) {
    ZipBuilder builder;
    for (const Method method : kMethods) {
      builder.add(Entry{.name = std::to_string(static_cast<int>(method)),
                        .data = varied(5000),
                        .method = method,
                        .local_extra = std::string(padding, '\0')});
      // Bytes that belong to nobody before the next header.
      builder.add(Entry{.name = "between", .data = "b", .packed = "b" + std::string(padding, '#'), .packed_size = 1});
    }
    const auto archive = open(builder.build());
    ASSERT_TRUE(archive);
    for (std::size_t i = 0; i < archive->size(); ++i)
      EXPECT_EQ(text(*archive, i), i % 2 ? "b" : varied(5000)) << padding;
  }
}

TEST_P(ZipTest, NamesAreCp437UnlessMarkedUtf8) {
  const auto archive = open(ZipBuilder()
                                .add(Entry{.name = "d/\x81\x9c\xe1\xfe.py"})
                                .add(Entry{.name = "d/\xc3\xbc.py", .flags = kFlagUtf8})
                                .add(Entry{.name = "d/\xf0\x9f\x90\x8d", .flags = kFlagUtf8})
                                .build());
  ASSERT_TRUE(archive);
  EXPECT_THAT(paths(*archive), ElementsAre("d/\u00fc\u00a3\u00df\u25a0.py", "d/\u00fc.py", "d/\U0001F40D"));
  EXPECT_EQ(text(*archive, 0), "");
}

TEST_P(ZipTest, TheUnicodePathFieldNamesAMemberIfItBelongsToTheName) {
  const auto field = [](const std::string& for_name, const std::string& name) {
    return extra_field(kExtraUnicodePath, "\x01" + raw(crc32(bytes_of(for_name))) + name);
  };
  const auto archive =
      open(ZipBuilder()
               .add(Entry{.name = "#U00fc.py", .data = "1", .central_extra = field("#U00fc.py", "\u00fc.py")})
               .add(Entry{.name = "renamed.py", .data = "2", .central_extra = field("before.py", "\u00fc.py")})
               .build());
  ASSERT_TRUE(archive);
  EXPECT_THAT(paths(*archive), ElementsAre("\u00fc.py", "renamed.py"));
  EXPECT_EQ(text(*archive, 0), "1");
}

TEST_P(ZipTest, NamesThatAreNoPathsBelowARootCannotBeReached) {
  ZipBuilder builder;
  const std::string names[] = {"../up", "a/../b", "/absolute", "a//b", "./a", "", "/", std::string("a\0b", 3),
                               "a/.",   "a//"};
  for (const std::string& name : names) builder.add(name, "bad");
  builder.add(Entry{.name = "broken\xff utf8", .data = "bad", .flags = kFlagUtf8});
  std::string deep = "x";
  for (int i = 0; i < 256; ++i) deep = "d/" + deep;
  builder.add(deep, "bad").add(std::string(4096, 'n'), "bad").add(std::string(65'535, 'n'), "bad");
  builder.add("good/..name", "good").add("back\\slash", "good").add(deep.substr(2), "").add(std::string(4095, 'n'), "");
  const auto archive = open(builder.build());
  ASSERT_TRUE(archive);
  EXPECT_THAT(paths(*archive), ElementsAre("good/..name", "back\\slash", deep.substr(2), std::string(4095, 'n')));
  EXPECT_EQ(archive->unreachable(), std::size(names) + 4);
  EXPECT_EQ(text(*archive, 0), "good");
}

TEST_P(ZipTest, ListsAMemberThatIsThereTwiceTwice) {
  const auto archive = open(ZipBuilder().add("a", "1").add("a", "2").build());
  ASSERT_TRUE(archive);
  EXPECT_EQ(text(*archive, 0), "1");
  EXPECT_EQ(text(*archive, 1), "2");
}

TEST_P(ZipTest, DosTimeIsLocalTimeAndTheTimestampFieldIsUtc) {
  const std::string modified = "\x01" + raw(std::int32_t{1'700'000'001});
  const std::string accessed = "\x02" + raw(std::int32_t{1});
  const auto archive =
      open(ZipBuilder()
               .add(Entry{.name = "dos", .time = (44u << 9 | 2 << 5 | 29) << 16 | (13 << 11 | 14 << 5 | 15)})
               .add(Entry{.name = "unix", .central_extra = extra_field(kExtraTimestamp, modified)})
               .add(Entry{.name = "access only", .central_extra = extra_field(kExtraTimestamp, accessed)})
               .build());
  ASSERT_TRUE(archive);
  std::tm when{};
  when.tm_year = 124, when.tm_mon = 1, when.tm_mday = 29, when.tm_hour = 13, when.tm_min = 14, when.tm_sec = 30,
  when.tm_isdst = -1;
  EXPECT_EQ(archive->mtime(0), std::mktime(&when));
  EXPECT_EQ(archive->mtime(1), 1'700'000'001);
  when = {};
  when.tm_year = 124, when.tm_mday = 1, when.tm_isdst = -1;
  EXPECT_EQ(archive->mtime(2), std::mktime(&when));
}

TEST_P(ZipTest, ManyThreadsReadAtOnce) {
  ZipBuilder builder;
  for (const Method method : kMethods) builder.add(std::to_string(static_cast<int>(method)), varied(50'000), method);
  const auto archive = open(builder.build());
  ASSERT_TRUE(archive);
  std::vector<std::thread> threads;
  std::atomic<int> wrong = 0;
  for (int t = 0; t < 8; ++t) {
    threads.emplace_back([&] {
      for (std::size_t i = 0; i < 50; ++i) wrong += text(*archive, i % std::size(kMethods)) != varied(50'000);
    });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(wrong, 0);
}

TEST(ZipInMemory, AStoredMemberIsAViewOfTheArchiveAndKeepsItAlive) {
  const Bytes content = bytes_from(ZipBuilder().add("a", "content").build());
  auto opened = open_archive(Source{"test.zip", content}, {});
  ASSERT_TRUE(opened);
  const auto bytes = (*opened)->read(0);
  ASSERT_TRUE(bytes);
  EXPECT_EQ(bytes->data(), content.data() + 31);
  opened->reset();
  EXPECT_EQ(bytes->text(), "content");
}

TEST(ZipExtent, TellsWhereAStoredMemberLiesInTheFile) {
  const std::string content =
      ZipBuilder()
          .add(Entry{.name = "stored", .data = "content", .local_extra = std::string(4096 - 36, '\0')})
          .add("packed", varied(100), Method::kDeflate)
          .add(Entry{.name = "secret", .data = "content", .flags = kFlagEncrypted})
          .build();
  const auto opened = open_content(content, Where::kFile);
  ASSERT_TRUE(opened);
  const auto extent = (*opened)->extent(0);
  ASSERT_TRUE(extent);
  ASSERT_TRUE(extent->has_value());
  EXPECT_EQ((*extent)->offset, 4096u);
  EXPECT_EQ((*extent)->size, 7u);
  char buffer[7];
  ASSERT_EQ(::pread((*extent)->fd, buffer, 7, 4096), 7);
  EXPECT_EQ(std::string(buffer, 7), "content");
  EXPECT_FALSE((*opened)->extent(1)->has_value());
  EXPECT_FALSE((*opened)->extent(2)->has_value());
  const auto in_memory = open_content(content, Where::kMemory);
  EXPECT_FALSE((*in_memory)->extent(0)->has_value());
}

TEST_P(ZipTest, AnAppIsOpenedAsTheZipInside) {
  const std::string inner = ZipBuilder().add("pkg/a.txt", "content").add("b", varied(500), Method::kDeflate).build();
  const std::string app = ZipBuilder()
                              .add("__main__.py", "pass")
                              .add(Entry{.name = "intact-payload.zip", .data = inner, .local_extra = extra_field(1, "pad")})
                              .build({.prefix = "#!/usr/bin/env python3\n"});
  const auto opened = open_content(app, GetParam());
  ASSERT_TRUE(opened);
  EXPECT_STREQ((*opened)->format(), "app");
  EXPECT_THAT(paths(**opened), ElementsAre("pkg/a.txt", "b"));
  EXPECT_EQ((*opened)->read(0)->text(), "content");
  EXPECT_EQ((*opened)->read(1)->text(), varied(500));
  const auto extent = (*opened)->extent(0);
  ASSERT_TRUE(extent);
  EXPECT_EQ(*extent ? (*extent)->offset : app.find("content"), app.find("content"));
}

TEST_P(ZipTest, APayloadThatIsNotTheLastMemberMakesNoApp) {
  const std::string inner = ZipBuilder().add("a", "content").build();
  const auto opened = open_content(ZipBuilder().add("intact-payload.zip", inner).add("b", "").build(), GetParam());
  ASSERT_TRUE(opened);
  EXPECT_THAT(paths(**opened), ElementsAre("intact-payload.zip", "b"));
}

}  // namespace
}  // namespace intact
