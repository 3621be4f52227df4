// What becomes of an opened zip when its file changes, and what becomes of its descriptor.

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>

#include "core/archive/archive.h"
#include "core/archive/test_files.h"
#include "core/archive/zip_builder.h"

namespace intact {
namespace {

using namespace zip;

class ZipOnDisk : public testing::Test {
 protected:
  ZipOnDisk() {
    UniqueFd fd(::mkstemp(path_.data()));
    write(content_);
  }
  ~ZipOnDisk() override { ::unlink(path_.c_str()); }
  void write(const std::string& content) {
    std::FILE* file = std::fopen(path_.c_str(), "wb");
    std::fwrite(content.data(), 1, content.size(), file);
    std::fclose(file);
  }
  std::string path_ = testing::TempDir() + "zipXXXXXX";
  std::string content_ = ZipBuilder().add("stored", varied(9000)).add("packed", varied(9000), Method::kDeflate).build();
};

TEST_F(ZipOnDisk, ReplacingOrDeletingTheFileChangesNothing) {
  const auto opened = open_archive(path_, Limits{});
  ASSERT_TRUE(opened);
  ::unlink(path_.c_str());
  EXPECT_EQ((*opened)->read(0)->text(), varied(9000));
  write("something else");
  EXPECT_EQ((*opened)->read(0)->text(), varied(9000));
  EXPECT_EQ((*opened)->read(1)->text(), varied(9000));
}

TEST_F(ZipOnDisk, TruncatingTheFileMakesReadingAnError) {
  const auto opened = open_archive(path_, Limits{});
  ASSERT_TRUE(opened);
  for (const off_t size : {5000, 40, 10, 0}) {
    ASSERT_EQ(::truncate(path_.c_str(), size), 0);
    for (const std::size_t index : {0u, 1u}) {
      const auto bytes = (*opened)->read(index);
      ASSERT_FALSE(bytes);
      EXPECT_EQ(bytes.error().code, ErrorCode::kMember);
      EXPECT_THAT(bytes.error().message(), testing::HasSubstr("it was longer when it was opened"));
      EXPECT_EQ(bytes.error().archive, path_);
      EXPECT_FALSE((*opened)->check(index));
    }
  }
}

TEST_F(ZipOnDisk, TheDescriptorIsNotInherited) {
  const auto opened = open_archive(path_, Limits{});
  ASSERT_TRUE(opened);
  const auto extent = (*opened)->extent(0);
  EXPECT_TRUE(::fcntl((*extent)->fd, F_GETFD) & FD_CLOEXEC);
}

TEST_F(ZipOnDisk, APathThatCannotBeOpenedIsASystemError) {
  const auto missing = open_archive(path_ + ".missing", Limits{});
  ASSERT_FALSE(missing);
  EXPECT_EQ(missing.error().code, ErrorCode::kSystem);
  EXPECT_EQ(missing.error().system_errno, ENOENT);
  EXPECT_EQ(missing.error().archive, path_ + ".missing");
}

}  // namespace
}  // namespace intact
