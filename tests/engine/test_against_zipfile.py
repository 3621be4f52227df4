"""Our zip reader against zipfile: on generated archives both list the same members and give the same bytes."""

import io
import zipfile
import zlib

import building
import hypothesis
import intact
import pytest
from hypothesis import strategies

METHODS = [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA]

COMPONENT = strategies.text("abäß日 .-_~%\\:+", min_size=1, max_size=8).filter(lambda text: text not in (".", ".."))
NAME = strategies.lists(COMPONENT, min_size=1, max_size=4).map("/".join)
CONTENT = strategies.one_of(
    strategies.binary(max_size=300), strategies.binary(min_size=1, max_size=4).map(lambda unit: unit * 5000)
)
MEMBER = strategies.fixed_dictionaries(
    {
        "name": NAME,
        "content": CONTENT,
        "method": strategies.sampled_from(METHODS),
        "level": strategies.sampled_from([None, 1, 9]),
        "comment": strategies.binary(max_size=20),
        "extra": strategies.sampled_from([b"", b"\xfe\xca\x04\x00abcd", b"UT\x05\x00\x01\x00\x00\x00\x00"]),
        "directory": strategies.integers(0, 9).map(lambda n: n == 0),
        "streamed": strategies.booleans(),
        "zip64": strategies.booleans(),
    }
)


class Unseekable(io.RawIOBase):
    """Makes zipfile write data descriptors, as for a pipe."""

    def __init__(self, buffer):
        self.buffer = buffer

    def writable(self):
        return True

    def write(self, data):
        return self.buffer.write(data)


def build(members, comment, prefix):
    """The archive zipfile writes; a member that is streamed has its sizes behind its data."""
    buffer = io.BytesIO()
    buffer.write(prefix)
    streamed = any(member["streamed"] for member in members)
    with zipfile.ZipFile(
        Unseekable(buffer) if streamed else buffer, "a" if prefix and not streamed else "w"
    ) as archive:
        archive.comment = comment
        for member in members:
            info = zipfile.ZipInfo(member["name"] + ("/" if member["directory"] else ""), building.NOON)
            info.comment, info.extra = member["comment"], member["extra"]
            if member["directory"]:
                archive.writestr(info, b"")
                continue
            info.compress_type, info._compresslevel = member["method"], member["level"]
            with archive.open(info, "w", force_zip64=member["zip64"]) as file:
                file.write(member["content"])
    return buffer.getvalue()


def expected_of(data):
    """What zipfile finds: path to bytes of each file whose directory is no file; the last of a name counts."""
    found = {}
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        for info in archive.infolist():
            if not info.is_dir():
                found[info.filename] = archive.read(info)
        directories = {name[:i] for name in archive.namelist() for i, character in enumerate(name) if character == "/"}
    return {name: content for name, content in found.items() if name not in directories}


def found_in(data):
    mounted = intact._engine.Mount(data, "/intact/generated", "generated", ())
    return {path: mounted.read(path) for path in mounted}


@pytest.mark.filterwarnings("ignore:Duplicate name")
@hypothesis.given(strategies.lists(MEMBER, max_size=6), strategies.binary(max_size=50), strategies.binary(max_size=50))
@hypothesis.settings(max_examples=200)
def test_generated_archives_are_read_as_zipfile_reads_them(members, comment, prefix):
    try:
        data = build(members, comment, prefix)
        expected = expected_of(data)
    except (zipfile.BadZipFile, ValueError):  # a comment or prefix that looks like the end of an archive
        hypothesis.reject()
    assert found_in(data) == expected


@hypothesis.given(strategies.lists(NAME, min_size=1, max_size=5, unique=True), strategies.binary(max_size=100))
@hypothesis.settings(max_examples=100)
def test_archives_behind_another_file_are_read(names, prefix):
    """A self-extracting archive: offsets count from where the archive begins, or from where the file does."""
    inner = building.zip_bytes({name: name for name in names})
    try:
        expected = expected_of(prefix + inner)
    except zipfile.BadZipFile:
        hypothesis.reject()
    assert found_in(prefix + inner) == expected


SMALL = building.zip_bytes({"a.py": "n = 1\n" * 20, "d/b.txt": "hello hello hello", "empty": "", "dir": None})
STORED = building.zip_bytes({"a.py": "n = 1\n" * 5, "d/b.txt": "hello"}, zipfile.ZIP_STORED)
KNOWN = {
    id(SMALL): {"a.py": b"n = 1\n" * 20, "d/b.txt": b"hello hello hello", "empty": b""},
    id(STORED): {"a.py": b"n = 1\n" * 5, "d/b.txt": b"hello"},
}


def outcome(data):
    """(archive error) or path to bytes or MemberError or PasswordError; anything else fails the test."""
    try:
        mounted = intact._engine.Mount(data, "/intact/small", "small", ())
    except intact.ArchiveError as error:
        assert error.archive == "small" and error.reason
        return None
    contents = {}
    for path in mounted:
        try:
            contents[path] = mounted.read(path)
        except (intact.MemberError, intact.PasswordError) as error:
            assert (error.archive, error.member) == ("small", path) and error.reason
            contents[path] = error
    return contents


