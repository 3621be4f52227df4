"""Writes the archives of tests/rejected/libarchive whose names are hostile: each format that libarchive reads with each kind of name.

Each holds the member `good`. Where the rest can be left out the archive goes to the folder left_out, and its name begins with how many
members that is. By hand, as make_formats.py: `python fuzz/make_names.py` in the root of the source tree (any Python from 3.11).
"""

import base64
import stat
import struct
import tarfile
import zlib

import make_formats
from make_formats import EVIL, ROOT, newc, number, write
from support.formats import both, iso_of, iso_record, rar4, rar5, sevenzip_of, tar_of

GOOD = ("good", b"x")
SECTOR = 2048
FILE, LINK = stat.S_IFREG | 0o644, stat.S_IFLNK | 0o777
NOON = 1_714_996_800


class Link(bytes):
    """The content of a symbolic link."""


def mode(content):
    return LINK if isinstance(content, Link) else FILE


def tar(members):
    """pax, which has names of any length."""
    made = [(name, {"type": tarfile.SYMTYPE, "linkname": content.decode()} if isinstance(content, Link) else content) for name, content in members]
    return tar_of(*made, format=tarfile.PAX_FORMAT)


def cpio(members):
    return newc(*((name.encode(), content, {"mode": mode(content)}) for name, content in members))


def sevenzip(members):
    """All in one folder, which is stored."""
    contents = [content for _, content in members]
    packed = b"".join(contents)
    folder = b"\1\1\0"
    info = b"\x06" + number(0) + number(1) + b"\x09" + number(len(packed)) + b"\0"
    info += b"\x07\x0b" + number(1) + b"\0" + folder + b"\x0c" + number(len(packed)) + b"\0"
    info += b"\x08\x0d" + number(len(members)) + b"\x09" + b"".join(number(len(content)) for content in contents[:-1])
    info += b"\x0a\1" + b"".join(struct.pack("<I", zlib.crc32(content)) for content in contents) + b"\0"
    names = b"\0" + "".join(name + "\0" for name, _ in members).encode("utf-16-le")
    attributes = b"\1\0" + b"".join(struct.pack("<I", mode(content) << 16 | 0x8000) for content in contents)
    files = number(len(members)) + b"\x11" + number(len(names)) + names + b"\x15" + number(len(attributes)) + attributes
    header = b"\1\4" + info + b"\0\5" + files + b"\0\0"
    return sevenzip_of(header, packed)


def xar(members):
    """Names in base64, so that they can be anything."""
    files, heap = [], b""
    for each, (name, content) in enumerate(members, 1):
        body = f'<name enctype="base64">{base64.b64encode(name.encode()).decode()}</name>'
        if isinstance(content, Link):
            body += f'<type>symlink</type><link type="file">{content.decode()}</link>'
        else:
            body += f"<type>file</type><data><length>{len(content)}</length><offset>{20 + len(heap)}</offset><size>{len(content)}</size>"
            body += '<encoding style="application/octet-stream"/></data>'
            heap += content
        files.append(f'<file id="{each}">{body}</file>')
    toc = '<?xml version="1.0" encoding="UTF-8"?><xar><toc><checksum style="sha1"><offset>0</offset><size>20</size></checksum>'
    toc += "".join(files) + "</toc></xar>"
    return make_formats.xar(toc=toc, heap=heap)


def rar(write):
    return lambda members: write([(name, mode(content), NOON, content) for name, content in members])


def cab(members):
    """Stored, in one block."""
    files, data = b"", b"".join(content for _, content in members)
    at = 0
    for name, content in members:
        files += struct.pack("<IIHHHH", len(content), at, 0, 0x58A6, 0x6000, 0xA0) + name.encode() + b"\0"
        at += len(content)
    first = 36 + 8 + len(files)
    head = struct.pack("<4sIIIIIBBHHHHH", b"MSCF", 0, first + 8 + len(data), 0, 44, 0, 3, 1, 1, len(members), 0, 0, 0)
    return head + struct.pack("<IHH", first, 1, 0) + files + struct.pack("<IHH", 0, len(data), len(data)) + data


