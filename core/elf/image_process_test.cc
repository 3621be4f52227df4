// The loader among other things that a process does: names asked by native code, threads, fork, initialisers that load,
// memory that may not be executed.

#include <gmock/gmock.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#include <cinttypes>
#include <cstdio>
#include <latch>
#include <thread>

#include "core/elf/test_archive.h"

namespace intact {
namespace {

using testing::HasSubstr;

LoaderFixture* current = nullptr;  // for hooks, which are plain functions

void hook(const std::string& object, void (*function)()) {
  char address[32];
  std::snprintf(address, sizeof address, "%" PRIxPTR, reinterpret_cast<std::uintptr_t>(function));
  setenv(("INTACT_HOOK_" + object).c_str(), address, 1);
}

TEST(OpenedNames, APathBelowARootIsTheMember) {
  isolated([] {
    LoaderFixture fixture;
    fixture.mount_all(Packing::kDeflated);
    const auto handle = fixture.loader.open("/app.zip/pkg/../pkg//order_c.so", RTLD_NOW, nullptr);
    ASSERT_TRUE(handle) << handle.error().message();
    EXPECT_EQ(fixture.call(*handle, "order_c_value"), 1);
  });
}

TEST(OpenedNames, WhatIsNotOursIsLeftToTheSystem) {
  isolated([] {
    LoaderFixture fixture;
    fixture.mount_all(Packing::kDeflated);
    for (const char* name :
         {"/usr/lib/libz.so", "libnobody.so.3", "", "pkg/order_c.so", "/app.zip/pkg", "/app.zip/pkg/absent.so"}) {
      const auto handle = fixture.loader.open(name, RTLD_NOW, nullptr);
      ASSERT_TRUE(handle) << name;
      EXPECT_EQ(*handle, nullptr) << name;
    }
    EXPECT_TRUE(fixture.loader.images().empty());
  });
}

TEST(OpenedNames, ABareNameIsSearchedByTheCallersOwnPathFirst) {
  isolated([] {
    LoaderFixture fixture;
    fixture.mount_all(Packing::kDeflated);
    // No needed library, so that nothing is loaded before it is asked for.
    fixture.mount(ObjectArchive(Packing::kDeflated)
                      .add("plain_user.so", test_object("pkg/plain_user.so"))
                      .add("plain.so", test_object("pkg/plain.so"))
                      .add("pkg.so", test_object("pkg/order_c.so"))
                      .build(),
                  "/own.zip");
    const auto caller = fixture.load("/own.zip/plain_user.so");
    ASSERT_TRUE(caller) << caller.error().message();
    const auto none = fixture.loader.open("leaf.so", RTLD_NOW, nullptr);
    ASSERT_TRUE(none) << none.error().message();
    EXPECT_EQ(fixture.call(*none, "leaf_value"), 2) << "the first of that name in any mount";
    const auto own = fixture.loader.open("pkg.so", RTLD_NOW, dlsym(*caller, "plain_user_value"));
    ASSERT_TRUE(own) << own.error().message();
    EXPECT_EQ(environment("INTACT_DLADDR_order_c"), "/own.zip/pkg.so");
  });
}

TEST(OpenedNames, NoloadGivesOnlyWhatIsLoaded) {
  isolated([] {
    LoaderFixture fixture;
    fixture.mount_all(Packing::kDeflated);
    const auto before = fixture.loader.open("/app.zip/pkg/order_c.so", RTLD_NOW | RTLD_NOLOAD, nullptr);
    ASSERT_TRUE(before);
    EXPECT_EQ(*before, nullptr);
    EXPECT_TRUE(fixture.loader.images().empty());
    const auto loaded = fixture.load("/app.zip/pkg/order_c.so");
    const auto after = fixture.loader.open("order_c.so", RTLD_NOW | RTLD_NOLOAD, nullptr);
    ASSERT_TRUE(loaded && after);
    EXPECT_EQ(*after, *loaded);
  });
}

TEST(OpenedNames, EachHandleMayBeClosed) {
  isolated([] {
    LoaderFixture fixture;
    fixture.mount_all(Packing::kAligned);
    for (int i = 0; i < 3; ++i) {
      const auto handle = fixture.loader.open("/app.zip/pkg/tls.so", RTLD_NOW, nullptr);
      ASSERT_TRUE(handle && *handle);
      EXPECT_EQ(fixture.call(*handle, "next_count"), 42 + i) << "it was not unloaded between";
      EXPECT_EQ(dlclose(*handle), 0);
    }
  });
}

TEST(LoadingThreads, AllGetTheSameImageInitialisedOnce) {
  isolated([] {
    LoaderFixture fixture;
    fixture.mount_all(Packing::kDeflated);
    constexpr int kThreads = 8;
    std::latch start(kThreads);
    std::vector<void*> handles(kThreads);
    std::vector<std::thread> threads;
    for (int i = 0; i < kThreads; ++i) {
      threads.emplace_back([&, i] {
        start.arrive_and_wait();
        const auto handle = fixture.load("/app.zip/pkg/order_a.so");
        handles[static_cast<std::size_t>(i)] = handle ? *handle : nullptr;
      });
    }
    for (std::thread& thread : threads) thread.join();
    EXPECT_NE(handles[0], nullptr);
    EXPECT_THAT(handles, testing::Each(handles[0]));
    EXPECT_EQ(environment("INTACT_ORDER"), " order_c order_b order_d order_a");
  });
}

TEST(LoadingThreads, AChildForkedWhileAnotherThreadLoadsCanLoad) {
  isolated([] {
    LoaderFixture fixture;
    fixture.mount_all(Packing::kDeflated);
    current = &fixture;
    static std::latch* inside = nullptr;
    std::latch reached(1), forked(1);
    inside = &reached;
    hook("hooked", [] {
      inside->count_down();
      std::this_thread::sleep_for(
          std::chrono::milliseconds(20));  // so that the fork meets the lock; either way is right
    });
    std::thread loader([&] {
      EXPECT_TRUE(fixture.load("/app.zip/pkg/hooked.so"));
      forked.wait();  // one that has ended and was not joined is a leak to the child's ThreadSanitizer
    });
    reached.wait();
    isolated([&] {
      EXPECT_EQ(fixture.call("/app.zip/pkg/order_a.so", "order_a_value"), 1);
      EXPECT_EQ(fixture.call("/app.zip/pkg/hooked.so", "hooked_value"), 1);
    });
    forked.count_down();
    loader.join();
  });
}

TEST(LoadingInitialisers, MayLoadFurtherImages) {
  isolated([] {
    LoaderFixture fixture;
    fixture.mount_all(Packing::kAligned);
    current = &fixture;
    hook("hooked", [] {
      EXPECT_EQ(current->call("/app.zip/pkg/order_a.so", "order_a_value"), 1);
      EXPECT_EQ(current->call("/app.zip/pkg/hooked.so", "hooked_value"), 1);
    });
    EXPECT_EQ(fixture.call("/app.zip/pkg/hooked.so", "hooked_value"), 1);
    EXPECT_EQ(environment("INTACT_ORDER"), " hooked order_c order_b order_d order_a");
  });
}

TEST(LoadingInitialisers, MayForkAndLoadInTheChild) {
  isolated([] {
    LoaderFixture fixture;
    fixture.mount_all(Packing::kDeflated);
    current = &fixture;
    hook("hooked", [] { isolated([] { EXPECT_EQ(current->call("/app.zip/pkg/order_a.so", "order_a_value"), 1); }); });
    EXPECT_EQ(fixture.call("/app.zip/pkg/hooked.so", "hooked_value"), 1);
  });
}

TEST(LoadingInitialisers, MayLoadWhatIsAboutToBeLoaded) {
  isolated([] {
    LoaderFixture fixture;
    fixture.mount_all(Packing::kDeflated);
    current = &fixture;
    hook("order_c", [] { EXPECT_EQ(current->call("/app.zip/pkg/order_b.so", "order_b_value"), 1); });
    EXPECT_EQ(fixture.call("/app.zip/pkg/order_a.so", "order_a_value"), 1);
    EXPECT_EQ(environment("INTACT_ORDER"), " order_c order_b order_d order_a");
    EXPECT_EQ(fixture.loader.images().size(), 4u);
  });
}

TEST(LoadingCallback, ComesBeforeInitialisers) {
  isolated([] {
    LoaderFixture fixture;
    fixture.mount_all(Packing::kAligned);
    static std::string seen;
    fixture.loader.set_on_mapped([](const link_map* map) {
      seen += std::string(map->l_name) + (environment("INTACT_DLADDR_order_c").empty() ? " before\n" : " after\n");
    });
    ASSERT_TRUE(fixture.load("/app.zip/pkg/order_c.so"));
    EXPECT_EQ(seen, "/app.zip/pkg/order_c.so before\n");
  });
}

// Denies memfd_create to this process, as a sandbox would.
void deny_memory_files() {
  const sock_filter program[] = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_memfd_create, 0, 1),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
  };
  const sock_fprog filter{std::size(program), const_cast<sock_filter*>(program)};
  ASSERT_EQ(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), 0);
  ASSERT_EQ(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter), 0);
}

