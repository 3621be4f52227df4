"""Encrypted 7z archives, as 7-Zip packs them: read with their password, and a wrong password is no broken archive."""

import importlib
import os
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


@pytest.mark.parametrize("method", ["-m0=LZMA2", "-m0=Copy", "-m0=PPMd", "-m0=BZip2 -ms=off"])
@pytest.mark.parametrize("back", [1, 8, 16, 20, 40_000])
def test_damage_behind_what_is_right_is_damage(tmp_path, method, back):
    archive = packed(tmp_path, "-mhc=off", *method.split())
    content = bytearray(archive.read_bytes())
    content[32 + struct.unpack_from("<Q", content, 12)[0] - back] ^= 1
    archive.write_bytes(content)
    try:
        with intact.mount(archive, password="sesame") as mounted:
            broken = [path for path in mounted if not is_right(mounted, path)]
        assert broken or method == "-m0=PPMd"  # which does not need its last bytes
    except intact.PasswordError:
        pytest.fail("the password is right")
    except intact.ArchiveError as error:
        assert str(archive) in str(error)


def is_right(mounted, path):
    try:
        return mounted.read(path) == FILES[path]
    except intact.MemberError:
        return False


def test_where_not_even_the_first_file_unpacks_both_are_named(tmp_path):
    """64 bytes need no padding, which else tells."""
    archive = packed(tmp_path, "-mhc=off", "-m0=Copy", files={"data": os.urandom(64)})
    content = bytearray(archive.read_bytes())
    content[40] ^= 1
    archive.write_bytes(content)
    with pytest.raises(intact.PasswordError, match="wrong password, or the archive is damaged"):
        intact.mount(archive, password="sesame")


def test_a_child_is_handed_the_password(archive):
    intact.mount(archive, password="sesame")
    assert building.output_of("-c", "import secret.module; print(secret.module.answer)") == "42\n"
