"""Writes the seed corpora of the fuzzers and the inputs that tests/rejected keeps.

Each file is small, has one property, and is named for it. The same interpreter writes the same bytes, so running
it again changes nothing: `python fuzz/make_corpus.py` in the root of the source tree (any Python from 3.11).
"""

import hashlib
import hmac
import io
import pathlib
import struct
import zipfile
import zlib

ROOT = pathlib.Path(__file__).resolve().parent.parent
CONTENT = b"print('seven times six is', 7 * 6)\n" * 4
STORED, DEFLATE, BZIP2, LZMA, ZSTD = 0, 8, 12, 14, 93
LOCAL, CENTRAL, END, END64, LOCATOR64 = b"PK\3\4", b"PK\1\2", b"PK\5\6", b"PK\6\6", b"PK\6\7"

# Offsets of fields in the central directory's record and in the end record (APPNOTE.TXT 4.3.12, 4.3.16).
C_FLAGS, C_METHOD, C_CRC, C_PACKED, C_SIZE, C_NAME_SIZE, C_EXTRA, C_DISK, C_OFFSET = 8, 10, 16, 20, 24, 28, 30, 34, 42
E_DISK, E_COUNT_HERE, E_COUNT, E_SIZE, E_OFFSET, E_COMMENT = 4, 8, 10, 12, 16, 20


def zstd_frame(data):
    """One frame of one raw block (RFC 8878), so that no encoder is needed; the data is short."""
    assert len(data) < 256
    return b"\x28\xb5\x2f\xfd\x20" + bytes([len(data)]) + struct.pack("<I", len(data) << 3 | 1)[:3] + data


def with_zipfile(method, *, comment=b"", names=("pkg/module.py",), payload=None):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as archive:
        archive.comment = comment
        for name in names:
            archive.writestr(zipfile.ZipInfo(name), CONTENT, method)
        if payload:
            archive.writestr(zipfile.ZipInfo("intact-payload.zip"), *payload)
    return buffer.getvalue()


def by_hand(name, packed, data, method, *, flags=0, size=None, crc=None, extra=b"", local_extra=b"", name_bytes=None):
    """An archive with one member, each field as told."""
    name = name.encode() if name_bytes is None else name_bytes
    size = len(data) if size is None else size
    crc = zlib.crc32(data) if crc is None else crc
    fields = (20, flags, method, 0, 0x21, crc, len(packed), size, len(name))
    local = LOCAL + struct.pack("<HHHHHIIIHH", *fields, len(local_extra)) + name + local_extra + packed
    central = CENTRAL + struct.pack("<HHHHHHIIIHHHHHII", 20, *fields, len(extra), 0, 0, 0, 0, 0) + name + extra
    return local + central + end(1, len(central), len(local))


def end(count, size, offset, comment=b""):
    return END + struct.pack("<HHHHIIH", 0, 0, count, count, size, offset, len(comment)) + comment


def with_zip64_end(archive):
    """The same archive, its end record saturated and a zip64 record before it."""
    count, size, offset = struct.unpack_from("<HII", archive, len(archive) - 12)
    record = END64 + struct.pack("<QHHIIQQQQ", 44, 45, 45, 0, 0, count, count, size, offset)
    locator = LOCATOR64 + struct.pack("<IQI", 0, len(archive) - 22, 1)
    return archive[:-22] + record + locator + end(0xFFFF, 0xFFFFFFFF, 0xFFFFFFFF)


def app(payload, method=STORED):
    """What `intact pack` writes (docs/formats/app.md), around any payload."""
    outer = with_zipfile(STORED, names=("__main__.py",), payload=(payload, method))
    return b"#!/usr/bin/env python3\n" + outer


def patched(archive, signature, field, layout, value):
    """The archive with one field of its last record of this kind changed."""
    changed = bytearray(archive)
    struct.pack_into(layout, changed, archive.rindex(signature) + field, value)
    return bytes(changed)


