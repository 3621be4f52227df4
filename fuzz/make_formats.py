"""Writes the seeds of libarchive_fuzz, and the hostile archives of tests/rejected/libarchive.

Each file is small, has one property, and is named for it; the last part of its name is the format. make_isos.py has the iso9660 volumes,
make_names.py what is hostile in names. All are written by hand, so that running it again changes nothing: `python fuzz/make_formats.py` in
the root of the source tree (any Python from 3.11).
"""

import bz2
import gzip
import hashlib
import lzma
import pathlib
import struct
import sys
import tarfile
import zlib

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT / "tests"), str(ROOT / "fuzz")]

from make_corpus import coder, number, zstd_frame  # noqa: E402
from support.formats import RAR5, block5, hard_link, link, rar4, rar5, sevenzip_of, tar_of, vint  # noqa: E402

CONTENT = b"print('seven times six is', 7 * 6)\n" * 4
FILE = ("pkg/module.py", CONTENT)
EVIL = ("../up", "/absolute", "a/../../b", "good")


def patched(archive, at, value):
    return archive[:at] + value + archive[at + len(value) :]


# ---- tar


def header(name=b"file", size=b"%011o\0" % len(CONTENT), kind=b"0", link_name=b"", magic=b"ustar\00000", right=True):
    """A tar's header, each field as told."""
    block = bytearray(512)
    for at, field in ((0, name), (100, b"0000644\0"), (124, size), (136, b"14616542000\0"), (156, kind), (157, link_name), (257, magic)):
        block[at : at + len(field)] = field
    block[148:156] = b" " * 8
    block[148:156] = b"%06o\0 " % (sum(block) + (not right))
    return bytes(block)


def padded(data):
    return data + bytes(-len(data) % 512)


def tar(*parts):
    return b"".join(map(padded, parts)) + bytes(1024)


def pax(**records):
    """A pax header; a record whose value is bytes is taken as it is."""
    body = b""
    for key, value in records.items():
        line = b" " + key.encode() + b"=" + (value if isinstance(value, bytes) else str(value).encode()) + b"\n"
        size = len(line) + len(str(len(line) + 2))
        body += str(size).encode() + line
    return header(b"pax", b"%011o\0" % len(body), b"x"), body


def tars():
    yield "gnu.tar", tar_of(FILE, ("directory", None), ("n" * 120, "long"))
    yield "pax.tar", tar_of(FILE, ("\u00fcber/" + "n" * 120, "long"), format=tarfile.PAX_FORMAT)
    yield "v7.tar", tar(header(magic=b""), CONTENT)
    yield "links.tar", tar_of(FILE, ("l", link("pkg")), ("m", link("l/module.py")), ("h", hard_link("pkg/module.py")), ("c", link("c")))
    yield "unsafe-names.tar", tar_of(*((name, "x") for name in EVIL))
    yield "sparse.tar", tar(*pax(**{"GNU.sparse.map": "0,1,4096,2", "GNU.sparse.size": 8192, "GNU.sparse.numblocks": 2}), header(size=b"00000000003\0"), b"abc")
    small = tar_of(("m.py", "n = 1\n"))[:2048]
    yield "gzip.tar.gz", gzip.compress(small, mtime=0)
    yield "members.tar.gz", gzip.compress(small[:700], mtime=0) + gzip.compress(small[700:], mtime=0) + bytes(64)
    yield "bzip2.tar.bz2", bz2.compress(small)
    yield "xz.tar.xz", lzma.compress(small)
    yield "lzma.tar.lzma", lzma.compress(small, format=lzma.FORMAT_ALONE)
    yield "zstd.tar.zst", b"".join(zstd_frame(small[i : i + 250]) for i in range(0, len(small), 250))


