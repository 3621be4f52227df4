// The directory archive, against the file system it shows.

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "core/archive/archive.h"

namespace intact {
namespace {

namespace fs = std::filesystem;
using testing::ElementsAre;
using testing::HasSubstr;

class DirectoryTest : public testing::Test {
 protected:
  DirectoryTest() { root_ = ::mkdtemp(root_.data()); }
  ~DirectoryTest() override { fs::remove_all(root_); }

  void write(const std::string& path, const std::string& content) {
    fs::create_directories(fs::path(root_ + '/' + path).parent_path());
    std::ofstream(root_ + '/' + path, std::ios::binary) << content;
  }
  std::unique_ptr<Archive> open(const Limits& limits = {}) {
    auto opened = open_archive(root_, limits);
    if (opened) return *std::move(opened);
    ADD_FAILURE() << opened.error().message();
    return nullptr;
  }
  static std::vector<std::string> paths(const Archive& archive) {
    std::vector<std::string> all;
    for (std::size_t i = 0; i < archive.size(); ++i)
      all.push_back(std::string(archive.member(i).path) + (archive.member(i).directory ? "/" : ""));
    return all;
  }
  static std::string text(const Archive& archive, std::size_t index) {
    auto bytes = archive.read(index);
    return bytes ? std::string(bytes->text()) : "error: " + bytes.error().message();
  }

