"""`mount(trusted=True)`: what is refused because of what reading it may cost, is read."""

import subprocess
import sys

import intact
import pytest
from support import formats

MODULE = b"word = 'unpacked'\n"
FILES = [("trusted_module.py", 0o100644, 1_714_996_800, MODULE), ("data", 0o100644, 1_714_996_800, b"more " * 20)]
RAR4 = formats.rar4(FILES, compressed=True)


@pytest.fixture(params=["path", "bytes"])
def source(request, tmp_path):
    (tmp_path / "a.rar").write_bytes(RAR4)
    return tmp_path / "a.rar" if request.param == "path" else RAR4


def test_compressed_rar_4_is_read_if_it_is_trusted(source):
    for options in ({}, {"trusted": False}):
        with pytest.raises(intact.ArchiveError, match="a rar 4 with compressed members, which are read only with trusted=True"):
            intact.mount(source, name="a", **options)
    with intact.mount(source, name="a", trusted=True) as mounted:
        assert {name: mounted.read(name) for name in mounted} == {name: content for name, _, _, content in FILES}


def test_rar_4_without_anything_compressed_needs_no_trust():
    stored = intact.mount(formats.rar4(FILES))
    assert stored.read("trusted_module.py") == MODULE
    empty = intact.mount(formats.rar4([("empty", 0o100644, 1_714_996_800, b"")]))
    assert empty.read("empty") == b""


def test_a_xar_is_trusted_too():
    attributes = " ".join(f"a{number}='1'" for number in range(33))
    many = formats.xar_of('<file id="1"><name>a</name><type>file</type></file>', f"<x {attributes}/>")
    with pytest.raises(intact.ArchiveError, match="more attributes"):
        intact.mount(many)
    assert list(intact.mount(many, trusted=True)) == ["a"]


def test_limits_hold_for_what_is_trusted():
    with pytest.raises(intact.ArchiveError, match="more members than the limit of 1"):
        intact.mount(RAR4, trusted=True, max_members=1)
    with pytest.raises(intact.ArchiveError, match="max_unpacked_size"):
        intact.mount(RAR4, trusted=True, max_unpacked_size=50)


def test_a_child_and_a_grandchild_trust_what_their_parent_does(source):
    inner = "import trusted_module; print(trusted_module.word)"
    program = f"{inner}; import subprocess, sys; sys.stdout.flush(); subprocess.run([sys.executable, '-c', {inner!r}], check=True)"
    with intact.mount(source, name="a", trusted=True):
        done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.stdout == "unpacked\nunpacked\n", done.stderr


def test_what_is_in_a_trusted_archive_is_not_trusted_by_that():
    outer = intact.mount(formats.tar_of(("inner.rar", RAR4)), trusted=True)
    with pytest.raises(intact.ArchiveError, match="trusted=True"):
        intact.mount(outer.open("inner.rar"))
    assert intact.mount(outer.open("inner.rar"), trusted=True).read("trusted_module.py") == MODULE


def intact_command(*arguments):
    return subprocess.run([sys.executable, "-m", "intact", *map(str, arguments)], capture_output=True, text=True)


def test_the_command_line_has_an_option(tmp_path):
    archive = tmp_path / "a.rar"
    archive.write_bytes(RAR4)
    for command in (["ls"], ["stat"], ["info"], ["verify"], ["doctor"], ["diff", archive], ["why", "trusted_module", "--in"]):
        assert intact_command(command[0], "--trusted", *command[1:], archive).returncode == 0
    refused = intact_command("ls", archive)
    assert refused.returncode == 1 and "trusted=True" in refused.stderr
    assert intact_command("extract", "--trusted", archive, tmp_path / "out").returncode == 0
    assert (tmp_path / "out/trusted_module.py").read_bytes() == MODULE
    for command in ("run", "trace"):
        done = intact_command(command, "--trusted", archive, "-c", "import trusted_module; print(trusted_module.word)")
        assert done.stdout == "unpacked\n", done.stderr
