"""Tars of every dialect, names of every kind, and what else tars have had put into them; cpio's hard links."""

import gzip
import io
import os
import subprocess
import tarfile

import building
import intact
import pytest
from support import formats

LONG = "directory/" * 12 + "x" * 90 + ".txt"
DEEP = "d/" * 100 + "end.txt"
UNICODE = "\u00fcber/\u732b/\U0001f40d.txt"


def gnu(directory, dialect):
    return formats.run("tar", "-C", directory, f"--format={dialect}", "-cf", "-", ".")


@pytest.mark.parametrize("dialect", ["v7", "oldgnu", "gnu", "ustar", "posix"])
def test_every_dialect_of_gnu_tar_is_read(dialect, tmp_path):
    """Its names begin with ./, and the first member is the root itself."""
    tree = {"pkg/__init__.py": "n = 1\n", "pkg/data.bin": bytes(range(256)) * 50, "x" * 60: "long"}
    if dialect != "v7":
        tree["y" * 80 + "/" + "z" * 90] = "longer, in two fields"
    building.write_files(tmp_path / "tree", tree)
    mounted = intact.mount(gnu(tmp_path / "tree", dialect))
    assert {name: mounted.read(name) for name in mounted} == {name: building.encoded(data) for name, data in tree.items()}
    assert mounted._unreachable == 0


