"""What names and links may cost: caps on what an archive only implies, and on what libarchive does for it."""

import io
import subprocess
import sys
import tarfile
import zipfile

import building
import intact
import pytest
from support import formats

DEEP = ["/".join([f"{i:x}", *["a"] * 100, "f"]) for i in range(50)]  # 101 directories for each file


def deep(kind):
    buffer = io.BytesIO()
    if kind == "zip":
        with zipfile.ZipFile(buffer, "w") as archive:
            for name in DEEP:
                archive.writestr(name, b"")
    else:
        with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
            for name in DEEP:
                archive.addfile(tarfile.TarInfo(name))
    return buffer.getvalue()


@pytest.mark.parametrize("kind", ["zip", "tar.gz"])
def test_directories_that_names_imply_are_capped_as_members_are(kind):
    archive, count = deep(kind), 101 * len(DEEP)
    with intact.mount(archive, name="deep", max_members=count) as mounted:
        assert len(mounted) == len(DEEP)
    with pytest.raises(intact.ArchiveError, match=rf"^deep: more directories than the limit of {count - 1}$"):
        intact.mount(archive, name="deep", max_members=count - 1)


def newc(name, inode, links):
    """A member of a cpio without contents, in the format that its man page calls new ASCII."""
    name += b"\0"
    numbers = (inode, 0o100644, 0, 0, links, 0, 0, 0, 0, 0, 0, len(name), 0)
    record = b"070701" + b"".join(b"%08x" % number for number in numbers) + name
    return record + bytes(-len(record) % 4)


def test_files_of_a_cpio_that_miss_links_are_capped():
    members = [newc(b"f%d" % number, number, 2) for number in range(50_001)]
    with pytest.raises(intact.ArchiveError, match="more files with hard links, or directories, than 50000 in a cpio"):
        intact.mount(b"".join(members) + newc(b"TRAILER!!!", 0, 1))
    assert len(intact.mount(b"".join(members[:2000]) + newc(b"TRAILER!!!", 0, 1))) == 2000


@pytest.mark.skipif(bool(building.SANITIZED), reason="a sanitizer's runtime needs descriptors to look at an object's type")
@pytest.mark.parametrize("kind", ["tar", "zip"])
def test_a_library_that_cannot_be_loaded_for_a_moment_is_asked_for_again(kind, tmp_path):
    """Run apart: no other test may have loaded it."""
    path = tmp_path / f"a.{kind}"
    if kind == "tar":
        path.write_bytes(formats.tar_of(("a", b"text")))
    else:
        with zipfile.ZipFile(path, "w", zipfile.ZIP_BZIP2) as archive:
            archive.writestr("a", b"text")
    program = f"""if True:
        import intact, os, resource
        data = open({str(path)!r}, "rb").read()
        intact.mount(b"PK\\5\\6" + bytes(18))  # whatever mounting itself imports
        limits = resource.getrlimit(resource.RLIMIT_NOFILE)
        taken = os.dup(0)
        os.close(taken)
        resource.setrlimit(resource.RLIMIT_NOFILE, (taken, limits[1]))
        try:
            intact.mount(data).read("a")
        except intact.Error as error:
            print(error)
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)
        print(intact.mount(data).read("a"))
    """
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    refusal, text = done.stdout.splitlines()
    assert "cannot be loaded" in refusal and text == "b'text'"
    assert kind == "zip" or "Too many open files" in refusal
