// What is unpacked ahead is what the archive holds, and nothing of it stays or is waited for in vain.

#include "core/elf/read_ahead.h"

#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstring>

#include "core/elf/test_archive.h"

namespace intact {
namespace {

constexpr int kObjects = 12;

class ReadAheadTest : public testing::Test {
 protected:
  void SetUp() override {
    ObjectArchive archive(Packing::kDeflated);
    for (int i = 0; i < kObjects; ++i) archive.add("pkg/m" + std::to_string(i) + ".so", content(i));
    archive.add("pkg.libs/libbundled.so.1", content(99)).add("pkg/small.so", "tiny").add("pkg/__init__.py", "");
    archive.add("pure/__init__.py", "").add("dist.libs/libdist.so.1", content(98)).add("native/ext.so", "tiny");
    zip_ = std::make_shared<const std::string>(archive.build());
    auto opened = open_archive(Source{"test", Bytes::borrow(std::as_bytes(std::span(*zip_)), zip_)}, Limits{});
    ASSERT_TRUE(opened);
    mount_ = std::make_shared<const Mount>(
        *std::move(opened), MountOptions{.root = "/r", .name = "r", .prefixes = {}, .extract_directory = {}},
        ImportRules{{".so"}});
  }
  void TearDown() override { ReadAhead::instance().drop(); }

  static std::string content(int number) {
    std::string text;
    while (text.size() < 300'000) text += std::to_string(number) + " " + std::to_string(text.size()) + "\n";
    return text;
  }
  Place place(const std::string& path) const { return {mount_, *mount_->index().find(path)}; }
  void expect(const std::string& package = "pkg") const {
    ReadAhead::instance().expect(mount_, *mount_->index().find(package));
  }
  // Whether it was begun a while after it may have been expected.
  bool begun(const std::string& path) const {
    ::usleep(100'000);
    Scratch scratch;
    return ReadAhead::instance().take(place(path), scratch).has_value();
  }

  // How many were begun ahead; each that was is right.
  void take_all(int& taken) const {
    taken = 0;
    Scratch scratch;
    for (int i = 0; i < kObjects; ++i) {
      const auto copy = ReadAhead::instance().take(place("pkg/m" + std::to_string(i) + ".so"), scratch);
      if (!copy) continue;
      ++taken;
      const std::string expected = content(i);
      ASSERT_EQ(copy->copy.bytes().size(), expected.size());
      EXPECT_EQ(std::memcmp(copy->copy.bytes().data(), expected.data(), expected.size()), 0);
    }
  }
  int take_all() const {
    int taken = 0;
    take_all(taken);
    return taken;
  }

  std::shared_ptr<const std::string> zip_;
  MountPtr mount_;
};

TEST_F(ReadAheadTest, GivesWhatTheArchiveHoldsAndEachOnce) {
  expect();
  take_all();
  EXPECT_EQ(take_all(), 0);
}

TEST_F(ReadAheadTest, GivesNothingThatWasNotExpectedOrWasDropped) {
  EXPECT_EQ(take_all(), 0);
  expect();
  ReadAhead::instance().drop();
  EXPECT_EQ(take_all(), 0);
}

TEST_F(ReadAheadTest, LeavesSmallObjectsToWhoeverAsks) {
  expect();
  Scratch scratch;
  EXPECT_FALSE(ReadAhead::instance().take(place("pkg/small.so"), scratch));
}

TEST_F(ReadAheadTest, WhatAMountBundlesIsExpectedOnce) {
  expect();
  ReadAhead::instance().drop();
  expect();
  Scratch scratch;
  EXPECT_FALSE(ReadAhead::instance().take(place("pkg.libs/libbundled.so.1"), scratch));
}

TEST_F(ReadAheadTest, ABundleIsExpectedForItsPackageOrAsTheOnlyOneForOneWithSharedObjects) {
  expect("pure");
  EXPECT_FALSE(begun("pkg.libs/libbundled.so.1"));
  expect("native");  // there are two, and neither is called so
  EXPECT_FALSE(begun("dist.libs/libdist.so.1"));
  expect("pkg");
  EXPECT_TRUE(begun("pkg.libs/libbundled.so.1"));
  expect("pure");
  EXPECT_FALSE(begun("dist.libs/libdist.so.1"));
  expect("native");
  EXPECT_TRUE(begun("dist.libs/libdist.so.1"));
}

// qemu, which runs tests of other machines, does not know MADV_DONTFORK.
bool mappings_can_be_kept_from_children() {
  const std::size_t size = 4096;
  void* page = ::mmap(nullptr, size, PROT_READ, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  ::madvise(page, size, MADV_DONTFORK);
  const pid_t child = ::fork();
  if (child == 0) ::_exit(::msync(page, size, MS_ASYNC) == 0);
  int status = 0;
  ::waitpid(child, &status, 0);
  ::munmap(page, size);
  return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

TEST_F(ReadAheadTest, WhatIsAheadCanBeSealedWhileAChildLivesThatWasForkedMeanwhile) {
  if (!mappings_can_be_kept_from_children()) GTEST_SKIP() << "MADV_DONTFORK does nothing here";
  int pipe[2];
  ASSERT_EQ(::pipe(pipe), 0);
  expect();
  ::usleep(100'000);
  const pid_t child = ::fork();
  if (child == 0) {
    ::close(pipe[1]);
    char byte = 0;
    ::_exit(static_cast<int>(::read(pipe[0], &byte, 1)));  // until the parent has ended
  }
  Scratch scratch;
  for (int i = 0; i < kObjects; ++i) {
    auto ahead = ReadAhead::instance().take(place("pkg/m" + std::to_string(i) + ".so"), scratch);
    if (ahead) {
      const auto sealed = ahead->copy.finish({});
      EXPECT_TRUE(sealed) << sealed.error().message();
    }
  }
  ::close(pipe[0]);
  ::close(pipe[1]);
  EXPECT_EQ(::waitpid(child, nullptr, 0), child);
}

TEST_F(ReadAheadTest, AForkedChildStartsWithNothingAndMayBeginAnew) {
  expect();
  isolated([&] {
    EXPECT_EQ(take_all(), 0);
    expect();
    take_all();
  });
}

}  // namespace
}  // namespace intact
