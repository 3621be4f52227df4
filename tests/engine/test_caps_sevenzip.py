"""What a 7z may cost: caps on what libarchive does for it."""

import gzip
import struct

import intact
import pytest
from support import formats


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
