"""Mounting: what can be mounted, what a mount tells of itself, how it ends, and what it keeps alive."""

import array
import gc
import importlib
import importlib.resources
import io
import logging
import mmap
import os
import pathlib
import pkgutil
import subprocess
import sys
import weakref
import zipfile

import building
import intact
import pytest

TREE = {"pkg/__init__.py": "n = 1\n", "pkg/data.txt": "data\n", "top.py": "n = 2\n", "pkg/empty": ""}


@pytest.fixture
def archive(tmp_path):
    return building.write_zip(tmp_path / "app.zip", TREE)


def mapped(data):
    memory = mmap.mmap(-1, len(data))
    memory[:] = data
    return memory


# ---- what can be mounted


@pytest.mark.parametrize("convert", [str, pathlib.Path, os.path.relpath], ids=["str", "Path", "relative"])
def test_path_of_an_archive_is_mounted_at_that_path_made_absolute(archive, convert):
    mounted = intact.mount(convert(archive))
    assert mounted.root == archive
    assert importlib.import_module("top").__file__ == f"{archive}/top.py"


@pytest.mark.parametrize(
    "convert",
    [
        bytes,
        bytearray,
        memoryview,
        mapped,
        lambda data: memoryview(b"x" + data)[1:],
        lambda data: array.array("B", data),
        lambda data: io.BytesIO(data).getbuffer(),
    ],
    ids=["bytes", "bytearray", "memoryview", "mmap", "slice", "array", "BytesIO"],
)
def test_bytes_like_object_is_mounted_below_intact(convert):
    mounted = intact.mount(convert(building.zip_bytes(TREE)), name="app")
    assert (mounted.root, mounted.name) == ("/intact/app", "app")
    assert importlib.import_module("pkg").__file__ == "/intact/app/pkg/__init__.py"


def test_file_mapped_into_memory_is_mounted(archive):
    with open(archive, "rb") as file:
        mounted = intact.mount(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ), name="mapped")
    assert mounted.read("top.py") == b"n = 2\n"


def test_directory_is_mounted_at_its_path(tmp_path):
    root = building.write_files(tmp_path / "dist", TREE)
    mounted = intact.mount(root + "/")
    assert (mounted.root, mounted.format, sorted(mounted)) == (root, "directory", sorted(TREE))


def test_mounting_needs_no_name_for_bytes():
    first, second = (intact.mount(building.zip_bytes({f"m{n}.py": f"n = {n}"})) for n in (1, 2))
    assert first.root != second.root
    assert importlib.import_module("m1").n + importlib.import_module("m2").n == 3


@pytest.mark.parametrize("source", [None, 1, 1.5, [], object(), memoryview(bytes(100))[::2]])
def test_what_is_neither_path_nor_bytes_is_a_type_or_buffer_error(source):
    with pytest.raises((TypeError, BufferError)):
        intact.mount(source)


def test_path_in_a_directory_of_undecodable_bytes(tmp_path):
    directory = tmp_path / "d\udcff"
    directory.mkdir()
    mounted = intact.mount(building.write_zip(directory / "app.zip", {"odd_place.py": "n = 1"}))
    module = importlib.import_module("odd_place")
    assert (module.n, module.__file__) == (1, f"{mounted.root}/odd_place.py")


def test_path_that_is_not_ascii(tmp_path):
    mounted = intact.mount(building.write_zip(tmp_path / "größe 日本.zip", TREE))
    module = importlib.import_module("pkg")
    assert module.__file__ == f"{tmp_path}/größe 日本.zip/pkg/__init__.py"
    assert open(f"{mounted.root}/pkg/data.txt").read() == "data\n"


def test_archive_behind_a_symbolic_link(archive, tmp_path):
    link = tmp_path / "link.zip"
    link.symlink_to(archive)
    assert intact.mount(link).root == str(link)
    assert importlib.import_module("top").__file__ == f"{link}/top.py"


# ---- names


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "/a", "a\0b", "\ud800"])
def test_name_that_cannot_be_part_of_a_path_is_refused(name):
    with pytest.raises(ValueError):
        intact.mount(building.zip_bytes(TREE), name=name)


@pytest.mark.parametrize("name", ["app.zip", "größe", "with space", "-", "...", "a" * 200])
def test_name_may_be_any_component_of_a_path(name):
    mounted = intact.mount(building.zip_bytes(TREE), name=name)
    assert importlib.import_module("pkg").__file__ == f"/intact/{name}/pkg/__init__.py"
    assert mounted.name == name


def test_name_of_a_path_mount_is_its_path_or_what_the_user_says(archive):
    assert intact.mount(archive).name == archive
    assert intact.mount(archive, name="mine").name == "mine"


def test_nul_in_a_path_is_a_value_error(tmp_path):
    with pytest.raises(ValueError):
        intact.mount(f"{tmp_path}/a\0b.zip")


# ---- what a mount tells


def test_length_and_iteration_give_files(archive):
    mounted = intact.mount(archive)
    assert (len(mounted), sorted(mounted)) == (len(TREE), sorted(TREE))


