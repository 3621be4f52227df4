"""What names and links may cost: caps on what an archive only implies, and on what libarchive does for it."""

import bz2
import gzip
import io
import struct
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


def named(count, name="{}"):
    return [(name.format(number), 0o100644, 1_714_996_800, b"x") for number in range(count)]


def test_names_of_a_rar_4_are_capped():
    """libarchive looks for each backslash from the name's beginning."""
    assert len(intact.mount(formats.rar4(named(1, "a\\" * 255 + "a")))) == 1
    for name in ("a\\" * 257, "a" * 4097):
        with pytest.raises(intact.ArchiveError, match="a name of more than 4096 bytes or 256 backslashes"):
            intact.mount(formats.rar4(named(1, name)))


@pytest.mark.parametrize(("window", "main"), [(7, 0), (8, 0), (7, 4)], ids=["16-mib", "32-mib", "solid"])
def test_windows_of_a_rar_5_are_capped(window, main):
    """One of 16 MiB for each member takes 0.4 milliseconds; larger ones libarchive gets without a cost, and a solid archive has one."""
    archive = formats.rar5(named(4500), compressed=True, window=window, main=main)
    if (window, main) != (7, 0):
        assert len(intact.mount(archive)) == 4500
        return
    with pytest.raises(intact.ArchiveError, match="more windows to unpack it than 64 GiB"):
        intact.mount(archive)


@pytest.mark.parametrize("make", [formats.rar4, formats.rar5])
def test_members_of_a_rar_are_capped(make):
    assert len(intact.mount(make(named(10)), max_members=10)) == 10
    with pytest.raises(intact.ArchiveError, match="more members than the limit of 9"):
        intact.mount(make(named(10)), max_members=9)


def test_a_rar_behind_a_program_is_none():
    """What libarchive would find there nobody has checked."""
    for make in (formats.rar4, formats.rar5):
        with pytest.raises(intact.ArchiveError, match="of no known archive format"):
            intact.mount(b"MZ".ljust(1 << 16, b"\0") + make(named(3)) + bytes(1 << 17))


MODE = formats.system_use(b"PX", 0o40755, 2, 0, 0)
MIB = 1 << 20
MANY = 200 * 2048


def directory(name, sector, size=2048, *entries):
    return formats.iso_record(name, sector, size, 2, b"".join(entries))


