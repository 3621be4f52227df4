// What a mounted archive costs in memory: at most 120 bytes a member beyond its name, whatever was looked up. Members
// are counted, not what their paths imply.

#include <gtest/gtest.h>
#include <malloc.h>

#include "core/archive/archive.h"
#include "core/tree/test_zip.h"
#include "core/tree/tree.h"

namespace intact {
namespace {

// With more, the archive's own directory is memory of huge pages, for whose alignment malloc counts address space.
constexpr std::size_t kMembers = 30'000;
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
  std::size_t in_directory;  // files in each directory; 0: all at the top
  bool directories_named = false;
  bool scattered = false;  // neighbours in the archive are in different directories
};

class IndexMemory : public testing::TestWithParam<Shape> {};

TEST_P(IndexMemory, IsAtMost120BytesAMemberBeyondItsName) {
  if (!allocator_tells()) GTEST_SKIP() << "a sanitizer's allocator does not say what it has given out";
  const Shape& shape = GetParam();
  std::vector<std::string> paths;
  std::size_t names = 0;
  for (std::size_t i = 0; paths.size() < kMembers; ++i) {
    std::string directory;
    if (shape.in_directory > 0) {
      const std::size_t directories = kMembers / shape.in_directory;
      directory = "package" + std::to_string(shape.scattered ? i % directories : i / shape.in_directory) + "/";
    }
    if (shape.directories_named && i % shape.in_directory == 0) paths.push_back(directory);
    paths.push_back(directory + "module" + std::to_string(i) + ".py");
  }
  for (const std::string& path : paths) names += path.size();
  const Bytes content = zip_of(paths);

  const std::size_t before = allocated();
  auto archive = open_archive(Source{"memory.zip", content}, Limits());
  ASSERT_TRUE(archive) << archive.error().message();
  Tree tree;
  MountOptions options;
  options.root = "/memory.zip";
  const MountPtr mount = tree.mount(*std::move(archive), options, {{".so"}});
  const auto each = [&] {
    return (static_cast<double>(allocated() - before) - static_cast<double>(names)) / static_cast<double>(paths.size());
  };
  const double mounted = each();
  EXPECT_GE(mount->index().files().size(), kMembers / 2);  // each directory was looked into
  EXPECT_TRUE(mount->index().find_module(paths.back().substr(0, paths.back().size() - 3)));
  const double used = each();
  std::printf("%.1f bytes a member, %.1f when all was looked up\n", mounted, used);
  EXPECT_LE(mounted, kAtMost);
  EXPECT_LE(used, kAtMost);
}

// "One" is the worst: a directory for each file.
INSTANTIATE_TEST_SUITE_P(Shapes, IndexMemory,
                         testing::Values(Shape{"All", 0}, Shape{"One", 1}, Shape{"OneNamed", 1, true}, Shape{"Four", 4},
                                         Shape{"Five", 5}, Shape{"FiveNamed", 5, true},
                                         Shape{"FiveScattered", 5, false, true}, Shape{"Hundred", 100}),
                         [](const auto& shape) { return shape.param.name; });

}  // namespace
}  // namespace intact
