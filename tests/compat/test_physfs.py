"""intact.compat.physfs is physfs.py to programs: each test runs against ours and against the package from the index."""

import operator
import os
import zipfile

import pytest
from packing import LINKED, LOWER, NOON_SECONDS, UPPER, Link, packed


def fields(found):
    return found.filetype.name, found.filesize, found.modtime, found.createtime, found.accesstime


DIRECTORY, REGULAR = "PHYSFS_FILETYPE_DIRECTORY", "PHYSFS_FILETYPE_REGULAR"
NOWHERE = (DIRECTORY, -1, -1, -1, -1)


# Beginning and end.


@pytest.mark.parametrize(
    "call",
    [
        lambda p: p.deinit(),
        lambda p: p.ls(),
        lambda p: p.stat("a.txt"),
        lambda p: p.cat("a.txt"),
        lambda p: p.read("a.txt"),
        lambda p: p.mount("a.zip"),
        lambda p: p.mount_memory(LOWER, "a.zip"),
        lambda p: p.unmount("a.zip"),
    ],
)
def test_every_call_but_init_asks_for_init(physfs, call):
    physfs.deinit()
    with pytest.raises(physfs.PhysfsUninitialedError) as raised:
        call(physfs)
    assert str(raised.value) == "PHYSFS is not initialized, please call init() first"


def test_init_twice_is_an_error(physfs):
    with pytest.raises(physfs.PhysfsRuntimeError) as raised:
        physfs.init()
    assert str(raised.value) == "Failure. Reason: [already initialized]"


def test_deinit_drops_all_mounts(physfs):
    physfs.mount_memory(LOWER, "lower.zip")
    physfs.deinit()
    physfs.init()
    assert physfs.ls() == []


def test_exceptions_are_exceptions_and_nothing_else(physfs):
    for kind in (physfs.PhysfsRuntimeError, physfs.PhysfsNotFound, physfs.PhysfsUninitialedError):
        assert kind.__bases__ == (Exception,)


def test_versions_are_what_programs_pin():
    from intact.compat import memory_importer, physfs

    assert physfs.__version__ == memory_importer.__version__ == "0.2.0"
    assert physfs.__author__ and memory_importer.__author__


# Mounting.


def test_the_latest_mount_wins(physfs):
    physfs.mount_memory(LOWER, "lower.zip")
    physfs.mount_memory(UPPER, "upper.zip")
    assert physfs.cat("a.txt") == b"upper"
    assert physfs.cat("dir/x") == b"x"


def test_an_appended_mount_is_asked_last(physfs):
    physfs.mount_memory(UPPER, "upper.zip")
    physfs.mount_memory(LOWER, "lower.zip", "/", True)
    assert physfs.cat("a.txt") == b"upper"
    assert physfs.cat("dir/x") == b"x"


def test_arguments_go_by_name(physfs):
    physfs.mount_memory(buf=LOWER, bufName="lower.zip", mountPoint="/low", appendToPath=True)
    assert physfs.ls(dir="/") == ["low"]
    assert physfs.cat(file="low/a.txt") == physfs.read(file="low/a.txt") == b"lower"
    assert physfs.stat(file="low/a.txt").filesize == 5
    physfs.unmount(oldSource="lower.zip")
    with open("upper.zip", "wb") as file:
        file.write(UPPER)
    physfs.mount(source="upper.zip", mountPoint="/up", appendToPath=False)
    assert physfs.ls("up") == ["a.txt", "b.txt", "dir"]


@pytest.mark.parametrize("source", [b"upper.zip", bytearray(b"upper.zip"), "upper.zip"])
def test_paths_may_be_bytes(physfs, source):
    with open("upper.zip", "wb") as file:
        file.write(UPPER)
    physfs.mount(source)
    assert physfs.cat(b"a.txt") == physfs.cat("a.txt") == b"upper"
    for call in (physfs.stat, physfs.cat):
        with pytest.raises(physfs.PhysfsNotFound, match="^Not Found: 'missing'$"):
            call(b"missing")
    physfs.unmount(source)


