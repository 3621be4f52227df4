"""Archives of the formats that intact reads by way of libarchive, made by the tools that people make theirs with.

`make(FORMAT, directory, target)` packs what is in a directory, `unpack(FORMAT, archive, directory)` is the control: a
program that is not libarchive, where there is one. For rar there is no free writer, so `rar4` and `rar5` write its two
formats, stored, from their public descriptions (technote.txt of RAR 4, https://www.rarlab.com/technote.htm of RAR 5).
"""

import calendar
import io
import struct
import subprocess
import tarfile
import time
import zlib
from pathlib import Path

TARS = {"tar": (), "tar.gz": ("--gzip",), "tar.bz2": ("--bzip2",), "tar.xz": ("--xz",), "tar.zst": ("--zstd",), "tar.lz4": ("--lz4",)}
FORMATS = (*TARS, "7z", "iso", "cpio", "cab", "xar", "rar4", "rar5")
# What lies in these as it is, is read from there; all else is unpacked when it is mounted.
IN_PLACE = ("tar", "iso", "cpio")
# What they keep beside names and contents.
WITHOUT_MODES = ("cab",)
WITHOUT_DIRECTORIES = ("cab",)
# What `Mount.format` says.
NAMES = {"iso": "iso9660", "rar4": "rar", "rar5": "rar"}


def suffix(kind):
    return {"rar4": "rar", "rar5": "rar"}.get(kind, kind)


def names_in(directory):
    """All paths below a directory, sorted, directories before what is in them."""
    return sorted(str(path.relative_to(directory)) for path in Path(directory).rglob("*"))


def run(*command, **options):
    done = subprocess.run([str(word) for word in command], capture_output=True, timeout=120, **options)
    assert done.returncode == 0, (command, done.stdout, done.stderr)
    return done.stdout


def make(kind, directory, target):
    """Packs what is in `directory`; gives the path of the archive."""
    directory, target = Path(directory), Path(target).absolute()
    names = names_in(directory)
    listed = "\0".join(names).encode() + (b"\0" if names else b"")
    if kind in TARS:
        run("bsdtar", "-cf", target, *TARS[kind], "--format", "pax", "--null", "--no-recursion", "-T", "-", cwd=directory, input=listed)
    elif kind == "7z":
        run("7zz", "a", "-bd", "-y", target, ".", cwd=directory)
    elif kind == "iso":
        run("genisoimage", "-quiet", "-R", "-o", target, ".", cwd=directory)
    elif kind == "cpio":
        packed = run("cpio", "-0", "-o", "-H", "newc", "--quiet", cwd=directory, input=listed)
        target.write_bytes(packed)
    elif kind == "cab":
        files = [name for name in names if (directory / name).is_file()]
        run("gcab", "-c", "-z", target, *files, cwd=directory)
    elif kind == "xar":
        run("bsdtar", "-cf", target, "--format", "xar", "--null", "--no-recursion", "-T", "-", cwd=directory, input=listed)
    else:
        target.write_bytes({"rar4": rar4, "rar5": rar5}[kind](entries(directory, names)))
    return str(target)


def unpack(kind, archive, directory):
    """Unpacks by a program that shares no code with what is tested, but for rar, which libarchive's own bsdtar unpacks."""
    Path(directory).mkdir()
    archive = Path(archive).absolute()
    if kind in TARS:
        source = {"tar.zst": "zstd", "tar.lz4": "lz4"}.get(kind)
        content = run(source, "-dc", archive) if source else archive.read_bytes()
        with tarfile.open(fileobj=io.BytesIO(content)) as tar:
            tar.extraction_filter = lambda member, path: member  # the first releases of 3.11 know no filter=
            tar.extractall(directory)
    elif kind == "cpio":
        run("cpio", "-i", "-d", "-m", "--quiet", cwd=directory, input=archive.read_bytes())
    elif kind == "iso":
        run("xorriso", "-osirrox", "on", "-indev", archive, "-extract", "/", ".", cwd=directory)
    elif kind.startswith("rar"):
        run("bsdtar", "-xpf", archive, cwd=directory)
    else:
        run("7zz", "x", "-bd", "-y", "-x![TOC].xml", archive, cwd=directory)


