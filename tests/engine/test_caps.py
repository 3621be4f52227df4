"""What names and links may cost: caps on what an archive only implies, and on what libarchive does for it."""

import bz2
import gzip
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


def file(number, inside="", name=None):
    return f'<file id="{number}"><name>{name or number}</name><type>file</type>{inside}</file>'


def links(original, missing):
    """Files that are one, and links to files that are not there."""
    yield file(1, name="n" * 1000).replace("<type>", '<type link="original">')
    for number in range(2, original + missing):
        yield file(number).replace("<type>", f'<type link="{1 if number <= original else number + 1000000}">')


def extended(count, size):
    attribute = f"<name>user.x</name><length>{size}</length><offset>0</offset><size>{size}</size>"
    yield file(1, "".join(f'<ea id="{number}">{attribute}</ea>' for number in range(count)))


def below(count):
    """Files in a directory, whose name is part of each path."""
    yield f'<file><name>{"n" * 1000}</name><type>directory</type>'
    yield from (file(number, name="x") for number in range(count))
    yield "</file>"


XARS = {
    "hard-links": (links(1, 20_000), links(1, 20_001), "more hard links than 20000", {}),
    "paths-of-hard-links": (links(98, 0), links(102, 0), "longer paths of links than the limit", {"max_directory_size": 100_000}),
    "extended-attributes": (extended(20_000, 0), extended(20_001, 0), "more extended attributes than 20000", {}),
    "size-of-extended-attributes": (extended(10, 10_000), extended(10, 10_001), "larger extended", {"max_unpacked_size": 100_000}),
    "files": (map(file, range(10)), map(file, range(11)), "more files than 10", {"max_members": 10}),
    "paths": (below(100), below(101), "longer paths than the limit", {"max_directory_size": 1001 + 100 * 1003}),
    "names-in-pieces": ([file(1, name="a&amp;b")], [file(1, name="a<i/>b")], "an element in a name", {}),
    "depth": (["<x>" * 198, "</x>" * 198], ["<x>" * 199, "</x>" * 199], "more elements in one another than 200", {}),
    "attributes": (
        [f"<x {' '.join(f'a{n}=' + repr('1') for n in range(32))}/>"],
        [f"<x {' '.join(f'a{n}=' + repr('1') for n in range(33))}/>"],
        "more attributes of an element than 32",
        {},
    ),
    "bytes": ([" " * 5000], [" " * 10_000], "more bytes than 6000", {"max_directory_size": 6000}),
}


@pytest.mark.parametrize("name", XARS)
def test_what_libarchive_does_for_a_xar_is_capped(name):
    """Each of these takes time or memory that grows faster than the xar."""
    most, more, said, limits = XARS[name]
    intact.mount(formats.xar_of(*most, heap=bytes(10_000)), name="most", **limits).unmount()
    with pytest.raises(intact.ArchiveError, match=rf"^more: a xar's table of contents with {said}"):
        intact.mount(formats.xar_of(*more, heap=bytes(10_001)), name="more", **limits)


def test_a_want_of_memory_before_is_no_matter():
    """libarchive ended the process where a name is no UTF-8 and errno said ENOMEM, of whatever went before."""
    program = f"""if True:
        import contextlib, intact, mmap
        data = {newc(bytes([255]), 5, 2) + newc(b"good", 6, 1) + newc(b"TRAILER!!!", 0, 1)!r}
        intact.mount(data).unmount()
        with contextlib.suppress(OSError):
            mmap.mmap(-1, 2**62)
        print(list(intact.mount(data)))
    """
    assert building.output_of("-c", program) == "['good']\n"


def test_a_xar_in_what_is_unpacked_piece_by_piece_is_none():
    """It could not be checked before libarchive reads it. gzip is unpacked whole."""
    xar = formats.xar_of(file(1, name="a"))
    assert list(intact.mount(gzip.compress(xar))) == ["a"]
    with pytest.raises(intact.ArchiveError, match="no archive of a known format"):
        intact.mount(bz2.compress(xar))


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
