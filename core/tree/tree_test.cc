// What the tree promises: newest first, roots that nest, layers, and readers that nobody waits for.

#include "core/tree/tree.h"

#include <gtest/gtest.h>

#include <atomic>
#include <filesystem>
#include <thread>

#include "core/archive/archive.h"
#include "core/tree/test_zip.h"

namespace intact {
namespace {

class TreeTest : public testing::Test {
 protected:
  MountPtr mount(const std::string& root, const std::vector<std::string>& paths, bool files = true,
                 Viewer owner = kEveryone) {
    auto archive = open_archive(Source{root, zip_of(paths)}, Limits{});
    EXPECT_TRUE(archive) << archive.error().message();
    return tree.mount(
        *std::move(archive),
        {.root = root, .name = root, .prefixes = {}, .files = files, .extract_directory = {}, .owner = owner}, {});
  }
  std::string mount_at(const std::string& path) {
    const auto place = ReadGuard(tree)->lookup(path);
    return place ? place->mount->path_of(place->node) : "nothing";
  }
  Tree tree;
};

TEST_F(TreeTest, ARootBehindALinkToADirectoryIsFoundByItsRealPathToo) {
  std::string path = std::filesystem::temp_directory_path() / "tree-XXXXXX";
  ASSERT_TRUE(::mkdtemp(path.data()));
  const std::string place = std::filesystem::canonical(path);
  std::filesystem::create_directory(place + "/real");
  std::filesystem::create_directory_symlink("real", place + "/link");
  mount(place + "/link/a.zip", {"x.py"});
  EXPECT_EQ(mount_at(place + "/real/a.zip/x.py"), place + "/link/a.zip/x.py");
  EXPECT_EQ(mount_at(place + "/link/a.zip/x.py"), place + "/link/a.zip/x.py");
  EXPECT_EQ(mount_at(place + "/real/b.zip/x.py"), "nothing");
  EXPECT_EQ(ReadGuard(tree)->mounts().size(), 1u);
  std::filesystem::remove_all(place);
}

TEST_F(TreeTest, FindsFilesAndDirectoriesBelowTheRightRoot) {
  mount("/a/b", {"x.py", "d/y.py"});
  mount("/a/b.zip", {"z.py"});
  EXPECT_EQ(mount_at("/a/b/d/y.py"), "/a/b/d/y.py");
  EXPECT_EQ(mount_at("/a/b"), "/a/b");
  EXPECT_EQ(mount_at("/a/b.zip/z.py"), "/a/b.zip/z.py");
  EXPECT_EQ(mount_at("/a/b.zip/x.py"), "nothing");
  EXPECT_EQ(mount_at("/a/bc"), "nothing");
  EXPECT_EQ(mount_at("/a"), "nothing");
}

TEST_F(TreeTest, RootsMayNest) {
  mount("/a", {"x", "b/y"});
  mount("/a/b", {"z"});
  mount("/a/b.c", {"w"});
  EXPECT_EQ(mount_at("/a/x"), "/a/x");
  EXPECT_EQ(mount_at("/a/b/z"), "/a/b/z");
  EXPECT_EQ(mount_at("/a/b/y"), "nothing");
  EXPECT_EQ(mount_at("/a/bb"), "nothing");
}

TEST_F(TreeTest, NormalisesWhatFollowsTheRoot) {
  mount("/a", {"d/x", "e/y"});
  mount("/b", {"z"});
  EXPECT_EQ(mount_at("/a//d/./x"), "/a/d/x");
  EXPECT_EQ(mount_at("/a/d/../e/y"), "/a/e/y");
  EXPECT_EQ(mount_at("/a/../b/z"), "/b/z");
  EXPECT_EQ(mount_at("/a/../../etc/passwd"), "nothing");
  EXPECT_EQ(mount_at("/a/d/"), "/a/d");
}

TEST_F(TreeTest, TheNewestOfTwoMountsWithOneRootWinsAndBothAreListed) {
  const MountPtr old = mount("/a", {"x", "old"});
  const MountPtr fresh = mount("/a", {"x", "new"});
  EXPECT_EQ(ReadGuard(tree)->lookup("/a/x")->mount, fresh);
  {
    const ReadGuard guard(tree);
    const auto [root, rest] = guard->root_of("/a");
    EXPECT_EQ(guard->list(*root, rest).size(), 3u);
  }
  EXPECT_TRUE(tree.unmount(*fresh));
  EXPECT_FALSE(tree.unmount(*fresh));
  EXPECT_EQ(ReadGuard(tree)->lookup("/a/x")->mount, old);
}

TEST_F(TreeTest, TopLevelNamesNameTheirMountsNewestFirst) {
  const MountPtr one = mount("/1", {"p/x.txt", "m.py", "no.txt", "d-1.0.dist-info/METADATA"});
  const MountPtr two = mount("/2", {"p/__init__.py"});
  const ReadGuard guard(tree);
  EXPECT_EQ(guard->top_level("p"), (std::vector<const Mount*>{two.get(), one.get()}));
  EXPECT_EQ(guard->top_level("m"), (std::vector<const Mount*>{one.get()}));
  EXPECT_TRUE(guard->top_level("no").empty());
  EXPECT_TRUE(guard->top_level("d-1").empty());
}

TEST_F(TreeTest, TheGateLetsThroughWhatMayBeBelowARootAndStopsTheRest) {
  EXPECT_FALSE(tree.may_be_below("/"));
  const MountPtr one = mount("/srv/app/one.zip", {"x"});
  EXPECT_TRUE(tree.may_be_below("/srv/app/one.zip/x"));
  EXPECT_TRUE(tree.may_be_below("/srv/app/one.zip"));
  EXPECT_FALSE(tree.may_be_below("/srv/app/two"));
  EXPECT_FALSE(tree.may_be_below(""));
  const MountPtr two = mount("/srv/app/two.zip", {"x"});
  EXPECT_TRUE(tree.may_be_below("/srv/app/two.zip/x"));
  EXPECT_FALSE(tree.may_be_below("/srv/ap"));
  EXPECT_FALSE(tree.may_be_below("/srv/app/x"));
  mount("/tmp/no-files", {"x"}, false);
  EXPECT_FALSE(tree.may_be_below("/tmp/no-files/x"));
  tree.unmount(*one), tree.unmount(*two);
  EXPECT_FALSE(tree.may_be_below("/srv/app/one.zip/x"));
}

TEST_F(TreeTest, AViewerSeesWhatIsForEveryoneAndItsOwn) {
  const MountPtr every = mount("/a", {"x"});
  const MountPtr own = mount("/a", {"x"}, true, 1);
  mount("/a/own", {"y"}, true, 1);
  const ReadGuard guard(tree);
  EXPECT_EQ(guard->lookup("/a/x", 1)->mount, own);
  EXPECT_EQ(guard->lookup("/a/x", 2)->mount, every);
  EXPECT_EQ(guard->lookup("/a/x", kEveryone)->mount, every);
  EXPECT_EQ(guard->lookup("/a/x")->mount, own);
  EXPECT_TRUE(guard->lookup("/a/own/y", 1));
  EXPECT_EQ(guard->root_of("/a/own/y", 2).first->path, "/a");  // a root that is hidden does not hide the one around it
  EXPECT_EQ(guard->lookup_all("x", 2).size(), 1u);
}

TEST_F(TreeTest, WhatIsOwnedByOneGoesTogether) {
  mount("/a", {"x"}), mount("/b", {"x"}, true, 1), mount("/c", {"x"}, true, 2), mount("/d", {"x"}, true, 1);
  tree.unmount_owned_by(1);
  EXPECT_EQ(mount_at("/a/x") + mount_at("/b/x") + mount_at("/c/x") + mount_at("/d/x"), "/a/xnothing/c/xnothing");
}

TEST_F(TreeTest, AnUnmountedArchiveIsFreedWhenItsLastReaderHasGone) {
  std::weak_ptr<const Mount> watch;
  {
    const MountPtr held = mount("/a", {"x"});
    watch = held;
    const ReadGuard guard(tree);
    tree.unmount(*held);
    EXPECT_TRUE(guard->lookup("/a/x"));  // this reader still sees what it saw
  }
  mount("/b", {"x"});  // the next change clears up
  EXPECT_TRUE(watch.expired());
}

TEST_F(TreeTest, ReadersSeeAWholeStateWhileMountsComeAndGo) {
  mount("/stay", {"x"});
  std::atomic<bool> stop = false;
  std::vector<std::thread> readers;
  for (int i = 0; i < 4; ++i) {
    readers.emplace_back([&] {
      while (!stop) {
        const ReadGuard guard(tree);
        EXPECT_TRUE(guard->lookup("/stay/x"));
        EXPECT_EQ(guard->lookup("/come/x").has_value(), guard->lookup("/come/y").has_value());
        EXPECT_TRUE(tree.may_be_below("/stay/x"));
      }
    });
  }
  for (int i = 0; i < 300; ++i) {
    const MountPtr coming = mount("/come", {"x", "y"});
    tree.unmount(*coming);
  }
  stop = true;
  for (std::thread& reader : readers) reader.join();
}

}  // namespace
}  // namespace intact
