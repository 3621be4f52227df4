// The parser against the system's own objects, and against what no linker would write.

#include "core/elf/elf_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <random>

namespace intact {
namespace {

using testing::Contains;
using testing::Field;
using testing::HasSubstr;

std::string read_file(const std::filesystem::path& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

Result<ElfFile> parse(const std::string& content) { return parse_elf(std::as_bytes(std::span(content))); }

std::string object(const std::string& path) { return read_file(std::filesystem::path(ELF_TESTDATA) / path); }

template <typename T>
std::string with(std::string content, std::size_t offset, T value) {
  std::memcpy(content.data() + offset, &value, sizeof value);
  return content;
}

TEST(ElfFile, ReadsWhatTheLinkerWasTold) {
  const auto file = parse(object("pkg/order_b.so"));
  ASSERT_TRUE(file) << file.error().message();
  EXPECT_EQ(file->soname, "order_b.so");
  EXPECT_EQ(file->rpath, "$ORIGIN");
  EXPECT_EQ(file->runpath, std::nullopt);
  EXPECT_THAT(file->needed, Contains(Field(&ElfNeeded::name, "order_c.so")));
  EXPECT_EQ(file->machine, &kHostMachine);
  EXPECT_GT(file->init_array_size, 0u);
  EXPECT_GT(file->symbol_count, 1u);
  EXPECT_FALSE(file->resolves_itself);
  EXPECT_FALSE(file->tls);
}

TEST(ElfFile, TellsRunpathFromRpathAndNoSoname) {
  const auto runpath = parse(object("pkg/by_runpath.so"));
  ASSERT_TRUE(runpath);
  EXPECT_EQ(runpath->runpath, "$ORIGIN/../pkg.libs");
  EXPECT_EQ(runpath->rpath, std::nullopt);
  const auto plain = parse(object("pkg/plain.so"));
  ASSERT_TRUE(plain);
  EXPECT_EQ(plain->soname, "");
}

TEST(ElfFile, TellsThreadLocalsAndFunctionsChosenWhileLoading) {
  EXPECT_TRUE(parse(object("pkg/tls.so"))->tls);
  EXPECT_TRUE(parse(object("pkg/ifunc.so"))->resolves_itself);
}

TEST(ElfFile, NamesWhatItRefuses) {
  const std::string good = object("pkg/order_c.so");
  const auto reason = [](const std::string& content) {
    const auto file = parse(content);
    EXPECT_FALSE(file);
    if (file) return std::string();
    EXPECT_EQ(file.error().code, ErrorCode::kImage);
    EXPECT_TRUE(file.error().offset.has_value());
    return file.error().reason;
  };
  EXPECT_EQ(reason(""), "not an ELF file");
  EXPECT_EQ(reason("\x7f"
                   "ELF"),
            "truncated within the ELF header");
  EXPECT_THAT(reason(with(good, EI_CLASS, std::uint8_t{ELFCLASS32})), HasSubstr("32-bit"));
  EXPECT_THAT(reason(with(good, EI_DATA, std::uint8_t{ELFDATA2MSB})), HasSubstr("big-endian"));
  EXPECT_THAT(reason(with(good, offsetof(Elf64_Ehdr, e_type), std::uint16_t{ET_REL})),
              HasSubstr("not a shared object"));
  EXPECT_THAT(reason(with(good, offsetof(Elf64_Ehdr, e_machine), std::uint16_t{EM_SPARC})),
              HasSubstr("unknown machine"));
  EXPECT_THAT(reason(with(good, offsetof(Elf64_Ehdr, e_phnum), std::uint16_t{65'535})),
              HasSubstr("65535 program headers"));
  EXPECT_THAT(reason(with(good, offsetof(Elf64_Ehdr, e_phoff), ~std::uint64_t{0})), HasSubstr("beyond the end"));
}

TEST(ElfFile, KnowsBothMachinesOnEither) {
  const std::string good = object("pkg/order_c.so");
  for (const Machine& machine : kMachines) {
    const auto file = parse(with(good, offsetof(Elf64_Ehdr, e_machine), machine.number));
    // Relocation types differ, but none of the other machine's means IRELATIVE here.
    ASSERT_TRUE(file) << file.error().message();
    EXPECT_EQ(file->machine, &machine);
  }
}

TEST(ElfFile, EveryTruncationIsAnError) {
  const std::string good = object("pkg/order_c.so");
  const auto file = parse(good);
  ASSERT_TRUE(file);
  std::uint64_t end = 0;  // sections and what strip removes come behind it
  for (const ElfSegment& segment : file->segments) {
    if (segment.type == PT_LOAD) end = std::max(end, segment.offset + segment.file_size);
  }
  for (std::size_t size = 0; size < end; size += size < 1024 ? 1 : 97) {
    EXPECT_FALSE(parse(good.substr(0, size))) << size;
  }
}

// A flipped bit gives an error or an object whose tables all lie inside it, never a read outside (which the sanitizers
// and the reader would stop).
TEST(ElfFile, NoFlipLeadsOutsideTheFile) {
  const std::string good = object("pkg/order_b.so");
  const auto whole = parse(good);
  ASSERT_TRUE(whole);
  const auto check = [&](std::size_t at, int bit) {
    std::string bad = good;
    bad[at] = static_cast<char>(bad[at] ^ (1 << bit));
    const auto file = parse(bad);
    if (!file) return;
    for (const ElfTable& table : {file->strings, file->symbols, file->relocations, file->plt_relocations}) {
      EXPECT_LE(table.offset, bad.size());
      EXPECT_LE(table.size, bad.size() - table.offset);
    }
  };
  const std::uint64_t dynamic = whole->dynamic[0].offset;
  for (std::size_t at = 0; at < 1024; ++at) {
    for (int bit = 0; bit < 8; ++bit) check(at, bit);
  }
  for (std::size_t at = dynamic; at < dynamic + 16 * whole->dynamic.size(); ++at) {
    for (int bit = 0; bit < 8; ++bit) check(at, bit);
  }
  std::mt19937 random(1);
  for (int i = 0; i < 4096; ++i) check(random() % good.size(), static_cast<int>(random() % 8));
}

TEST(ElfFile, RejectsTheInputsKeptAsRejected) {
  int tried = 0;
  for (const auto& file : std::filesystem::directory_iterator(INTACT_SOURCE_DIR "/tests/rejected/elf")) {
    const auto parsed = parse(read_file(file.path()));
    EXPECT_FALSE(parsed) << file.path();
    ++tried;
  }
  EXPECT_GT(tried, 5);
}

}  // namespace
}  // namespace intact
