"""Encrypted archives: what zipfile, pyzipper and 7-Zip write is read with its password, and a wrong password is no broken archive."""

import os
import struct
import subprocess
import sys
import zipfile

import intact
import pytest
import pyzipper

FILES = {"secret/module.py": b"answer = 42\n", "secret/data": b"0123456789" * 5000, "secret/short": b"x"}


def zipped(tmp_path, *options, password="sesame", files=None):
    """FILES, or these, as 7-Zip packs them."""
    for name, content in (files or FILES).items():
        path = tmp_path / "in" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    archive = tmp_path / "app.zip"
    command = ["7zz", "a", "-bd", "-tzip", f"-p{password}", *options, str(archive), "."]
    subprocess.run(command, cwd=tmp_path / "in", check=True, stdout=subprocess.DEVNULL)
    return archive


def with_pyzipper(path, bits=256, version=2, method=pyzipper.ZIP_DEFLATED, password=b"sesame", files=FILES):
    with pyzipper.AESZipFile(path, "w", compression=method, encryption=pyzipper.WZ_AES) as archive:
        archive.setpassword(password)
        archive.setencryption(pyzipper.WZ_AES, nbits=bits, force_wz_aes_version=version)
        for name, content in files.items():
            archive.writestr(name, content)
    return path


@pytest.fixture(params=["ZipCrypto", "AES128", "AES192", "AES256"])
def archive(request, tmp_path):
    return zipped(tmp_path, f"-mem={request.param}")


def contents(mount):
    return {path: mount.read(path) for path in mount}


@pytest.mark.parametrize("password", ["sesame", b"sesame", lambda: "sesame", lambda: b"sesame"])
@pytest.mark.parametrize("as_bytes", [False, True])
def test_every_member_is_read_with_the_password(archive, password, as_bytes):
    assert contents(intact.mount(archive.read_bytes() if as_bytes else archive, password=password)) == FILES


@pytest.mark.parametrize("method", ["Copy", "Deflate", "BZip2", "LZMA"])
@pytest.mark.parametrize("encryption", ["ZipCrypto", "AES256"])
def test_every_method_is_read_below_encryption(tmp_path, method, encryption):
    assert contents(intact.mount(zipped(tmp_path, f"-mm={method}", f"-mem={encryption}"), password="sesame")) == FILES


@pytest.mark.parametrize("bits", [128, 192, 256])
@pytest.mark.parametrize("version", [1, 2])
def test_what_pyzipper_writes_is_read(tmp_path, bits, version):
    assert contents(intact.mount(with_pyzipper(tmp_path / "a.zip", bits, version), password="sesame")) == FILES


def test_zipfile_reads_the_same_of_traditional_encryption(tmp_path):
    archive = zipped(tmp_path, "-mem=ZipCrypto")
    mounted = intact.mount(archive, password="sesame")
    with zipfile.ZipFile(archive) as control:
        control.setpassword(b"sesame")
        assert {info.filename: control.read(info) for info in control.infolist() if not info.is_dir()} == contents(mounted)


@pytest.mark.parametrize("password", ["pässwört", "密码", "🐍"])
def test_a_str_stands_for_its_utf8_and_bytes_for_themselves(tmp_path, password):
    for encoding in ("utf-8", "utf-16"):
        archive = with_pyzipper(tmp_path / f"{encoding}.zip", password=password.encode(encoding))
        assert contents(intact.mount(archive, password=password.encode(encoding))) == FILES
    assert contents(intact.mount(tmp_path / "utf-8.zip", password=password)) == FILES
    with pytest.raises(intact.PasswordError):
        intact.mount(tmp_path / "utf-16.zip", password=password)


def test_modules_are_imported_and_files_opened(archive):
    mounted = intact.mount(archive, password="sesame")
    import secret.module

    assert secret.module.answer == 42
    with open(f"{mounted.root}/secret/data", "rb") as file:
        assert file.read() == FILES["secret/data"]


@pytest.mark.parametrize("password", ["wrong", b"\xff", "", lambda: "wrong"])
def test_a_wrong_password_is_told_when_it_is_mounted(archive, password):
    with pytest.raises(intact.PasswordError, match="wrong password") as caught:
        intact.mount(archive, password=password)
    assert caught.value.archive == str(archive)
    assert intact.mounts() == ()


@pytest.mark.parametrize("password", [None, lambda: None])
def test_without_a_password_members_are_listed_and_reading_asks_for_one(archive, password):
    mounted = intact.mount(archive, password=password)
    assert sorted(mounted) == sorted(FILES)
    with pytest.raises(intact.PasswordError, match="password=") as caught:
        mounted.read("secret/data")
    assert caught.value.member == "secret/data"
    with pytest.raises(intact.PasswordError):
        import secret.module  # noqa: F401
    with pytest.raises(OSError):
        open(f"{mounted.root}/secret/data", "rb")


def test_members_without_encryption_need_no_password(tmp_path):
    archive = zipped(tmp_path)
    with zipfile.ZipFile(archive, "a") as more:
        more.writestr("open.txt", "o")
    assert intact.mount(archive).read("open.txt") == b"o"


