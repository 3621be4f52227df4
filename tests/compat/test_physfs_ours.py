"""What intact.compat.physfs does otherwise than the package from the index (docs/compat.md), and that one's own examples."""

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
from packing import LOWER, UPPER, Link, packed


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
    for call in (ours.stat, ours.cat):
        with pytest.raises(ours.PhysfsRuntimeError, match=r"^failed to (stat|open)\."):
            call("dir/link")


def test_an_empty_archive_is_one(ours):
    ours.mount_memory(packed({}), "empty.zip")
    assert ours.ls() == []


def test_what_the_original_takes_for_damaged_is_an_archive(ours, monkeypatch, tmp_path):
    """Bytes after a zip's end, and volumes as genisoimage writes them. And a directory in a 7z has no size of -1."""
    monkeypatch.chdir(tmp_path)
    os.makedirs("in/dir")
    (tmp_path / "in/dir/x").write_text("x")
    subprocess.run(["genisoimage", "-quiet", "-J", "-o", "a.iso", "in"], check=True)
    subprocess.run(["7zz", "a", "-bd", "../a.7z", "dir"], cwd="in", check=True, stdout=subprocess.DEVNULL)
    (tmp_path / "a.zip").write_bytes(LOWER + b"after")
    for archive in ("a.zip", "a.iso", "a.7z"):
        ours.mount(archive)
        assert ours.ls("dir") == ["x"] and ours.cat("dir/x") == b"x" and ours.stat("dir").filesize == 0
        ours.unmount(archive)


def test_damage_is_told(ours):
    content = packed({"a.txt": "whole"}, zipfile.ZIP_STORED)
    ours.mount_memory(content.replace(b"whole", b"whale"), "damaged.zip")
    with pytest.raises(ours.PhysfsRuntimeError, match=r"Error condition in reading. Reason: \[corrupted\]"):
        ours.cat("a.txt")


def test_an_encrypted_archive_is_unsupported(ours, monkeypatch, tmp_path):
    """An error of the engine's, PasswordError, came out."""
    from intact.compat.memory_importer import PhysfsImporter

    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.txt").write_text("hidden")
    subprocess.run(["7zz", "a", "-bd", "-psesame", "-mhe=on", "enc.7z", "a.txt"], check=True, stdout=subprocess.DEVNULL)
    content = (tmp_path / "enc.7z").read_bytes()
    for call in (ours.mount, lambda name: ours.mount_memory(content, name), PhysfsImporter):
        with pytest.raises(ours.PhysfsRuntimeError, match=r"^Failure\. Reason: \[unsupported\]"):
            call("enc.7z")
    assert ours.ls() == []


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


def test_a_file_that_another_thread_unmounts_is_read_or_not_found(ours, monkeypatch):
    """It was told to be corrupted, and ls() raised ValueError."""
    find, entry = ours._find, ours._entry

    def unmounted(function):
        def call(*arguments):
            found = function(*arguments)
            if any(mounted.source == "upper.zip" for mounted in ours._mounted):
                ours.unmount("upper.zip")
            return found

        return call

    ours.mount_memory(LOWER, "lower.zip")
    ours.mount_memory(UPPER, "upper.zip")
    monkeypatch.setattr(ours, "_find", unmounted(find))
    assert ours.cat("a.txt") == b"lower"
    ours.mount_memory(UPPER, "upper.zip")
    with pytest.raises(ours.PhysfsNotFound):
        ours.cat("b.txt")
    monkeypatch.setattr(ours, "_find", find)
    ours.mount_memory(UPPER, "upper.zip")
    monkeypatch.setattr(ours, "_entry", unmounted(entry))
    assert ours.ls() == ["Case", "a.txt", "dir", "only", "plain"]


def test_bytes_that_are_no_unicode_are_not_there(ours):
    """The original fails at making the message."""
    ours.mount_memory(UPPER, "upper.zip")
    for call in (ours.stat, ours.cat):
        with pytest.raises(ours.PhysfsNotFound):
            call(b"\xff")


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
