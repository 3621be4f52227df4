// What the index promises, on archives in memory.

#include "core/tree/index.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <thread>

namespace intact {
namespace {

// An archive that is nothing but names; reading is other tests' business.
class Names : public Archive {
 public:
  explicit Names(std::vector<std::string> paths) : Archive("names"), paths_(std::move(paths)) {
    for (const std::string& path : paths_) {
      const bool directory = path.ends_with('/');
      members_.push_back({.path = std::string_view(path).substr(0, path.size() - directory), .directory = directory});
    }
  }
  const char* format() const override { return "names"; }
  std::size_t size() const override { return members_.size(); }
  Member member(std::size_t index) const override { return members_[index]; }
  MemberName member_name(std::size_t index) const override { return {members_[index].path, members_[index].directory}; }
  std::int64_t mtime(std::size_t) const override { return 0; }
  Result<Bytes> read(std::size_t index) const override { return member_error(index, "no contents"); }
  Result<void> read_into(std::size_t index, std::span<std::byte>) const override {
    return member_error(index, "no contents");
  }
  Result<std::optional<Extent>> extent(std::size_t) const override { return std::optional<Extent>(); }
  Result<void> check(std::size_t) const override { return {}; }

 private:
  std::vector<std::string> paths_;
  std::vector<Member> members_;
};

const ImportRules kRules{{".cpython-311-x86_64-linux-gnu.so", ".abi3.so", ".so"}};

struct Indexed {
  explicit Indexed(std::vector<std::string> paths, std::vector<std::string> prefixes = {})
      : archive(std::move(paths)), index(archive, prefixes, kRules) {}
  Names archive;
  Index index;