def test_a_member_with_another_password_is_a_password_error_of_its_own(tmp_path):
    archive = zipped(tmp_path, "-mem=AES256")
    (tmp_path / "in/later").write_bytes(b"later")
    subprocess.run(["7zz", "a", "-bd", "-tzip", "-pother", "-mem=AES256", archive, "later"],
                   cwd=tmp_path / "in", check=True, stdout=subprocess.DEVNULL)
    mounted = intact.mount(archive, password="sesame")
    wrong = []
    for path in mounted:
        try:
            mounted.read(path)
        except intact.PasswordError:
            wrong.append(path)
    assert wrong == ["later"]


def damaged(archive, member):
    """The archive with a byte amid the member's data changed."""
    with zipfile.ZipFile(archive) as control:
        info = next(info for info in control.infolist() if info.filename == member)
    data = bytearray(archive.read_bytes())
    data[info.header_offset + 30 + len(member) + info.compress_size // 2] ^= 1
    return bytes(data)


def test_a_damaged_member_is_broken_and_the_password_is_not(archive):
    mounted = intact.mount(damaged(archive, "secret/data"), password="sesame")
    with pytest.raises(intact.MemberError) as caught:
        mounted.read("secret/short")
        mounted.read("secret/data")
    assert caught.value.member == "secret/data"


def local_data(archive, member):
    """Where the data of a member begins, with what encryption puts before it."""
    with zipfile.ZipFile(archive) as control:
        info = next(info for info in control.infolist() if info.filename == member)
    content = archive.read_bytes()
    names = struct.unpack_from("<HH", content, info.header_offset + 26)
    return info.header_offset + 30 + sum(names)


def changed(archive, place):
    data = bytearray(archive.read_bytes())
    data[place] ^= 1
    return bytes(data)


@pytest.mark.parametrize("bits", [128, 256])
@pytest.mark.parametrize("version", [1, 2])
def test_damage_to_what_tells_a_wrong_password_of_aes_is_damage_since_the_hmac_fits(tmp_path, bits, version):
    archive = with_pyzipper(tmp_path / "a.zip", bits, version, files={"only": b"0123456789" * 50})
    verifier = local_data(archive, "only") + bits // 16
    for place in (verifier, verifier + 1):
        with pytest.raises(intact.MemberError, match="the password is right") as caught:
            intact.mount(changed(archive, place), password="sesame").read("only")
        assert not isinstance(caught.value, intact.PasswordError)
        with pytest.raises(intact.PasswordError):
            intact.mount(changed(archive, place), password="wrong")


def test_damage_to_the_salt_of_aes_or_to_what_a_traditional_header_is_is_told_as_either(tmp_path):
    """They are all that the key is made of: other bytes make another key, as a wrong password does."""
    files = {"only": b"x" * 50}
    for archive in (with_pyzipper(tmp_path / "aes.zip", files=files), zipped(tmp_path, "-mem=ZipCrypto", "-mm=Copy", files=files)):
        with pytest.raises(intact.PasswordError, match="wrong password, or .* damaged"):
            intact.mount(changed(archive, local_data(archive, "only")), password="sesame")


def test_aes_over_1_mib_is_told_by_its_verifier_alone_when_it_is_mounted(tmp_path):
    archive = with_pyzipper(tmp_path / "a.zip", method=pyzipper.ZIP_STORED, files={"only": bytes((1 << 20) + 1)})
    with pytest.raises(intact.PasswordError, match="wrong password, or the bytes that tell it are damaged"):
        intact.mount(changed(archive, local_data(archive, "only") + 16), password="sesame")


@pytest.mark.parametrize("size", [500, (1 << 20) + 1])
def test_a_wrong_password_that_passes_the_one_byte_of_traditional_encryption_is_told_by_the_contents(tmp_path, size):
    """Of 5,000 passwords some 20 pass. Larger members are not read when they are mounted, and say so when they are."""
    archive = zipped(tmp_path, "-mem=ZipCrypto", "-mm=Copy", files={"only": os.urandom(size)})
    place = local_data(archive, "only")
    head, check = archive.read_bytes()[place : place + 12], control_check(archive)
    passing = [word for word in map(str, range(5_000)) if zip_crypto_check(word.encode(), head) == check]
    assert passing
    for password in passing:
        with pytest.raises(intact.PasswordError, match="wrong password, or the member is damaged"):
            intact.mount(archive, name="a.zip", password=password).read("only")


def zip_crypto_check(password, head):
    """The last byte of a traditional header, by zipfile's decrypter."""
    return zipfile._ZipDecrypter(password)(head)[-1]


def control_check(archive):
    with zipfile.ZipFile(archive) as control:
        (info,) = (info for info in control.infolist() if not info.is_dir())
    return (info._raw_time >> 8 if info.flag_bits & 8 else info.CRC >> 24) & 0xFF


def test_where_only_one_member_is_traditionally_encrypted_damage_may_be_a_wrong_password(tmp_path, monkeypatch):
    monkeypatch.setitem(globals(), "FILES", {"only": b"0123456789" * 500})
    archive = zipped(tmp_path, "-mem=ZipCrypto")
    with pytest.raises(intact.PasswordError, match="wrong password, or the member is damaged"):
        intact.mount(damaged(archive, "only"), password="sesame")


def test_a_callable_is_asked_once_and_only_if_something_is_encrypted(archive, tmp_path):
    asked = []

    def password():
        asked.append(1)
        return "sesame"

    assert contents(intact.mount(archive, password=password)) == FILES
    assert asked == [1]
    with zipfile.ZipFile(tmp_path / "open.zip", "w") as plain:
        plain.writestr("a", "b")
    intact.mount(tmp_path / "open.zip", password=password)
    intact.mount(tmp_path / "in", password=password)
    assert asked == [1]


def test_what_a_callable_raises_passes_through(archive):
    error = KeyError("no such secret")

    def password():
        raise error

    for source in (archive, archive.read_bytes()):
        with pytest.raises(KeyError) as caught:
            intact.mount(source, password=password)
        assert caught.value is error


@pytest.mark.parametrize("password", [1, ["sesame"], lambda: 1, bytearray(b"sesame")])
def test_what_is_no_password_is_a_type_error(archive, password):
    with pytest.raises(TypeError, match="a password is a str"):
        intact.mount(archive, password=password)


def test_no_error_and_no_repr_holds_the_password(archive):
    mounted = intact.mount(archive, password="sesame")
    assert "sesame" not in repr(mounted) + repr(mounted._given)
    for password in ("hidden-one", "hidden-\ud800"):
        with pytest.raises((intact.PasswordError, ValueError)) as caught:
            intact.mount(archive, password=password)
        assert "hidden" not in repr(caught.value) + str(vars(caught.value)) and caught.value.__context__ is None


@pytest.mark.parametrize("given", ["sesame", b"sesame", lambda: "sesame"], ids=["str", "bytes", "callable"])
def test_a_child_has_the_password_and_its_command_line_and_environment_do_not(archive, given):
    intact.mount(archive, password=given)
    program = (
        "import secret.module, intact; assert intact.mounts()[0].read('secret/short') == b'x'\n"
        "seen = open('/proc/self/cmdline', 'rb').read() + open('/proc/self/environ', 'rb').read()\n"
        "print(secret.module.answer, b'ses' + b'ame' in seen)"
    )
    for options in ({}, {"close_fds": False}):
        done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, **options)
        assert done.stdout == "42 False\n", done.stderr