@pytest.mark.parametrize("kind", ["path", "bytes", "directory"])
def test_read_gives_bytes(mount, kind):
    mounted = mount(TREE, kind)
    assert {path: mounted.read(path) for path in mounted} == {path: text.encode() for path, text in TREE.items()}


def test_membership(archive):
    mounted = intact.mount(archive)
    assert "pkg/data.txt" in mounted
    assert "missing" not in mounted
    assert 5 not in mounted


@pytest.mark.parametrize("path", ["missing", "pkg", "", "/top.py", "pkg/../top.py", "top.py/", "top.py/x", "TOP.PY"])
def test_read_of_no_member_is_file_not_found(archive, path):
    with pytest.raises(OSError):
        intact.mount(archive).read(path)


def test_read_of_a_missing_member_names_archive_and_member(archive):
    with pytest.raises(FileNotFoundError) as caught:
        intact.mount(archive).read("pkg/missing.txt")
    assert caught.value.filename == f"{archive}/pkg/missing.txt"


@pytest.mark.parametrize("path", [None, b"top.py", 3])
def test_read_of_no_text_is_a_type_error(archive, path):
    with pytest.raises(TypeError):
        intact.mount(archive).read(path)


def test_repr_shows_the_root_and_whether_it_is_mounted(archive):
    mounted = intact.mount(archive)
    assert repr(mounted) == f"<intact.Mount {archive!r}>"
    mounted.unmount()
    assert repr(mounted) == f"<intact.Mount {archive!r} (unmounted)>"


def test_mounts_lists_newest_first(archive):
    first, second = intact.mount(archive), intact.mount(building.zip_bytes(TREE))
    assert intact.mounts() == (second, first)


def test_root_stands_on_sys_path_while_it_is_mounted(archive):
    mounted = intact.mount(archive)
    assert sys.path.count(archive) == 1
    mounted.unmount()
    assert archive not in sys.path


def test_sys_path_entry_of_the_users_own_outlives_the_mount(archive):
    sys.path.insert(0, archive)
    intact.mount(archive).unmount()
    assert sys.path[0] == archive


# ---- how a mount ends


def test_unmounting_hides_the_modules(archive):
    intact.mount(archive).unmount()
    with pytest.raises(ModuleNotFoundError):
        importlib.import_module("pkg")


def test_unmounting_twice_says_so(archive):
    mounted = intact.mount(archive)
    assert (mounted.unmount(), mounted.unmount(), mounted.mounted) == (True, False, False)


def test_context_manager_unmounts(archive):
    with intact.mount(archive) as mounted:
        assert importlib.util.find_spec("pkg")
    assert not mounted.mounted
    assert intact.mounts() == ()


def test_context_manager_unmounts_after_an_exception_and_passes_it_on(archive):
    with pytest.raises(KeyError), intact.mount(archive) as mounted:
        raise KeyError
    assert not mounted.mounted


@pytest.mark.parametrize(
    "use", [len, list, lambda m: m.read("top.py"), lambda m: "top.py" in m], ids=["len", "list", "read", "in"]
)
def test_use_after_unmounting_is_a_value_error(archive, use):
    mounted = intact.mount(archive)
    mounted.unmount()
    with pytest.raises(ValueError, match="unmounted"):
        use(mounted)


def test_root_and_name_are_known_after_unmounting(archive):
    mounted = intact.mount(archive)
    mounted.unmount()
    assert (mounted.root, mounted.name) == (archive, archive)


def test_loaded_modules_go_on_after_unmounting_and_further_ones_are_not_found(mount):
    mounted = mount({"pkg/__init__.py": "", "pkg/a.py": "def late():\n    import pkg.b\n", "pkg/b.py": ""}, "bytes")
    module = importlib.import_module("pkg.a")
    mounted.unmount()
    with pytest.raises(ModuleNotFoundError, match="pkg.b"):
        module.late()


def test_files_are_gone_after_unmounting(archive):
    path = f"{archive}/pkg/data.txt"
    mounted = intact.mount(archive)
    file = open(path)
    mounted.unmount()
    with pytest.raises(OSError):
        open(path)
    assert file.read() == "data\n"
    file.close()


def test_archive_mounted_again_is_found_again(archive):
    for _ in range(3):
        with intact.mount(archive):
            assert importlib.import_module("top").n == 2
            assert open(f"{archive}/pkg/data.txt").read() == "data\n"
            del sys.modules["top"]


def test_other_content_under_the_same_name_replaces_the_first():
    for n in (1, 2):
        with intact.mount(building.zip_bytes({"versioned.py": f"n = {n}"}), name="app"):
            assert importlib.import_module("versioned").n == n
            assert open("/intact/app/versioned.py").read() == f"n = {n}"
            del sys.modules["versioned"]


# ---- what keeps what alive


def test_mount_that_nobody_holds_stays_mounted():
    intact.mount(building.zip_bytes({"orphan.py": "n = 1"}))
    gc.collect()
    assert importlib.import_module("orphan").n == 1


