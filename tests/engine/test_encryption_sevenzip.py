"""Encrypted 7z archives, as 7-Zip packs them: read with their password, and a wrong password is no broken archive."""

import importlib
import os
import random
import struct
import subprocess
import sys

import building
import intact
import pytest

# Contents that do not compress: each file spans many blocks of the cipher.
FILES = {"secret/module.py": b"answer = 42\n", **{f"secret/data{i}": os.urandom(50_000) for i in range(3)}}
HEADERS = ["-mhe=on", "-mhe=off", "-mhc=off"]


@pytest.fixture(params=HEADERS)
def archive(request, tmp_path):
    return packed(tmp_path, request.param)


def packed(tmp_path, *options, files=FILES):
    building.write_files(tmp_path / "in", files)
    command = ["7zz", "a", "-bd", "-psesame", *options, str(tmp_path / "app.7z"), "."]
    subprocess.run(command, cwd=tmp_path / "in", check=True, stdout=subprocess.DEVNULL)
    return tmp_path / "app.7z"


def contents(mount):
    return {path: mount.read(path) for path in mount}


@pytest.mark.parametrize("password", ["sesame", b"sesame", lambda: "sesame", lambda: b"sesame"])
@pytest.mark.parametrize("as_bytes", [False, True])
def test_all_is_read_with_the_password(archive, password, as_bytes, monkeypatch):
    source = archive.read_bytes() if as_bytes else archive
    with intact.mount(source, name="app", password=password) as mounted:
        assert contents(mounted) == FILES and mounted.format == "7z"
        monkeypatch.delitem(sys.modules, "secret", raising=False)
        monkeypatch.delitem(sys.modules, "secret.module", raising=False)
        assert importlib.import_module("secret.module").answer == 42


@pytest.mark.parametrize(("password", "reason"), [("wrong", "wrong password"), ("", "wrong password"), (None, "password=")])
def test_a_wrong_password_and_none_are_told_with_the_file(archive, password, reason):
    with pytest.raises(intact.PasswordError, match=reason) as caught:
        intact.mount(archive, password=password)
    assert str(archive) in str(caught.value) and intact.mounts() == ()


def next_header(content):
    """Where it lies and how long it is. What is encrypted of an archive with `-mhe=on` ends there."""
    offset, size = struct.unpack_from("<QQ", content, 12)
    return 32 + offset, size


def damaged(archive, *places):
    content = bytearray(archive.read_bytes())
    for place in places:
        content[place] ^= 1
    return bytes(content)


@pytest.mark.parametrize("method", ["-m0=LZMA2", "-m0=Copy", "-m0=PPMd", "-m0=BZip2 -ms=off"])
@pytest.mark.parametrize("back", [1, 8, 16, 20, 40_000])
def test_damage_behind_what_is_right_is_damage(tmp_path, method, back):
    archive = packed(tmp_path, "-mhc=off", *method.split())
    archive.write_bytes(damaged(archive, next_header(archive.read_bytes())[0] - back))
    try:
        with intact.mount(archive, password="sesame") as mounted:
            broken = [path for path in mounted if not is_right(mounted, path)]
        assert broken or method == "-m0=PPMd"  # which does not need its last bytes
    except intact.PasswordError:
        pytest.fail("the password is right")
    except intact.ArchiveError as error:
        assert str(archive) in str(error)


def is_right(mounted, path, files=FILES):
    try:
        return mounted.read(path) == files[path]
    except intact.MemberError:
        return False


def test_where_not_even_the_first_file_unpacks_both_are_named(tmp_path):
    """64 bytes need no padding, which else tells."""
    archive = packed(tmp_path, "-mhc=off", "-m0=Copy", files={"data": os.urandom(64)})
    with pytest.raises(intact.PasswordError, match="wrong password, or the archive is damaged"):
        intact.mount(damaged(archive, 40), password="sesame")


def test_a_later_file_that_is_right_tells_the_password_where_padding_does_not(tmp_path):
    files = {name: os.urandom(64) for name in "abc"}
    archive = packed(tmp_path, "-mhc=off", "-m0=Copy", files=files)
    with intact.mount(damaged(archive, 40), name="damaged.7z", password="sesame") as mounted:
        with pytest.raises(intact.MemberError, match="CRC"):
            mounted.read("a")
        assert mounted.read("b") == files["b"] and mounted.read("c") == files["c"]
    with pytest.raises(intact.PasswordError, match="wrong password"):
        intact.mount(archive, password="wrong")


@pytest.mark.parametrize("method", ["-m0=LZMA2", "-m0=Copy", "-m0=PPMd", "-m0=BZip2 -ms=off"])
@pytest.mark.parametrize("header", ["-mhe=on", "-mhe=off"])
def test_damage_to_the_first_block_of_what_is_packed_is_damage(tmp_path, method, header):
    """An encrypted header has told the password; else the padding at the end of the data does."""
    chance = random.Random(6)  # with which no method comes to whole blocks
    files = {name: chance.randbytes(50_004) for name in ("data", "more")}
    archive = packed(tmp_path, header, *method.split(), files=files)
    try:
        with intact.mount(damaged(archive, 32), name="damaged.7z", password="sesame") as mounted:
            assert not all(is_right(mounted, path, files) for path in files)
    except intact.PasswordError:
        pytest.fail("the password is right")
    except intact.ArchiveError:
        pass


