"""What an archive that is unpacked when it is mounted may cost: the caps, the spill, Ctrl-C, children, and that it ends with the mount."""

import errno
import gzip
import lzma
import os
import subprocess
import sys
import tarfile
import textwrap
import threading
import zlib
from pathlib import Path

import building
import intact
import pytest
from support import formats, strace
from support.children import open_files

COMPRESSED = [kind for kind in formats.FORMATS if kind not in (*formats.IN_PLACE, "rar4", "rar5")]
PACKERS = {"gz": ("gzip",), "bz2": ("bzip2",), "xz": ("xz", "-0"), "zst": ("zstd", "-q"), "lz4": ("lz4", "-q")}
MIB = 1 << 20


def packed_tar(packer, *members, **options):
    return formats.run(*PACKERS[packer], "-c", input=formats.tar_of(*members, **options))


@pytest.mark.parametrize("kind", COMPRESSED)
def test_what_unpacks_to_more_than_the_cap_is_refused(kind, tmp_path):
    tree = building.write_files(tmp_path / "tree", {"a.bin": bytes(40_000), "b.bin": os.urandom(60_000)})
    archive = formats.make(kind, tree, tmp_path / f"a.{kind}")
    # Of gzip all that is in it counts, headers and the end of the tar too.
    most = 100_000 + (10_240 * 2 if kind == "tar.gz" else 0)
    assert len(intact.mount(archive, max_unpacked_size=most)) == 2
    with pytest.raises(intact.ArchiveError, match="max_unpacked_size") as caught:
        intact.mount(archive, max_unpacked_size=99_999)
    assert caught.value.archive == archive


@pytest.mark.parametrize("kind", formats.IN_PLACE)
def test_what_stays_in_the_archive_does_not_count_as_unpacked(kind, tmp_path):
    """(Of an archive of less than 48 KiB libarchive has made a copy while it looked for its format.)"""
    tree = building.write_files(tmp_path / "tree", {"a.bin": os.urandom(100_000)})
    assert len(intact.mount(formats.make(kind, tree, tmp_path / f"a.{kind}"), max_unpacked_size=0)) == 1


@pytest.mark.parametrize("kind", formats.FORMATS)
def test_member_over_its_cap_is_listed_and_refused(kind, tmp_path):
    tree = building.write_files(tmp_path / "tree", {"large.bin": os.urandom(3000), "small.txt": "small", "small2.txt": "small"})
    mounted = intact.mount(formats.make(kind, tree, tmp_path / f"a.{formats.suffix(kind)}"), max_member_size=2999)
    assert sorted(mounted) == ["large.bin", "small.txt", "small2.txt"]
    assert mounted.read("small.txt") == mounted.read("small2.txt") == b"small"
    with pytest.raises(intact.MemberError, match="3000 bytes, over the limit of 2999") as caught:
        mounted.read("large.bin")
    assert caught.value.member == "large.bin"
    with pytest.raises(OSError):
        open(f"{mounted.root}/large.bin", "rb")


@pytest.mark.parametrize("names", [[f"m{n}" for n in range(11)], [f"../m{n}" for n in range(11)]])
def test_archive_of_more_members_than_the_cap_is_refused_also_where_none_can_be_reached(names):
    tar = formats.tar_of(*((name, "") for name in names))
    intact.mount(tar, max_members=11)
    with pytest.raises(intact.ArchiveError, match="more members than the limit of 10"):
        intact.mount(tar, max_members=10)


def test_names_count_towards_the_cap_of_a_directory():
    tar = formats.tar_of(("a" * 60, ""), ("b" * 60, ""))
    assert len(intact.mount(tar, max_directory_size=120)) == 2
    with pytest.raises(intact.ArchiveError, match="max_directory_size"):
        intact.mount(tar, max_directory_size=119)


# ---- bombs: small files, and a process that has little memory

BOMB = """
import resource, sys
import intact
data = open(sys.argv[1], "rb").read()
intact.mount(sys.argv[2]).unmount()
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
try:
    intact.mount(data, max_unpacked_size=1 << 20, max_directory_size=1 << 20, max_members=10_000)
except intact.Error as error:
    print(type(error).__name__, error.reason, flush=True)
grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
assert grown < 48 << 10, f"{grown} KiB"
"""


def says(bomb, place):
    """What mounting it says, in a process whose memory may grow by 48 MiB, 8 of which are the dictionary of xz."""
    (place / "bomb").write_bytes(bomb)
    (place / "good").write_bytes(packed_tar("xz", ("a", "a")))
    return building.output_of("-c", BOMB, str(place / "bomb"), str(place / "good"))


