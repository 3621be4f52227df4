#include "core/archive/spill.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <string>

namespace intact {
namespace {

std::span<const std::byte> bytes_of(const std::string& text) { return std::as_bytes(std::span(text)); }

TEST(Spill, GivesBackWhatWasAppendedByOffset) {
  Spill spill("test", "");
  std::string all;
  for (const std::size_t size : std::initializer_list<std::size_t>{1, 100, 300'000, 7, 262'144, 0, 5}) {
    const std::string piece(size, static_cast<char>('a' + all.size() % 26));
    EXPECT_EQ(spill.size(), all.size());
    ASSERT_TRUE(spill.append(bytes_of(piece)));
    all += piece;
  }
  ASSERT_TRUE(spill.seal());
  EXPECT_EQ(spill.bytes(0, all.size()).text(), all);
  EXPECT_EQ(spill.bytes(101, 300'000).text(), all.substr(101, 300'000));
  std::string there(all.size(), '\0');
  EXPECT_EQ(::pread(spill.fd(), there.data(), there.size(), 0), static_cast<ssize_t>(all.size()));
  EXPECT_EQ(there, all);
}

TEST(Spill, AlignsTheNextBytesToAPageWithZerosBefore) {
  Spill spill("test", "");
  ASSERT_TRUE(spill.append(bytes_of("abc")));
  ASSERT_TRUE(spill.align());
  EXPECT_EQ(spill.size(), 4096u);
  ASSERT_TRUE(spill.align());
  EXPECT_EQ(spill.size(), 4096u);
  ASSERT_TRUE(spill.append(bytes_of("d")));
  ASSERT_TRUE(spill.seal());
  EXPECT_EQ(spill.bytes(3, 4094).text(), std::string(4093, '\0') + "d");
}

TEST(Spill, WithoutBytesMakesNoFile) {
  Spill spill("test", "/directory/that/is/not");
  ASSERT_TRUE(spill.seal());
  EXPECT_EQ(spill.fd(), -1);
}

TEST(Spill, InMemoryCanBeChangedByNobody) {
  Spill spill("test", "");
  ASSERT_TRUE(spill.append(bytes_of("abc")));
  ASSERT_TRUE(spill.seal());
  EXPECT_EQ(::pwrite(spill.fd(), "x", 1, 0), -1);
  EXPECT_EQ(errno, EPERM);
  EXPECT_EQ(::ftruncate(spill.fd(), 0), -1);
  EXPECT_EQ(::mmap(nullptr, 3, PROT_READ | PROT_WRITE, MAP_SHARED, spill.fd(), 0), MAP_FAILED);
  EXPECT_NE(::fcntl(spill.fd(), F_GETFD) & FD_CLOEXEC, 0);
}

TEST(Spill, InADirectoryIsAFileWithoutANameForItsOwnerAlone) {
  Spill spill("test", "/var/tmp");
  ASSERT_TRUE(spill.append(bytes_of("abc")));
  ASSERT_TRUE(spill.seal());
  struct stat status;
  ASSERT_EQ(::fstat(spill.fd(), &status), 0);
  EXPECT_EQ(status.st_nlink, 0u);
  EXPECT_EQ(status.st_mode & 0777, 0600u);
  EXPECT_EQ(spill.bytes(0, 3).text(), "abc");
}

TEST(Spill, WhereNoFileCanBeMadeTheErrorSaysWhere) {
  Spill spill("test", "/directory/that/is/not");
  const auto appended = spill.append(bytes_of("abc"));
  ASSERT_FALSE(appended);
  EXPECT_EQ(appended.error().code, ErrorCode::kSystem);
  EXPECT_EQ(appended.error().system_errno, ENOENT);
  EXPECT_NE(appended.error().reason.find("/directory/that/is/not"), std::string::npos);
}

TEST(Spill, BytesOutliveIt) {
  Bytes bytes;
  {
    Spill spill("test", "");
    ASSERT_TRUE(spill.append(bytes_of("abc")));
    ASSERT_TRUE(spill.seal());
    bytes = spill.bytes(1, 2);
  }
  EXPECT_EQ(bytes.text(), "bc");
}

}  // namespace
}  // namespace intact