def test_one_source_is_mounted_once(physfs):
    """The second time counts for nothing, other bytes and another mount point included."""
    physfs.mount_memory(LOWER, "same.zip")
    physfs.mount_memory(UPPER, "same.zip", "/elsewhere")
    assert "elsewhere" not in physfs.ls() and physfs.cat("a.txt") == b"lower"
    physfs.unmount("same.zip")
    assert physfs.ls() == []


def test_unmounting_goes_by_the_very_string(physfs):
    with open("lower.zip", "wb") as file:
        file.write(LOWER)
    physfs.mount("lower.zip")
    with pytest.raises(physfs.PhysfsRuntimeError, match=r"Failure. Reason: \[not mounted\]"):
        physfs.unmount("./lower.zip")
    physfs.unmount("lower.zip")
    assert physfs.ls() == []


@pytest.mark.parametrize("point", ["/m/n", "m/n", "/m/n/", "//m//n"])
def test_mount_points(physfs, point):
    physfs.mount_memory(LOWER, "lower.zip")
    physfs.mount_memory(UPPER, "upper.zip", point)
    assert "m" in physfs.ls() and physfs.ls("m") == ["n"] and physfs.ls("/m/n") == ["a.txt", "b.txt", "dir"]
    assert physfs.cat("m/n/a.txt") == b"upper" and physfs.cat("a.txt") == b"lower"
    assert fields(physfs.stat("m")) == NOWHERE
    assert fields(physfs.stat("m/n")) == (DIRECTORY, 0, 0, 0, -1)
    for call in (physfs.stat, physfs.cat):
        with pytest.raises(physfs.PhysfsNotFound):
            call("m/x")


def test_the_empty_mount_point_is_the_root(physfs):
    physfs.mount_memory(UPPER, "upper.zip", "")
    assert physfs.ls() == ["a.txt", "b.txt", "dir"]


@pytest.mark.parametrize("point", ["..", "a/../b", ".", "a:b", "a\\b", "a/../", "a/.//"])
def test_illegal_mount_points_are_refused(physfs, point):
    with pytest.raises(physfs.PhysfsRuntimeError) as raised:
        physfs.mount_memory(UPPER, "upper.zip", point)
    assert str(raised.value) == "Failure. Reason: [filename is illegal or insecure]"
    assert physfs.ls() == []


@pytest.mark.parametrize(
    ("content", "reason"),
    [(b"no archive", "unsupported"), (b"", "unsupported"), (LOWER[:-30], "unsupported"), (LOWER[60:], "corrupted")],
    ids=["text", "empty", "end cut", "start cut"],
)
def test_what_is_no_archive_is_refused(physfs, content, reason):
    with pytest.raises(physfs.PhysfsRuntimeError) as raised:
        physfs.mount_memory(content, "broken.zip")
    assert str(raised.value) == f"Failure. Reason: [{reason}]"
    with open("broken.zip", "wb") as file:
        file.write(content)
    with pytest.raises(physfs.PhysfsRuntimeError) as raised:
        physfs.mount("broken.zip")
    assert str(raised.value) == f"Failure. Reason: [{reason}]"


@pytest.mark.parametrize("path", ["missing.zip", "missing/missing.zip", "file/missing.zip"])
def test_a_source_that_is_not_there_is_refused(physfs, path):
    open("file", "w").close()
    with pytest.raises(physfs.PhysfsRuntimeError) as raised:
        physfs.mount(path)
    assert str(raised.value) == "Failure. Reason: [not found]"


