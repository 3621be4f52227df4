"""What happens to a mount when names clash and when its file changes: each has one outcome (docs/design.md, "Outcomes")."""

import importlib
import importlib.util
import os
import sys
import zipfile

import building
import intact
import pytest

TREE = {"pkg/__init__.py": "n = 1\n", "pkg/data.txt": "data\n", "top.py": "n = 2\n"}


@pytest.fixture
def archive(tmp_path):
    return building.write_zip(tmp_path / "app.zip", TREE)


# ---- the same name twice


def test_same_file_twice_is_two_mounts(archive):
    first, second = intact.mount(archive), intact.mount(archive)
    assert intact.mounts() == (second, first)
    second.unmount()
    assert importlib.import_module("top").n == 2
    first.unmount()
    assert importlib.util.find_spec("pkg") is None


def test_same_file_twice_in_the_other_order(archive):
    first, second = intact.mount(archive), intact.mount(archive)
    first.unmount()
    assert importlib.import_module("top").n == 2
    assert archive in sys.path
    assert second.mounted


def test_two_archives_of_one_name_are_layers_the_newest_on_top():
    intact.mount(building.zip_bytes({"a_layer.py": "n = 1", "both_layers.py": "n = 1"}), name="same")
    newer = intact.mount(building.zip_bytes({"b_layer.py": "n = 2", "both_layers.py": "n = 2"}), name="same")
    names = ("a_layer", "b_layer", "both_layers")
    assert [importlib.import_module(name).n for name in names] == [1, 2, 2]
    assert sorted(os.listdir("/intact/same")) == sorted(f"{name}.py" for name in names)
    newer.unmount()
    assert sorted(os.listdir("/intact/same")) == ["a_layer.py", "both_layers.py"]


def test_archive_replaced_on_disk_and_mounted_again_is_the_new_one(archive):
    intact.mount(archive)
    building.write_zip(archive + ".new", {"top.py": "n = 'new'"})
    os.replace(archive + ".new", archive)
    intact.mount(archive)
    assert importlib.import_module("top").n == "new"


# ---- the file changes


def test_archive_deleted_on_disk_goes_on(archive):
    mounted = intact.mount(archive)
    os.unlink(archive)
    assert importlib.import_module("pkg").n == 1
    assert mounted.read("pkg/data.txt") == b"data\n"
    assert open(f"{archive}/pkg/data.txt").read() == "data\n"


def test_archive_replaced_on_disk_goes_on_as_it_was(archive):
    mounted = intact.mount(archive)
    os.rename(building.write_zip(archive + ".new", {"top.py": "n = 'new'"}), archive)
    assert mounted.read("top.py") == b"n = 2\n"


@pytest.mark.parametrize("compression", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
@pytest.mark.parametrize("length", [0, 40, 5000])
def test_archive_truncated_on_disk_is_a_member_error_that_names_archive_and_member(tmp_path, compression, length):
    tree = {"big.bin": os.urandom(100_000), "mod.py": "n = 1"}
    mounted = intact.mount(building.write_zip(tmp_path / "app.zip", tree, compression))
    os.truncate(mounted.root, length)
    for path in tree:
        with pytest.raises(intact.MemberError) as caught:
            mounted.read(path)
        assert (caught.value.archive, caught.value.member) == (mounted.root, path)
    with pytest.raises(intact.MemberError):
        importlib.import_module("mod")
    with pytest.raises(OSError):
        open(f"{mounted.root}/big.bin", "rb").read()


def test_archive_overwritten_on_disk_is_a_member_error(tmp_path):
    mounted = intact.mount(
        building.write_zip(tmp_path / "app.zip", {"mod.py": "n = 1" + " " * 100}, zipfile.ZIP_STORED)
    )
    with open(mounted.root, "r+b") as file:
        file.seek(45)
        file.write(b"#" * 20)
    with pytest.raises(intact.MemberError) as caught:
        mounted.read("mod.py")
    assert caught.value.reason and caught.value.offset is not None


def test_a_second_engine_in_one_process_is_refused(tmp_path):
    """From another file of the extension, as another installation has."""
    program = """
import importlib.util, shutil, sys
import intact._engine as first
copy = shutil.copy(first.__file__, sys.argv[1])
spec = importlib.util.spec_from_file_location("other._engine", copy)
try:
    importlib.util.module_from_spec(spec)
    spec.loader.exec_module(importlib.util.module_from_spec(spec))
except ImportError as error:
    print(error)
"""
    said = building.output_of("-c", program, tmp_path)
    assert said == f"another intact is loaded in this process: {intact._engine.__file__}\n"