def volume(*records, sectors=b""):
    """An iso9660 volume with Rock Ridge whose root, in sector 19, has these records, and `sectors` behind it."""
    root = directory(b"\0", 19, 2048, formats.system_use(b"SP", b"\xbe\xef\0"), MODE)
    return formats.iso_of(directory(b"\0", 19), formats.iso_listing(root, *records), sectors, end=20 + len(sectors) // 2048 + 6)


def empty_files(count):
    mode = formats.system_use(b"PX", 0o100644, 1, 0, 0)
    return [formats.iso_record(b"%d" % number, 0, 0, 0, mode) for number in range(count)]


def many_files(count):
    """Ones of a large directory, in a volume of MANY bytes."""
    listing = formats.iso_listing(*empty_files(count)).ljust(MANY - 20 * 2048, b"\0")
    return volume(directory(b"D", 20, len(listing), MODE), sectors=listing)


def nested(count):
    """Directories in one another, in a sector each."""
    sectors = [formats.iso_listing(directory(b"D", sector, 2048, MODE)) for sector in range(21, 20 + count)]
    return volume(directory(b"D", 20, 2048, MODE), sectors=b"".join([*sectors, bytes(2048)]))


def files_below(count, name):
    """Files in a directory, whose name is part of each path."""
    name = formats.system_use(b"NM", b"\0" + name)
    return volume(directory(b"D", 20, 4096, name), sectors=formats.iso_listing(*empty_files(count)).ljust(4096, b"\0"))


def continued(count):
    """Files whose system use goes on in the same whole sector, which has padding in it."""
    record = formats.iso_record(b"F", 0, 0, 0, formats.system_use(b"CE", 0, 0, 2048))
    behind = 20 + -(-count // (2048 // len(record)))
    listing = formats.iso_listing(*[formats.iso_record(b"F", 0, 0, 0, formats.system_use(b"CE", behind, 0, 2048))] * count)
    return volume(directory(b"D", 20, len(listing), MODE), sectors=listing + formats.system_use(b"PD", bytes(124)) * 16)


def standing_for(count):
    """Records that stand for relocated directories, which are not there."""
    listing = formats.iso_listing(*(formats.iso_record(b"L", 0, 0, 0, formats.system_use(b"CL", 1000 + n)) for n in range(count)))
    return volume(directory(b"D", 20, len(listing), MODE), sectors=listing)


def relocated(count):
    moved = formats.system_use(b"RE")
    first = 20 + count // 20 + 1
    listing = formats.iso_listing(*(directory(b"R", first + n, 2048, MODE, moved) for n in range(count)))
    place = directory(b"rr_moved", 20, len(listing), MODE)
    return volume(place, sectors=listing.ljust((first - 20) * 2048, b"\0") + bytes(count * 2048))


def large(size):
    return volume(directory(b"D", 20, size, MODE), sectors=bytes(-(-size // 2048) * 2048))


ISOS = {
    "files": (lambda n: volume(*empty_files(n)), 10, "more files than 10", {"max_members": 10}),
    "bytes-of-files": (many_files, 2000, "more files than 2001", {"max_unpacked_size": 2001 * 512 - MANY}),
    "names": (lambda n: files_below(40, b"n" * n), 150, "longer paths", {"max_directory_size": 6424}),
    "depth": (nested, 255, "more directories in one another than 256", {}),
    "continuations": (continued, 32_768, "more bytes of continuation areas than 67108864", {}),
    "what-stands-for-directories": (standing_for, 10_000, "more relocated directories than 10000", {}),
    "relocated-directories": (relocated, 10_000, "more relocated directories than 10000", {}),
    "bytes-of-a-directory": (large, 64 * MIB, "more bytes of a directory than 67108864", {}),
    "bytes-of-directories": (large, 10 * 2048, "larger directories than the limit", {"max_directory_size": 11 * 2048}),
}


@pytest.mark.parametrize("name", ISOS)
def test_what_libarchive_does_for_an_iso9660_volume_is_capped(name):
    """Each of these takes time or memory that grows faster than the volume, or is kept of each of its files."""
    make, most, said, limits = ISOS[name]
    intact.mount(make(most), name="most", **limits).unmount()
    with pytest.raises(intact.ArchiveError, match=rf"^more: an iso9660 volume with {said}"):
        intact.mount(make(most + 1), name="more", **limits)


def test_a_xar_in_what_is_unpacked_piece_by_piece_is_none():
    """It could not be checked before libarchive reads it. gzip is unpacked whole."""
    xar = formats.xar_of(file(1, name="a"))
    assert list(intact.mount(gzip.compress(xar))) == ["a"]
    with pytest.raises(intact.ArchiveError, match="no archive of a known format"):
        intact.mount(bz2.compress(xar))


def number(value):
    """A 7z's, in its longest form."""
    return b"\xff" + struct.pack("<Q", value)


def listed(count, *properties):
    """What the header of a 7z says of its files."""
    names = b"\0" + "".join(f"{n}\0" for n in range(count)).encode("utf-16-le")
    properties = ((0x11, names), *properties)
    return b"\5" + number(count) + b"".join(bytes([kind]) + number(len(data)) + data for kind, data in properties) + b"\0"


def empty_files(count, *properties):
    bits = b"\xff" * ((count + 7) // 8)
    return formats.sevenzip_of(b"\1" + listed(count, (0x0E, bits), (0x0F, bits), *properties) + b"\0")


def files_in(*folders, size=1, attributes=()):
    """Files of one size; so many of them in each folder, which is stored."""
    each = [number(size * count) for count in folders]
    header = b"\1\4\6" + number(0) + number(len(folders)) + b"\x09" + b"".join(each) + b"\0"
    header += b"\7\x0b" + number(len(folders)) + b"\0" + b"\1\1\0" * len(folders) + b"\x0c" + b"".join(each) + b"\0"
    header += b"\x08\x0d" + b"".join(map(number, folders)) + b"\x09" + number(size) * (sum(folders) - len(folders)) + b"\0\0"
    return formats.sevenzip_of(header + listed(sum(folders), *attributes) + b"\0", bytes(size * sum(folders)))


LINK = ((0x15, b"\1\0" + struct.pack("<I", 0o120777 << 16 | 0x8000)),)
SEVENZIPS = {
    "files": (empty_files(10), empty_files(11), "more members than the limit of 10", {"max_members": 10}),
    "contents": (files_in(10), files_in(11), "more contents than the limit of 10", {"max_members": 10}),
    "folders": (files_in(*[1] * 10), files_in(*[1] * 11), "more folders than the limit of 10", {"max_members": 10}),
    # 128 bytes for each packed stream, folder, coder, input and size of these, content and file.
    "memory": (files_in(5), files_in(6), "more in it than the memory that it may take", {"max_unpacked_size": 128 * 15}),
    "link": (files_in(1, size=1 << 16, attributes=LINK), files_in(1, size=(1 << 16) + 1, attributes=LINK), "a symbolic link of more than", {}),
    "properties": (empty_files(1, *[(0x19, b"")] * 61), empty_files(1, *[(0x19, b"")] * 62), "too many properties of files", {}),
    "padding": (empty_files(1, (0x19, bytes(1 << 20))), empty_files(1, (0x19, bytes((1 << 20) + 1))), "a large property", {}),
}


@pytest.mark.parametrize("name", SEVENZIPS)
def test_what_libarchive_does_for_a_7z_is_capped(name):
    """Each of these takes memory or time that the 7z need not have the size for; in what gzip packs as well."""
    most, more, said, limits = SEVENZIPS[name]
    for pack in bytes, gzip.compress:
        intact.mount(pack(most), name="most", **limits).unmount()
        with pytest.raises(intact.ArchiveError, match=rf"^more: a 7z header with {said}"):
            intact.mount(pack(more), name="more", **limits)


@pytest.mark.parametrize("program", [b"MZ", b"\x7fELF"])
def test_a_7z_behind_a_program_is_none(program):
    """libarchive would look for its signature there, and find one that was not checked."""
    with pytest.raises(intact.ArchiveError, match="of no known archive format"):
        intact.mount(program.ljust(0x27000, b"\0") + empty_files(1) + bytes(4096))


def test_a_7z_of_a_few_bytes_costs_what_it_has_and_not_what_it_says():
    """A hundred million files, contents or folders, for which there are no bytes."""
    info = b"\1\4\6" + number(0) + number(1) + b"\x09\1\0\7\x0b"
    many = number(100_000_000)
    for header in (b"\1\5" + many, info + many + b"\0", info + b"\1\0\1\1\0\x0c\1\0\x08\x0d" + many, b"\1\4\6" + number(0) + many + b"\x09"):
        with pytest.raises(intact.ArchiveError, match="a 7z header with more"):
            intact.mount(formats.sevenzip_of(header + bytes(3), b"x"))


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