@pytest.mark.parametrize(
    "call",
    [
        lambda p: p.mount(None),
        lambda p: p.mount("a.zip", None),
        lambda p: p.mount_memory(None, "a.zip"),
        lambda p: p.mount_memory("text", "a.zip"),
        lambda p: p.mount_memory(LOWER, None),
        lambda p: p.mount_memory(LOWER, "a.zip", "/", 1),
        lambda p: p.mount_memory(LOWER, "a.zip", "/", None),
        lambda p: p.unmount(None),
        lambda p: p.ls(None),
        lambda p: p.stat(None),
        lambda p: p.cat(None),
        lambda p: p.stat(3),
        lambda p: p.ls("/", 3),
        lambda p: p.mount("\udc80"),
        lambda p: p.mount_memory(LOWER, "\udc80"),
        lambda p: p.mount_memory(LOWER, "a.zip", "\udc80"),
        lambda p: p.unmount("\udc80"),
        lambda p: p.ls("\udc80"),
        lambda p: p.stat("\udc80"),
        lambda p: p.cat("\udc80"),
    ],
)
def test_arguments_of_other_types_and_lone_surrogates_are_refused(physfs, call):
    with pytest.raises(TypeError):
        call(physfs)
    assert physfs.ls() == []
    physfs.deinit()
    with pytest.raises(TypeError):  # and that before anything else
        call(physfs)


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
def test_any_buffer_is_an_archive(physfs, kind):
    buffer = kind(LOWER)
    physfs.mount_memory(buffer, "lower.zip")
    assert physfs.cat("a.txt") == b"lower"


def test_a_strided_buffer_is_refused(physfs):
    with pytest.raises(physfs.PhysfsRuntimeError, match="unsupported"):
        physfs.mount_memory(memoryview(LOWER)[::2], "strided.zip")


# Looking.


def test_listings_are_merged_sorted_and_have_each_name_once(physfs):
    physfs.mount_memory(LOWER, "lower.zip")
    physfs.mount_memory(UPPER, "upper.zip")
    assert physfs.ls() == physfs.ls("/") == physfs.ls("") == ["Case", "a.txt", "b.txt", "dir", "only", "plain"]
    assert physfs.ls("dir") == physfs.ls("/dir/") == ["w", "x"]


@pytest.mark.parametrize("path", ["missing", "a.txt", "..", "./dir", "dir/..", "a:b", "a\\b", "CASE"])
def test_what_is_no_directory_lists_nothing(physfs, path):
    physfs.mount_memory(LOWER, "lower.zip")
    assert physfs.ls(path) == []


@pytest.mark.parametrize("path", ["dir/x", "/dir/x", "//dir//x", "dir/x/"])
def test_paths_are_normalised(physfs, path):
    physfs.mount_memory(LOWER, "lower.zip")
    assert physfs.cat(path) == b"x" and physfs.stat(path).filesize == 1


@pytest.mark.parametrize("path", [".", "..", "./a.txt", "dir/../a.txt", "a:txt", "dir\\x", "a.txt/./", "a.txt/..//"])
def test_illegal_paths_are_errors(physfs, path):
    physfs.mount_memory(LOWER, "lower.zip")
    with pytest.raises(physfs.PhysfsRuntimeError, match=r"^failed to stat\. Reason \["):
        physfs.stat(path)
    with pytest.raises(physfs.PhysfsRuntimeError, match=r"^failed to open\. Reason: \["):
        physfs.cat(path)


@pytest.mark.parametrize("path", ["./a", "c:", "a/../b", ".", "a\\b"])
def test_an_illegal_path_is_not_found_by_cat_where_nothing_is_mounted(physfs, path):
    with pytest.raises(physfs.PhysfsNotFound):
        physfs.cat(path)
    with pytest.raises(physfs.PhysfsRuntimeError, match=r"^failed to stat\. Reason \["):
        physfs.stat(path)


@pytest.mark.parametrize("path", ["missing", "dir/missing", "A.TXT", "case/z", "a.txt/b", "dir/..", "ünknown"])
def test_what_is_not_there_is_not_found(physfs, path):
    physfs.mount_memory(LOWER, "lower.zip")
    for call in (physfs.stat, physfs.cat):
        with pytest.raises(physfs.PhysfsNotFound) as raised:
            call(path)
        assert str(raised.value) == f"Not Found: '{path}'"


def test_nothing_is_mounted(physfs):
    """stat() says so with another error than cat()."""
    assert fields(physfs.stat("/")) == NOWHERE and physfs.ls() == []
    with pytest.raises(physfs.PhysfsRuntimeError, match=r"^failed to stat\. Reason \["):
        physfs.stat("a.txt")
    with pytest.raises(physfs.PhysfsNotFound):
        physfs.cat("a.txt")