std::string fresh_directory() {
  std::string directory = testing::TempDir() + "intact-XXXXXX";
  return mkdtemp(directory.data()) ? directory : std::string();
}

TEST(WithoutExecutableMemory, TheErrorNamesTheChoice) {
  isolated([] {
    LoaderFixture fixture;
    fixture.mount_all(Packing::kDeflated);
    deny_memory_files();
    const auto handle = fixture.load("/app.zip/pkg/order_a.so");
    ASSERT_FALSE(handle);
    EXPECT_EQ(handle.error().code, ErrorCode::kImage);
    EXPECT_THAT(handle.error().message(), HasSubstr("extract=DIR"));
    EXPECT_THAT(handle.error().message(), HasSubstr("memfd_create"));
  });
}

TEST(WithoutExecutableMemory, ImagesAreLoadedFromTheDirectoryThatWasNamed) {
  const std::string base = fresh_directory();
  const std::string directory = base + "/images";
  for (int round = 0; round < 2; ++round) {  // the second uses what the first wrote
    for (const std::string object : {"order_a", "cycle_user", "plain_user"}) {
      isolated([&] {
        LoaderFixture fixture;
        for (const Packing packing : {Packing::kDeflated, Packing::kAligned}) {
          const std::string root = packing == Packing::kDeflated ? "/app.zip" : "/aligned.zip";
          fixture.mount(ObjectArchive(packing).add_all().build(), root, directory);
        }
        deny_memory_files();
        EXPECT_EQ(fixture.call("/app.zip/pkg/" + object + ".so", object + "_value"), 1);
        EXPECT_EQ(environment("INTACT_DLADDR_" + object), "/app.zip/pkg/" + object + ".so");
        EXPECT_EQ(fixture.call("/aligned.zip/pkg/" + object + ".so", object + "_value"), 1);
        EXPECT_EQ(fixture.count(ImageOrigin::kFile), fixture.loader.images().size());
      });
    }
  }
  EXPECT_EQ(std::filesystem::status(directory).permissions(), std::filesystem::perms::owner_all);
  for (const auto& file : std::filesystem::directory_iterator(directory)) {
    EXPECT_FALSE(file.path().filename().string().starts_with('.')) << file << " is left over";
  }
  std::filesystem::remove_all(base);
}

