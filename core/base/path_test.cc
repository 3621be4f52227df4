#include "core/base/path.h"

#include <gtest/gtest.h>

#include <filesystem>

namespace intact {
namespace {

TEST(MemberPath, GivesTheNameItselfWhereItIsNormal) {
  for (const std::string_view name : {"a", "a/b", "pkg/__init__.py", "a.b/..c/d..", ".hidden", "...", "a/.b/..b",
                                      "x\\y", "a b/c", "pkg/\xc3\xbc.py", "0123456789abcdef/0123456789abcdef"}) {
    const auto path = member_path(name);
    ASSERT_TRUE(path) << name;
    EXPECT_EQ(*path, name);
    EXPECT_EQ(path->data(), name.data());
  }
}

TEST(MemberPath, DropsOneTrailingSlash) {
  EXPECT_EQ(member_path("pkg/"), "pkg");
  EXPECT_EQ(member_path("package/sub_package/"), "package/sub_package");
  EXPECT_FALSE(member_path("package/sub_package//"));
}

TEST(MemberPath, RefusesWhatIsNoPathBelowARoot) {
  using namespace std::string_view_literals;
  for (const auto name : {""sv, "/"sv, "//"sv, "."sv, ".."sv, "./"sv, "/a"sv, "./a"sv, "../a"sv, "a/.."sv, "a/./b"sv,
                          "a/../b"sv, "a//b"sv, "\0"sv, "a\0b"sv, "a\0"sv}) {
    EXPECT_FALSE(member_path(name)) << name;
  }
}

// Names are looked at eight bytes at a time: what is wrong has to be seen at every place in names of every length.
TEST(MemberPath, SeesWhatIsWrongAtEveryPlace) {
  using namespace std::string_view_literals;
  for (std::size_t size = 1; size <= 40; ++size) {
    const std::string plain(size, 'x');
    EXPECT_EQ(member_path(plain), plain);
    EXPECT_EQ(is_plain_path(plain), size >= 9);
    for (std::size_t at = 0; at < size; ++at) {
      for (const auto wrong : {"\0"sv, "//"sv, "/./"sv, "/../"sv}) {
        if (wrong.size() > size - at) continue;
        std::string name = plain;
        name.replace(at, wrong.size(), wrong);
        EXPECT_FALSE(member_path(name)) << name << " at " << at;
        EXPECT_FALSE(is_plain_path(name)) << name << " at " << at;
      }
      std::string name = plain;
      name[at] = '\x80';
      EXPECT_EQ(member_path(name), name);
      EXPECT_FALSE(is_plain_path(name));
    }
  }
}

TEST(NormalPath, ResolvesAsTheStandardLibraryDoes) {
  for (const std::string path : {"/", "/a", "/a/", "/a/./b", "/a/../b", "/..", "/../../a", "/a/b/../../c/./d//e", "//a",
                                 "/a/b/..", "/.", "/...", "/.a"}) {
    std::string expected = std::filesystem::path("/" + path).lexically_normal().string();
    // Ours has no '/' at the end, and a root is a root however often it is written.
    while (expected.starts_with("//")) expected.erase(0, 1);
    if (expected.size() > 1 && expected.ends_with('/')) expected.pop_back();
    EXPECT_EQ(normal_path(path), expected) << path;
  }
}

}  // namespace
}  // namespace intact