def test_a_grandchild_has_the_password(archive):
    intact.mount(archive, password="sesame")
    inner = "import secret.module; print(secret.module.answer)"
    program = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {inner!r}], check=True)"
    assert subprocess.run([sys.executable, "-c", program], capture_output=True, text=True).stdout == "42\n"


def intact_command(*arguments, **options):
    command = [sys.executable, "-m", "intact", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, **options)


def test_the_command_line_takes_the_password_from_a_file_stdin_or_the_environment(archive, tmp_path):
    (tmp_path / "password").write_text("sesame\nmore\n")
    file = ["--password-file", tmp_path / "password"]
    for command in (["verify", archive], ["ls", archive], ["stat", archive], ["info", archive], ["doctor", archive]):
        assert intact_command(*command, *file).returncode == 0
    assert intact_command("diff", "--password-file", "-", archive, archive, input="sesame\n").returncode == 0
    assert "secret/module.py" in intact_command("why", *file, "--in", archive, "secret.module").stdout
    assert intact_command("extract", *file, archive, tmp_path / "out").returncode == 0
    assert (tmp_path / "out/secret/data").read_bytes() == FILES["secret/data"]
    run = ["run", "--password-file", "-", archive, "-c", "import secret.module, sys; print(sys.stdin.read(), secret.module.answer)"]
    assert intact_command(*run, input="sesame\nrest").stdout == "rest 42\n"
    done = intact_command("trace", *run[1:], input="sesame\nrest")
    assert done.stdout == "rest 42\n" and "secret.module" in done.stderr
    assert intact_command("verify", archive, env={**os.environ, "INTACT_PASSWORD": "sesame"}).returncode == 0


def test_the_command_line_says_in_one_line_what_is_wrong_with_a_password(archive, tmp_path):
    (tmp_path / "password").write_text("wrong")
    done = intact_command("verify", archive, "--password-file", tmp_path / "password")
    assert done.returncode == 1 and done.stderr.count("\n") == 1 and "wrong password" in done.stderr
    done = intact_command("verify", archive, "--password-file", tmp_path / "missing")
    assert done.returncode == 1 and done.stderr.count("\n") == 1 and "missing" in done.stderr
    assert intact_command("verify", archive).returncode == 1


def test_zipimporter_lists_and_raises_an_error_that_both_sides_know(archive):
    importer = intact.zipimporter(str(archive))
    with pytest.raises(intact.PasswordError) as caught:
        importer.get_data("secret/data")
    assert isinstance(caught.value, ImportError)