def entries(directory, names):
    """(name, mode, mtime, content) of each; a directory's content is None."""
    for name in names:
        path = Path(directory, name)
        status = path.stat()
        yield name, status.st_mode, int(status.st_mtime), path.read_bytes() if path.is_file() else None


def dos_time(seconds):
    when = time.localtime(seconds)
    return (when.tm_year - 1980) << 25 | when.tm_mon << 21 | when.tm_mday << 16 | when.tm_hour << 11 | when.tm_min << 5 | when.tm_sec // 2


def literals(content, codes, end=()):
    """The bits of a Huffman table of so many codes in which the code of a byte, 255 aside, is the byte itself, and of what is coded by it.

    First which lengths codes have, with a code for each: 8 bits is 0, unused is 10, and a run of unused ones is 11.
    """
    lengths = "".join(format(length, "04b") for length in (2, 15, 5, 1, 15, 8, 2))
    unused = "".join("11" + format(run - 11, "07b") for run in (136, codes - 257 - 136))
    return lengths + "0" * 255 + "10" + "0" + unused + "".join(format(code, "08b") for code in (*content, *end))


def to_bytes(bits):
    size = -(-len(bits) // 8)
    return int(bits.ljust(8 * size, "0"), 2).to_bytes(size, "big")


def packed4(content):
    """Compressed as rar 4 does it, with its codes' own end of a file."""
    return to_bytes("00" + literals(content, 404, [255]) + "00") + bytes(8)


def packed5(content):
    bits = literals(content, 430)
    data = to_bytes(bits)
    flags = 0x80 | 0x40 | 1 << 3 | (len(bits) - 1) % 8  # with a table, the last, two bytes of size, bits of the last byte
    return struct.pack("<BBH", flags, 0x5A ^ flags ^ len(data) & 0xFF ^ len(data) >> 8, len(data)) + data


def rar4(members, *, compressed=False, main=0):
    def block(kind, flags, rest):
        body = struct.pack("<BHH", kind, flags, 7 + len(rest)) + rest
        return struct.pack("<H", zlib.crc32(body) & 0xFFFF) + body

    out = [b"Rar!\x1a\x07\x00", block(0x73, main, bytes(6))]
    for name, mode, mtime, content in members:
        data, name = content or b"", name.encode()
        packed = packed4(data) if compressed else data
        unix, version, method = 3, 20, 0x33 if compressed else 0x30
        fields = (len(packed), len(data), unix, zlib.crc32(data), dos_time(mtime), version, method, len(name), mode)
        flags = 0x8000 | (0xE0 if content is None else 0)
        out += [block(0x74, flags, struct.pack("<IIBIIBBHI", *fields) + name), packed]
    return b"".join([*out, block(0x7B, 0x4000, b"")])


def vint(value):
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])


RAR5 = b"Rar!\x1a\x07\x01\x00"


def block5(rest):
    body = vint(len(rest)) + rest
    return struct.pack("<I", zlib.crc32(body)) + body


def rar5(members, *, compressed=False, window=0, main=0, flags=0):
    """`window`: 128 KiB times two to the power of it. `main`, `flags`: of the main header, and more of each file's."""

    out = [RAR5, block5(vint(1) + vint(0) + vint(main))]
    for name, mode, mtime, content in members:
        data, name = content or b"", name.encode()
        packed = packed5(data) if compressed else data
        has_time, has_crc, unix, solid = 2, 4, 1, main & 4 and len(out) > 2
        rest = vint(2) + vint(2 | flags) + vint(len(packed))  # a file, with data after its header
        rest += vint(has_time | has_crc | (content is None)) + vint(len(data)) + vint(mode) + struct.pack("<II", mtime, zlib.crc32(data))
        rest += vint(compressed << 7 | bool(solid) << 6 | window << 10) + vint(unix) + vint(len(name)) + name
        out += [block5(rest), packed]
    return b"".join([*out, block5(vint(5) + vint(0) + vint(0))])


