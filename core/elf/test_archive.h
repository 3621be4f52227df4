// For tests of the loader: the directory of test objects as an archive, mounted; and a process for each test.

#pragma once

#include <dlfcn.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>
#include <iterator>
#include <string>
#include <vector>

#include "core/archive/test_files.h"
#include "core/archive/zip_builder.h"
#include "core/elf/image_loader.h"

namespace intact {

// Runs a test's body in a process of its own: what is loaded stays loaded, and would satisfy the next test.
inline void isolated(const std::function<void()>& body) {
  std::fflush(nullptr);
  const pid_t child = fork();
  if (child == 0) {
    body();
    std::fflush(nullptr);
    _exit(testing::Test::HasFailure() ? 1 : 0);
  }
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0) << "status " << status;
}

inline std::string read_file(const std::filesystem::path& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

inline std::string test_object(const std::string& path) {
  return read_file(std::filesystem::path(ELF_TESTDATA) / path);
}

enum class Packing { kDeflated, kStored, kAligned };

// Builds archives whose stored members can lie at page boundaries.
class ObjectArchive {
 public:
  explicit ObjectArchive(Packing packing) : packing_(packing) {}

  ObjectArchive& add(const std::string& name, const std::string& data) {
    zip::Entry entry{.name = name, .data = data};
    if (packing_ == Packing::kDeflated) entry.method = Method::kDeflate;
    if (packing_ == Packing::kAligned) {
      const std::size_t page = static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
      const std::size_t start = at_ + 30 + name.size() + 4;
      entry.local_extra = zip::extra_field(0xd935, std::string((page - start % page) % page, '\0'));
    }
    at_ += 30 + name.size() + entry.local_extra.size() + zip::pack(entry.method, data).size();
    builder_.add(entry);
    return *this;
  }

  // Every test object that the package ships.
  ObjectArchive& add_all() {
    std::vector<std::string> names;
    for (const auto& file : std::filesystem::recursive_directory_iterator(ELF_TESTDATA)) {
      const std::string name = file.path().lexically_relative(ELF_TESTDATA).string();
      if (file.is_regular_file() && !name.starts_with('.')) names.push_back(name);
    }
    std::ranges::sort(names);
    for (const std::string& name : names) add(name, test_object(name));
    return *this;
  }

  std::string build() const { return builder_.build(); }

 private:
  Packing packing_;
  std::size_t at_ = 0;
  zip::ZipBuilder builder_;
};

struct LoaderFixture {
  Tree tree;
  ImageLoader loader{tree};

  MountPtr mount(const std::string& content, const std::string& root, const std::string& extract = {}) {
    auto archive = open_content(content, Where::kFile);
    EXPECT_TRUE(archive) << archive.error().message();
    MountOptions options;
    options.root = root;
    options.name = root;
    options.extract_directory = extract;
    return tree.mount(std::move(*archive), options, ImportRules{{".so"}});
  }
  MountPtr mount_all(Packing packing, const std::string& root = "/app.zip") {
    return mount(ObjectArchive(packing).add_all().build(), root);
  }

  Result<void*> load(const std::string& path, int mode = RTLD_NOW) {
    const ReadGuard guard(tree);
    const auto place = guard->lookup(path);
    if (!place) return Error{ErrorCode::kNotFound, "no such member", {}, path};
    return loader.load(*place, mode);
  }

  // The int that a function of the object at `path` gives, or -1 with a failure of the test.
  int call(const std::string& path, const std::string& function) {
    const auto handle = load(path);
    EXPECT_TRUE(handle) << handle.error().message();
    return handle ? call(*handle, function) : -1;
  }
  static int call(void* handle, const std::string& function) {
    const auto pointer = reinterpret_cast<int (*)()>(dlsym(handle, function.c_str()));
    EXPECT_NE(pointer, nullptr) << function;
    return pointer ? pointer() : -1;
  }
  std::size_t count(ImageOrigin origin) const {
    return static_cast<std::size_t>(std::ranges::count(loader.images(), origin, &ImageInfo::origin));
  }
};

inline std::string environment(const std::string& name) {
  const char* value = std::getenv(name.c_str());
  return value ? value : "";
}

}  // namespace intact