def rejected_tars():
    yield "size-beyond-the-end.tar", tar(header(size=b"77777777777\0"), CONTENT)
    yield "size-of-exabytes.tar", tar(header(size=b"\x80" + bytes(3) + b"\x7f" + b"\xff" * 7), CONTENT)
    yield "size-negative.tar", tar(header(size=b"\xff" * 12), CONTENT)
    yield "checksum-wrong.tar", tar(header(), CONTENT, header(b"second", right=False), CONTENT)
    yield "member-cut.tar", tar(header(), CONTENT)[:600]
    yield "garbage-after-a-member.tar", padded(header() + CONTENT) + b"\x55" * 512
    yield "long-name-of-exabytes.tar", tar(header(kind=b"L", size=b"\x80" + bytes(3) + b"\x7f" + b"\xff" * 7))
    yield "pax-size-beyond-the-end.tar", tar(*pax(size=1 << 40), header(), CONTENT)
    yield "gzip-crc-wrong.tar.gz", patched(gzip.compress(tar(header(), CONTENT), mtime=0), -8, b"\0\0\0\0")
    yield "gzip-size-wrong.tar.gz", patched(gzip.compress(tar(header(), CONTENT), mtime=0), -4, b"\xff\xff\xff\xff")
    yield "gzip-cut.tar.gz", gzip.compress(tar(header(), CONTENT), mtime=0)[:-9]
    yield "gzip-no-archive.gz", gzip.compress(CONTENT, mtime=0)
    yield "gzip-in-gzip.tar.gz", gzip.compress(gzip.compress(tar(header(), CONTENT), mtime=0), mtime=0)
    yield "xz-cut.tar.xz", lzma.compress(tar(header(), CONTENT))[:-13]
    yield "xz-no-archive.xz", lzma.compress(CONTENT)
    yield "compressed-by-compress.Z", b"\x1f\x9d\x90" + CONTENT
    yield "bzip2-cut.tar.bz2", bz2.compress(tar(header(), CONTENT))[:-4]
    yield "bzip2-in-xz.tar.xz", lzma.compress(bz2.compress(tar(header(), CONTENT)))


def left_out_tars():
    """Whole, with members that cannot be reached; the number of those is in the name."""
    yield "1-hard-link-of-no-name.tar", tar(*pax(linkpath=b"\xff\xfe"), header(size=b"00000000000\0", kind=b"1"), header(b"good"), CONTENT)


# ---- cpio


def newc(*members, magic=b"070701"):
    out = b""
    for number_, (name, data, fields) in enumerate((*members, (b"TRAILER!!!", b"", {})), 1):
        values = dict(ino=number_, mode=0o100644, uid=0, gid=0, nlink=1, mtime=1_714_996_800, size=len(data), major=0, minor=0, rmajor=0,
                      rminor=0, namesize=len(name) + 1, check=0) | fields  # fmt: skip
        out += magic + b"".join(b"%08X" % value for value in values.values()) + name + b"\0"
        out += bytes(-len(out) % 4) + data
        out += bytes(-len(out) % 4)
    return out


def cpios():
    yield "newc.cpio", newc((b"m.py", CONTENT, {}), (b"d", b"", {"mode": 0o40755}), (b"l", b"m.py", {"mode": 0o120777}))
    twice = {"ino": 9, "nlink": 2}
    yield "hard-links.cpio", newc((b"a", b"", twice), (b"b", CONTENT, twice))


def rejected_cpios():
    yield "size-beyond-the-end.cpio", newc((b"m", CONTENT, {"size": 0x7FFFFFFF}))
    yield "name-beyond-the-end.cpio", newc((b"m", CONTENT, {"namesize": 0x7FFFFFFF}))
    yield "trailer-missing.cpio", newc((b"m", CONTENT, {}))[:-124]
    yield "magic-wrong.cpio", patched(newc((b"m", CONTENT, {}), (b"n", CONTENT, {})), 256, b"ABCDEF")


def left_out_cpios():
    yield "1-name-empty.cpio", newc((b"good", CONTENT, {}), (b"m", b"", {"namesize": 0}))
    yield "1-hard-link-no-utf8.cpio", newc((b"\xff\xfe", CONTENT, {"ino": 5, "nlink": 2}), (b"good", CONTENT, {}))
    linked = {"ino": 9, "nlink": 9, "mode": 0o40755}
    yield "2-hard-links-to-a-directory.cpio", newc((b"d", b"", linked), (b"d", b"", linked), (b"e", b"", linked), (b"good", CONTENT, {}))