  std::string chosen(std::string_view stem) const {
    const auto module = index.find_module(stem);
    return module ? std::string(index.node(module->node).path) : "nothing";
  }
  std::vector<std::string> children(std::string_view directory) const {
    std::vector<std::string> names;
    for (const Child& child : index.children(*index.find(directory))) names.emplace_back(child.name);
    std::sort(names.begin(), names.end());
    return names;
  }
};

TEST(Index, MakesUpDirectoriesThatNoMemberNames) {
  const Indexed it({"a/b/c.txt", "a/d.txt"});
  ASSERT_TRUE(it.index.find("a/b"));
  EXPECT_TRUE(it.index.node(*it.index.find("a/b")).directory);
  EXPECT_EQ(it.children(""), (std::vector<std::string>{"a"}));
  EXPECT_EQ(it.children("a"), (std::vector<std::string>{"b", "d.txt"}));
  EXPECT_EQ(it.index.files().size(), 2u);
}

TEST(Index, FindsNothingThatIsNotThere) {
  const Indexed it({"a/b.py"});
  EXPECT_FALSE(it.index.find("a/b"));
  EXPECT_FALSE(it.index.find("a/b.py/"));
  EXPECT_FALSE(it.index.find("/a"));
  EXPECT_FALSE(it.index.find("a//b.py"));
  EXPECT_FALSE(it.index.find_module("/a"));
  EXPECT_FALSE(it.index.find_module("b"));
  EXPECT_FALSE(it.index.find_module("a/c"));
}

TEST(Index, TheLastMemberOfANameWins) {
  const Indexed it({"x.txt", "y.txt", "x.txt"});
  EXPECT_EQ(it.index.node(*it.index.find("x.txt")).member, 2u);
  EXPECT_EQ(it.index.files().size(), 2u);
}

TEST(Index, ANameThatIsFileAndDirectoryIsADirectory) {
  for (const auto& order : {std::vector<std::string>{"m.py", "m.py/x"}, {"m.py/x", "m.py"}}) {
    const Indexed it(order);
    EXPECT_TRUE(it.index.node(*it.index.find("m.py")).directory);
    EXPECT_EQ(it.chosen("m"), "nothing");
  }
}

TEST(Index, PrecedenceIsThePathFindersInAnyOrder) {
  std::vector<std::string> by_rank = {"m/__init__.cpython-311-x86_64-linux-gnu.so",
                                      "m/__init__.abi3.so",
                                      "m/__init__.so",
                                      "m/__init__.py",
                                      "m/__init__.pyc",
                                      "m.cpython-311-x86_64-linux-gnu.so",
                                      "m.abi3.so",
                                      "m.so",
                                      "m.py",
                                      "m.pyc"};
  while (!by_rank.empty()) {
    std::vector<std::string> paths = by_rank;
    EXPECT_EQ(Indexed(paths).chosen("m"), by_rank.front());
    std::reverse(paths.begin(), paths.end());
    EXPECT_EQ(Indexed(paths).chosen("m"), by_rank.front());
    by_rank.erase(by_rank.begin());
  }
}

TEST(Index, ADirectoryWithoutInitIsANamespacePortion) {
  const Indexed it({"ns/pkg/__init__.py"});
  EXPECT_EQ(it.index.find_module("ns")->kind, ModuleKind::kNamespace);
  EXPECT_TRUE(it.index.find_module("ns/pkg")->package);
}

TEST(Index, ExtensionsOfOtherInterpretersAreNoModules) {
  const Indexed it({"m.cpython-310-x86_64-linux-gnu.so", "n.cp311-win_amd64.pyd"});
  EXPECT_EQ(it.chosen("m"), "nothing");
  EXPECT_EQ(it.chosen("n"), "nothing");
}

TEST(Index, PurelibAndPlatlibCountAsTheRootAndTheRestDoesNot) {
  const Indexed it({"p-1.0.data/purelib/p/__init__.py", "p-1.0.data/platlib/q.py", "p-1.0.data/scripts/run.py"});
  EXPECT_EQ(it.chosen("p"), "p/__init__.py");
  EXPECT_EQ(it.chosen("q"), "q.py");
  EXPECT_EQ(it.chosen("run"), "nothing");
  EXPECT_TRUE(it.index.find("p-1.0.data/scripts/run.py"));
}

TEST(Index, APrefixCountsAsTheRoot) {
  const Indexed it({"src/p/__init__.py", "srcs.py"}, {"src"});
  EXPECT_EQ(it.chosen("p"), "p/__init__.py");
  EXPECT_EQ(it.chosen("srcs"), "srcs.py");
}

TEST(Index, KnowsSharedObjectsByTheirNames) {
  const Indexed it({"p.libs/libz.so.1.2", "p/m.abi3.so", "p/also.py"});
  EXPECT_EQ(it.index.shared_objects().size(), 2u);
}

TEST(Index, LeavesOutWhatIsDeeperThanAnyPath) {
  std::string deep;
  for (int i = 0; i < 2000; ++i) deep += "d/";
  const Indexed it({deep + "x", std::string(5000, 'n'), "y"});
  EXPECT_EQ(it.index.files().size(), 1u);
}

TEST(Index, ADirectoryWhoseMembersStandInSeveralPlacesIsOne) {
  const Indexed it({"a/x.py", "b/y.py", "a/__init__.py", "a/c/z.py", "a-1.data/purelib/a/w.py", "a/x.py"});
  EXPECT_EQ(it.children("a"), (std::vector<std::string>{"__init__.py", "c", "w.py", "x.py"}));
  EXPECT_EQ(it.index.node(*it.index.find("a/x.py")).member, 5u);
  EXPECT_EQ(it.chosen("a/w"), "a/w.py");
  EXPECT_EQ(it.index.files().size(), 5u);
}

TEST(Index, ThreadsMayAskForTheSameDirectoryAtOnce) {
  for (int round = 0; round < 50; ++round) {
    const Indexed it({"a/x.py", "a/b/y.py", "a/b/liby.so"});
    std::vector<std::thread> threads;
    for (int i = 0; i < 4; ++i) {
      threads.emplace_back([&] {
        EXPECT_EQ(it.chosen("a/b/y"), "a/b/y.py");
        EXPECT_EQ(it.children("a").size(), 2u);
        EXPECT_EQ(it.index.files().size(), 3u);
        EXPECT_EQ(it.index.shared_objects().size(), 1u);
      });
    }
    for (std::thread& thread : threads) thread.join();
  }
}

TEST(Index, HoldsManyMembers) {
  std::vector<std::string> paths;
  for (int i = 0; i < 20'000; ++i) paths.push_back("d" + std::to_string(i % 97) + "/m" + std::to_string(i) + ".py");
  const Indexed it(paths);
  for (const std::string& path : paths) {
    ASSERT_TRUE(it.index.find(path));
    ASSERT_EQ(it.chosen(path.substr(0, path.size() - 3)), path);
  }
}

}  // namespace
}  // namespace intact