  std::string root_ = testing::TempDir() + "directoryXXXXXX";
};

TEST_F(DirectoryTest, ListsFilesAndDirectoriesSorted) {
  write("pkg/b.py", "b");
  write("pkg/a.py", "aa");
  write("c", "");
  fs::create_directories(root_ + "/empty");
  const auto archive = open();
  ASSERT_TRUE(archive);
  EXPECT_STREQ(archive->format(), "directory");
  EXPECT_THAT(paths(*archive), ElementsAre("c", "empty/", "pkg/", "pkg/a.py", "pkg/b.py"));
  EXPECT_EQ(archive->member(3).size, 2u);
  EXPECT_EQ(text(*archive, 3), "aa");
  EXPECT_TRUE(archive->check(3));
  EXPECT_FALSE(archive->extent(3)->has_value());
  EXPECT_EQ(archive->unreachable(), 0u);
}

TEST_F(DirectoryTest, ModeAndTimeAreTheFiles) {
  write("a", "x");
  const timespec times[2] = {{1'600'000'000, 0}, {1'600'000'001, 0}};
  ASSERT_EQ(::utimensat(AT_FDCWD, (root_ + "/a").c_str(), times, 0), 0);
  ASSERT_EQ(::chmod((root_ + "/a").c_str(), 0750), 0);
  const auto archive = open();
  ASSERT_TRUE(archive);
  EXPECT_EQ(archive->mtime(0), 1'600'000'001);
  EXPECT_EQ(archive->member(0).mode, S_IFREG | 0750u);
}

TEST_F(DirectoryTest, ReadingGivesTheFileAsItIsNow) {
  write("a", "before");
  const auto archive = open();
  ASSERT_TRUE(archive);
  write("a", "and afterwards");
  const timespec times[2] = {{5, 0}, {5, 0}};
  ASSERT_EQ(::utimensat(AT_FDCWD, (root_ + "/a").c_str(), times, 0), 0);
  EXPECT_EQ(text(*archive, 0), "and afterwards");
  EXPECT_EQ(archive->mtime(0), 5);
  std::byte target[6];
  const auto read = archive->read_into(0, target);
  ASSERT_FALSE(read);
  EXPECT_EQ(read.error().code, ErrorCode::kMember);
  EXPECT_EQ(read.error().member, "a");
  EXPECT_THAT(read.error().reason, HasSubstr("has 14 bytes now, not 6"));
}

TEST_F(DirectoryTest, AFileThatIsGoneIsASystemError) {
  write("a", "content");
  const auto archive = open();
  ASSERT_TRUE(archive);
  fs::remove(root_ + "/a");
  const auto bytes = archive->read(0);
  ASSERT_FALSE(bytes);
  EXPECT_EQ(bytes.error().code, ErrorCode::kSystem);
  EXPECT_EQ(bytes.error().system_errno, ENOENT);
  EXPECT_EQ(bytes.error().member, "a");
  EXPECT_FALSE(archive->check(0));
}

TEST_F(DirectoryTest, RenamingTheDirectoryChangesNothing) {
  write("d/a", "content");
  auto opened = open_archive(root_ + "/d", Limits{});
  ASSERT_TRUE(opened);
  fs::rename(root_ + "/d", root_ + "/e");
  EXPECT_EQ(text(**opened, 0), "content");
}

TEST_F(DirectoryTest, LinksAreFollowedButNotInCircles) {
  write("pkg/a.py", "a");
  fs::create_symlink("pkg/a.py", root_ + "/to_file");
  fs::create_directory_symlink("pkg", root_ + "/to_directory");
  fs::create_directory_symlink("..", root_ + "/pkg/up");
  fs::create_directory_symlink(".", root_ + "/pkg/self");
  fs::create_symlink("nowhere", root_ + "/dangling");
  const auto archive = open();
  ASSERT_TRUE(archive);
  EXPECT_THAT(paths(*archive), ElementsAre("pkg/", "pkg/a.py", "to_directory/", "to_directory/a.py", "to_file"));
  EXPECT_EQ(text(*archive, 3), "a");
  EXPECT_EQ(text(*archive, 4), "a");
}

TEST_F(DirectoryTest, WhatIsNoFileIsLeftOut) {
  ASSERT_EQ(::mkfifo((root_ + "/fifo").c_str(), 0600), 0);
  write("a", "");
  const auto archive = open();
  ASSERT_TRUE(archive);
  EXPECT_THAT(paths(*archive), ElementsAre("a"));
}

TEST_F(DirectoryTest, AFileThatBecameAFifoIsAnErrorAndDoesNotBlock) {
  write("a", "content");
  const auto archive = open();
  ASSERT_TRUE(archive);
  fs::remove(root_ + "/a");
  ASSERT_EQ(::mkfifo((root_ + "/a").c_str(), 0600), 0);
  EXPECT_THAT(text(*archive, 0), HasSubstr("no longer a regular file"));
}

TEST_F(DirectoryTest, RealPathIsTheFileOnDisk) {
  write("pkg/a.py", "content");
  fs::create_directory_symlink(root_, root_ + "_link");
  auto opened = open_archive(root_ + "_link", Limits{});
  fs::remove(root_ + "_link");
  ASSERT_TRUE(opened);
  EXPECT_EQ((*opened)->real_path(1), fs::canonical(root_).string() + "/pkg/a.py");
}

TEST_F(DirectoryTest, LimitsHold) {
  write("a", "12345");
  write("b", "");
  const auto opened = open_archive(root_, Limits{.members = 1});
  ASSERT_FALSE(opened);
  EXPECT_EQ(opened.error().code, ErrorCode::kArchive);
  EXPECT_EQ(opened.error().archive, root_);
  const auto archive = open({.members = 2, .member_size = 4});
  ASSERT_TRUE(archive);
  EXPECT_THAT(text(*archive, 0), HasSubstr("over the limit of 4"));
  EXPECT_EQ(text(*archive, 1), "");
}

TEST_F(DirectoryTest, DirectoriesNestedTooDeepAreUnreachable) {
  std::string path = root_;
  for (int i = 0; i < 140; ++i) path += "/d";
  fs::create_directories(path);
  const auto archive = open();
  ASSERT_TRUE(archive);
  EXPECT_EQ(archive->size(), 128u);
  EXPECT_EQ(archive->unreachable(), 1u);
}

TEST_F(DirectoryTest, ReadingADirectoryIsAnError) {
  fs::create_directories(root_ + "/d");
  const auto archive = open();
  ASSERT_TRUE(archive);
  EXPECT_THAT(text(*archive, 0), HasSubstr("is a directory"));
}

TEST(OpenArchive, AFifoIsOfNoKnownFormatAndDoesNotBlock) {
  const std::string path = testing::TempDir() + "fifo" + std::to_string(::getpid());
  ASSERT_EQ(::mkfifo(path.c_str(), 0600), 0);
  const auto opened = open_archive(path, Limits{});
  ::unlink(path.c_str());
  ASSERT_FALSE(opened);
  EXPECT_EQ(opened.error().code, ErrorCode::kArchive);
}

}  // namespace
}  // namespace intact
