// What an image from an archive must be able to do, with each way of packing; where there is a control, it is dlopen on
// the same objects in a directory.

#include "core/elf/image_loader.h"

#include <gmock/gmock.h>
#include <link.h>

#include <thread>

#include "core/elf/machine.h"
#include "core/elf/test_archive.h"
#include "core/elf/testdata/thrown.h"

namespace intact {
namespace {

using testing::AllOf;
using testing::HasSubstr;

class PackedImages : public testing::TestWithParam<Packing> {};

INSTANTIATE_TEST_SUITE_P(Packing, PackedImages,
                         testing::Values(Packing::kDeflated, Packing::kStored, Packing::kAligned),
                         [](const auto& info) {
                           return info.param == Packing::kDeflated ? "deflated"
                                  : info.param == Packing::kStored ? "stored"
                                                                   : "aligned";
                         });

// The order of constructors when dlopen loads the object from the directory, seen in another process.
std::string order_from_files(const std::string& path) {
  int ends[2];
  if (pipe(ends) != 0) return "no pipe";
  isolated([&] {
    ASSERT_NE(dlopen((std::string(ELF_TESTDATA) + "/" + path).c_str(), RTLD_NOW), nullptr) << dlerror();
    const std::string order = environment("INTACT_ORDER");
    ASSERT_EQ(write(ends[1], order.data(), order.size()), static_cast<ssize_t>(order.size()));
  });
  close(ends[1]);
  std::string order(4096, '\0');
  order.resize(static_cast<std::size_t>(std::max<ssize_t>(0, read(ends[0], order.data(), order.size()))));
  close(ends[0]);
  return order;
}

TEST_P(PackedImages, ConstructorsRunInTheOrderOfDlopen) {
  for (const std::string path : {"pkg/order_a.so", "pkg/cycle_user.so", "pkg/cycle_of_two_libraries_b.so"}) {
    const std::string expected = order_from_files(path);
    ASSERT_FALSE(expected.empty());
    isolated([&] {
      LoaderFixture fixture;
      fixture.mount_all(GetParam());
      const auto handle = fixture.load("/app.zip/" + path);
      ASSERT_TRUE(handle) << handle.error().message();
      EXPECT_EQ(environment("INTACT_ORDER"), expected);
    });
  }
}

TEST_P(PackedImages, ConstructorsSeeTheirMemberAndTheProcessArguments) {
  isolated([&] {
    LoaderFixture fixture;
    fixture.mount_all(GetParam());
    ASSERT_TRUE(fixture.load("/app.zip/pkg/order_a.so"));
    for (const std::string name : {"order_a", "order_b", "order_c"}) {
      EXPECT_EQ(environment("INTACT_DLADDR_" + name), "/app.zip/pkg/" + name + ".so");
      EXPECT_EQ(environment("INTACT_PHDR_" + name), "/app.zip/pkg/" + name + ".so");
      EXPECT_EQ(environment("INTACT_ARGV0_" + name), testing::internal::GetArgvs()[0]);
      EXPECT_EQ(environment("INTACT_ENVIRON_" + name), "yes");
    }
  });
}

TEST_P(PackedImages, OriginIsTheMembersDirectory) {
  isolated([&] {
    LoaderFixture fixture;
    fixture.mount_all(GetParam());
    const auto handle = fixture.load("/app.zip/pkg/by_runpath.so");
    ASSERT_TRUE(handle) << handle.error().message();
    EXPECT_EQ(fixture.call(*handle, "leaf_value"), 1) << "the decoy has 2";
    EXPECT_EQ(environment("INTACT_DLADDR_leaf"), "/app.zip/pkg.libs/leaf.so");
  });
}

TEST_P(PackedImages, RpathIsInheritedByWhatIsNeeded) {
  isolated([&] {
    LoaderFixture fixture;
    fixture.mount_all(GetParam());
    const auto handle = fixture.load("/app.zip/pkg/by_inherited_rpath.so");
    ASSERT_TRUE(handle) << handle.error().message();
    EXPECT_EQ(environment("INTACT_DLADDR_leaf"), "/app.zip/pkg.libs/leaf.so");
  });
}

TEST_P(PackedImages, ALibraryWithoutSonameIsFound) {
  isolated([&] {
    LoaderFixture fixture;
    fixture.mount_all(GetParam());
    const auto handle = fixture.load("/app.zip/pkg/plain_user.so");
    ASSERT_TRUE(handle) << handle.error().message();
    EXPECT_EQ(fixture.call(*handle, "plain_value"), 1);
    EXPECT_EQ(fixture.loader.images().size(), 2u);
  });
}

TEST_P(PackedImages, ACycleIsLoadedOnce) {
  isolated([&] {
    LoaderFixture fixture;
    fixture.mount_all(GetParam());
    const auto handle = fixture.load("/app.zip/pkg/cycle_of_two_libraries_a.so");
    ASSERT_TRUE(handle) << handle.error().message();
    EXPECT_EQ(fixture.call(*handle, "cycle_of_two_libraries_b_value"), 1);
    EXPECT_EQ(fixture.loader.images().size(), 2u);
    const auto other = fixture.load("/app.zip/pkg/cycle_of_two_libraries_b.so");
    ASSERT_TRUE(other) << other.error().message();
    EXPECT_EQ(fixture.loader.images().size(), 2u);
    EXPECT_EQ(environment("INTACT_DLADDR_cycle_of_two_libraries_b"), "/app.zip/pkg/cycle_of_two_libraries_b.so");
  });
}

TEST_P(PackedImages, ExceptionsPassBetweenImagesAndTheProgram) {
  isolated([&] {
    LoaderFixture fixture;
    fixture.mount_all(GetParam());
    const auto catcher = fixture.load("/app.zip/pkg/catcher.so");
    ASSERT_TRUE(catcher) << catcher.error().message();
    EXPECT_EQ(reinterpret_cast<int (*)(int)>(dlsym(*catcher, "catch_value"))(7), 7);
    const auto thrower = fixture.load("/app.zip/pkg/thrower.so");
    ASSERT_TRUE(thrower) << thrower.error().message();
    const auto throw_value = reinterpret_cast<void (*)(int)>(dlsym(*thrower, "throw_value"));
    int caught = 0;
    try {
      throw_value(9);
    } catch (const Thrown& thrown) {
      caught = thrown.value;
    }
    EXPECT_EQ(caught, 9);
  });
}

TEST_P(PackedImages, ThreadLocalsAreEachThreadsOwn) {
  for (const std::string name : {"tls", "static_tls"}) {
    isolated([&] {
      LoaderFixture fixture;
      fixture.mount_all(GetParam());
      const std::string path = "/app.zip/pkg/" + name + ".so";
      EXPECT_EQ(fixture.call(path, "next_count"), 42);
      EXPECT_EQ(fixture.call(path, "next_count"), 43);
      int other = 0;
      std::string text;
      std::thread([&] {
        other = fixture.call(path, "next_count");
        text = reinterpret_cast<const char* (*)()>(dlsym(*fixture.load(path), "thread_text"))();
      }).join();
      EXPECT_EQ(other, 42);
      EXPECT_EQ(text, "first");
    });
  }
}

TEST_P(PackedImages, FunctionsChosenWhileLoadingRunTheirOwnText) {
  isolated([&] {
    LoaderFixture fixture;
    fixture.mount_all(GetParam());
    EXPECT_EQ(fixture.call("/app.zip/pkg/ifunc.so", "chosen"), 42);
    EXPECT_EQ(fixture.call("/app.zip/pkg/ifunc.so", "call_chosen"), 42);
    EXPECT_EQ(fixture.count(ImageOrigin::kCopy), 1u) << "its text is needed before it could be mapped";
  });
}

TEST_P(PackedImages, DlopenOfTheMembersPathGivesTheImageAndOpensNoFile) {
  isolated([&] {
    LoaderFixture fixture;
    fixture.mount_all(GetParam());
    const auto handle = fixture.load("/app.zip/pkg/order_c.so");
    ASSERT_TRUE(handle) << handle.error().message();
    ASSERT_FALSE(std::filesystem::exists("/app.zip"));
    EXPECT_EQ(dlopen("/app.zip/pkg/order_c.so", RTLD_NOW), *handle) << dlerror();
  });
}

TEST_P(PackedImages, AMissingLibraryIsNamed) {
  isolated([&] {
    LoaderFixture fixture;
    fixture.mount_all(GetParam());
    const auto handle = fixture.load("/app.zip/pkg/missing.so");
    ASSERT_FALSE(handle);
    EXPECT_EQ(handle.error().code, ErrorCode::kImage);
    EXPECT_EQ(handle.error().member, "pkg/missing.so");
    EXPECT_EQ(handle.error().reason, "needs intact_nowhere.so, which neither an archive nor the system has");
  });
}

TEST(Images, AlignedMembersAreMappedAndOthersAreCopied) {
  isolated([] {
    LoaderFixture fixture;
    fixture.mount_all(Packing::kAligned);
    ASSERT_TRUE(fixture.load("/app.zip/pkg/order_a.so"));
    EXPECT_EQ(fixture.count(ImageOrigin::kGraft), 4u);
    for (const ImageInfo& image : fixture.loader.images()) {
      EXPECT_GT(image.bytes_mapped, 0u);
      EXPECT_GT(image.bytes_copied, 0u) << "relocation writes somewhere";
    }
  });
  isolated([] {
    LoaderFixture fixture;
    fixture.mount_all(Packing::kDeflated);
    ASSERT_TRUE(fixture.load("/app.zip/pkg/order_a.so"));
    EXPECT_EQ(fixture.count(ImageOrigin::kCopy), 4u);
    for (const ImageInfo& image : fixture.loader.images()) {
      EXPECT_EQ(image.bytes_copied, std::filesystem::file_size(ELF_TESTDATA + image.path.substr(8)));
    }
  });
}

TEST(Images, NothingOfTheCopyStaysMappedAfterAGraft) {
  isolated([] {
    LoaderFixture fixture;
    fixture.mount_all(Packing::kAligned);
    ASSERT_TRUE(fixture.load("/app.zip/pkg/order_c.so"));
    EXPECT_THAT(read_file("/proc/self/maps"), testing::Not(HasSubstr("memfd:order_c.so")));
  });
}

TEST(Images, NoDescriptorStaysOpen) {
  isolated([] {
    LoaderFixture fixture;
    fixture.mount_all(Packing::kAligned, "/one.zip");
    fixture.mount_all(Packing::kDeflated, "/two.zip");
    const auto before = std::distance(std::filesystem::directory_iterator("/proc/self/fd"), {});
    ASSERT_TRUE(fixture.load("/one.zip/pkg/order_a.so"));
    ASSERT_TRUE(fixture.load("/two.zip/pkg/cycle_user.so"));
    EXPECT_EQ(std::distance(std::filesystem::directory_iterator("/proc/self/fd"), {}), before);
  });
}

TEST(Images, AMemberWithAWrongChecksumIsNotLoaded) {
  for (const Packing packing : {Packing::kStored, Packing::kAligned}) {
    isolated([&] {
      std::string content = ObjectArchive(packing).add("pkg/order_c.so", test_object("pkg/order_c.so")).build();
      content[content.find("\x7f"
                           "ELF") +
              4096 + 100] ^= 1;  // in the text
      LoaderFixture fixture;
      fixture.mount(content, "/app.zip");
      const auto handle = fixture.load("/app.zip/pkg/order_c.so");
      ASSERT_FALSE(handle);
      EXPECT_EQ(handle.error().code, ErrorCode::kMember);
      EXPECT_EQ(handle.error().member, "pkg/order_c.so");
    });
  }
}

TEST(Images, LibrariesAreFoundInOtherMountsAsInOneDirectory) {
  isolated([] {
    LoaderFixture fixture;
    fixture.mount(ObjectArchive(Packing::kDeflated).add("pkg.libs/leaf.so", test_object("pkg.libs/leaf.so")).build(),
                  "/libs.whl");
    fixture.mount(ObjectArchive(Packing::kDeflated).add("pkg/by_runpath.so", test_object("pkg/by_runpath.so")).build(),
                  "/app.whl");
    // Newer, and of the same base name: the path decides.
    fixture.mount(ObjectArchive(Packing::kDeflated).add("aaa/leaf.so", test_object("aaa/leaf.so")).build(),
                  "/decoy.whl");
    const auto handle = fixture.load("/app.whl/pkg/by_runpath.so");
    ASSERT_TRUE(handle) << handle.error().message();
    EXPECT_EQ(environment("INTACT_DLADDR_leaf"), "/libs.whl/pkg.libs/leaf.so");
  });
}

TEST(Images, WhatNoPathFindsIsFoundByItsNameInAnyMount) {
  isolated([] {
    LoaderFixture fixture;
    fixture.mount(ObjectArchive(Packing::kDeflated).add("x/order_d.so", test_object("pkg/order_d.so")).build(),
                  "/libs.whl");
    fixture.mount(
        ObjectArchive(Packing::kDeflated).add("y/by_bare_name.so", test_object("pkg/by_bare_name.so")).build(),
        "/app.whl");
    const auto handle = fixture.load("/app.whl/y/by_bare_name.so");
    ASSERT_TRUE(handle) << handle.error().message();
    EXPECT_EQ(environment("INTACT_DLADDR_order_d"), "/libs.whl/x/order_d.so");
  });
}

TEST(Images, AMountThatIsNotPublishedHasItsOwnLibraries) {
  isolated([] {
    LoaderFixture fixture;
    fixture.mount(ObjectArchive(Packing::kDeflated).add("x/order_d.so", test_object("pkg/order_d.so")).build(),
                  "/libs.whl");
    const MountPtr hidden = fixture.mount(ObjectArchive(Packing::kDeflated)
                                              .add("y/by_bare_name.so", test_object("pkg/by_bare_name.so"))
                                              .add("z/order_d.so", test_object("pkg/order_d.so"))
                                              .build(),
                                          "/hidden.zip");
    ASSERT_TRUE(fixture.tree.unmount(*hidden));
    const auto handle = fixture.loader.load({hidden, *hidden->index().find("y/by_bare_name.so")}, RTLD_NOW);
    ASSERT_TRUE(handle) << handle.error().message();
    EXPECT_EQ(environment("INTACT_DLADDR_order_d"), "/hidden.zip/z/order_d.so");
  });
}

TEST(Images, ALibraryThatTheProcessHasIsNotLoadedAgain) {
  isolated([] {
    ASSERT_NE(dlopen(ELF_TESTDATA "/pkg/order_d.so", RTLD_NOW), nullptr) << dlerror();
    LoaderFixture fixture;
    fixture.mount_all(Packing::kDeflated);
    ASSERT_TRUE(fixture.load("/app.zip/pkg/by_bare_name.so"));
    EXPECT_EQ(fixture.loader.images().size(), 1u);
    EXPECT_EQ(environment("INTACT_ORDER"), " order_d by_bare_name");
  });
}

TEST(Images, OneMemberIsOneImageHoweverOftenItIsAsked) {
  isolated([] {
    LoaderFixture fixture;
    fixture.mount_all(Packing::kDeflated);
    const auto first = fixture.load("/app.zip/pkg/order_c.so");
    const auto second = fixture.load("/app.zip/pkg/order_c.so", RTLD_LAZY | RTLD_GLOBAL);
    ASSERT_TRUE(first && second);
    EXPECT_EQ(*first, *second);
    EXPECT_EQ(environment("INTACT_ORDER"), " order_c");
  });
}

TEST(Images, SymbolsBecomeGlobalWhenAsked) {
  isolated([] {
    LoaderFixture fixture;
    fixture.mount_all(Packing::kAligned);
    ASSERT_TRUE(fixture.load("/app.zip/pkg/order_b.so"));
    EXPECT_EQ(dlsym(RTLD_DEFAULT, "order_b_value"), nullptr);
    ASSERT_TRUE(fixture.load("/app.zip/pkg/order_b.so", RTLD_NOW | RTLD_GLOBAL));
    EXPECT_NE(dlsym(RTLD_DEFAULT, "order_b_value"), nullptr);
    EXPECT_NE(dlsym(RTLD_DEFAULT, "order_c_value"), nullptr) << "and those of what it needs";
  });
}

TEST(Images, StayUsableWhenTheirMountHasGone) {
  isolated([] {
    LoaderFixture fixture;
    void* handle = nullptr;
    {
      const MountPtr mount = fixture.mount_all(Packing::kAligned);
      const auto loaded = fixture.load("/app.zip/pkg/tls.so");
      ASSERT_TRUE(loaded);
      handle = *loaded;
      EXPECT_TRUE(fixture.tree.unmount(*mount));
    }
    EXPECT_EQ(fixture.call(handle, "next_count"), 42);
    fixture.mount_all(Packing::kAligned);
    const auto again = fixture.load("/app.zip/pkg/tls.so");
    ASSERT_TRUE(again);
    EXPECT_EQ(*again, handle) << "the same content under the same path is the same image";
  });
}

TEST(Images, ANewContentUnderAnOldPathTakesTheName) {
  isolated([] {
    LoaderFixture fixture;
    fixture.mount(ObjectArchive(Packing::kStored).add("leaf.so", test_object("pkg.libs/leaf.so")).build(), "/app.zip");
    const auto old = fixture.load("/app.zip/leaf.so");
    fixture.mount(ObjectArchive(Packing::kStored).add("leaf.so", test_object("aaa/leaf.so")).build(), "/app.zip");
    const auto fresh = fixture.load("/app.zip/leaf.so");
    ASSERT_TRUE(old && fresh);
    EXPECT_EQ(fixture.call(*old, "leaf_value"), 1);
    EXPECT_EQ(fixture.call(*fresh, "leaf_value"), 2);
    EXPECT_EQ(dlopen("/app.zip/leaf.so", RTLD_NOW), *fresh);
  });
}

TEST(Images, WhatIsNoSharedObjectIsRefusedByName) {
  isolated([] {
    LoaderFixture fixture;
    std::string other = test_object("pkg/order_c.so");
    other[EI_NIDENT + 2] = static_cast<char>(kMachines[&kHostMachine == &kMachines[0] ? 1 : 0].number & 0xff);
    other[EI_NIDENT + 3] = 0;
    fixture.mount(
        ObjectArchive(Packing::kStored).add("text.so", "no library").add("empty.so", "").add("other.so", other).build(),
        "/app.zip");
    const auto text = fixture.load("/app.zip/text.so");
    ASSERT_FALSE(text);
    EXPECT_EQ(text.error().message(), "test.zip: text.so: offset 0: not an ELF file");
    EXPECT_FALSE(fixture.load("/app.zip/empty.so"));
    const auto wrong = fixture.load("/app.zip/other.so");
    ASSERT_FALSE(wrong);
    EXPECT_THAT(wrong.error().reason, AllOf(HasSubstr("for "), HasSubstr(std::string("this is ") + kHostMachine.name)));
  });
}

}  // namespace
}  // namespace intact
