"""intact.compat.physfs is physfs.py to programs: each test runs against ours and against the package from the index."""

import array
import gc
import os
import re
import subprocess
import sys
import tarfile
import threading
import zipfile

import pytest
from packing import NOON_SECONDS, Link, packed

LOWER = packed({"a.txt": "lower", "dir/": "", "dir/x": "x", "only/deep/y": "y", "Case/Z": "z", "plain": "no suffix"})
UPPER = packed({"a.txt": "upper", "dir/w": "w", "b.txt": "b"})
LINKED = packed({"a.txt": "a", "link": Link("a.txt")}, zipfile.ZIP_STORED)


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


@pytest.mark.parametrize("source", [b"upper.zip", "upper.zip"])
def test_paths_may_be_bytes(physfs, source):
    with open("upper.zip", "wb") as file:
        file.write(UPPER)
    physfs.mount(source)
    assert physfs.cat(b"a.txt") == physfs.cat("a.txt") == b"upper"
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


@pytest.mark.parametrize("point", ["..", "a/../b", ".", "a:b", "a\\b"])
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


@pytest.mark.parametrize("path", ["missing.zip", "missing/missing.zip"])
def test_a_source_that_is_not_there_is_refused(physfs, path):
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
    ],
)
def test_arguments_of_other_types_are_refused(physfs, call):
    with pytest.raises(TypeError):
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


@pytest.mark.parametrize("path", [".", "..", "./a.txt", "dir/../a.txt", "a:txt", "dir\\x"])
def test_illegal_paths_are_errors(physfs, path):
    physfs.mount_memory(LOWER, "lower.zip")
    with pytest.raises(physfs.PhysfsRuntimeError, match=r"^failed to stat\. Reason \["):
        physfs.stat(path)
    with pytest.raises(physfs.PhysfsRuntimeError, match=r"^failed to open\. Reason: \["):
        physfs.cat(path)


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


@pytest.mark.parametrize("path", ["dir", "dir/", "only", "/", ""])
def test_directories_cannot_be_read(physfs, path):
    physfs.mount_memory(LOWER, "lower.zip")
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
    physfs.mount("disk")
    with pytest.raises(physfs.PhysfsRuntimeError, match=r"^Error condition in reading\. Reason: \["):
        physfs.cat("sub")


# What ours does otherwise: docs/compat.md.


@pytest.fixture
def ours():
    from intact.compat import physfs

    physfs.init()
    yield physfs
    physfs.deinit()


def test_the_buffer_is_kept_alive(ours):
    """The original reads from freed memory here."""
    buffer = bytearray(LOWER)
    ours.mount_memory(buffer, "lower.zip")
    with pytest.raises(BufferError):
        buffer.clear()
    del buffer
    gc.collect()
    garbage = [bytearray(len(LOWER)) for _ in range(1000)]
    assert ours.cat("a.txt") == b"lower" and garbage


def test_the_buffer_is_released_by_unmounting(ours):
    buffer = bytearray(LOWER)
    ours.mount_memory(buffer, "lower.zip")
    ours.unmount("lower.zip")
    buffer.clear()


def test_a_buffer_of_larger_items_is_an_archive(ours):
    """The original takes the number of items for that of bytes."""
    padded = LOWER[:-2] + (2).to_bytes(2, "little") + b"  " if len(LOWER) % 4 == 2 else LOWER
    ours.mount_memory(array.array("I" if len(padded) % 4 == 0 else "B", padded), "items.zip")
    assert ours.cat("a.txt") == b"lower"


def test_links_in_directories_of_an_archive_are_refused(ours):
    """The original crashes in ls()."""
    ours.mount_memory(packed({"a.txt": "a", "dir/x": "x", "dir/link": Link("../a.txt")}), "linked.zip")
    assert ours.ls("dir") == ["x"]
    refuses_link(ours, "dir/link")


def test_an_empty_archive_is_one(ours):
    ours.mount_memory(packed({}), "empty.zip")
    assert ours.ls() == []