def test_a_wrong_password_does_not_pass_by_the_chance_that_many_streams_give_it(tmp_path):
    """Each file is a stream with one byte of padding, which a wrong password makes a zero for one file in 256."""
    files = {f"file{n}": os.urandom(15) for n in range(2_000)}
    archive = packed(tmp_path, "-ms=off", "-m0=Copy", files=files)
    with pytest.raises(intact.PasswordError, match="wrong password"):
        intact.mount(archive, password="wrong")
    with intact.mount(damaged(archive, 32), name="damaged.7z", password="sesame") as mounted:
        assert sum(not is_right(mounted, path, files) for path in files) == 1


def test_a_file_that_is_not_encrypted_tells_nothing_of_the_password(tmp_path):
    building.write_files(tmp_path, {"plain": b"for all to read"})
    subprocess.run(["7zz", "a", "-bd", "app.7z", "plain"], cwd=tmp_path, check=True, stdout=subprocess.DEVNULL)
    archive = packed(tmp_path, "-m0=Copy", "-ms=off", files={"secret": os.urandom(64)})  # whole blocks, so no padding
    assert contents(intact.mount(archive, password="sesame"))["plain"] == b"for all to read"
    with pytest.raises(intact.PasswordError, match="wrong password, or the archive is damaged"):
        intact.mount(archive, password="wrong")


def number(listed, at):
    """A number of 7z below 2^14, and where it ends."""
    first = listed[at]
    return (first, at + 1) if first < 0x80 else ((first & 0x3F) << 8 | listed[at + 1], at + 2)


def encrypted_header(content):
    """Where what is encrypted of the header begins and ends, and how many bytes of it are padding."""
    at, size = next_header(content)
    listed = content[at : at + size]
    assert listed[:2] == b"\x17\x06"  # encoded; what is packed: where, one stream, of this size
    start, end = number(listed, 2)
    packed, _ = number(listed, end + 2)
    lzma = b"\x5d\x00\x10\x00\x00\x01\x00\x0c"  # its properties, what feeds what, and then the sizes: of the AES first
    used, _ = number(listed, listed.index(lzma) + len(lzma))
    assert 32 + start + packed == at
    return 32 + start, at, packed - used


def with_padding(tmp_path, paddings, data):
    """An archive with its header encrypted, one of these numbers of bytes behind that, and so much data before."""
    for extra in range(100):
        files = {f"{n:0{n + 1}}-{os.urandom(extra).hex()}": b"" for n in range(5)} | {"data": os.urandom(data)}
        archive = packed(tmp_path / str(extra), "-mhe=on", "-m0=Copy", files=files)
        *place, padding = encrypted_header(archive.read_bytes())
        if padding in paddings:
            return archive, *place
    pytest.fail("no such archive")


WHOLE_BLOCKS, PADDED = 64, 60  # bytes of data


def test_damage_anywhere_in_an_encrypted_header_is_damage_where_its_padding_or_its_beginning_is_whole(tmp_path):
    # The last bytes of an LZMA stream may tell nothing; with these the last block has others too.
    archive, start, end = with_padding(tmp_path, range(2, 11), WHOLE_BLOCKS)
    for place in range(start, end, 7):
        with pytest.raises(intact.ArchiveError, match="header is damaged") as caught:
            intact.mount(damaged(archive, place), password="sesame")
        assert not isinstance(caught.value, intact.PasswordError), place - start
    with pytest.raises(intact.PasswordError, match="wrong password"):
        intact.mount(damaged(archive, start), password="wrong")
    with pytest.raises(intact.PasswordError, match="wrong password, or the encrypted header is damaged"):
        intact.mount(damaged(archive, start, end - 1), password="sesame")


def test_a_header_without_padding_is_told_by_its_beginning(tmp_path):
    archive, start, end = with_padding(tmp_path, (0, 1), WHOLE_BLOCKS)
    for place in range(start + 48, end, 7):
        with pytest.raises(intact.ArchiveError, match="header is damaged") as caught:
            intact.mount(damaged(archive, place), password="sesame")
        assert not isinstance(caught.value, intact.PasswordError), place - start
    with pytest.raises(intact.PasswordError, match="wrong password, or the encrypted header is damaged"):
        intact.mount(damaged(archive, start), password="sesame")


def test_a_header_without_padding_is_told_by_that_of_the_data_before_it(tmp_path):
    archive, start, _ = with_padding(tmp_path, (0, 1), PADDED)
    with pytest.raises(intact.ArchiveError, match="header is damaged") as caught:
        intact.mount(damaged(archive, start), password="sesame")
    assert not isinstance(caught.value, intact.PasswordError)
    with pytest.raises(intact.PasswordError, match="wrong password, or the encrypted header is damaged"):
        intact.mount(damaged(archive, start), password="wrong")
    with pytest.raises(intact.PasswordError, match="wrong password, or the encrypted header is damaged"):
        intact.mount(damaged(archive, start, start - 1), password="sesame")


def test_a_child_is_handed_the_password(archive):
    intact.mount(archive, password="sesame")
    assert building.output_of("-c", "import secret.module; print(secret.module.answer)") == "42\n"