def sevenzip_of(header, packed=b""):
    """A whole 7z: the start header, what is packed, and the header that describes it."""
    place = struct.pack("<QQI", len(packed), len(header), zlib.crc32(header))
    return b"7z\xbc\xaf\x27\x1c\0\4" + struct.pack("<I", zlib.crc32(place)) + place + packed + header


def xar_of(*files, heap=b""):
    """A xar of these elements, without a checksum of its table of contents."""
    toc = "".join(["<xar><toc>", *files, "</toc></xar>"]).encode()
    packed = zlib.compress(toc)
    return b"xar!" + struct.pack(">HHQQI", 28, 1, len(packed), len(toc), 0) + packed + heap


def both(value, layout="I"):
    """A number in both orders of bytes; ECMA-119 7.3.3."""
    return struct.pack("<" + layout, value) + struct.pack(">" + layout, value)


def system_use(kind, *numbers):
    """An entry of a record's system use area, of Rock Ridge's or SUSP's; bytes are taken as they are."""
    body = b"".join(number if isinstance(number, bytes) else both(number) for number in numbers)
    return kind + bytes([len(body) + 4, 1]) + body


def iso_record(name, extent, size, flags=0, used=b""):
    """What a directory says of one file, with its system use area; ECMA-119 9.1."""
    body = both(extent) + both(size) + bytes([124, 5, 6, 12, 0, 0, 0, flags, 0, 0]) + both(1, "H") + bytes([len(name)]) + name
    body += bytes(len(body) % 2) + used
    return bytes([len(body) + 2, 0]) + body


def iso_listing(*records):
    """A directory: records do not cross the sectors' ends."""
    sectors = [b""]
    for record in records:
        if len(sectors[-1]) + len(record) > 2048:
            sectors.append(b"")
        sectors[-1] += record
    return b"".join(sector.ljust(2048, b"\0") for sector in sectors)


def iso_of(root, listing, *sectors, end=26, joliet=None, block=2048):
    """A volume of one directory, which says that it has `end` sectors; ECMA-119 8.4.

    Sectors of 2,048 bytes: 16 the volume, 17 the end, 18 the path table, 19 the directory, from 20 on `sectors`. `root` is the directory's record.
    `joliet` is the record of another tree's root: then 17 has that and 18 the end.
    """

    def descriptor(kind, escape, root):
        text = kind + b"CD001\1\0" + b" " * 64 + bytes(8) + both(end) + escape.ljust(32, b"\0") + both(1, "H") + both(1, "H") + both(block, "H")
        text += both(10) + struct.pack("<II", 18, 0) + struct.pack(">II", 18, 0) + root
        return text.ljust(881, b" ") + b"\1\0"

    volume, last = descriptor(b"\1", b"", root), b"\xffCD001\1"
    path_table = b"\1\0" + struct.pack("<IH", 19, 1) + b"\0\0"
    before = [volume, last, path_table] if joliet is None else [volume, descriptor(b"\2", b"%/E", joliet), last]
    return (bytes(16 * 2048) + b"".join(sector.ljust(2048, b"\0") for sector in [*before, listing, *sectors])).ljust(26 * 2048, b"\0")


def tar_of(*members, format=tarfile.GNU_FORMAT, **options):
    """A tar of (name, content or None for a directory or a dict of TarInfo's fields) in this order."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=format, **options) as tar:
        for name, content in members:
            info = tarfile.TarInfo(name)
            info.mtime = calendar.timegm((2024, 5, 6, 12, 0, 0))
            data = b""
            if content is None:
                info.type, info.mode = tarfile.DIRTYPE, 0o755
            elif isinstance(content, dict):
                for field, value in content.items():
                    setattr(info, field, value)
            else:
                data = content.encode() if isinstance(content, str) else content
                info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return buffer.getvalue()


def link(target):
    return {"type": tarfile.SYMTYPE, "linkname": target}


def hard_link(target):
    return {"type": tarfile.LNKTYPE, "linkname": target}