TEST(WithoutExecutableMemory, AFileOfAnotherContentInTheDirectoryIsNotUsed) {
  const std::string directory = fresh_directory();
  const auto load = [&] {
    isolated([&] {
      LoaderFixture fixture;
      fixture.mount(ObjectArchive(Packing::kDeflated).add_all().build(), "/app.zip", directory);
      deny_memory_files();
      EXPECT_EQ(fixture.call("/app.zip/pkg/order_d.so", "order_d_value"), 1);
    });
  };
  load();
  std::filesystem::path kept;
  for (const auto& file : std::filesystem::directory_iterator(directory)) kept = file.path();
  ASSERT_TRUE(kept.string().ends_with("order_d.so"));
  const std::string right = read_file(kept);
  std::ofstream(kept, std::ios::binary) << std::string(right.size(), 'x');
  load();
  EXPECT_EQ(read_file(kept), right);
  std::filesystem::remove_all(directory);
}

TEST(DirectoryArchives, AreLoadedFromTheirFiles) {
  isolated([] {
    LoaderFixture fixture;
    auto archive = open_archive(ELF_TESTDATA, {});
    ASSERT_TRUE(archive);
    MountOptions options;
    options.root = "/mounted";
    fixture.tree.mount(std::move(*archive), options, ImportRules{{".so"}});
    EXPECT_EQ(fixture.call("/mounted/pkg/order_a.so", "order_a_value"), 1);
    EXPECT_EQ(fixture.loader.images()[0].origin, ImageOrigin::kFile);
    EXPECT_NE(dlopen("/mounted/pkg/order_a.so", RTLD_NOW | RTLD_NOLOAD), nullptr);
  });
}

}  // namespace
}  // namespace intact
