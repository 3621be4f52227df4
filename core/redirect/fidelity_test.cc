// Each function of the redirect, on each of a list of paths, against the same call on a real directory with the same
// files: what it returns, errno, type, size, content and listing must be the same. For functions that would change
// something the real directory is mounted read-only, in a namespace of a child.

#include <gmock/gmock.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/wait.h>

#include "core/base/unique_fd.h"
#include "core/redirect/test_redirect.h"

namespace intact {
namespace {

constexpr const char* kRoot = "/intact/redirect-test";

const std::vector<std::string>& paths() {
  static const std::vector<std::string> paths = {
      "",
      "/",
      "/.",
      "/top.txt",
      "/top.txt/",
      "/top.txt/..",
      "/top.txt/x",
      "/top.txt/x/y",
      "/pkg",
      "/pkg/",
      "/pkg/.",
      "/pkg/..",
      "/pkg/../top.txt",
      "/pkg/data.txt",
      "/pkg/./data.txt",
      "/pkg//data.txt",
      "//pkg/sub/../data.txt",
      "/pkg/empty",
      "/pkg/large.bin",
      "/pkg/sub/deep.txt",
      "/missing",
      "/missing/x",
      "/missing/../pkg",
      "/pkg/missing",
      "/" + std::string(255, 'n'),
      "/" + std::string(256, 'n'),
      "/" + std::string(256, 'n') + "/x",
  };
  return paths;
}

std::string without_root(std::string text, const std::string& root) {
  for (std::size_t at; (at = text.find(root)) != std::string::npos;) text.replace(at, root.size(), "ROOT");
  return text;
}

// One line for each call whose outcome differs.
std::string differences(const caller::Probe* probe, const std::string& real, const std::vector<std::string>& paths) {
  std::string text;
  for (; probe->name != nullptr; ++probe) {
    if (std::string_view(probe->name).ends_with("chdir")) continue;  // not as below a root; see redirect_test.cc
    for (const std::string& path : paths) {
      const std::string expected = without_root(probe->run((real + path).c_str()), real);
      const std::string found = without_root(probe->run((kRoot + path).c_str()), kRoot);
      if (found == expected) continue;
      text += std::string(probe->name) + " " + path.substr(0, 40) + ": " + found + "\n    really: " + expected + "\n";
    }
  }
  return text;
}

const caller::Probe* probes(const char* set) { return test_engine().call<const caller::Probe*()>(set)(); }

// Runs `work` in a child in which `directory` is mounted read-only; nothing if this system does not let us.
template <typename Work>
std::optional<std::string> in_read_only_mount(const std::string& directory, Work work) {
  int ends[2];
  if (::pipe(ends) != 0) return std::nullopt;
  const pid_t child = ::fork();
  if (child == 0) {
    const bool mounted = ::unshare(CLONE_NEWUSER | CLONE_NEWNS) == 0 &&
                         ::mount(directory.c_str(), directory.c_str(), nullptr, MS_BIND, nullptr) == 0 &&
                         ::mount(nullptr, directory.c_str(), nullptr, MS_BIND | MS_REMOUNT | MS_RDONLY, nullptr) == 0;
    if (!mounted) ::_exit(2);
    const std::string text = work();
    const bool told = ::write(ends[1], text.data(), text.size()) == static_cast<ssize_t>(text.size());
    ::_exit(told ? 0 : 1);
  }
  ::close(ends[1]);
  std::string text;
  char buffer[4096];
  for (ssize_t size; (size = ::read(ends[0], buffer, sizeof buffer)) > 0;)
    text.append(buffer, static_cast<std::size_t>(size));
  ::close(ends[0]);
  int status = 0;
  ::waitpid(child, &status, 0);
  if (WIFEXITED(status) && WEXITSTATUS(status) == 2) return std::nullopt;
  if (status != 0) text += "the child ended with status " + std::to_string(status);
  return text;
}

class FidelityTest : public ::testing::Test {
 protected:
  FidelityTest() : mounted_(zip_of(some_files()), kRoot) {
    std::filesystem::create_directory(real());
    unpack(some_files(), real());
  }
  ~FidelityTest() override { make_writable(real()); }

  std::string real() const { return directory_.path() + "/redirect-test"; }

 private:
  TemporaryDirectory directory_;
  Mounted mounted_;
};

TEST_F(FidelityTest, ReadingAnswersAsARealDirectoryDoes) {
  EXPECT_EQ(differences(probes("reading_probes"), real(), paths()), "");
}

TEST_F(FidelityTest, DescriptorsOfDirectoriesAnswerAsARealDirectorysDo) {
  const std::vector<std::string> directories = {"/pkg", "/pkg/sub", "/pkg/data.txt", "/missing"};
  const auto differ =
      in_read_only_mount(real(), [&] { return differences(probes("directory_probes"), real(), directories); });
  if (!differ) GTEST_SKIP() << "no namespaces here";
  EXPECT_EQ(*differ, "");
}

TEST_F(FidelityTest, ChangingIsRefusedAsByAReadOnlyFileSystem) {
  const std::vector<std::string> changed = {"/top.txt",
                                            "/top.txt/",
                                            "/top.txt/x",
                                            "/pkg",
                                            "/pkg/",
                                            "/pkg/data.txt",
                                            "/pkg/sub/../data.txt",
                                            "/missing",
                                            "/missing/",
                                            "/missing/x",
                                            "/pkg/missing",
                                            "/missing/../x",
                                            "/pkg/" + std::string(5000, '/') + "data.txt"};
  make_writable(real());  // so that nothing but the mount forbids it
  const auto differ =
      in_read_only_mount(real(), [&] { return differences(probes("changing_probes"), real(), changed); });
  if (!differ) GTEST_SKIP() << "no namespaces here";
  EXPECT_EQ(*differ, "");
}

}  // namespace
}  // namespace intact