def test_damage_is_told(ours):
    content = packed({"a.txt": "whole"}, zipfile.ZIP_STORED)
    ours.mount_memory(content.replace(b"whole", b"whale"), "damaged.zip")
    with pytest.raises(ours.PhysfsRuntimeError, match=r"Error condition in reading. Reason: \[corrupted\]"):
        ours.cat("a.txt")


def test_an_archive_stays_open(ours, monkeypatch, tmp_path):
    """The original opens it anew for each file."""
    monkeypatch.chdir(tmp_path)
    with open("lower.zip", "wb") as file:
        file.write(LOWER)
    ours.mount("lower.zip")
    os.remove("lower.zip")
    assert ours.cat("dir/x") == b"x"


def test_a_path_does_not_end_at_nul(ours):
    ours.mount_memory(LOWER, "lower.zip")
    with pytest.raises(ours.PhysfsNotFound):
        ours.cat("a.txt\0b")


def test_mounts_of_physfs_are_not_imported_from(ours):
    import intact

    ours.mount_memory(packed({"only_in_physfs.py": ""}), "modules.zip")
    with pytest.raises(ModuleNotFoundError):
        __import__("only_in_physfs")
    assert not any(mount.name == "modules.zip" for mount in intact.mounts())


def test_reading_from_several_threads(ours):
    tree = {f"d{i}/f{i}": str(i) * i for i in range(200)}
    ours.mount_memory(packed(tree), "threads.zip")
    seen = []

    def run():
        for path, content in tree.items():
            seen.append(ours.cat(path) == content.encode())
            ours.mount_memory(UPPER, "upper.zip", "/up")

    threads = [threading.Thread(target=run) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(seen) == 800 and all(seen)


def test_mounting_from_several_threads(ours):
    def run(number):
        for i in range(50):
            ours.mount_memory(UPPER, f"{number}-{i}.zip", f"/{number}/{i}")
            ours.ls("/")
            if i % 2:
                ours.unmount(f"{number}-{i}.zip")

    threads = [threading.Thread(target=run, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [len(ours.ls(str(number))) for number in range(4)] == [25] * 4


def test_what_is_no_unicode_is_not_there(ours):
    ours.mount_memory(UPPER, "upper.zip")
    with pytest.raises(ours.PhysfsNotFound):
        ours.cat("\udc80")


# What the package publishes.


def run_as_theirs(program, directory):
    """Runs a program for physfs.py, word for word, on ours."""
    code = f"import intact.compat\nintact.compat.enable('physfs')\nexec(compile({program!r}, 'program', 'exec'))\n"
    done = subprocess.run([sys.executable, "-c", code], cwd=directory, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_example_of_its_readme_runs(original_wheel, tmp_path):
    (tmp_path / "example.zip").write_bytes(LOWER)
    with zipfile.ZipFile(original_wheel) as archive:
        [metadata] = [name for name in archive.namelist() if name.endswith("/METADATA")]
        examples = re.findall(r"^```python\n(.*?)^```", archive.read(metadata).decode(), re.M | re.S)
    assert examples
    for example in examples:
        run_as_theirs(example + "\nassert physfs.ls() == ['Case', 'a.txt', 'dir', 'only', 'plain']\n", tmp_path)


def test_its_own_test_passes(request, tmp_path):
    """Of version 0.2.0's source distribution, which lacks the archive that its test reads."""
    if not request.config.getoption("--all-packages"):
        pytest.skip("make test-all fetches the source distribution")
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", "download", "-q", "--no-deps"]
    subprocess.run([*command, "--no-binary", ":all:", "-d", tmp_path, "physfs.py==0.2.0"], check=True)
    [found] = tmp_path.glob("*.tar.gz")
    with tarfile.open(found) as archive:
        [member] = [name for name in archive.getnames() if name.endswith("/tests/test.py")]
        test = archive.extractfile(member).read().decode()
    [flag] = re.findall(r'== (b".*")', test)
    (tmp_path / "example.zip").write_bytes(packed({"example/flag": eval(flag)}))
    (tmp_path / "test.py").write_text(test)
    run_as_theirs(f"import runpy; runpy.run_path({str(tmp_path / 'test.py')!r})", tmp_path)