# ---- 7z, plain (make_corpus.py has the encrypted ones)


def streams_of(packed, size, folder, unpacked=()):
    """PackInfo and UnPackInfo of one folder."""
    info = b"\x06" + number(0) + number(len(packed)) + b"\x09" + b"".join(number(len(stream)) for stream in packed) + b"\0"
    return info + b"\x07\x0b" + number(1) + b"\0" + folder + b"\x0c" + b"".join(map(number, (*unpacked, size))) + b"\0"


def folder_of(method, properties=b""):
    return b"\1" + (coder(method, properties) if properties else bytes([len(method)]) + method)


def sevenzip(names=("m.py",), *, size=None, packed=CONTENT, crc=None, files=None, method=b"\0", properties=b"", folder=None, unpacked=(), more=b"",
             encode=None):  # fmt: skip
    size = len(CONTENT) if size is None else size
    info = streams_of([packed], size, folder_of(method, properties) if folder is None else folder, unpacked)
    info += b"\x08\x0a\x01" + struct.pack("<I", zlib.crc32(CONTENT) if crc is None else crc) + b"\0"
    listed = b"\0" + "".join(name + "\0" for name in names).encode("utf-16-le")
    header = b"\1\4" + info + b"\0\5" + number(len(names) if files is None else files) + b"\x11" + number(len(listed)) + listed + more + b"\0\0"
    return sevenzip_of(header, packed) if encode is None else encoded(header, packed, *encode(header))


def encoded(header, data, packed, folder):
    """A 7z whose header is itself packed, behind the data."""
    packed = packed if isinstance(packed, list) else [packed]
    described = b"\x17" + streams_of(packed, len(header), folder).replace(number(0), number(len(data)), 1) + b"\0"
    return sevenzip_of(described, data + b"".join(packed))


def property_of(kind, data):
    return bytes([kind]) + number(len(data)) + data


def lzma_header(header):
    properties, packed = lzma_of(header)
    return packed, folder_of(b"\3\1\1", properties)


def lzma_of(data):
    packed = lzma.compress(data, format=lzma.FORMAT_ALONE, filters=[{"id": lzma.FILTER_LZMA1, "dict_size": 4096}])
    return packed[:5], packed[13:]


def sevenzips():
    yield "stored.7z", sevenzip()
    properties, packed = lzma_of(CONTENT)
    yield "lzma.7z", sevenzip(packed=packed, method=b"\3\1\1", properties=properties)
    attributes = property_of(0x15, b"\1\0" + struct.pack("<I", 0o100644 << 16 | 0x8000))
    yield "header-in-lzma.7z", sevenzip(more=property_of(0x14, b"\1\0" + bytes(8)) + attributes, encode=lzma_header)


def four_streams(folder, unpacked):
    return sevenzip_of(b"\1\4" + streams_of([b"x"] * 4, unpacked[-1], folder, unpacked[:-1]) + b"\0\0", b"xxxx")


