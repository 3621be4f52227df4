// What a mounted archive costs in memory: at most 120 bytes a member beyond its name, whatever was looked up.

#include <gtest/gtest.h>
#include <malloc.h>

#include "core/archive/archive.h"
#include "core/tree/index.h"
#include "core/tree/test_zip.h"

namespace intact {
namespace {

constexpr std::size_t kMembers = 100'000;
constexpr double kAtMost = 120;

// Bytes that malloc has given out, also those that it maps for themselves.
std::size_t allocated() {
  const struct mallinfo2 info = mallinfo2();
  return info.uordblks + info.hblkhd;
}

bool allocator_tells() {
  const std::size_t before = allocated();
  const auto memory = std::make_unique<std::string>(1 << 20, 'x');
  return allocated() >= before + memory->size();
}

struct Shape {
  const char* name;
  std::size_t in_directory;  // files in each directory
  bool directories_named = false;
};

class IndexMemory : public testing::TestWithParam<Shape> {};

TEST_P(IndexMemory, IsAtMost120BytesAMemberBeyondItsName) {
  if (!allocator_tells()) GTEST_SKIP() << "a sanitizer's allocator does not say what it has given out";
  std::vector<std::string> paths;
  for (std::size_t i = 0; paths.size() < kMembers; ++i) {
    const std::string directory = "package" + std::to_string(i / 10) + "/part" + std::to_string(i) + "/";
    if (GetParam().directories_named) paths.push_back(directory);
    for (std::size_t j = 0; j < GetParam().in_directory; ++j)
      paths.push_back(directory + "module" + std::to_string(j) + ".py");
  }
  std::size_t names = 0;
  for (const std::string& path : paths) names += path.size();
  const Bytes content = zip_of(paths);

  const std::size_t before = allocated();
  auto archive = open_archive(Source{"memory.zip", content}, Limits());
  ASSERT_TRUE(archive) << archive.error().message();
  const ImportRules rules{{".so"}};
  const Index index(**archive, {}, rules);
  std::size_t count = paths.size();  // and directories that are only implied
  for (std::uint32_t i = 1; i < index.directory_count(); ++i) count += index.node(i).member == kNone;
  const auto each = [&] { return static_cast<double>(allocated() - before - names) / static_cast<double>(count); };
  const double mounted = each();
  EXPECT_GE(index.files().size(), kMembers * 4 / 5);  // every directory has its table then
  const double used = each();
  std::printf("%.1f bytes a member, %.1f when all was looked up\n", mounted, used);
  EXPECT_LE(mounted, kAtMost);
  EXPECT_LE(used, kAtMost);
}

// "One" is the worst: a directory for each file.
INSTANTIATE_TEST_SUITE_P(Shapes, IndexMemory,
                         testing::Values(Shape{"Few", 4}, Shape{"FewNamed", 4, true}, Shape{"Ten", 10},
                                         Shape{"Hundred", 100}, Shape{"All", 100'000}, Shape{"One", 1}),
                         [](const auto& shape) { return shape.param.name; });

}  // namespace
}  // namespace intact