def stream_of(packer, *pieces):
    """Compresses what is far too large to hold."""
    process = subprocess.Popen([*PACKERS[packer], "-c"], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    def feed():
        for piece, times in pieces:
            for _ in range(times):
                process.stdin.write(piece)
        process.stdin.close()

    thread = threading.Thread(target=feed)
    thread.start()
    packed = process.stdout.read()
    thread.join()
    assert process.wait() == 0
    return packed


def header(name, size, **fields):
    info = tarfile.TarInfo(name)
    info.size = size
    for field, value in fields.items():
        setattr(info, field, value)
    return info.tobuf(tarfile.GNU_FORMAT)


@pytest.mark.parametrize("name", ["bomb.bin", "../passed-over.bin"])
@pytest.mark.parametrize("packer", PACKERS)
def test_bomb_is_refused_also_where_nobody_could_ask_for_it(packer, name, tmp_path):
    """256 MiB of zeros. libarchive would pass over what is not asked for, however long that takes."""
    bomb = stream_of(packer, (header(name, 256 * MIB), 1), (bytes(MIB), 256), (bytes(1024), 1))
    assert len(bomb) < 2 * MIB
    said = says(bomb, tmp_path)
    assert said.startswith("ArchiveError") and "max_unpacked_size" in said


@pytest.mark.parametrize("kind", ["7z", "cab", "xar"])
def test_bomb_of_a_format_that_compresses_by_itself_is_refused(kind, tmp_path):
    (tmp_path / "tree").mkdir()
    with open(tmp_path / "tree/zeros", "wb") as file:
        file.truncate(256 * MIB)
    bomb = Path(formats.make(kind, tmp_path / "tree", tmp_path / f"bomb.{kind}")).read_bytes()
    assert len(bomb) < 2 * MIB
    said = says(bomb, tmp_path)
    assert said.startswith("ArchiveError") and "max_unpacked_size" in said


def test_files_that_share_their_bytes_count_each(tmp_path):
    """A xar that states the same megabyte for 256 files."""
    packed = zlib.compress(bytes(MIB))
    data = f"<length>{len(packed)}</length><offset>0</offset><size>{MIB}</size>" + '<encoding style="application/x-gzip"/>'
    files = (f'<file id="{n}"><name>{n}</name><type>file</type><data>{data}</data></file>' for n in range(1, 257))
    bomb = formats.xar_of(*files, heap=packed)
    assert len(intact.mount(bomb, max_unpacked_size=256 * MIB)) == 256
    said = says(bomb, tmp_path)
    assert said.startswith("ArchiveError") and "max_unpacked_size" in said


@pytest.mark.parametrize("name", ["m", "../m"])
def test_many_members_are_refused(name, tmp_path):
    bomb = stream_of("xz", (header(name, 0), 200_000), (bytes(1024), 1))
    assert len(bomb) < 100_000
    said = says(bomb, tmp_path)
    assert said.startswith("ArchiveError") and ("more members" in said or "max_directory_size" in said)


def test_headers_that_belong_to_no_contents_are_bounded(tmp_path):
    """Long names, one for each of a thousand members, a gigabyte of them."""
    long_name = header("././@LongLink", 512 * 1024, type=tarfile.GNUTYPE_LONGNAME) + b"n" * (512 * 1024 - 1) + b"\0"
    bomb = stream_of("bz2", (long_name + header("x", 0), 64), (bytes(1024), 1))
    assert says(bomb, tmp_path).startswith("ArchiveError")


@pytest.mark.parametrize("size", [1 << 31, 1 << 40])
def test_sparse_file_that_is_all_hole_is_refused(size, tmp_path):
    """Some kilobytes that say they are far more, in a tar that is not even compressed: over the cap of the archive, or over
    that of a member, which then is listed."""
    with open(tmp_path / "hole", "wb") as file:
        file.truncate(size)
    tar = formats.run("tar", "-C", tmp_path, "-S", "-cf", "-", "hole")
    assert len(tar) < 20_000
    if size <= 1 << 32:
        assert "max_unpacked_size" in says(tar, tmp_path)
    else:
        assert says(tar, tmp_path) == ""
        with pytest.raises(intact.MemberError, match="over the limit"):
            intact.mount(tar).read("hole")


def test_dictionary_of_more_memory_than_there_is_is_an_error(tmp_path):
    """An xz of a few bytes whose dictionary is stated as 1.5 GiB."""
    tar = formats.tar_of(("a", "a"))
    small = lzma.compress(tar, filters=[{"id": lzma.FILTER_LZMA2, "preset": 0}])
    lying = bytearray(small)
    size = (lying[12] + 1) * 4  # of the block's header, whose last byte before padding and CRC is the dictionary's
    at = lying.index(b"\x21\x01", 12, 12 + size) + 2
    lying[at] = 37  # 1.5 GiB
    lying[12 + size - 4 : 12 + size] = zlib.crc32(lying[12 : 12 + size - 4]).to_bytes(4, "little")
    assert lzma.decompress(bytes(lying)) == tar
    said = says(bytes(lying), tmp_path)
    assert said == "" or said.startswith("ArchiveError")  # where that much may be asked for, and is never touched


def test_gzip_file_larger_than_all_it_may_become_is_not_even_read(tmp_path):
    with open(tmp_path / "a.tar.gz", "wb") as file:
        file.write(gzip.compress(formats.tar_of(("a", "a"))))
        file.truncate(1 << 40)
    with pytest.raises(intact.ArchiveError, match="max_unpacked_size"):
        intact.mount(tmp_path / "a.tar.gz")


# ---- once

# Stands before liblzma, which unpacks for libarchive, and counts what comes out.
COUNTING = """
#define _GNU_SOURCE
#include <dlfcn.h>
#include <lzma.h>
unsigned long long unpacked = 0;
lzma_ret lzma_code(lzma_stream *stream, lzma_action action) {
  lzma_ret (*real)(lzma_stream *, lzma_action) = dlsym(RTLD_NEXT, "lzma_code");
  uint64_t before = stream->total_out;
  lzma_ret result = real(stream, action);
  unpacked += stream->total_out - before;
  return result;
}
"""
SOLID = {"7z": ("7zz", "a", "-ms=on"), "encrypted 7z": ("7zz", "a", "-ms=on", "-psesame"), "tar.xz": ("tar", "-cJf")}
READ_ALL = """
import ctypes, sys, intact
path, how = sys.argv[1:]
mounted = intact.mount(path if how == "path" else open(path, "rb").read(), name="solid", password="sesame")
for _ in range(2):
    for name in reversed(list(mounted)):
        assert len(mounted.read(name)) == len(open(f"{mounted.root}/{name}", "rb").read()) == 300_000
print(ctypes.c_ulonglong.in_dll(ctypes.CDLL(None), "unpacked").value)
"""


@pytest.mark.parametrize("how", ["path", "bytes"])
@pytest.mark.parametrize("kind", SOLID)
def test_a_solid_block_is_unpacked_once_however_its_members_are_read(kind, how, tmp_path):
    (tmp_path / "counting.c").write_text(COUNTING)
    linking = ["-shared", "-fPIC", "-Wl,--no-as-needed", "-llzma"]
    subprocess.run(["cc", "-o", tmp_path / "counting.so", tmp_path / "counting.c", *linking], check=True)
    building.write_files(tmp_path / "tree", {f"{n}.bin": os.urandom(1_000) * 300 for n in range(10)})
    archive = tmp_path / f"solid.{kind.split()[-1]}"
    formats.run(*SOLID[kind], archive, ".", cwd=tmp_path / "tree")
    preloaded = ":".join(filter(None, [os.environ.get("LD_PRELOAD"), str(tmp_path / "counting.so")]))
    env = {**os.environ, "LD_PRELOAD": preloaded}
    count = int(building.output_of("-c", READ_ALL, str(archive), how, env=env))
    assert 3_000_000 <= count < 3_050_000  # contents, and an archive's headers


# ---- the spill


def tar_xz(place):
    (place / "a.tar.xz").write_bytes(packed_tar("xz", ("pkg/__init__.py", ""), ("pkg/data.bin", bytes(range(256)) * 4000)))
    return place / "a.tar.xz"


def test_what_is_unpacked_is_in_memory_by_default(tmp_path):
    before = open_files()
    mounted = intact.mount(tar_xz(tmp_path))
    spilled = [path for name, path in open_files().items() if before.get(name) != path and path.startswith("/memfd:intact:spill")]
    assert len(spilled) == 1 and mounted.read("pkg/data.bin")


def test_spill_directory_gets_a_file_without_a_name(tmp_path):
    (tmp_path / "spill").mkdir()
    archive = tar_xz(tmp_path)
    mounted = intact.mount(archive, spill=tmp_path / "spill")
    assert os.listdir(tmp_path / "spill") == []
    held = [path for path in open_files().values() if path.startswith(f"{tmp_path}/spill/#")]
    assert len(held) == 1 and held[0].endswith(" (deleted)")
    assert mounted.read("pkg/data.bin") == bytes(range(256)) * 4000 == open(f"{mounted.root}/pkg/data.bin", "rb").read()
    mounted.unmount()
    assert not any(path.startswith(f"{tmp_path}/spill/") for path in open_files().values())


def test_mounting_makes_nothing_in_any_file_system(tmp_path):
    archive = tar_xz(tmp_path)
    program = "import sys, intact; m = intact.mount(sys.argv[1]); import pkg; open(m.root + '/pkg/data.bin', 'rb').read()"
    if building.SANITIZED:
        pytest.skip("strace does not go with a sanitizer's runtime")
    subprocess.run([*strace.command(tmp_path / "log"), sys.executable, "-B", "-c", program, str(archive)], check=True)
    assert strace.changes(tmp_path / "log") == []


@pytest.mark.parametrize("directory, code", [("missing", errno.ENOENT), ("file", errno.ENOTDIR), ("/proc", None), ("/sys", None)])
def test_spill_directory_that_cannot_be_used_is_an_os_error_that_names_it(directory, code, tmp_path):
    (tmp_path / "file").write_text("")
    place = os.path.join(tmp_path, directory)
    with pytest.raises(OSError) as caught:
        intact.mount(tar_xz(tmp_path), spill=place)
    assert code in (None, caught.value.errno) and place in str(caught.value)
    assert intact.mounts() == ()


def test_spill_directory_is_not_asked_for_where_nothing_is_unpacked(tmp_path):
    (tmp_path / "a.tar").write_bytes(formats.tar_of(("a", "a")))
    assert intact.mount(tmp_path / "a.tar", spill=tmp_path / "missing").read("a") == b"a"


# ---- Ctrl-C, children, the end


@pytest.mark.parametrize("packer", ["xz", "bz2", "zst"])
@pytest.mark.parametrize("name", ["zeros.bin", "../zeros.bin"])
def test_ctrl_c_ends_a_long_mount_and_leaves_nothing_behind(packer, name, tmp_path):
    """The signal comes once unpacking is under way."""
    bomb = stream_of(packer, (header(name, 1 << 36), 1), (bytes(MIB), 128))
    (tmp_path / "a.tar").write_bytes(bomb)
    program = textwrap.dedent("""
        import gc, os, signal, sys, threading
        import intact
        def file(n):
            try: return os.readlink(f"/proc/self/fd/{n}")
            except FileNotFoundError: return ""  # closed meanwhile, as that of the list itself
        def files(): return sorted(filter(None, map(file, os.listdir("/proc/self/fd"))))
        before = files()
        def under_way():
            while not any("intact:spill" in path or path.endswith("a.tar") for path in files()): pass
            os.kill(os.getpid(), signal.SIGINT)
        threading.Thread(target=under_way).start()
        try:
            intact.mount(sys.argv[1], max_unpacked_size=1 << 40, max_member_size=1 << 20)
        except KeyboardInterrupt:
            print("interrupted", intact.mounts(), sys.path.count(sys.argv[1]), files() == before)
    """)
    assert building.output_of("-c", program, str(tmp_path / "a.tar")).strip() == "interrupted () 0 True"


@pytest.mark.parametrize("how", ["path", "bytes"])
@pytest.mark.parametrize("kind", ["tar", "tar.gz", "tar.xz", "7z"])
def test_children_have_such_mounts(kind, how, tmp_path):
    tree = building.write_files(tmp_path / "tree", {"pkg/__init__.py": "word = 'found'\n", "pkg/w.txt": "text"})
    path = formats.make(kind, tree, tmp_path / f"a.{kind}")
    mounted = intact.mount(path if how == "path" else open(path, "rb").read(), name="made")
    os.unlink(path)
    program = "import pkg, importlib.resources; print(pkg.word, pkg.__file__, importlib.resources.files('pkg').joinpath('w.txt').read_text())"
    said = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert said.stdout == f"found {mounted.root}/pkg/__init__.py text\n", said.stderr


def mappings():
    with open("/proc/self/maps") as maps:
        return [line.split(maxsplit=5)[5] for line in maps if "intact:spill" in line]


def test_unmounting_frees_what_was_unpacked(tmp_path):
    archive = tar_xz(tmp_path)
    before, mapped = open_files(), mappings()
    mounted = intact.mount(archive)
    assert len(mappings()) == len(mapped) + 1
    mounted.unmount()
    del mounted
    assert open_files() == before and mappings() == mapped


def test_what_is_still_open_outlives_the_mount(tmp_path):
    mounted = intact.mount(tar_xz(tmp_path))
    file = open(f"{mounted.root}/pkg/data.bin", "rb")
    mounted.unmount()
    assert file.read() == bytes(range(256)) * 4000