def rejected_sevenzips():
    yield "crc-wrong.7z", sevenzip(crc=1)
    yield "size-larger-than-packed.7z", sevenzip(size=1 << 20)
    yield "size-of-exabytes.7z", sevenzip(size=(1 << 62) + 1)
    yield "files-more-than-named.7z", sevenzip(files=1 << 40)
    yield "header-cut.7z", sevenzip()[:-9]
    properties, packed = lzma_of(CONTENT)
    yield "lzma-broken.7z", sevenzip(packed=b"\xff" * len(packed), method=b"\3\1\1", properties=properties)
    three_inputs = b"\1" + b"\x33\3\1\1" + number(3) + number(1) + number(5) + properties + number(0) + number(1) + number(2)
    yield "header-in-bzip2.7z", sevenzip(encode=lambda header: (bz2.compress(header), folder_of(b"\4\2\2")))
    yield "header-in-several-streams.7z", sevenzip(encode=lambda header: ([lzma_of(header)[1], b"x", b"y"], three_inputs))
    yield "header-only-copied.7z", sevenzip(encode=lambda header: (header, folder_of(b"\0")))
    yield "header-with-properties.7z", sevenzip_of(b"\1\2\0\0")
    yield "header-with-other-streams.7z", sevenzip_of(b"\1\3\0\0")
    yield "attributes-twice.7z", sevenzip(more=property_of(0x15, b"\1\0" + bytes(4)) * 2)
    yield "times-beyond-their-size.7z", sevenzip(more=property_of(0x14, b"\1\0" + bytes(7)) + bytes(1))
    yield "times-elsewhere.7z", sevenzip(more=property_of(0x14, b"\1\1" + bytes(8)))
    lzmas = coder(b"\3\1\1", properties) * 3 + b"\x14\x03\x03\x01\x1b" + number(4) + number(1)
    bonds = b"".join(map(number, (5, 0, 4, 1, 3, 2, 2, 6, 1, 0)))
    yield "bcj2-of-terabytes.7z", four_streams(b"\4" + lzmas + bonds, (1 << 40, 100, 100, 100))
    yield "dictionary-of-4-gib.7z", sevenzip(packed=b"\xff" * len(packed), method=b"\3\1\1", properties=properties[:1] + b"\xff" * 4)


# ---- xar


def xar(*, toc=None, heap=CONTENT, size=None, offset=20, length=None, sha1=None, name="m.py", toc_size=None, style="octet-stream"):
    sha1 = hashlib.sha1(heap).hexdigest() if sha1 is None else sha1
    length, size = len(heap) if length is None else length, len(heap) if size is None else size
    toc = f"""<?xml version="1.0" encoding="UTF-8"?><xar><toc><checksum style="sha1"><offset>0</offset><size>20</size></checksum>
<file id="1"><name>{name}</name><type>file</type><mode>0644</mode><data><length>{length}</length><offset>{offset}</offset><size>{size}</size>
<encoding style="application/{style}"/><archived-checksum style="sha1">{sha1}</archived-checksum>
<extracted-checksum style="sha1">{sha1}</extracted-checksum></data></file></toc></xar>""" if toc is None else toc
    packed = zlib.compress(toc.encode())
    start = b"xar!" + struct.pack(">HHQQI", 28, 1, len(packed), len(toc) if toc_size is None else toc_size, 1)
    return start + packed + hashlib.sha1(packed).digest() + heap


def toc_of(*files):
    return "<xar><toc>" + "".join(files) + "</toc></xar>"


def file_of(number, inside="<type>file</type>"):
    return f'<file id="{number}"><name>{number}</name>{inside}</file>'


def xars():
    yield "stored.xar", xar()


def tocs():
    """Tables of contents alone, as xar_fuzz takes them, for 140 bytes of contents."""
    data = '<data><length>140</length><offset>20</offset><size>140</size><encoding style="application/octet-stream"/></data>'
    ea = '<ea id="1"><name>user.x</name><length>7</length><offset>0</offset><size>7</size><fstype>ext2</fstype></ea>'
    yield "file.xml", '<?xml version="1.0" encoding="UTF-8"?>' + toc_of(file_of(1, "<type>file</type><mode>0644</mode>" + data))
    yield "directory.xml", toc_of(f'<file id="1"><name>a&amp;b</name><type>directory</type>{file_of(2)}</file>')
    yield "links.xml", toc_of(file_of(1, '<type link="original">hardlink</type>' + data), file_of(2, '<type link="1">hardlink</type>'))
    yield "symbolic-link.xml", toc_of(file_of(1, '<type>symlink</type><link type="file">2</link>'), file_of(2))
    yield "extended.xml", toc_of(file_of(1, ea + "<type>file</type>" + data))
    yield "base64.xml", toc_of('<file id="1"><name enctype="base64">bmFtZQ==</name><type>file</type></file>')


