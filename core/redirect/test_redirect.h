// What the redirect's tests share: one tree and one redirect, as in any process, archives and the same files on disk,
// and the object that calls.

#pragma once

#include <dlfcn.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <string>

#include "core/archive/test_files.h"
#include "core/archive/zip_builder.h"
#include "core/redirect/redirect.h"
#include "core/redirect/testdata/caller.h"

namespace intact {

struct TestEngine {
  Tree tree;
  ImageLoader images{tree};
  void* caller = ::dlopen(REDIRECT_CALLER, RTLD_NOW);

  // A function of the object that calls.
  template <typename Function>
  Function* call(const char* name) const {
    return reinterpret_cast<Function*>(::dlsym(caller, name));
  }
};

// Never destroyed: the slots point at what uses it.
inline TestEngine& test_engine() {
  static TestEngine* const engine = [] {
    TestEngine* const made = std::make_unique<TestEngine>().release();
    enable_redirect(made->tree, made->images);
    return made;
  }();
  return *engine;
}

using Files = std::map<std::string, std::string>;

inline const Files& some_files() {
  static const Files files = {
      {"top.txt", "top\n"},
      {"pkg/data.txt", "some data\n"},
      {"pkg/empty", ""},
      {"pkg/large.bin", std::string(300'000, 'x')},
      {"pkg/sub/deep.txt", "deep\n"},
      {"pkg/sub/other.txt", "other\n"},
  };
  return files;
}

inline std::string zip_of(const Files& files) {
  zip::ZipBuilder builder;
  for (const auto& [name, data] : files) {
    builder.add(zip::Entry{.name = name, .data = data, .method = Method::kDeflate, .mode = 0100444});
  }
  return builder.build();
}

inline MountPtr mount_bytes(const std::string& content, const std::string& root) {
  auto archive = open_content(content, Where::kMemory);
  EXPECT_TRUE(archive) << root;
  MountOptions options;
  options.root = root;
  options.name = root;
  return test_engine().tree.mount(*std::move(archive), options, ImportRules{});
}

// Unmounts at the end of a test.
class Mounted {
 public:
  Mounted(const std::string& content, const std::string& root) : mount_(mount_bytes(content, root)) {}
  ~Mounted() { test_engine().tree.unmount(*mount_); }
  Mounted(const Mounted&) = delete;
  Mounted& operator=(const Mounted&) = delete;

 private:
  MountPtr mount_;
};

// A directory that goes away with everything in it.
class TemporaryDirectory {
 public:
  TemporaryDirectory() {
    std::string name = std::filesystem::canonical(std::filesystem::temp_directory_path()) / "intact.XXXXXX";
    path_ = ::mkdtemp(name.data());
  }
  ~TemporaryDirectory() {
    std::error_code error;
    std::filesystem::remove_all(path_, error);
  }
  TemporaryDirectory(const TemporaryDirectory&) = delete;
  TemporaryDirectory& operator=(const TemporaryDirectory&) = delete;

  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

// The files on disk, readable and no more, as below a root.
inline void unpack(const Files& files, const std::string& directory) {
  namespace fs = std::filesystem;
  for (const auto& [name, data] : files) {
    fs::create_directories(fs::path(directory + "/" + name).parent_path());
    std::ofstream(directory + "/" + name) << data;
  }
  const auto read_only = fs::perms::owner_read | fs::perms::group_read | fs::perms::others_read;
  const auto searchable = read_only | fs::perms::owner_exec | fs::perms::group_exec | fs::perms::others_exec;
  fs::permissions(directory, searchable);
  for (const auto& entry : fs::recursive_directory_iterator(directory)) {
    fs::permissions(entry.path(), entry.is_directory() ? searchable : read_only);
  }
}

inline void make_writable(const std::string& directory) {
  namespace fs = std::filesystem;
  fs::permissions(directory, fs::perms::owner_all);
  for (const auto& entry : fs::recursive_directory_iterator(directory)) {
    fs::permissions(entry.path(),
                    entry.is_directory() ? fs::perms::owner_all : fs::perms::owner_read | fs::perms::owner_write);
  }
}

inline std::string bytes_of_file(const char* path) {
  std::ifstream stream(path, std::ios::binary);
  return std::string(std::istreambuf_iterator<char>(stream), {});
}

}  // namespace intact
