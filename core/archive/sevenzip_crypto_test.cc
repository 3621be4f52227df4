// Archives that 7-Zip itself encrypts, decrypted by us, and then unpacked by 7-Zip without a password: its contents and
// checksums have to be right. What is refused is in tests/rejected/sevenzip.

#include "core/archive/sevenzip_crypto.h"

#include <dirent.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>

#include "core/archive/codecs.h"
#include "core/archive/test_files.h"

namespace intact {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

std::string content_of(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

OpenOptions with_password(std::optional<std::string> password, Limits limits = {}) {
  OpenOptions options(limits);
  options.password = [password]() -> Result<std::optional<std::string>> { return password; };
  return options;
}

Result<std::optional<DecryptedSevenzip>> decrypt(const std::string& archive, const OpenOptions& options) {
  Source source{"test.7z", bytes_from(archive)};
  const auto input = Input::open(source);
  return decrypt_sevenzip(**input, options);
}

class SevenzipCrypto : public testing::Test {
 protected:
  SevenzipCrypto() {
    char name[] = "/tmp/intact-sevenzip-XXXXXX";
    folder_ = ::mkdtemp(name);
    fs::create_directories(folder_ / "in/pkg/empty");
    std::string program(300'000, ' ');
    for (std::size_t i = 0; i < program.size(); ++i) program[i] = "\xE8\x05\0\0\x90 text"[i * i % 97 % 9];
    write("pkg/module.py", "print('seven times six is', 7 * 6)\n");
    write("pkg/data", std::string(100'000, 'd') + "end");
    write("pkg/native.so", program);
    write("pkg/nothing", "");
    write("top", "x");
  }
  ~SevenzipCrypto() override { fs::remove_all(folder_); }

  void write(const std::string& path, const std::string& content) {
    files_[path] = content;
    std::ofstream(folder_ / "in" / path, std::ios::binary) << content;
  }
  bool run(const std::string& directory, const std::string& command) {
    return std::system(("cd '" + (folder_ / directory).string() + "' && LC_ALL=C.UTF-8 " + command + " >/dev/null 2>&1")
                           .c_str()) == 0;
  }
  // Everything as 7-Zip packs it with these options.
  std::string pack(const std::string& options) {
    fs::remove(folder_ / "a.7z");
    EXPECT_TRUE(run("in", "7zz a -bd " + options + " ../a.7z ."));
    return content_of(folder_ / "a.7z");
  }
  // What `unpack` makes of an archive without being told a password.
  std::map<std::string, std::string> unpack(const Bytes& archive, const std::string& unpack) {
    std::ofstream(folder_ / "plain.7z", std::ios::binary) << archive.text();
    fs::remove_all(folder_ / "out");
    fs::create_directory(folder_ / "out");
    EXPECT_TRUE(run("out", unpack + " ../plain.7z </dev/null"));
    std::map<std::string, std::string> files;
    for (const auto& entry : fs::recursive_directory_iterator(folder_ / "out")) {
      if (entry.is_regular_file()) files[fs::relative(entry.path(), folder_ / "out")] = content_of(entry.path());
    }
    return files;
  }

  fs::path folder_;
  std::map<std::string, std::string> files_;
};

constexpr const char* kWays[] = {
    "-m0=LZMA2",
    "-m0=LZMA2 -ms=off",
    "-m0=LZMA",
    "-m0=LZMA -ms=off",
    "-m0=PPMd",
    "-m0=Deflate",
    "-m0=BZip2",
    "-m0=Copy",
    "-m0=Copy -ms=off",
    "-m0=BCJ -m1=LZMA2",
    "-m0=BCJ -m1=LZMA",
    "-m0=BCJ2 -m1=LZMA:d=20 -m2=LZMA:d=18 -m3=LZMA:d=18 -mb0:1 -mb0s1:2 -mb0s2:3",
    "-m0=Delta:4 -m1=LZMA",
    "-mqs=on -ms=4f",
};

TEST_F(SevenzipCrypto, WhatSevenzipEncryptsIsTheSameWithoutEncryption) {
  for (const std::string way : kWays) {
    for (const char* header : {"-mhe=off", "-mhe=on -mhc=off"}) {
      SCOPED_TRACE(way + " " + header);
      const auto plain = decrypt(pack(way + " -psesame " + header), with_password("sesame"));
      ASSERT_TRUE(plain) << plain.error().message();
      ASSERT_TRUE(*plain);
      EXPECT_EQ(unpack((*plain)->archive, "7zz x -bd"), files_);
    }
  }
}

TEST_F(SevenzipCrypto, LibarchiveReadsWhatWeDecrypt) {
  for (const std::string way :
       {"-m0=LZMA2", "-m0=LZMA2 -ms=off", "-m0=LZMA", "-m0=PPMd", "-m0=Deflate", "-m0=BZip2", "-m0=Copy",
        "-m0=BCJ -m1=LZMA2", "-m0=BCJ2 -m1=LZMA:d=20 -m2=LZMA:d=18 -m3=LZMA:d=18 -mb0:1 -mb0s1:2 -mb0s2:3"}) {
    SCOPED_TRACE(way);
    const auto plain = decrypt(pack(way + " -psesame -mhe=on"), with_password("sesame"));
    ASSERT_TRUE(plain && *plain);
    EXPECT_EQ(unpack((*plain)->archive, "bsdtar -xf"), files_);
  }
}

TEST_F(SevenzipCrypto, APasswordOfAnyScriptIsSevenzips) {
  for (const std::string password : {"p\u00e4ss", "\u5bc6\u7801", "\U0001f40d snake", "x"}) {
    const auto plain = decrypt(pack("'-p" + password + "' -mhe=on"), with_password(password));
    ASSERT_TRUE(plain) << plain.error().message();
    EXPECT_EQ(unpack((*plain)->archive, "7zz x -bd"), files_);
  }
}

TEST_F(SevenzipCrypto, NothingIsAskedAndNothingIsDoneWithoutEncryption) {
  OpenOptions options;
  options.password = []() -> Result<std::optional<std::string>> {
    ADD_FAILURE() << "asked";
    return std::optional<std::string>();
  };
  for (const char* way : {"", "-mhc=off", "-m0=Copy", "-mf=BCJ2"}) {
    const auto plain = decrypt(pack(way), options);
    ASSERT_TRUE(plain) << plain.error().message();
    EXPECT_FALSE(*plain);
  }
  for (const std::string& other : {std::string(), std::string("7z\xBC\xAF\x27\x1C"), std::string(100, 'x')}) {
    const auto plain = decrypt(other, options);
    EXPECT_TRUE(plain && !*plain);
  }
}

TEST_F(SevenzipCrypto, AWrongPasswordForAnEncryptedHeaderIsToldForCertain) {
  const std::string archive = pack("-psesame -mhe=on");
  for (const std::string wrong : {"", "sesam", "Sesame", "\xFF"}) {
    const auto plain = decrypt(archive, with_password(wrong));
    ASSERT_FALSE(plain);
    EXPECT_EQ(plain.error().code, ErrorCode::kPassword);
    EXPECT_THAT(plain.error().reason, HasSubstr("wrong password"));
  }
  EXPECT_TRUE((*decrypt(archive, with_password("sesame")))->proven);
}

TEST_F(SevenzipCrypto, ARightPasswordForDataIsToldByItsPaddingAndAWrongOneLeftToUnpacking) {
  write("top", "0123456789");  // stored, 10 bytes: 6 of padding
  for (const char* path : {"pkg/module.py", "pkg/data", "pkg/native.so", "pkg/nothing"}) {
    fs::remove(folder_ / "in" / path);
    files_.erase(path);
  }
  const std::string padded = pack("-m0=Copy -psesame");
  EXPECT_TRUE((*decrypt(padded, with_password("sesame")))->proven);
  EXPECT_FALSE((*decrypt(padded, with_password("wrong")))->proven);

  write("top", "0123456789abcdef");
  const std::string whole = pack("-m0=Copy -psesame");
  const auto right = decrypt(whole, with_password("sesame"));
  EXPECT_FALSE((*right)->proven);
  EXPECT_EQ(unpack((*right)->archive, "7zz x -bd"), files_);
  const auto undecided = decrypt(whole, with_password("wrong"));
  ASSERT_TRUE(undecided && *undecided);
  EXPECT_FALSE((*undecided)->proven);
}

TEST_F(SevenzipCrypto, PaddingTellsAWrongPasswordWhereContentsHaveNoChecksum) {
  write("pkg/data", "0123456789");
  for (const char* path : {"pkg/module.py", "pkg/native.so", "pkg/nothing", "top"}) {
    fs::remove(folder_ / "in" / path);
    files_.erase(path);
  }
  std::string archive = pack("-m0=Copy -mhc=off -psesame");
  const std::size_t at = archive.find("\x08\x0A\x01", 32);  // SubStreamsInfo, CRC, all defined
  ASSERT_NE(at, std::string::npos);
  archive.erase(at + 1, 6);
  std::uint64_t place[2];
  std::memcpy(place, archive.data() + 12, sizeof place);
  place[1] -= 6;
  std::memcpy(archive.data() + 12 + 8, &place[1], 8);
  const auto put_crc = [&](std::size_t to, std::size_t from, std::size_t size) {
    const std::uint32_t crc = crc32(std::as_bytes(std::span(archive)).subspan(from, size));
    std::memcpy(archive.data() + to, &crc, sizeof crc);
  };
  put_crc(28, 32 + place[0], place[1]);
  put_crc(8, 12, 20);

  const auto right = decrypt(archive, with_password("sesame"));
  ASSERT_TRUE(right && *right) << right.error().message();
  EXPECT_EQ(unpack((*right)->archive, "7zz x -bd"), files_);
  const auto wrong = decrypt(archive, with_password("wrong"));
  ASSERT_FALSE(wrong);
  EXPECT_EQ(wrong.error().code, ErrorCode::kPassword);
}

TEST_F(SevenzipCrypto, WithoutAPasswordOneIsAskedFor) {
  for (const char* header : {"-mhe=off", "-mhe=on"}) {
    const std::string archive = pack(std::string("-psesame ") + header);
    for (const OpenOptions& options : {OpenOptions(), with_password(std::nullopt)}) {
      const auto plain = decrypt(archive, options);
      ASSERT_FALSE(plain);
      EXPECT_EQ(plain.error().code, ErrorCode::kPassword);
      EXPECT_THAT(plain.error().reason, HasSubstr("password="));
    }
  }
}

TEST_F(SevenzipCrypto, CutAnywhereItIsABrokenArchiveWhateverThePassword) {
  const std::string archive = pack("-psesame -mhe=on");
  for (std::size_t size = 32; size < archive.size(); size += 61) {
    const auto plain = decrypt(archive.substr(0, size), with_password("wrong"));
    ASSERT_FALSE(plain);
    EXPECT_EQ(plain.error().code, ErrorCode::kArchive) << plain.error().reason;
  }
}

TEST_F(SevenzipCrypto, AnyByteOfItsHeadersChangedIsABrokenArchive) {
  const std::string archive = pack("-psesame -mhe=on");
  std::uint64_t offset = 0;
  std::memcpy(&offset, archive.data() + 12, sizeof offset);
  for (std::size_t at = 8; at < archive.size(); at = at == 31 ? 32 + offset : at + 1) {
    std::string damaged = archive;
    damaged[at] = static_cast<char>(damaged[at] ^ 0x10);
    const auto plain = decrypt(damaged, with_password("sesame"));
    ASSERT_FALSE(plain) << at;
    EXPECT_EQ(plain.error().code, ErrorCode::kArchive) << at;
  }
}

struct Rejection {
  const char* file;
  const char* reason;
};

constexpr Rejection kRejections[] = {
    {"bond-of-no-coder", "bonds that its coders do not have"},
    {"coders-many", "without coders, or with too many"},
    {"data-longer-than-its-stream", "of another size than its data"},
    {"folders-huge", "more folders than the limit"},
    {"key-of-too-many-rounds", "2^40 rounds, over the limit"},
    {"next-header-beyond-the-end", "beyond the end"},
    {"packed-streams-beyond-the-end", "packed streams of a 7z beyond its end"},
    {"packed-streams-huge", "more in it than the memory"},
    {"packed-streams-too-few", "fewer packed streams"},
    {"salt-cut", "properties of 7z's encryption that are cut"},
    {"start-crc-wrong", "CRC-32 of the 7z start header"},
    {"stream-of-no-whole-blocks", "of another size than its data"},
};

const fs::path kFolder = INTACT_SOURCE_DIR "/tests/rejected/sevenzip";

TEST(SevenzipRejected, EveryFileOfTheFolderIsRefusedForItsDefect) {
  std::size_t files = 0;
  for (const Rejection& rejection : kRejections) {
    SCOPED_TRACE(rejection.file);
    const auto plain = decrypt(content_of(kFolder / (std::string(rejection.file) + ".7z")), with_password("sesame"));
    ASSERT_FALSE(plain);
    EXPECT_EQ(plain.error().code, ErrorCode::kArchive);
    EXPECT_THAT(plain.error().reason, HasSubstr(rejection.reason));
    ++files;
  }
  EXPECT_EQ(std::distance(fs::directory_iterator(kFolder), fs::directory_iterator()),
            static_cast<std::ptrdiff_t>(files));
}

}  // namespace
}  // namespace intact