def rejected_xars():
    yield "comment-in-a-name.xar", xar(toc=toc_of('<file id="1"><name>a<!-- -->b</name></file>'))
    yield "doctype.xar", xar(toc="<!DOCTYPE xar>" + toc_of(file_of(1)))
    yield "element-in-a-name.xar", xar(toc=toc_of('<file id="1"><name>a<b/>c</name></file>'))
    yield "encoding-that-hides.xar", xar(toc='<?xml version="1.0" encoding="UTF-7"?>' + toc_of(file_of(1)))
    yield "header-of-another-size.xar", patched(xar(), 4, b"\0\x40")
    yield "links-in-a-circle.xar", xar(toc=toc_of(file_of(1, '<type link="original"/><type link="original">hardlink</type>')))
    yield "prefix.xar", xar(toc=toc_of('<file xmlns:x="x" id="1"><name>a</name><x:name>b</x:name></file>'))
    yield "toc-beyond-the-end.xar", patched(xar(), 8, b"\0\0\1")
    yield "toc-cut.xar", xar(toc=toc_of(file_of(1))[:-20])
    yield "toc-no-utf8.xar", xar(toc=toc_of(file_of(1)).encode("utf-16-le").decode())
    yield "toc-shorter-than-stated.xar", xar(toc_size=10_000)
    yield "zlib-broken.xar", patched(xar(), 40, b"\xff\xff")
    yield "zlib-ends-early.xar", xar(heap=zlib.compress(CONTENT) + bytes(100), size=len(CONTENT), style="x-gzip")
    yield "checksum-wrong.xar", xar(sha1="0" * 40)
    yield "offset-beyond-the-end.xar", xar(offset=1 << 40)
    yield "length-beyond-the-end.xar", xar(length=1 << 40)
    yield "size-larger-than-data.xar", xar(size=1 << 20)
    yield "toc-size-wrong.xar", xar(toc_size=1 << 40)
    yield "toc-no-xml.xar", xar(toc="no xml")


# ---- rar


RARED = [("pkg/m.py", 0o100644, 1_714_996_800, CONTENT), ("n", 0o100644, 1_714_996_800, CONTENT)]


def header5(*, packed, unpacked, method=0, extra=b"", name=b"a"):
    """A file's, with what follows its name."""
    rest = vint(2) + vint(3 if extra else 2) + (vint(len(extra)) if extra else b"") + vint(packed)
    rest += vint(0) + vint(unpacked) + vint(0o100644) + vint(method << 7) + vint(1) + vint(len(name)) + name + extra
    return block5(rest)


def main5(flags=0, rest=b""):
    return block5(vint(1) + vint(0) + vint(flags) + rest)


def record5(content):
    return vint(len(content)) + content


def rars():
    yield "stored.4.rar", rar4(RARED[:1])
    yield "stored.5.rar", rar5(RARED[:1])
    yield "compressed.4.rar", rar4(RARED, compressed=True)
    yield "compressed.5.rar", rar5(RARED, compressed=True)
    yield "solid.5.rar", rar5(RARED, compressed=True, main=4)
    times, owner = vint(3) + vint(0x13) + bytes(8), vint(6) + vint(9) + b"\4user" + vint(1000)
    records = [record5(vint(2) + vint(0) + bytes(32)), record5(times), record5(owner), record5(vint(9) + b"unknown")]
    link = record5(vint(5) + vint(1) + vint(0) + b"\1a")
    yield "records.5.rar", RAR5 + main5() + b"".join(header5(packed=0, unpacked=0, extra=each) for each in (*records, link))


def reading_beyond_contents():
    """Contents of one byte, the first of what libarchive takes for three; the others are those of a block's CRC."""
    begins = bytes([0xC7, 0x5A ^ 0xC7 ^ 5, 5])
    ends = (block5(vint(5) + vint(0) + vint(0) + struct.pack("<I", number)) for number in range(1 << 20))
    end = next(block for block in ends if block.startswith(begins[1:]))
    return RAR5 + main5(4) + header5(packed=1, unpacked=1, method=1) + begins[:1] + end + bytes(64)