class Buffer(bytearray):
    """A bytearray that can be referenced weakly."""


def test_bytes_are_kept_alive_while_mounted_and_let_go_afterwards():
    data = Buffer(building.zip_bytes(TREE))
    alive = weakref.ref(data)
    mounted = intact.mount(data)
    del data
    gc.collect()
    assert mounted.read("top.py") == b"n = 2\n"
    mounted.unmount()
    gc.collect()
    assert alive() is None


def test_unmounting_lets_go_of_the_buffer_at_once():
    memory = mapped(building.zip_bytes(TREE))
    intact.mount(memory).unmount()
    memory.close()


def test_bytes_live_as_long_as_a_loader_that_reads_them():
    data = Buffer(building.zip_bytes(TREE))
    mounted = intact.mount(data)
    del data
    module = importlib.import_module("top")
    mounted.unmount()
    gc.collect()
    assert module.__loader__.get_source("top") == "n = 2\n"


def test_buffer_that_changes_while_mounted_is_a_member_error_not_wrong_bytes():
    data = bytearray(building.zip_bytes({"a.txt": "x" * 100}, zipfile.ZIP_STORED))
    mounted = intact.mount(data)
    data[data.index(b"xxx")] = ord("y")
    with pytest.raises(intact.MemberError, match="CRC"):
        mounted.read("a.txt")


def test_many_mounts_leave_no_descriptor_open(archive):
    def descriptors():
        return len(os.listdir("/proc/self/fd"))

    intact.mount(archive).unmount()
    before = descriptors()
    for _ in range(50):
        intact.mount(archive).unmount()
    gc.collect()
    assert descriptors() == before


def test_descriptors_are_not_inherited(archive):
    intact.mount(archive)
    inherited = [
        fd
        for fd in map(int, os.listdir("/proc/self/fd"))
        if os.path.exists(f"/proc/self/fd/{fd}") and os.get_inheritable(fd)
    ]
    assert archive not in [os.readlink(f"/proc/self/fd/{fd}") for fd in inherited]


# ---- the rest


def test_mounting_is_logged_under_intact(archive, caplog):
    with caplog.at_level(logging.DEBUG, "intact"):
        intact.mount(archive).unmount()
    assert {record.name for record in caplog.records} == {"intact"}
    assert [record.getMessage() for record in caplog.records] == [
        f"mounted {archive}: {len(TREE)} files",
        f"unmounted {archive}",
    ]


def test_files_of_a_mount_that_says_no_are_not_answered(archive):
    mounted = intact.mount(archive, files=False)
    assert importlib.import_module("top").n == 2
    assert not mounted.files
    with pytest.raises(OSError):
        open(f"{archive}/top.py")


def test_resources_of_a_mount_without_files_are_read_by_its_loader_alone(tmp_path):
    archive = building.write_zip(tmp_path / "app.zip", {"quiet/__init__.py": "", "quiet/data.txt": "data"})
    intact.mount(archive, files=False)
    with pytest.raises(NotADirectoryError):
        list(importlib.resources.files("quiet").iterdir())
    with pytest.raises(NotADirectoryError):
        importlib.resources.files("quiet").joinpath("data.txt").read_text()
    assert pkgutil.get_data("quiet", "data.txt") == b"data"


def test_archive_itself_is_still_a_file(archive):
    intact.mount(archive)
    assert zipfile.ZipFile(archive).read("top.py") == b"n = 2\n"


def test_exported_names_are_documented():
    assert intact.__all__ == sorted(intact.__all__, key=lambda name: (not name[0].isupper(), name))
    for name in intact.__all__:
        assert name == "__version__" or getattr(intact, name).__doc__, name


def test_bytes_that_their_owner_changes_are_still_an_archive():
    """What the directory said when it was mounted holds; of a member that was changed the CRC-32 is wrong."""
    data = bytearray(building.zip_bytes({"a.txt": "one", "b.txt": "two"}, zipfile.ZIP_STORED))
    mounted = intact.mount(data, name="changing")
    directory = data.index(b"PK\1\2")
    data[directory:] = bytes(len(data) - directory)
    assert list(mounted) == ["a.txt", "b.txt"] and mounted.read("b.txt") == b"two"
    data[data.index(b"one")] ^= 1
    with pytest.raises(intact.MemberError, match="CRC-32"):
        mounted.read("a.txt")


def test_importing_intact_and_mounting_load_nothing_else(tmp_path):
    """Every start pays for it. gc is built in; what else is there was loaded by the starting interpreter."""
    archive = tmp_path / "app.zip"
    archive.write_bytes(building.zip_bytes({"module.py": "n = 1\n"}))
    site = os.path.dirname(os.path.dirname(intact.__file__))
    code = (
        "import os, sys; sys.path.insert(0, sys.argv[1]); before = {*sys.modules}; import intact; intact.mount(sys.argv[2]); "
        "print(*sorted({*sys.modules} - before))"
    )
    done = subprocess.run([sys.executable, "-I", "-c", code, site, archive], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["gc", "intact", "intact._engine", "intact._mounts", "intact._tags"]