def test_fields_of_stat(physfs):
    physfs.mount_memory(LOWER, "lower.zip")
    assert fields(physfs.stat("a.txt")) == (REGULAR, 5, NOON_SECONDS, NOON_SECONDS, -1)
    assert fields(physfs.stat("dir")) == (DIRECTORY, 0, NOON_SECONDS, NOON_SECONDS, -1)
    assert fields(physfs.stat("only/deep")) == (DIRECTORY, 0, 0, 0, -1)  # no member of its own
    assert fields(physfs.stat("/")) == fields(physfs.stat("")) == NOWHERE


def test_stat_is_writable_and_has_no_constructor(physfs):
    physfs.mount_memory(LOWER, "lower.zip")
    found = physfs.stat("a.txt")
    for name in ("filesize", "modtime", "createtime", "accesstime"):
        setattr(found, name, 99)
        assert getattr(found, name) == 99
    found.filetype = physfs.PHYSFS_FileType.PHYSFS_FILETYPE_OTHER
    with pytest.raises(AttributeError):
        found.other = 1
    with pytest.raises(TypeError):
        physfs.PHYSFS_Stat()


def test_file_types(physfs):
    kinds = physfs.PHYSFS_FileType
    names = ["PHYSFS_FILETYPE_REGULAR", "PHYSFS_FILETYPE_DIRECTORY", "PHYSFS_FILETYPE_SYMLINK", "PHYSFS_FILETYPE_OTHER"]
    assert (
        [int(getattr(kinds, name)) for name in names] == [getattr(kinds, name).value for name in names] == [0, 1, 2, 3]
    )
    assert list(kinds.__members__) == names and kinds(1) == kinds.PHYSFS_FILETYPE_DIRECTORY
    assert str(kinds(0)) == "PHYSFS_FileType.PHYSFS_FILETYPE_REGULAR"
    assert repr(kinds(0)) == "<PHYSFS_FileType.PHYSFS_FILETYPE_REGULAR: 0>"
    assert not any(hasattr(physfs, name) for name in names)


def test_a_file_type_equals_its_number_and_has_no_order(physfs):
    regular, directory = map(physfs.PHYSFS_FileType, (0, 1))
    assert regular == 0 == regular.value and directory != regular != 1 and regular != None and regular != "0"  # noqa: E711
    assert bool(regular) and not isinstance(regular, int) and {1: "d"}[directory] == "rd"[directory] == "d"
    assert physfs.PHYSFS_FileType(directory) == directory
    for operation in (operator.lt, operator.le, operator.gt, operator.ge, operator.add, operator.or_):
        for pair in ((regular, directory), (regular, 1), (1, regular)):
            with pytest.raises(TypeError):
                operation(*pair)


def test_a_file_type_may_be_of_any_number_and_of_nothing_else(physfs):
    kinds = physfs.PHYSFS_FileType
    assert (kinds(7).name, str(kinds(7)), repr(kinds(7))) == ("???", "PHYSFS_FileType.???", "<PHYSFS_FileType.???: 7>")
    for call in (lambda: kinds("0"), lambda: kinds(1.0), kinds, lambda: list(kinds), lambda: kinds["PHYSFS_FILETYPE_OTHER"]):
        with pytest.raises(TypeError):
            call()


@pytest.mark.parametrize("path", ["dir", "dir/", "only", "/", ""])
def test_directories_cannot_be_read(physfs, path):
    physfs.mount_memory(LOWER, "lower.zip")
    with pytest.raises(physfs.PhysfsRuntimeError, match=r"^failed to open\. Reason: \["):
        physfs.cat(path)


@pytest.mark.parametrize("path", ["", "/", "//"])
@pytest.mark.parametrize("points", [["/m/n"], ["/", "/m/n"], ["/m/n", "/"], ["/a", "/m/n"]])
def test_the_root_cannot_be_read_wherever_mounts_are(physfs, path, points):
    """Where the last that is asked was below a mount point it was not found."""
    for i, point in enumerate(points):
        physfs.mount_memory([LOWER, UPPER][i], f"{i}.zip", point, True)
    with pytest.raises(physfs.PhysfsRuntimeError, match=r"^failed to open\. Reason: \["):
        physfs.cat(path)


