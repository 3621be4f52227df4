"""What mount() refuses and what it leaves out: no archives, devices, caps, encrypted members; each error says what and why."""

import importlib
import importlib.util
import io
import itertools
import os
import struct
import zipfile
import zlib

import building
import intact
import pytest

TREE = {"pkg/__init__.py": "n = 1\n", "top.py": "n = 2\n"}


def test_missing_file_is_file_not_found(tmp_path):
    with pytest.raises(FileNotFoundError) as caught:
        intact.mount(tmp_path / "missing.zip")
    assert caught.value.filename == str(tmp_path / "missing.zip")


def test_empty_path_is_file_not_found(tmp_path, monkeypatch):
    """Not the current directory, which is what os.path.abspath makes of it."""
    monkeypatch.chdir(tmp_path)
    with pytest.raises(FileNotFoundError):
        intact.mount("")


@pytest.mark.parametrize(
    "content", [b"", b"PK", b"garbage" * 100, b"\x7fELF" + bytes(100), bytes(22), b"PK\x05\x06", b"#!/bin/sh\n"]
)
@pytest.mark.parametrize("as_bytes", [True, False])
def test_what_is_no_archive_is_an_archive_error(tmp_path, content, as_bytes):
    path = tmp_path / "file"
    path.write_bytes(content)
    with pytest.raises(intact.ArchiveError) as caught:
        intact.mount(content, name="it") if as_bytes else intact.mount(path)
    assert caught.value.archive == ("it" if as_bytes else str(path))
    assert caught.value.reason
    assert intact.mounts() == ()


def test_empty_archive_is_an_archive():
    assert list(intact.mount(building.zip_bytes({}))) == []


def test_empty_directory_is_an_archive(tmp_path):
    assert len(intact.mount(tmp_path)) == 0


@pytest.mark.parametrize("device", ["/dev/null", "/dev/zero"])
def test_device_is_refused(device):
    with pytest.raises((intact.ArchiveError, OSError)):
        intact.mount(device)


def test_fifo_is_refused_and_does_not_block(tmp_path):
    os.mkfifo(tmp_path / "fifo")
    with pytest.raises((intact.ArchiveError, OSError)):
        intact.mount(tmp_path / "fifo")


def test_fifo_in_a_directory_is_left_out(tmp_path):
    building.write_files(tmp_path, TREE)
    os.mkfifo(tmp_path / "fifo")
    assert sorted(intact.mount(tmp_path)) == sorted(TREE)


def test_links_in_a_directory_are_followed_but_not_in_circles(tmp_path):
    building.write_files(tmp_path / "dist", TREE)
    (tmp_path / "dist/pkg/circle").symlink_to(tmp_path / "dist")
    (tmp_path / "dist/nowhere").symlink_to(tmp_path / "missing")
    building.write_files(tmp_path / "outside", {"linked.py": "n = 5"})
    (tmp_path / "dist/linked").symlink_to(tmp_path / "outside")
    intact.mount(tmp_path / "dist")
    assert importlib.import_module("linked.linked").n == 5
    assert importlib.util.find_spec("nowhere") is None


def test_member_over_the_cap_is_listed_and_refused():
    mounted = intact.mount(building.zip_bytes({"small.py": "n = 1", "large.py": "#" * 1000}), max_member_size=999)
    assert sorted(mounted) == ["large.py", "small.py"]
    assert importlib.import_module("small").n == 1
    with pytest.raises(intact.MemberError, match="999"):
        mounted.read("large.py")
    with pytest.raises(intact.MemberError):
        importlib.import_module("large")


def test_member_at_the_cap_is_read():
    assert intact.mount(building.zip_bytes({"a": "x" * 1000}), max_member_size=1000).read("a") == b"x" * 1000


def test_archive_with_more_members_than_the_cap_is_refused():
    data = building.zip_bytes({f"m{n}": "" for n in range(11)})
    assert len(intact.mount(data, max_members=11)) == 11
    with pytest.raises(intact.ArchiveError, match="11 members"):
        intact.mount(data, max_members=10)


def test_directory_with_more_members_than_the_cap_is_refused(tmp_path):
    building.write_files(tmp_path, {f"m{n}": "" for n in range(11)})
    with pytest.raises(intact.ArchiveError, match="10"):
        intact.mount(tmp_path, max_members=10)


def test_zip_with_a_larger_directory_than_the_cap_is_refused():
    data = building.zip_bytes({"m": ""})
    size = 46 + len("m")  # one record of the central directory (APPNOTE.TXT 4.3.12)
    assert len(intact.mount(data, max_directory_size=size)) == 1
    with pytest.raises(intact.ArchiveError, match=f"central directory of {size} bytes"):
        intact.mount(data, max_directory_size=size - 1)


def record(signature, layout, name, packed, content, *rest):
    """A local header, or a record of the directory, of a deflated member (APPNOTE.TXT 4.3.7, 4.3.12)."""
    fields = (20, 0, 8, 0, 0x21, zlib.crc32(content), len(packed), len(content), len(name), 0)
    return signature + struct.pack(layout, *fields, *rest) + name