def rejected_rars():
    for version, make in (("4", rar4), ("5", rar5)):
        good = make([("m", 0o100644, 1_714_996_800, CONTENT), ("n", 0o100644, 1_714_996_800, CONTENT)])
        yield f"cut.{version}.rar", good[: good.index(CONTENT) + 50]
        yield f"header-crc-wrong.{version}.rar", patched(good, good.index(CONTENT) - 2, b"\xff")
    yield "compressed.4.rar", rar4(RARED, compressed=True)
    yield "volume.4.rar", rar4(RARED, main=1)
    yield "volume.5.rar", rar5(RARED, main=1)
    yield "piece-of-a-file.5.rar", rar5(RARED, flags=0x10)
    yield "block-unknown.5.rar", RAR5 + main5() + block5(vint(9) + vint(4) + bytes(9))
    yield "main-header-again.5.rar", RAR5 + main5() + main5(4)
    yield "main-header-with-more.5.rar", RAR5 + main5(rest=b"hidden")
    link = record5(vint(5) + vint(1) + vint(0) + record5(b"a" * 128))
    yield "link-that-is-miscounted.5.rar", RAR5 + main5() + header5(packed=0, unpacked=0, extra=link)
    yield "header-with-more.5.rar", RAR5 + main5() + block5(header5(packed=0, unpacked=0)[5:] + b"hidden")
    yield "reading-beyond-contents.5.rar", reading_beyond_contents()
    yield "size-of-a-header-endless.5.rar", b"Rar!\x1a\x07\x01\x00" + bytes(4) + b"\xff" * 20
    yield "header-of-megabytes.5.rar", b"Rar!\x1a\x07\x01\x00" + bytes(4) + vint(1 << 22) + bytes(40)


# ---- cab


def cab(*, name=b"m.py", size=None, offset=0, blocks=1, packed=None, unpacked=None, checksum=None, folder=0, first=None, flags=0):
    data, size = CONTENT if packed is None else packed, len(CONTENT) if size is None else size
    file = struct.pack("<IIHHHH", size, offset, folder, 0x58A6, 0x6000, 0x20) + name + b"\0"
    unpacked = len(CONTENT) if unpacked is None else unpacked
    start = 36 + 8 + len(file)
    block = struct.pack("<HH", len(data), unpacked) + data
    check = 0 if checksum is None else checksum  # 0: none is stated
    whole = start + 4 + len(block)
    head = struct.pack("<4sIIIIIBBHHHHH", b"MSCF", 0, whole, 0, 44, 0, 3, 1, 1, 1, flags, 0, 0)
    return head + struct.pack("<IHH", start if first is None else first, blocks, 0) + file + struct.pack("<I", check) + block


def cabs():
    yield "stored.cab", cab()


def rejected_cabs():
    yield "checksum-wrong.cab", cab(checksum=1)
    yield "folder-that-is-none.cab", cab(folder=7)
    yield "data-beyond-the-end.cab", cab(first=1 << 30)
    yield "block-larger-than-the-file.cab", cab(packed=CONTENT[:50])
    yield "size-larger-than-data.cab", cab(size=1 << 20)
    yield "file-behind-the-data.cab", cab(offset=1 << 20)
    yield "blocks-missing.cab", cab(blocks=9, size=40_000)


SEEDS = (tars, cpios, sevenzips, xars, rars, cabs)
REJECTED = (rejected_tars, rejected_cpios, rejected_sevenzips, rejected_xars, rejected_rars, rejected_cabs)
LEFT_OUT = (left_out_tars, left_out_cpios)


def write(folder, makers):
    folder.mkdir(parents=True, exist_ok=True)
    for make in makers:
        for name, content in make():
            (folder / name).write_bytes(content.encode() if isinstance(content, str) else content)


if __name__ == "__main__":
    write(ROOT / "fuzz/corpus/libarchive", SEEDS)
    write(ROOT / "fuzz/corpus/xar", [tocs])
    write(ROOT / "tests/rejected/libarchive", REJECTED)
    write(ROOT / "tests/rejected/libarchive/left_out", LEFT_OUT)
