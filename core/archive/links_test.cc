// Links by way of a zip, which has them as files that hold their target. tests/engine/test_links.py has the kernel as
// control.

#include "core/archive/links.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <map>
#include <vector>

#include "core/archive/test_files.h"
#include "core/archive/zip_builder.h"

namespace intact {
namespace {

using testing::HasSubstr;
using testing::Pair;
using testing::UnorderedElementsAre;

struct Made {
  const char* path;
  const char* content;
  bool link = false;
};

std::string archive_of(const std::vector<Made>& members) {
  zip::ZipBuilder builder;
  for (const Made& made : members) {
    zip::Entry entry{.name = made.path, .data = made.content};
    entry.mode = (made.link ? S_IFLNK : S_IFREG) | 0644u;
    builder.add(entry);
  }
  return builder.build();
}

std::map<std::string, std::string> contents_of(const Archive& archive) {
  std::map<std::string, std::string> contents;
  for (std::size_t i = 0; i < archive.size(); ++i) {
    const auto bytes = archive.read(i);
    contents[std::string(archive.member_name(i).path)] = bytes ? std::string(bytes->text()) : bytes.error().reason;
  }
  return contents;
}

TEST(Links, AreWhatTheyLeadTo) {
  const auto archive = open_content(
      archive_of({{"d/file", "text"}, {"link", "d/file", true}, {"e", "d/", true}, {"f/up", "../link", true}}),
      Where::kFile);
  ASSERT_TRUE(archive);
  EXPECT_THAT(contents_of(**archive), UnorderedElementsAre(Pair("d/file", "text"), Pair("link", "text"),
                                                           Pair("e/file", "text"), Pair("f/up", "text")));
  EXPECT_FALSE((*archive)->has_links());
  EXPECT_EQ((*archive)->unreachable(), 0u);
  for (std::size_t i = 0; i < (*archive)->size(); ++i) {
    EXPECT_FALSE(S_ISLNK((*archive)->member(i).mode));
    EXPECT_TRUE((*archive)->check(i));
    const auto extent = (*archive)->extent(i);
    ASSERT_TRUE(extent && *extent);
    EXPECT_EQ((*extent)->size, 4u);
  }
}

TEST(Links, AreFilesThatHoldTheirTargetIfTheyAreNotFollowed) {
  OpenOptions options;
  options.follow_links = false;
  const auto archive = open_content(archive_of({{"link", "missing", true}}), Where::kMemory, options);
  ASSERT_TRUE(archive);
  EXPECT_THAT(contents_of(**archive), UnorderedElementsAre(Pair("link", "missing")));
}

TEST(Links, ThatLeadNowhereAreCounted) {
  const auto archive = open_content(archive_of({{"self", "self", true},
                                                {"up", "../up", true},
                                                {"root", "/file", true},
                                                {"gone", "missing", true},
                                                {"inside", "file/x", true},
                                                {"slash", "file/", true},
                                                {"here", ".", true},
                                                {"file", "text"}}),
                                    Where::kMemory);
  ASSERT_TRUE(archive);
  EXPECT_THAT(contents_of(**archive), UnorderedElementsAre(Pair("file", "text")));
  EXPECT_EQ((*archive)->unreachable(), 7u);
}

TEST(Links, WhoseTargetIsBrokenAreLeftOut) {
  std::string content = archive_of({{"link", "the_target", true}, {"the_file", "text"}});
  content[content.find("the_target")] ^= 1;
  const auto archive = open_content(content, Where::kMemory);
  ASSERT_TRUE(archive);
  EXPECT_THAT(contents_of(**archive), UnorderedElementsAre(Pair("the_file", "text")));
  EXPECT_EQ((*archive)->unreachable(), 1u);
}

// A chain of directories, each with a link to the next: listed as deep as a path can be long, without an end of the
// stack.
TEST(Links, NestedInOneAnotherAreRefusedWithTheLimit) {
  std::vector<std::string> paths, targets;
  std::vector<Made> members;
  constexpr std::size_t kCount = 4000;
  for (std::size_t i = 0; i < kCount; ++i) {
    paths.push_back("d" + std::to_string(i) + "/l");
    targets.push_back("../d" + std::to_string(i + 1));
  }
  for (std::size_t i = 0; i < kCount; ++i) members.push_back({paths[i].c_str(), targets[i].c_str(), true});
  const std::string last = "d" + std::to_string(kCount) + "/file";
  members.push_back({last.c_str(), "text"});
  const auto archive = open_content(archive_of(members), Where::kMemory);
  ASSERT_FALSE(archive);
  EXPECT_THAT(archive.error().reason, HasSubstr("symbolic links that make more members"));
}

TEST(Links, ThatMultiplyAreRefusedWithTheLimit) {
  std::vector<std::string> paths, targets;
  for (int level = 0; level < 8; ++level) {
    for (int i = 0; i < 10; ++i) {
      paths.push_back("d" + std::to_string(level) + "/l" + std::to_string(i));
      targets.push_back("../d" + std::to_string(level + 1));
    }
  }
  std::vector<Made> members{{"d8/file", "text"}};
  for (std::size_t i = 0; i < paths.size(); ++i) members.push_back({paths[i].c_str(), targets[i].c_str(), true});
  const auto archive = open_content(archive_of(members), Where::kMemory);
  ASSERT_FALSE(archive);
  EXPECT_EQ(archive.error().code, ErrorCode::kArchive);
  EXPECT_THAT(archive.error().reason, HasSubstr("more members"));
}

}  // namespace
}  // namespace intact