def quoted_overlap(count, kernel, order):
    """David Fifield's bomb (https://www.bamsoftware.com/hacks/zipbomb/): a member's deflated data is the next one's local
    header, quoted as a stored block, and then that one's data, down to the kernel, which all of them unpack."""
    pack = zlib.compressobj(9, zlib.DEFLATED, -15)
    packed, content = pack.compress(kernel) + pack.flush(), kernel
    members = []
    for n in reversed(range(count)):
        name = f"{n:04}".encode()
        header = record(b"PK\3\4", "<HHHHHIIIHH", name, packed, content)
        archive = header + packed
        members.append((name, packed, content, len(archive)))
        packed = b"\0" + struct.pack("<HH", len(header), len(header) ^ 0xFFFF) + archive
        content = header + content
    layout = "<HHHHHIIIHHHHHII"
    records = [record(b"PK\1\2\x14\0", layout, *member, 0, 0, 0, 0, len(archive) - back) for *member, back in members]
    directory = b"".join(order(records))
    end = struct.pack("<HHHHIIH", 0, 0, count, count, len(directory), len(archive), 0)
    return archive + directory + b"PK\5\6" + end


@pytest.mark.parametrize("order", [reversed, list], ids=["forwards", "backwards"])
def test_bomb_of_members_that_share_their_bytes_is_refused_member_by_member(order):
    """100 members of 1 MiB each from some kilobytes: only the last one is read, which reaches into no other."""
    bomb = quoted_overlap(100, bytes(1 << 20), order)
    assert len(bomb) < 20_000
    mounted = intact.mount(bomb)
    assert sum(os.stat(f"{mounted.root}/{path}").st_size for path in mounted) > 100 << 20
    *others, last = sorted(mounted)
    for path in others:
        with pytest.raises(intact.MemberError, match="reaches into another member") as caught:
            mounted.read(path)
        assert caught.value.member == path
    assert mounted.read(last) == bytes(1 << 20)


@pytest.mark.skipif(not hasattr(zipfile.ZipInfo, "_end_offset"), reason="zipfile reads them: it is older than 3.11.8 or 3.12.2")
def test_what_overlaps_is_what_zipfile_refuses_as_overlapping():
    bomb = quoted_overlap(5, bytes(1000), reversed)
    with zipfile.ZipFile(io.BytesIO(bomb)) as control:
        *others, last = sorted(control.namelist())
        assert control.read(last) == intact.mount(bomb).read(last)
        for path in others:
            with pytest.raises(zipfile.BadZipFile, match="Overlapped entries"):
                control.read(path)


def test_members_in_another_order_than_the_directory_are_read_up_to_the_next_one_in_the_file():
    whole = building.zip_bytes({name: name * 100 for name in "dacb"})
    start = whole.index(b"PK\1\2")
    records = [b"PK\1\2" + rest for rest in whole[start : whole.index(b"PK\5\6")].split(b"PK\1\2")[1:]]
    for order in itertools.permutations(records):
        mounted = intact.mount(whole[:start] + b"".join(order) + whole[whole.index(b"PK\5\6") :])
        assert {path: mounted.read(path) for path in mounted} == {name: (name * 100).encode() for name in "abcd"}


def test_a_member_that_two_records_name_is_read():
    whole = building.zip_bytes({"a": "a" * 100, "b": "b"})
    start = whole.index(b"PK\1\2")
    first = whole[start : whole.index(b"PK\1\2", start + 4)]
    end = bytearray(whole[whole.index(b"PK\5\6") :])
    struct.pack_into("<HHI", end, 8, 3, 3, len(whole) - start - len(end) + len(first))
    mounted = intact.mount(whole[:start] + first + whole[start : -len(end)] + end)
    assert mounted.read("a") == b"a" * 100 and mounted.read("b") == b"b"


@pytest.mark.parametrize("cap", ["max_members", "max_member_size", "max_directory_size"])
@pytest.mark.parametrize("value", [-1, 1 << 64, "many", 1.5])
def test_cap_that_is_no_count_is_refused(cap, value):
    with pytest.raises((ValueError, OverflowError, TypeError)):
        intact.mount(building.zip_bytes(TREE), **{cap: value})


def test_errors_form_one_tree():
    for error in (intact.ArchiveError, intact.MemberError, intact.PasswordError, intact.ImageError, intact.TagError):
        assert issubclass(error, intact.Error)
    assert issubclass(intact.ImageError, ImportError)
    assert issubclass(intact.TagError, ImportError)


def test_encrypted_member_is_listed_and_refused_by_name():
    data = bytearray(building.zip_bytes({"secret.txt": "no key, no word", "open.txt": "o"}))
    for signature, flags in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        data[data.index(signature) + flags] |= 1
    mounted = intact.mount(data)
    assert sorted(mounted) == ["open.txt", "secret.txt"]
    assert mounted.read("open.txt") == b"o"
    with pytest.raises(intact.PasswordError, match="encrypted") as caught:
        mounted.read("secret.txt")
    assert caught.value.member == "secret.txt"


@pytest.mark.parametrize("stated", [2**33, 2**37, 2**62, 2**63 + 5, 2**64 - 1])
def test_module_that_lies_about_its_size_is_a_member_error(stated, tmp_path):
    """In the zip64 field, where it can be any number: it is looked at before memory is taken for it."""
    data = bytearray(building.zip_bytes({"lying.py": "n = 1"}))
    entry = data.index(b"PK\1\2")
    end = data.index(b"PK\5\6")
    field = struct.pack("<HHQ", 1, 8, stated)
    struct.pack_into("<I", data, entry + 24, 0xFFFFFFFF)
    struct.pack_into("<H", data, entry + 30, len(field))
    data[end:end] = field
    struct.pack_into("<I", data, end + len(field) + 12, end + len(field) - entry)
    intact.mount(bytes(data), name="lying")
    with pytest.raises(intact.MemberError, match="lying.py"):
        importlib.import_module("lying")