def zip_seeds():
    yield "stored", with_zipfile(STORED)
    yield "deflate", with_zipfile(DEFLATE)
    yield "bzip2", with_zipfile(BZIP2)
    yield "lzma", with_zipfile(LZMA)
    yield "zstd", by_hand("m.py", zstd_frame(CONTENT), CONTENT, ZSTD)
    yield "empty", end(0, 0, 0)
    yield "comment", with_zipfile(STORED, comment=b"a comment with PK\5\6 in it")
    yield "prefix", b"#!/usr/bin/env python3\n" + with_zipfile(DEFLATE)
    yield "directories", with_zipfile(STORED, names=("pkg/", "pkg/a.py", "pkg/sub/", "pkg/sub/b.py"))
    yield "zip64", with_zip64_end(with_zipfile(STORED))
    yield "unsafe-names", with_zipfile(STORED, names=("../up", "/absolute", "a//b", "good"))
    yield "utf8", with_zipfile(STORED, names=("\u00fcber/\U0001f40d.py",))
    yield "cp437", by_hand("", CONTENT, CONTENT, STORED, name_bytes=b"\x81ber.py")
    unicode_path = b"\1" + struct.pack("<I", zlib.crc32(b"u.py")) + "\u00fc.py".encode()
    timestamp = struct.pack("<HHBI", 0x5455, 5, 1, 1_700_000_000)
    extra = struct.pack("<HH", 0x7075, len(unicode_path)) + unicode_path + timestamp
    yield "extra-fields", by_hand("u.py", CONTENT, CONTENT, STORED, extra=extra, local_extra=b"\0" * 40)
    saturated = struct.pack("<HHQQQ", 1, 24, len(CONTENT), len(CONTENT), 0)
    zip64_member = by_hand("m.py", CONTENT, CONTENT, STORED, extra=saturated)
    for field in (C_SIZE, C_PACKED, C_OFFSET):
        zip64_member = patched(zip64_member, CENTRAL, field, "<I", 0xFFFFFFFF)
    yield "zip64-member", zip64_member
    yield "app", app(with_zipfile(DEFLATE))


def rejected_ends():
    good = with_zipfile(STORED)
    yield "end-record-missing", good[:-22]
    yield "end-record-cut", good[:-1]
    yield "comment-cut", patched(good, END, E_COMMENT, "<H", 9)
    yield "disk-is-not-the-first", patched(patched(good, END, E_DISK, "<H", 1), END, E_DISK + 2, "<H", 1)
    yield "disk-counts-differ", patched(good, END, E_COUNT_HERE, "<H", 0)
    yield "directory-larger-than-file", patched(good, END, E_SIZE, "<I", 1 << 20)
    yield "directory-starts-after-its-end", patched(good, END, E_OFFSET, "<I", 1 << 20)
    yield "directory-size-one-less", patched(good, END, E_SIZE, "<I", struct.unpack_from("<I", good, len(good) - 10)[0] - 1)
    for name, count in ("none", 0), ("two", 2), ("most", 0xFFFE):
        lying = patched(patched(good, END, E_COUNT, "<H", count), END, E_COUNT_HERE, "<H", count)
        yield f"count-says-{name}", lying
    zip64 = with_zip64_end(good)
    yield "zip64-record-missing", patched(zip64, END64, 0, "4s", b"PK\0\0")
    yield "zip64-record-too-long", patched(zip64, END64, 4, "<Q", 45)
    yield "zip64-record-disagrees", patched(patched(zip64, END, E_COUNT, "<H", 3), END, E_COUNT_HERE, "<H", 3)
    yield "zip64-several-disks", patched(zip64, LOCATOR64, 16, "<I", 2)
    yield "zip64-record-on-another-disk", patched(zip64, END64, 16, "<I", 1)
    yield "zip64-count-huge", patched(patched(zip64, END64, 24, "<Q", 1 << 62), END64, 32, "<Q", 1 << 62)
    yield "zip64-directory-huge", patched(zip64, END64, 40, "<Q", (1 << 64) - 1)
    yield "zip64-offset-huge", patched(zip64, END64, 48, "<Q", (1 << 64) - 1)


def rejected_apps():
    inner = with_zipfile(DEFLATE)
    yield "app-payload-compressed", app(inner, DEFLATE)
    yield "app-payload-cut", app(inner[:-1])
    yield "app-payload-no-zip", app(CONTENT)
    whole = app(inner)
    header = whole.index(b"intact-payload.zip") - 30
    yield "app-payload-header-missing", whole[:header] + b"PK\0\0" + whole[header + 4 :]