def refuses_link(physfs, path):
    with pytest.raises(physfs.PhysfsRuntimeError, match=r"^failed to stat\. Reason \["):
        physfs.stat(path)
    with pytest.raises(physfs.PhysfsRuntimeError, match=r"^failed to open\. Reason: \["):
        physfs.cat(path)


def test_links_are_refused_and_not_listed(physfs):
    physfs.mount_memory(LINKED, "linked.zip")
    assert physfs.ls() == ["a.txt"]
    refuses_link(physfs, "link")


@pytest.mark.parametrize("point", ["/", "on"])
def test_a_path_through_a_link_is_refused_where_its_target_is_there_from_the_top(physfs, point):
    links = {"dl": "d", "fl": "d/f.txt", "chain": "dl", "d/deep": "d"}
    lost = {"nowhere": "x", "slash": "d/", "dot": "./d", "e/up": "../d", "empty": ""}
    tree = {"d/f.txt": "f", **{name: Link(target) for name, target in {**links, **lost}.items()}}
    content = packed(tree, zipfile.ZIP_STORED)
    physfs.mount_memory(content, "linked.zip", point)
    prefix = "" if point == "/" else point + "/"
    for link in links:
        refuses_link(physfs, f"{prefix}{link}/f.txt")
        refuses_link(physfs, f"{prefix}{link}/not/there")
    for link in lost:
        for call in (physfs.stat, physfs.cat):
            with pytest.raises(physfs.PhysfsNotFound):
                call(f"{prefix}{link}/f.txt")
    physfs.mount_memory(UPPER, "upper.zip", "/", True)
    for call in (physfs.stat, physfs.cat):  # of several errors the last
        with pytest.raises(physfs.PhysfsNotFound):
            call(f"{prefix}dl/f.txt")


def test_of_several_errors_the_last_is_told(physfs):
    physfs.mount_memory(LINKED, "linked.zip")
    physfs.mount_memory(UPPER, "upper.zip", "/", True)
    with pytest.raises(physfs.PhysfsNotFound):
        physfs.stat("link")
    with pytest.raises(physfs.PhysfsNotFound):
        physfs.cat("link")


@pytest.mark.parametrize("compression", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_members_of_any_size_are_read_whole(physfs, compression):
    tree = {f"d{size}": os.urandom(size // 2) + bytes(size - size // 2) for size in (0, 1, 4095, 4097, 1_000_000)}
    content = packed(tree, compression)  # the original does not keep it
    physfs.mount_memory(content, "sizes.zip")
    assert {name: physfs.cat(name) for name in physfs.ls()} == tree


# Directories.


def test_a_directory_is_read_as_it_is_now(physfs):
    os.makedirs("disk/sub")
    physfs.mount("disk", "on/disk")
    with open("disk/sub/late", "w") as file:
        file.write("late")
    os.utime("disk/sub/late", (1000, 2000))
    assert physfs.ls("on/disk") == ["sub"] and physfs.ls("on/disk/sub") == ["late"]
    changed = int(os.stat("disk/sub/late").st_ctime)
    assert fields(physfs.stat("on/disk/sub/late")) == (REGULAR, 4, 2000, changed, 1000)
    assert fields(physfs.stat("on/disk/sub"))[:2] == (DIRECTORY, 0)
    assert physfs.cat("on/disk/sub/late") == b"late"


def test_links_in_a_directory_are_refused(physfs, tmp_path):
    os.makedirs("disk")
    (tmp_path / "secret").write_text("secret")
    os.symlink("../secret", "disk/link")
    os.symlink("..", "disk/up")
    physfs.mount("disk")
    assert physfs.ls() == [] and physfs.ls("up") == []
    for path in ("link", "up/secret"):
        with pytest.raises(physfs.PhysfsRuntimeError):
            physfs.cat(path)


def test_reading_a_directory_on_disk_is_an_error(physfs):
    os.makedirs("disk/sub")
    physfs.mount("disk", "/on")
    for path in ("on/sub", "on", "/"):
        with pytest.raises(physfs.PhysfsRuntimeError) as raised:
            physfs.cat(path)
        assert str(raised.value) == "Error condition in reading. Reason: [not a file]"
