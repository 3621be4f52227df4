// The redirect as a mechanism: which slots it takes and gives back, what it leaves alone, roots that are files, paths
// that reach a root in a roundabout way, programs and libraries below a root, threads, fork.

#include "core/redirect/redirect.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <link.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <thread>
#include <vector>

#include "core/redirect/test_redirect.h"

namespace intact {
namespace {

constexpr const char* kRoot = "/intact/redirect-mechanism";

std::string below(const std::string& name) { return std::string(kRoot) + "/" + name; }

int call_stat(const std::string& path) { return test_engine().call<int(const char*)>("call_stat")(path.c_str()); }
int call_open(const std::string& path, int flags) {
  return test_engine().call<int(const char*, int)>("call_open")(path.c_str(), flags);
}
void* call_dlopen(const std::string& name) {
  return test_engine().call<void*(const char*, int)>("call_dlopen")(name.c_str(), RTLD_NOW | RTLD_LOCAL);
}
// Looked up once: a dlsym in between would take glibc's own message away.
const char* call_dlerror() {
  static const auto dlerror = test_engine().call<const char*()>("call_dlerror");
  return dlerror();
}

// The outcome of a probe of the calling object.
std::string probe(const char* set, std::string_view name, const std::string& path) {
  for (const caller::Probe* probe = test_engine().call<const caller::Probe*()>(set)(); probe->name != nullptr;
       ++probe) {
    if (probe->name == name) return probe->run(path.c_str());
  }
  return "no such probe";
}
std::string reading(std::string_view name, const std::string& path) { return probe("reading_probes", name, path); }
std::string changing(std::string_view name, const std::string& path) { return probe("changing_probes", name, path); }

class RedirectTest : public ::testing::Test {
 protected:
  Mounted mounted_{zip_of(some_files()), kRoot};
};

// ---- slots ----------------------------------------------------------------------------------------------------

TEST_F(RedirectTest, DisablingPutsTheFunctionsOfTheCLibraryBack) {
  const auto slot = test_engine().call<void*()>("stat_slot");
  void* const ours = slot();
  disable_redirect();
  EXPECT_EQ(slot(), ::dlsym(RTLD_DEFAULT, "stat"));
  EXPECT_EQ(call_stat(below("top.txt")), -1);
  EXPECT_EQ(redirect_stats().slots, 0u);
  enable_redirect(test_engine().tree, test_engine().images);
  EXPECT_EQ(slot(), ours);
  EXPECT_EQ(call_stat(below("top.txt")), 0);
}

TEST_F(RedirectTest, EnablingTwicePatchesNothingMore) {
  const RedirectStats before = redirect_stats();
  enable_redirect(test_engine().tree, test_engine().images);
  EXPECT_GT(before.slots, 20u);
  EXPECT_EQ(redirect_stats().slots, before.slots);
  EXPECT_EQ(redirect_stats().objects, before.objects);
}

// Collects the RELRO pages of every object that are writable.
std::string writable_relro_pages() {
  std::string found;
  ::dl_iterate_phdr(
      [](dl_phdr_info* info, std::size_t, void* data) {
        const std::uintptr_t page = static_cast<std::uintptr_t>(::sysconf(_SC_PAGESIZE));
        std::ifstream maps("/proc/self/maps");
        for (int i = 0; i < info->dlpi_phnum; ++i) {
          const ElfW(Phdr)& header = info->dlpi_phdr[i];
          const std::uintptr_t start = (info->dlpi_addr + header.p_vaddr) & -page;
          const std::uintptr_t stop = (info->dlpi_addr + header.p_vaddr + header.p_memsz) & -page;
          if (header.p_type != PT_GNU_RELRO || start == stop) continue;
          for (std::string line; std::getline(maps, line);) {
            const std::uintptr_t begin = std::stoull(line, nullptr, 16);
            const std::uintptr_t end = std::stoull(line.substr(line.find('-') + 1), nullptr, 16);
            if (begin < stop && start < end && line[line.find(' ') + 2] == 'w') {
              *static_cast<std::string*>(data) += std::string(info->dlpi_name) + " " + line + "\n";
            }
          }
        }
        return 0;
      },
      &found);
  return found;
}

TEST_F(RedirectTest, RelroPagesAreReadOnlyAfterPatching) { EXPECT_EQ(writable_relro_pages(), ""); }

TEST_F(RedirectTest, AnObjectLoadedLaterSeesFilesBelowARoot) {
  TemporaryDirectory directory;
  const std::string copy = directory.path() + "/later.so";
  std::filesystem::copy_file(REDIRECT_LIBRARY, copy);
  void* const handle = call_dlopen(copy);
  ASSERT_NE(handle, nullptr) << ::dlerror();
  const auto sees = reinterpret_cast<int (*)(const char*)>(::dlsym(handle, "sees"));
  EXPECT_EQ(sees(below("top.txt").c_str()), 1);
  EXPECT_EQ(sees(below("missing").c_str()), 0);
  ::dlclose(handle);
}

TEST_F(RedirectTest, ErrnoIsUntouchedWhereACallSucceeds) {
  errno = 4711;
  EXPECT_EQ(call_stat(below("top.txt")), 0);
  EXPECT_EQ(errno, 4711);
  const int fd = call_open(below("pkg/large.bin"), O_RDONLY);
  EXPECT_GE(fd, 0);
  EXPECT_EQ(errno, 4711);
  ::close(fd);
}

TEST_F(RedirectTest, ANullPathIsTheKernelsToRefuse) {
  const auto access = test_engine().call<int(const char*)>("call_access");
  EXPECT_EQ(access(nullptr), -1);
  EXPECT_EQ(errno, EFAULT);
}

TEST_F(RedirectTest, OnlyCallsBelowARootCountAsHits) {
  const std::uint64_t before = redirect_stats().hits;
  call_stat("/etc");
  call_stat("/intact");
  call_stat("nothing/of/this/name");
  EXPECT_EQ(redirect_stats().hits, before);
  call_stat(below("top.txt"));
  EXPECT_EQ(redirect_stats().hits, before + 1);
}

TEST_F(RedirectTest, AMountWithoutFilesIsNotAnswered) {
  auto archive = open_content(zip_of(some_files()), Where::kMemory);
  MountOptions options;
  options.root = "/intact/no-files";
  options.files = false;
  const MountPtr mount = test_engine().tree.mount(*std::move(archive), options, ImportRules{});
  EXPECT_EQ(call_stat("/intact/no-files/top.txt"), -1);
  test_engine().tree.unmount(*mount);
}

// ---- descriptors ----------------------------------------------------------------------------------------------

TEST_F(RedirectTest, AMembersDescriptorCanBeMappedAndNotWritten) {
  const int fd = call_open(below("pkg/large.bin"), O_RDONLY);
  ASSERT_GE(fd, 0);
  void* const mapped = ::mmap(nullptr, 300'000, PROT_READ, MAP_SHARED, fd, 0);
  ASSERT_NE(mapped, MAP_FAILED);
  EXPECT_EQ(std::string_view(static_cast<const char*>(mapped), 300'000), std::string(300'000, 'x'));
  ::munmap(mapped, 300'000);
  EXPECT_EQ(::write(fd, "y", 1), -1);
  EXPECT_EQ(::mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0), MAP_FAILED);
  EXPECT_EQ(::fcntl(fd, F_GETFL) & O_ACCMODE, O_RDONLY);
  EXPECT_NE(::fcntl(fd, F_GET_SEALS) & F_SEAL_WRITE, 0);
  ::close(fd);
}

TEST_F(RedirectTest, AMembersDescriptorOutlivesItsMount) {
  auto mounted = std::make_unique<Mounted>(zip_of({{"a.txt", "still here"}}), "/intact/short-lived");
  const int fd = call_open("/intact/short-lived/a.txt", O_RDONLY);
  mounted.reset();
  char buffer[16] = {};
  EXPECT_EQ(::read(fd, buffer, sizeof buffer), 10);
  EXPECT_STREQ(buffer, "still here");
  EXPECT_EQ(call_stat("/intact/short-lived/a.txt"), -1);
  ::close(fd);
}

TEST_F(RedirectTest, AMemberWhoseChecksumIsWrongCannotBeOpened) {
  zip::ZipBuilder builder;
  builder.add(zip::Entry{.name = "broken.txt", .data = "bytes", .crc = 1});
  const Mounted mounted(builder.build(), "/intact/broken");
  EXPECT_EQ(call_open("/intact/broken/broken.txt", O_RDONLY), -1);
  EXPECT_EQ(errno, EIO);
  EXPECT_EQ(call_stat("/intact/broken/broken.txt"), 0);
}

TEST_F(RedirectTest, TheNewestOfTwoMountsUnderOneRootAnswers) {
  const Mounted newer(zip_of({{"top.txt", "newer\n"}, {"added.txt", "added\n"}}), kRoot);
  EXPECT_EQ(reading("fopen", below("top.txt")), "newer\n");
  EXPECT_EQ(reading("fopen", below("pkg/data.txt")), "some data\n");
  EXPECT_EQ(reading("opendir", kRoot), "../ ./ added.txt pkg/ top.txt ");
}

// ---- roots that are files on disk -----------------------------------------------------------------------------

class FileRootTest : public ::testing::Test {
 protected:
  FileRootTest() {
    std::ofstream(root_) << "the archive itself";
    mounted_ = std::make_unique<Mounted>(zip_of(some_files()), root_);
  }

  TemporaryDirectory directory_;
  std::string root_ = directory_.path() + "/app.zip";
  std::unique_ptr<Mounted> mounted_;
};

TEST_F(FileRootTest, IsADirectoryToStatAndAFileToOpen) {
  EXPECT_EQ(reading("stat", root_), "40555");
  EXPECT_EQ(reading("lstat", root_), "40555");
  EXPECT_EQ(reading("opendir", root_), "../ ./ pkg/ top.txt ");
  EXPECT_EQ(reading("fopen", root_), "the archive itself");
  EXPECT_THAT(reading("open", root_), ::testing::HasSubstr("the archive itself"));
  EXPECT_THAT(reading("open directory", root_), ::testing::HasSubstr("40555"));
  EXPECT_EQ(reading("fopen", root_ + "/pkg/data.txt"), "some data\n");
}

TEST_F(FileRootTest, CanBeReplacedAndRemovedOnDisk) {
  EXPECT_EQ(changing("chmod", root_), "0");
  EXPECT_EQ(changing("rename", root_), "0");
  EXPECT_TRUE(std::filesystem::exists(root_ + "new"));
  EXPECT_EQ(changing("creat", root_), "opened");
  EXPECT_EQ(changing("unlink", root_), "0");
  EXPECT_EQ(reading("fopen", root_ + "/pkg/data.txt"), "some data\n");
}

TEST_F(FileRootTest, IsFoundByRoundaboutPaths) {
  const std::string& directory = directory_.path();
  const std::string link = directory + "/link";
  std::filesystem::create_directory_symlink(directory, link);
  std::filesystem::create_directory(directory + "/other");
  for (const std::string& path :
       {directory + "/./app.zip/top.txt", directory + "//app.zip/top.txt", "/" + root_ + "/top.txt",
        directory + "/other/../app.zip/pkg/../top.txt", link + "/app.zip/top.txt",
        link + "/.." + directory.substr(directory.rfind('/')) + "/app.zip/top.txt"}) {
    EXPECT_EQ(reading("fopen", path), "top\n") << path;
    EXPECT_EQ(reading("stat", path), "100444 size 4") << path;
  }
  EXPECT_EQ(reading("stat", root_ + "/../other"), "40755");
  EXPECT_EQ(reading("realpath", link + "/app.zip/pkg/../top.txt"), root_ + "/top.txt");
}

TEST_F(FileRootTest, IsFoundFromTheWorkingDirectoryAndFromDescriptors) {
  const std::filesystem::path before = std::filesystem::current_path();
  std::filesystem::current_path(directory_.path());
  EXPECT_EQ(reading("fopen", "app.zip/top.txt"), "top\n");
  EXPECT_EQ(reading("opendir", "app.zip/pkg/sub"), "../ ./ deep.txt other.txt ");
  EXPECT_EQ(changing("unlink", "app.zip/top.txt"), "failed: Read-only file system");
  EXPECT_THAT(probe("directory_probes", "app.zip from here", "."), ::testing::HasSubstr("100444 size 4"));
  std::filesystem::current_path(before);
}

// ---- working directory, programs ------------------------------------------------------------------------------

TEST_F(RedirectTest, TheWorkingDirectoryCannotGoBelowARoot) {
  EXPECT_EQ(changing("chdir", below("pkg")), "failed: Permission denied");
  EXPECT_EQ(changing("fchdir", below("pkg")), "failed: Permission denied");
  EXPECT_EQ(changing("chdir", below("top.txt")), "failed: Not a directory");
  EXPECT_EQ(changing("chdir", below("missing")), "failed: No such file or directory");
}

TEST_F(RedirectTest, ProgramsBelowARootAreNotStarted) {
  const auto execl = test_engine().call<int(const char*)>("call_execl");
  const auto spawn = test_engine().call<int(const char*)>("call_spawn");
  EXPECT_EQ(execl(below("top.txt").c_str()), EACCES);
  EXPECT_EQ(execl(below("pkg").c_str()), EACCES);
  EXPECT_EQ(execl(below("missing").c_str()), ENOENT);
  EXPECT_EQ(execl(below("top.txt/x").c_str()), ENOTDIR);
  EXPECT_EQ(spawn(below("top.txt").c_str()), EACCES);
  EXPECT_EQ(spawn(below("missing").c_str()), ENOENT);
}

TEST_F(FileRootTest, IsStartedAsTheProgramItIs) {
  std::ofstream(root_) << "#!/bin/sh\ntest \"$1 $2\" = 'first second' && exit 7\n";
  std::filesystem::permissions(root_, std::filesystem::perms::owner_all);
  const auto execl = test_engine().call<int(const char*)>("call_execl");
  const pid_t child = ::fork();
  if (child == 0) {
    execl(root_.c_str());
    ::_exit(1);
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  EXPECT_EQ(WEXITSTATUS(status), 7);
}

// ---- libraries ------------------------------------------------------------------------------------------------

TEST_F(RedirectTest, ALibraryIsLoadedByPathAndByBareNameAndSeesFilesWhenItStarts) {
  const Mounted library(zip_of({{"lib/libredirect_in_archive.so", bytes_of_file(REDIRECT_LIBRARY)}}),
                        "/intact/library");
  ::setenv("REDIRECT_LIBRARY_LOOKS_FOR", below("top.txt").c_str(), 1);
  void* const handle = call_dlopen("/intact/library/lib/libredirect_in_archive.so");
  ASSERT_NE(handle, nullptr) << call_dlerror();
  EXPECT_EQ(reinterpret_cast<int (*)()>(::dlsym(handle, "answer"))(), 42);
  EXPECT_EQ(reinterpret_cast<int (*)()>(::dlsym(handle, "found_its_file"))(), 1);
  EXPECT_EQ(call_dlopen("libredirect_in_archive.so"), handle);
}

TEST_F(RedirectTest, DlerrorSaysOnceWhatWentWrongBelowARoot) {
  EXPECT_EQ(call_dlopen(below("top.txt")), nullptr);
  const char* const message = call_dlerror();
  ASSERT_NE(message, nullptr);
  EXPECT_THAT(message, ::testing::HasSubstr("top.txt"));
  EXPECT_EQ(call_dlerror(), nullptr);
}

TEST_F(RedirectTest, DlerrorOfTheSystemComesThrough) {
  call_dlerror();
  EXPECT_EQ(call_dlopen("libthat_is_nowhere.so.9"), nullptr);
  const char* const message = call_dlerror();
  ASSERT_NE(message, nullptr);
  EXPECT_THAT(message, ::testing::HasSubstr("libthat_is_nowhere.so.9"));
}

// ---- threads and fork -----------------------------------------------------------------------------------------

TEST_F(RedirectTest, ThreadsReadWhileOthersMountAndUnmount) {
  const std::string content = zip_of(some_files());
  std::atomic<bool> stop{false};
  std::atomic<int> wrong{0};
  std::vector<std::thread> readers;
  for (int i = 0; i < 3; ++i) {
    readers.emplace_back([&] {
      while (!stop.load()) {
        if (reading("fopen", below("pkg/data.txt")) != "some data\n") ++wrong;
        if (reading("opendir", below("pkg/sub")) != "../ ./ deep.txt other.txt ") ++wrong;
        const std::string passing = reading("fopen", "/intact/passing/top.txt");
        if (passing != "top\n" && passing != "failed: No such file or directory") ++wrong;
      }
    });
  }
  for (int i = 0; i < 50; ++i) const Mounted passing(content, "/intact/passing");
  stop = true;
  for (std::thread& reader : readers) reader.join();
  EXPECT_EQ(wrong.load(), 0);
}

TEST_F(RedirectTest, ThreadsLoadLibrariesAtTheSameTime) {
  TemporaryDirectory directory;
  std::atomic<int> seen{0};
  std::vector<std::thread> loaders;
  for (int i = 0; i < 4; ++i) {
    loaders.emplace_back([&, i] {
      for (int round = 0; round < 5; ++round) {
        const std::string copy = directory.path() + "/" + std::to_string(i * 10 + round) + ".so";
        std::filesystem::copy_file(REDIRECT_LIBRARY, copy);
        void* const handle = call_dlopen(copy);
        if (handle == nullptr) continue;
        seen += reinterpret_cast<int (*)(const char*)>(::dlsym(handle, "sees"))(below("top.txt").c_str());
      }
    });
  }
  for (std::thread& loader : loaders) loader.join();
  EXPECT_EQ(seen.load(), 20);
}

TEST_F(RedirectTest, AChildOfForkSeesTheSameFiles) {
  const pid_t child = ::fork();
  if (child == 0) {
    const bool read = reading("fopen", below("top.txt")) == "top\n";
    const bool listed = reading("opendir", below("pkg/sub")) == "../ ./ deep.txt other.txt ";
    ::_exit(read && listed ? 0 : 1);
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  EXPECT_EQ(status, 0);
}

}  // namespace
}  // namespace intact