def rejected_records():
    good = with_zipfile(STORED)
    yield "record-signature-wrong", patched(good, CENTRAL, 0, "4s", b"PK\1\3")
    yield "record-cut-by-its-name", patched(good, CENTRAL, C_NAME_SIZE, "<H", 0xFFFF)
    yield "member-on-another-disk", patched(good, CENTRAL, C_DISK, "<H", 1)
    yield "member-zip64-field-short", patched(
        by_hand("m", CONTENT, CONTENT, STORED, extra=struct.pack("<HHI", 1, 4, 1)), CENTRAL, C_SIZE, "<I", 0xFFFFFFFF)


def overlapping(backwards=False):
    """Two members, of which the first one's data is the second whole, its local header and its data."""
    inner = by_hand("b", CONTENT, CONTENT, STORED)
    second, second_record = inner[: inner.index(CENTRAL)], inner[inner.index(CENTRAL) : inner.index(END)]
    outer = by_hand("a", second, second, STORED)
    at = outer.index(second)
    records = [outer[outer.index(CENTRAL) : outer.index(END)], patched(second_record, CENTRAL, C_OFFSET, "<I", at)]
    directory = b"".join(reversed(records) if backwards else records)
    return outer[: at + len(second)] + directory + end(2, len(directory), at + len(second))


def in_one_place():
    """A member under two names: the local header's is that of both records, and one record has a better one besides."""
    member = by_hand("m", CONTENT, CONTENT, STORED)
    body, record = member[: member.index(CENTRAL)], member[member.index(CENTRAL) : member.index(END)]
    better = struct.pack("<HHBI", 0x7075, 6, 1, zlib.crc32(b"m")) + b"n"
    directory = patched(record, CENTRAL, C_EXTRA, "<H", len(better)) + better + record
    return body + directory + end(2, len(directory), len(body))


def rejected_members():
    good = with_zipfile(STORED)
    yield "local-header-missing", patched(good, LOCAL, 0, "4s", b"PK\0\0")
    yield "local-name-differs", good.replace(b"pkg/module.py", b"pkg/modul2.py", 1)
    yield "local-extra-past-directory", patched(good, LOCAL, 28, "<H", 0xFFFF)
    yield "offset-past-directory", patched(good, CENTRAL, C_OFFSET, "<I", 1 << 20)
    yield "packed-size-past-directory", patched(with_zipfile(DEFLATE), CENTRAL, C_PACKED, "<I", 1 << 20)
    yield "members-overlap", overlapping()
    yield "members-overlap-and-are-listed-backwards", overlapping(backwards=True)
    yield "members-in-one-place", in_one_place()
    two = with_zipfile(STORED, names=("a", "b"))
    yield "local-extra-past-next-member", two[:28] + struct.pack("<H", 64) + two[30:]
    yield "crc-wrong", patched(good, CENTRAL, C_CRC, "<I", 1)
    yield "stored-sizes-differ", patched(good, CENTRAL, C_SIZE, "<I", 10)
    yield "encrypted", patched(good, CENTRAL, C_FLAGS, "<H", 1)
    yield "encrypted-strongly", patched(good, CENTRAL, C_FLAGS, "<H", 1 << 6)
    yield "patch-data", patched(good, CENTRAL, C_FLAGS, "<H", 1 << 5)
    yield "method-deflate64", patched(good, CENTRAL, C_METHOD, "<H", 9)
    yield "method-unknown", patched(good, CENTRAL, C_METHOD, "<H", 1234)
    yield "deflate-bomb", patched(with_zipfile(DEFLATE), CENTRAL, C_SIZE, "<I", 0xFFFFFFF0)
    packers = {"deflate": with_zipfile(DEFLATE), "bzip2": with_zipfile(BZIP2), "lzma": with_zipfile(LZMA),
               "zstd": by_hand("pkg/module.py", zstd_frame(CONTENT), CONTENT, ZSTD)}
    for name, archive in packers.items():
        yield f"{name}-goes-on-past-its-size", patched(archive, CENTRAL, C_SIZE, "<I", len(CONTENT) - 1)
        yield f"{name}-ends-before-its-size", patched(archive, CENTRAL, C_SIZE, "<I", len(CONTENT) + 1)
        start = 30 + len("pkg/module.py")
        yield f"{name}-broken", archive[:start] + b"\xff" * 12 + archive[start + 12:]
    yield "lzma-properties-cut", by_hand("m", b"\x09\x04\x05", CONTENT, LZMA)
    yield "member-over-the-limit", patched(by_hand("m", zstd_frame(CONTENT), CONTENT, ZSTD, extra=struct.pack("<HHQ", 1, 8, 1 << 60)),
                                           CENTRAL, C_SIZE, "<I", 0xFFFFFFFF)