@pytest.mark.parametrize("format", [tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
@pytest.mark.parametrize("name", [LONG, DEEP, UNICODE, "a" * 255, "sp ace\ttab\nline"])
def test_names_of_every_kind_are_read(name, format):
    mounted = intact.mount(formats.tar_of((name, "content"), format=format, encoding="utf-8"))
    assert list(mounted) == [name]
    assert open(f"{mounted.root}/{name}").read() == "content"


@pytest.mark.parametrize("kind", ["tar", "cpio", "7z", "xar", "rar5", "iso"])
def test_names_in_utf8_are_read_in_the_c_locale(kind, tmp_path):
    """Where libarchive by itself cannot convert them."""
    building.write_files(tmp_path / "tree", {UNICODE: "content"})
    archive = formats.make(kind, tmp_path / "tree", tmp_path / f"a.{formats.suffix(kind)}")
    program = "import intact, sys; print(ascii(list(intact.mount(sys.argv[1]))))"
    env = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    assert building.output_of("-c", program, archive, env=env).strip() == ascii([UNICODE])


def test_name_that_is_no_utf8_is_unreachable():
    tar = formats.tar_of(("g\udcfcber.txt", "latin 1"), ("good.txt", "good"), errors="surrogateescape", encoding="utf-8")
    mounted = intact.mount(tar)
    assert list(mounted) == ["good.txt"] and mounted._unreachable == 1


@pytest.mark.parametrize("format", ["gnu --sparse-version=0.0", "posix --sparse-version=0.1", "posix --sparse-version=1.0", "gnu"])
def test_sparse_files_are_read_with_their_holes(format, tmp_path):
    dialect, *options = format.split()
    (tmp_path / "tree").mkdir()
    with open(tmp_path / "tree/sparse.bin", "wb") as file:
        file.seek(1 << 20)
        file.write(b"middle")
        file.truncate(3 << 20)
    tar = formats.run("tar", "-C", tmp_path / "tree", "-S", f"--format={dialect}", *options, "-cf", "-", "sparse.bin")
    assert len(tar) < 1 << 20
    expected = (tmp_path / "tree/sparse.bin").read_bytes()
    mounted = intact.mount(tar)
    assert mounted.read("sparse.bin") == expected == open(f"{mounted.root}/sparse.bin", "rb").read()


def test_last_of_members_of_one_name_wins():
    """As tar itself has it, which appends what has changed."""
    tar = formats.tar_of(("a.txt", "old"), ("b.txt", "b"), ("a.txt", "new"))
    with tarfile.open(fileobj=io.BytesIO(tar)) as control:
        assert control.extractfile("a.txt").read() == b"new"
    mounted = intact.mount(tar)
    assert mounted.read("a.txt") == b"new" == open(f"{mounted.root}/a.txt", "rb").read()
    assert sorted(mounted) == ["a.txt", "b.txt"]


@pytest.mark.parametrize("packer", [("gzip",), ("bzip2",), ("xz",), ("zstd", "-q"), ("lz4", "-q")])
def test_compressed_tar_without_members_is_an_archive(packer):
    packed = formats.run(*packer, "-c", input=formats.tar_of())
    mounted = intact.mount(packed)
    assert list(mounted) == [] and mounted.format.startswith("tar.")


def test_nothing_but_zeros_is_no_archive():
    """A tar without members is; so is much else."""
    with pytest.raises(intact.ArchiveError, match="no known archive format"):
        intact.mount(formats.tar_of())


def test_gzip_in_several_members_with_zeros_after_it_is_read_as_by_gzip():
    tar = formats.tar_of(("a.txt", "a" * 10_000), ("b.txt", "b"))
    packed = b"".join(gzip.compress(tar[i : i + 3000]) for i in range(0, len(tar), 3000)) + bytes(512)
    assert formats.run("gzip", "-dc", input=packed) == tar
    mounted = intact.mount(packed)
    assert mounted.format == "tar.gz" and mounted.read("a.txt") == b"a" * 10_000 and mounted.read("b.txt") == b"b"


@pytest.mark.parametrize("packer", [("bzip2",), ("xz",), ("zstd", "-q"), ("lz4", "-q")])
def test_several_streams_after_one_another_are_read_as_one(packer):
    tar = formats.tar_of(("a.txt", "a" * 10_000), ("b.txt", "b"))
    packed = b"".join(formats.run(*packer, "-c", input=tar[i : i + 3000]) for i in range(0, len(tar), 3000))
    assert formats.run(*packer, "-dc", input=packed) == tar
    assert intact.mount(packed).read("a.txt") == b"a" * 10_000


@pytest.mark.parametrize("packer", [("bzip2",), ("xz",), ("zstd", "-q", "--check"), ("lz4", "-q")])
def test_checksum_behind_the_end_of_the_tar_is_compared(packer):
    """It stands after all that a tar's reader asks for: libarchive itself stops before it."""
    packed = bytearray(formats.run(*packer, "-c", input=formats.tar_of(("a.txt", os.urandom(50_000)))))
    checksum = {"xz": -28 - 12 - 8, "bzip2": -3}.get(packer[0], -2)
    packed[checksum] ^= 0x40
    control = subprocess.run([*packer, "-dc"], input=packed, capture_output=True)
    assert control.returncode != 0
    with pytest.raises(intact.ArchiveError):
        intact.mount(bytes(packed))


def test_compressed_twice_is_refused():
    with pytest.raises(intact.ArchiveError, match=r"compressed \(\.xz\) data with no archive of a known format in it"):
        intact.mount(formats.run("xz", "-c", input=formats.run("bzip2", "-c", input=formats.tar_of(("a", "a")))))


def test_archives_that_are_not_tars_are_read_compressed():
    packed = formats.run("cpio", "-o", "-H", "newc", "--quiet", cwd=os.path.dirname(__file__), input=b"test_tars.py\n")
    for packer, suffix in (("xz", "xz"), ("gzip", "gz")):
        mounted = intact.mount(formats.run(packer, "-c", input=packed))
        assert mounted.format == f"cpio.{suffix}" and mounted.read("test_tars.py") == open(__file__, "rb").read()
        mounted.unmount()


@pytest.mark.parametrize("layout", ["newc", "odc", "crc", "bin"])
def test_hard_links_of_cpio_all_have_the_contents(layout, tmp_path):
    """In newc they stand at the last of them only."""
    building.write_files(tmp_path, {"a.txt": "shared\n", "z.txt": "other\n"})
    for name in ("b.txt", "c.txt"):
        os.link(tmp_path / "a.txt", tmp_path / name)
    packed = formats.run("cpio", "-o", "-H", layout, "--quiet", cwd=tmp_path, input=b"a.txt\nb.txt\nc.txt\nz.txt\n")
    mounted = intact.mount(packed)
    assert {name: mounted.read(name) for name in mounted} == dict.fromkeys(("a.txt", "b.txt", "c.txt"), b"shared\n") | {"z.txt": b"other\n"}


def test_hard_links_of_tars_have_the_contents_of_what_was_there_before():
    tar = formats.tar_of(
        ("old.txt", "1"), ("kept.txt", formats.hard_link("old.txt")), ("old.txt", "22"), ("new.txt", formats.hard_link("./old.txt"))
    )
    mounted = intact.mount(tar)
    assert {name: mounted.read(name) for name in mounted} == {"kept.txt": b"1", "old.txt": b"22", "new.txt": b"22"}


@pytest.mark.parametrize("target", ["missing", "../out", "/abs", "itself", "directory"])
def test_hard_link_to_no_file_is_unreachable(target):
    tar = formats.tar_of(("directory", None), ("itself", formats.hard_link(target)), ("good.txt", "good"))
    mounted = intact.mount(tar)
    assert list(mounted) == ["good.txt"] and mounted._unreachable == 1


@pytest.mark.parametrize("type", [tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.FIFOTYPE])
def test_devices_are_unreachable(type):
    mounted = intact.mount(formats.tar_of(("device", {"type": type}), ("good.txt", "good")))
    assert list(mounted) == ["good.txt"] and mounted._unreachable == 1