@pytest.mark.parametrize("whole", [SMALL, STORED], ids=["deflated", "stored"])
def test_every_truncation_is_an_archive_error_or_the_right_bytes(whole):
    right = KNOWN[id(whole)]
    for length in range(len(whole)):
        for path, content in (outcome(whole[:length]) or {}).items():
            assert isinstance(content, intact.Error) or right[path] == content, length


def flips(whole):
    for position in range(len(whole)):
        for mask in (0x01, 0x80, 0xFF):
            data = bytearray(whole)
            data[position] ^= mask
            yield position, bytes(data)


@pytest.mark.parametrize("whole", [SMALL, STORED], ids=["deflated", "stored"])
def test_every_flip_of_a_byte_is_an_error_or_the_right_bytes(whole):
    """Where a flip leaves a name alone, the bytes under that name are the right ones or there are none."""
    right = set(KNOWN[id(whole)].values())
    for position, data in flips(whole):
        for path, content in (outcome(data) or {}).items():
            assert isinstance(content, intact.Error) or content in right, (position, path)


def test_bytes_that_differ_are_never_those_of_the_crc():
    """The check above would pass on a reader that never fails."""
    failures = [
        1
        for _, data in flips(STORED)
        if (found := outcome(data)) is None or any(isinstance(c, Exception) for c in found.values())
    ]
    assert len(failures) > len(STORED)


@hypothesis.given(strategies.binary(max_size=400))
@hypothesis.settings(max_examples=300)
def test_bytes_without_order_are_an_archive_error_or_an_archive(data):
    outcome(data)
    outcome(SMALL[: len(data)] + data)
    outcome(data + SMALL[len(SMALL) // 2 :])


def rejected():
    import pathlib

    folder = pathlib.Path(__file__).resolve().parents[1] / "rejected" / "zip"
    return sorted(folder.glob("*.zip")) if folder.is_dir() else []


@pytest.mark.parametrize("path", rejected(), ids=lambda path: path.stem)
def test_rejected_inputs_are_rejected_by_name(path):
    """Each file in tests/rejected/zip breaks one rule: opening it or reading its members is an error that names it."""
    problems = []
    for source in (str(path), path.read_bytes()):
        try:
            mounted = intact._engine.Mount(source, "/intact/rejected", str(path), (), max_member_size=1 << 20)
        except intact.ArchiveError as error:
            assert error.archive == str(path) and error.reason
            problems.append(error)
            continue
        for member in mounted:
            try:
                mounted.read(member)
            except (intact.MemberError, intact.PasswordError) as error:
                assert (error.archive, error.member) == (str(path), member) and error.reason
                problems.append(error)
    assert len(problems) >= 2


# ---- by hand


@pytest.mark.parametrize("method", METHODS)
def test_each_method(method):
    content = {"text": b"compressible " * 1000, "noise": bytes(range(256)) * 3, "empty": b""}
    assert found_in(building.zip_bytes(content, method)) == content


def test_last_of_two_members_of_a_name_counts():
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive, pytest.warns(UserWarning, match="Duplicate"):
        archive.writestr("a", "first")
        archive.writestr("a", "second")
    assert found_in(buffer.getvalue()) == {"a": b"second"}


def test_names_of_old_archives_are_cp437():
    data = building.zip_bytes({"namen.txt": "x"}).replace(b"namen", b"n\x84m\x94n")
    assert list(found_in(data)) == [zipfile.ZipFile(io.BytesIO(data)).namelist()[0]] == ["nämön.txt"]


@pytest.mark.parametrize("name", ["../evil", "/evil", "a/../../evil", "a//b", "./a", "a/./b", "a\0b", "..", "."])
def test_names_that_could_leave_the_root_are_no_members(name):
    placeholder = "x" * len(name)
    data = building.zip_bytes({placeholder: "evil", "good": "good"}).replace(placeholder.encode(), name.encode())
    assert found_in(data) == {"good": b"good"}


def test_member_that_unpacks_to_more_than_it_says_is_an_error():
    content = b"x" * 10000
    data = bytearray(building.zip_bytes({"bomb": content}))
    for signature, place in ((b"PK\x03\x04", 22), (b"PK\x01\x02", 24)):
        at = data.index(signature) + place
        assert int.from_bytes(data[at : at + 4], "little") == len(content)
        data[at : at + 4] = (100).to_bytes(4, "little")
        crc = zlib.crc32(content[:100])
        at = data.index(signature) + (14 if signature == b"PK\x03\x04" else 16)
        data[at : at + 4] = crc.to_bytes(4, "little")
    mounted = intact._engine.Mount(bytes(data), "/intact/bomb", "bomb", ())
    with pytest.raises(intact.MemberError):
        mounted.read("bomb")


def test_member_that_claims_to_be_huge_costs_no_memory():
    """4 GiB claimed, 100 bytes there: refused before the memory is asked for."""
    import resource

    data = bytearray(building.zip_bytes({"huge": b"x" * 10000}))
    for signature, place in ((b"PK\x03\x04", 22), (b"PK\x01\x02", 24)):
        at = data.index(signature) + place
        data[at : at + 4] = (0xFFFFFFF0).to_bytes(4, "little")
    mounted = intact._engine.Mount(bytes(data), "/intact/huge", "huge", ())
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(intact.MemberError):
        mounted.read("huge")
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100_000  # KiB