# ---- encrypted members of a zip; the password is "sesame"


def traditionally(data, check, password=b"sesame"):
    """APPNOTE.TXT 6.1, with a header of zeros before the byte that is checked."""
    keys = [0x12345678, 0x23456789, 0x34567890]

    def move_on(byte):
        keys[0] = ~zlib.crc32(bytes([byte]), ~keys[0] & 0xFFFFFFFF) & 0xFFFFFFFF
        keys[1] = ((keys[1] + (keys[0] & 0xFF)) * 134775813 + 1) & 0xFFFFFFFF
        keys[2] = ~zlib.crc32(bytes([keys[1] >> 24]), ~keys[2] & 0xFFFFFFFF) & 0xFFFFFFFF

    for byte in password:
        move_on(byte)
    packed = bytearray()
    for byte in bytes(11) + bytes([check]) + data:
        low = keys[2] & 0xFFFF | 2
        packed.append(byte ^ (low * (low ^ 1) >> 8 & 0xFF))
        move_on(byte)
    return bytes(packed)


def aes_field(version=2, vendor=b"AE", strength=1, method=STORED):
    return struct.pack("<HHH2sBH", 0x9901, 7, version, vendor, strength, method)


def by_aes(strength=1, password=b"sesame", salt=None, cut=None, extra=None, data=b""):
    """A member of WinZip's AES that holds `data`, which is the ciphertext: contents are unknown, and authenticated."""
    size = 8 + 8 * strength
    salt = bytes(size // 2) if salt is None else salt
    keys = hashlib.pbkdf2_hmac("sha1", password, salt, 1000, 2 * size + 2)
    packed = salt + keys[-2:] + data + hmac.digest(keys[size:-2], data, "sha1")[:10]
    extra = aes_field(strength=strength) if extra is None else extra
    return by_hand("m", packed[:cut], data, 99, flags=1, crc=0, extra=extra)


def encrypted_seeds():
    crc = zlib.crc32(CONTENT)
    yield "encrypted", by_hand("m.py", traditionally(CONTENT, crc >> 24), CONTENT, STORED, flags=1)
    deflated = zlib.compress(CONTENT, wbits=-15)
    yield "encrypted-deflate", by_hand("m.py", traditionally(deflated, crc >> 24), CONTENT, DEFLATE, flags=1)
    for strength in 1, 2, 3:
        yield f"aes-{64 + 64 * strength}", by_aes(strength, data=CONTENT)


def rejected_encryption():
    yield "aes-field-missing", by_aes(extra=b"")
    yield "aes-field-short", by_aes(extra=struct.pack("<HHHH", 0x9901, 4, 2, 0x4541))
    yield "aes-version-3", by_aes(extra=aes_field(version=3))
    yield "aes-vendor-unknown", by_aes(extra=aes_field(vendor=b"XX"))
    yield "aes-strength-0", by_aes(extra=aes_field(strength=0))
    yield "aes-strength-4", by_aes(extra=aes_field(strength=4))
    yield "aes-method-unknown", by_aes(extra=aes_field(method=1234))
    yield "aes-in-aes", by_aes(extra=aes_field(method=99))
    yield "aes-salt-cut", by_aes(cut=4)
    yield "aes-verifier-cut", by_aes(cut=9)
    yield "aes-authentication-cut", by_aes(cut=19)
    yield "aes-data-cut", by_aes(data=CONTENT, cut=-1)
    damaged = bytearray(by_aes(data=CONTENT))
    damaged[damaged.index(CONTENT) + 3] ^= 1
    yield "aes-data-damaged", bytes(damaged)
    yield "encrypted-header-cut", by_hand("m", bytes(11), b"", STORED, flags=1)
    yield "encrypted-sizes-differ", by_hand("m", bytes(12) + CONTENT, CONTENT[1:], STORED, flags=1)


# ---- encrypted 7z


def number(value):
    """7zFormat.txt's, always in its longest form."""
    return b"\xff" + struct.pack("<Q", value)


def sevenzip(*, packed=bytes(32), sizes=(32,), count=None, folders=None, stated=1, unpacked=(20,), start=None, offset=None):
    """A 7z of one folder that AES encrypts and nothing compresses; each field as told. The key takes no rounds."""
    folder = b"\1" + coder(b"\x06\xf1\x07\x01", b"\x3f") if folders is None else folders
    info = b"\x06" + number(0) + number(len(sizes) if count is None else count)
    info += b"\x09" + b"".join(map(number, sizes)) + b"\0"
    info += b"\x07\x0b" + number(stated) + b"\0" + folder + b"\x0c" + b"".join(map(number, unpacked)) + b"\0"
    header = b"\1\4" + info + b"\0\0"
    place = struct.pack("<QQI", len(packed) if offset is None else offset, len(header), zlib.crc32(header))
    return b"7z\xbc\xaf\x27\x1c\0\4" + struct.pack("<I", zlib.crc32(place) if start is None else start) + place + packed + header


def coder(method, properties):
    return bytes([0x20 | len(method), *method, len(properties), *properties])


def sevenzip_seeds():
    aes = coder(b"\x06\xf1\x07\x01", b"\x3f")
    yield "aes", sevenzip()
    yield "aes-rounds", sevenzip(folders=b"\1" + coder(b"\x06\xf1\x07\x01", b"\xc4\x7f" + bytes(24)))
    lzma2 = coder(b"\x21", b"\x10")
    yield "aes-lzma2", sevenzip(folders=b"\2" + aes + lzma2 + number(1) + number(0), unpacked=(20, 100))
    yield "plain", sevenzip(folders=b"\1" + lzma2)


def rejected_sevenzips():
    aes = b"\x06\xf1\x07\x01"
    two = b"\2" + coder(aes, b"\x3f") + coder(b"\x21", b"\x10")
    yield "bond-of-no-coder", sevenzip(folders=two + number(7) + number(0), unpacked=(20, 100))
    yield "coders-many", sevenzip(folders=b"\x7f" + coder(aes, b"\x3f") * 127)
    yield "data-longer-than-its-stream", sevenzip(unpacked=(33,))
    yield "folders-huge", sevenzip(stated=1 << 62)
    yield "key-of-too-many-rounds", sevenzip(folders=b"\1" + coder(aes, b"\x28"))
    yield "next-header-beyond-the-end", sevenzip(offset=1 << 63)
    yield "packed-streams-beyond-the-end", sevenzip(sizes=(1 << 62,))
    yield "packed-streams-huge", sevenzip(count=1 << 62)
    yield "packed-streams-too-few", sevenzip(sizes=())
    yield "salt-cut", sevenzip(folders=b"\1" + coder(aes, b"\xff\xff" + bytes(20)))
    yield "start-crc-wrong", sevenzip(start=1)
    yield "stream-of-no-whole-blocks", sevenzip(packed=bytes(31), sizes=(31,))


def write(folder, files):
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files:
        (folder / f"{name}.{SUFFIXES[folder.name]}").write_bytes(content)


SUFFIXES = {"zip": "zip", "sevenzip": "7z"}

if __name__ == "__main__":
    write(ROOT / "fuzz/corpus/zip", zip_seeds())
    write(ROOT / "fuzz/corpus/zip", encrypted_seeds())
    write(ROOT / "fuzz/corpus/sevenzip", sevenzip_seeds())
    write(ROOT / "tests/rejected/sevenzip", rejected_sevenzips())
    for files in rejected_apps, rejected_ends, rejected_records, rejected_members, rejected_encryption:
        write(ROOT / "tests/rejected/zip", files())