def iso(members):
    """A volume of one directory, with names and links as Rock Ridge has them (IEEE P1282): in continuations, which are as long as it takes."""

    def entry(kind, data):
        return kind + bytes([len(data) + 4, 1]) + data

    def continuation(sector, size):
        return entry(b"CE", both(sector) + both(0) + both(size))

    def pieces(kind, data, component=lambda piece: b""):
        parts = [data[at : at + 240] for at in range(0, len(data), 240)]
        return [entry(kind, bytes([part is not parts[-1]]) + component(part) + part) for part in parts]

    def areas(entries):
        """What goes into sectors of continuations: in each as many as it holds with where the next is."""
        filled = [b""]
        for each in entries:
            if len(filled[-1]) + len(each) + 28 > SECTOR:
                filled.append(b"")
            filled[-1] += each
        return filled

    # libarchive wants a file's continuations before its content.
    sectors, places = [], []
    for name, content in members:
        entries = [entry(b"PX", both(mode(content)) + both(1) + both(0) + both(0)), *pieces(b"NM", name.encode())]
        if isinstance(content, Link):
            entries += pieces(b"SL", content, lambda part: bytes([0, len(part)]))
        first, filled = 20 + len(sectors), areas(entries)
        sizes = [len(area) + 28 * (area is not filled[-1]) for area in filled]
        sectors += [area + continuation(first + next, sizes[next]) for next, area in enumerate(filled[:-1], 1)] + filled[-1:]
        places.append((first, sizes[0]))
    listing = b""
    for each, ((_, content), place) in enumerate(zip(members, places)):
        listing += iso_record(b"%d.;1" % each, 20 + len(sectors), len(content), 0, continuation(*place))
        sectors.append(content)
    root = entry(b"SP", b"\xbe\xef\0") + entry(b"PX", both(stat.S_IFDIR | 0o755) + both(2) + both(0) + both(0))
    listing = iso_record(b"\0", 19, SECTOR, 2, root) + iso_record(b"\1", 19, SECTOR, 2) + listing
    return iso_of(iso_record(b"\0", 19, SECTOR, 2), listing, *sectors, end=20 + len(sectors))


WRITERS = {"tar": tar, "cpio": cpio, "7z": sevenzip, "iso": iso, "cab": cab, "xar": xar, "4.rar": rar(rar4), "5.rar": rar(rar5)}
# Each kind of name, with how many members it is that nobody can reach.
HOSTILE = {
    "unsafe-names": (3, [(name, b"x") for name in EVIL]),
    "nul-in-a-name": (0, [("good\0x", b"x")]),
    "name-of-70000-characters": (1, [("n" * 70_000, b"x"), GOOD]),
    "directories-300-deep": (1, [("d/" * 300 + "f", b"x"), GOOD]),
    "links-in-a-circle": (2, [("a", Link(b"b")), ("b", Link(b"a")), GOOD]),
    "name-twice": (0, [("good", b"first"), GOOD]),
}
REFUSED = {("name-of-70000-characters", "5.rar")}
IMPOSSIBLE = {("links-in-a-circle", "cab"), ("name-of-70000-characters", "4.rar")}  # cab has no links, names of rar 4 are shorter


def archives(refused):
    for kind, (count, members) in HOSTILE.items():
        for form, make in WRITERS.items():
            if (kind, form) not in IMPOSSIBLE and ((kind, form) in REFUSED) == refused:
                # libarchive takes the second of two neighbours in a rar 4 for a continuation of the first.
                unreachable = 1 if (kind, form) == ("name-twice", "4.rar") else count
                yield f"{kind}.{form}" if refused else f"{unreachable}-{kind}.{form}", make(members)


def overlapping():
    """The second file of a cab begins in the first."""
    good = cab([("a", b"x" * 10), ("b", b"x" * 10)])
    yield "files-that-overlap.cab", good.replace(struct.pack("<II", 10, 10), struct.pack("<II", 10, 5))


if __name__ == "__main__":
    write(ROOT / "tests/rejected/libarchive", [lambda: archives(True), overlapping])
    write(ROOT / "tests/rejected/libarchive/left_out", [lambda: archives(False)])
