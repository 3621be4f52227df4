"""The command line: ls, stat, verify, why. What they print is compared with what zipfile says; exit codes are those promised."""

import json
import os
import subprocess
import sys
import zipfile

import building
import intact
import pytest

TREE = {
    "pkg/__init__.py": "n = 1\n" * 50,
    "pkg/data/words.txt": "words\n",
    "pkg/data/more.txt": "more\n",
    "pkg_other.py": "",
    "space/leaf.py": "",
}
EXTENSION = building.stdlib_extension("_testmultiphase")


def run(*arguments, **options):
    return building.python("-m", "intact", *arguments, **options)


def output(*arguments, **options):
    done = run(*arguments, **options)
    assert (done.returncode, done.stderr) == (0, ""), done.stderr
    return done.stdout


@pytest.fixture
def archive(tmp_path):
    return building.write_zip(tmp_path / "app.zip", TREE)


@pytest.mark.parametrize(
    "arguments",
    [
        (),
        ("nonsense",),
        ("ls",),
        ("ls", "--nonsense", "x"),
        ("stat",),
        ("verify",),
        ("why", "x"),
        ("why",),
        ("run", "--nonsense"),
        ("run", "--"),
        ("run", "-m"),
        ("run", "-c"),
    ],
)
def test_wrong_command_line_exits_with_2_and_says_why(arguments):
    done = run(*arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr


@pytest.mark.parametrize(
    "arguments",
    [("--help",), ("run", "--help"), ("ls", "--help"), ("stat", "--help"), ("verify", "--help"), ("why", "--help")],
)
def test_help_is_given(arguments):
    assert "intact" in output(*arguments)


def test_version():
    assert output("--version") == f"intact {intact.__version__}\n"


def test_console_script_is_the_same_program(archive):
    script = os.path.join(os.path.dirname(sys.executable), "intact")
    if not os.path.exists(script):
        pytest.skip("intact is on the path, not installed")
    assert subprocess.run([script, "ls", archive], capture_output=True, text=True).stdout == output("ls", archive)


@pytest.mark.parametrize("command", ["ls", "stat", "verify"])
@pytest.mark.parametrize("content", [None, b"", b"garbage" * 10])
def test_what_is_no_archive_is_one_line_on_stderr_and_exit_1(tmp_path, command, content):
    if content is not None:
        (tmp_path / "it.zip").write_bytes(content)
    done = run(command, "it.zip", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("intact: ") and done.stderr.count("\n") == 1
    assert "it.zip" in done.stderr


# ---- ls


def test_ls_lists_members_with_size_and_method(archive):
    with zipfile.ZipFile(archive) as control:
        expected = sorted((info.filename, info.file_size, "deflate") for info in control.infolist())
    lines = [line.split() for line in output("ls", archive).splitlines()]
    assert [(path, int(size), method) for size, method, path in lines] == expected


@pytest.mark.parametrize(("path", "expected"), [
    ("pkg/data", ["pkg/data/more.txt", "pkg/data/words.txt"]),
    ("pkg/data/", ["pkg/data/more.txt", "pkg/data/words.txt"]),
    ("pkg", ["pkg/__init__.py", "pkg/data/more.txt", "pkg/data/words.txt"]),
    ("pkg_other.py", ["pkg_other.py"]),
    ("", sorted(TREE)),
])  # fmt: skip
def test_ls_of_a_path_lists_what_is_below_it(archive, path, expected):
    assert [line.split()[-1] for line in output("ls", archive, path).splitlines()] == expected


def test_ls_of_a_missing_path_is_exit_1(archive):
    done = run("ls", archive, "pkg/missing")
    assert (done.returncode, done.stdout) == (1, "")
    assert "pkg/missing" in done.stderr


def test_ls_json_is_what_zipfile_says(archive):
    rows = {row["path"]: row for row in json.loads(output("ls", "--json", archive))}
    with zipfile.ZipFile(archive) as control:
        for info in control.infolist():
            row = rows.pop(info.filename)
            assert (row["size"], row["packed_size"], row["crc"], row["offset"]) == (
                info.file_size,
                info.compress_size,
                info.CRC,
                info.header_offset,
            )
            assert (row["mode"], row["method"], row["mtime"], row["encrypted"]) == (
                0o100644,
                "deflate",
                building.NOON_SECONDS,
                False,
            )
    assert rows == {}


def test_ls_of_a_directory_and_of_odd_names(tmp_path):
    building.write_files(tmp_path / "dist", {"größe.txt": "", "with space.txt": ""})
    assert [line.split(None, 2)[-1] for line in output("ls", str(tmp_path / "dist")).splitlines()] == [
        "größe.txt",
        "with space.txt",
    ]


def test_ls_into_a_closed_pipe_is_quiet(tmp_path):
    archive = building.write_zip(tmp_path / "big.zip", {f"member{n:05}": "" for n in range(20000)})
    done = subprocess.run(
        f"{sys.executable} -m intact ls {archive} | head -1", shell=True, capture_output=True, text=True
    )
    assert done.stdout.endswith("member00000\n")
    assert done.stderr == ""


def test_names_that_a_terminal_cannot_show_do_not_break_ls(tmp_path):
    archive = tmp_path / "odd.zip"
    data = building.zip_bytes({"namen.txt": "x", "ok.txt": ""})
    archive.write_bytes(data.replace(b"namen.txt", b"n\xffm\xfen.txt"))
    for encoding in ("utf-8", "ascii"):
        done = run("ls", str(archive), env={"PYTHONIOENCODING": encoding})
        assert (done.returncode, len(done.stdout.splitlines())) == (0, 2), done.stderr


def test_a_name_that_is_no_utf_8_is_read_as_it_is_listed(tmp_path):
    """It ended in a UnicodeEncodeError, which `verify` and `extract` showed with a traceback."""
    (tmp_path / "tree" / "d\udcfe").mkdir(parents=True)
    (tmp_path / "tree" / "d\udcfe" / "n\udcff.txt").write_text("here")
    mounted = intact.mount(tmp_path / "tree")
    [name] = mounted
    with mounted.open(name) as file:
        assert file.read() == mounted.read(name) == b"here"
    assert name in mounted and "\udcff" not in mounted and mounted._list("d\udcfe") == ["n\udcff.txt"]
    for absent, kind in (("\udcff", FileNotFoundError), ("\ud800", UnicodeEncodeError)):
        with pytest.raises(kind):
            mounted.read(absent)
    assert "1 members, 0 shared objects, all good" in output("verify", tmp_path / "tree")
    output("extract", tmp_path / "tree", tmp_path / "out")
    assert (tmp_path / "out" / name).read_text() == "here"


# ---- stat


def test_stat_of_an_archive_sums_it_up(archive):
    values = json.loads(output("stat", "--json", archive))
    with zipfile.ZipFile(archive) as control:
        infos = control.infolist()
    assert values["archive"] == archive
    assert (values["format"], values["files"]) == ("zip", len(TREE))
    assert (values["size"], values["packed_size"]) == (
        sum(i.file_size for i in infos),
        sum(i.compress_size for i in infos),
    )


def test_stat_of_a_member_is_what_zipfile_says(archive):
    values = json.loads(output("stat", "--json", archive, "pkg/__init__.py"))
    with zipfile.ZipFile(archive) as control:
        info = control.getinfo("pkg/__init__.py")
    assert (values["path"], values["size"], values["crc"]) == (info.filename, info.file_size, info.CRC)
    text = output("stat", archive, "pkg/__init__.py")
    assert f"{info.CRC:08x}" in text and "0o100644" in text and "2024-05-06 12:00:00" in text


def test_stat_of_a_missing_member_is_exit_1(archive):
    assert run("stat", archive, "missing").returncode == 1


# ---- verify


def test_verify_of_a_good_archive(tmp_path):
    archive = building.write_zip(tmp_path / "good.zip", {**TREE, f"native{building.SUFFIX}": EXTENSION or b""})
    assert (
        output("verify", archive)
        == f"{archive}: {len(TREE) + 1} members, {1 if EXTENSION else 0} shared objects, all good\n"
    )


def test_verify_names_every_broken_member(tmp_path):
    data = bytearray(
        building.zip_bytes({"a.txt": "aaaaaaaa", "b.txt": "bbbbbbbb", "c.txt": "cccccccc"}, zipfile.ZIP_STORED)
    )
    data[data.index(b"aaaaaaaa")] ^= 1
    data[data.index(b"cccccccc")] ^= 1
    (tmp_path / "bad.zip").write_bytes(data)
    done = run("verify", "bad.zip", cwd=tmp_path)
    assert done.returncode == 1
    lines = done.stdout.splitlines()
    assert [line.partition(":")[0] for line in lines] == ["a.txt", "c.txt", "bad.zip"]
    assert lines[-1] == "bad.zip: 3 members, 0 shared objects, 2 broken"
    report = json.loads(run("verify", "--json", "bad.zip", cwd=tmp_path).stdout)
    assert [problem["member"] for problem in report["problems"]] == ["a.txt", "c.txt"]
    assert all("CRC" in problem["reason"] for problem in report["problems"])


@pytest.mark.skipif(not EXTENSION, reason="this interpreter came without its test extensions")
def test_verify_finds_a_broken_shared_object_whose_crc_is_right(tmp_path):
    broken = bytearray(EXTENSION)
    broken[32:40] = b"\xff" * 8  # where the program headers are
    archive = building.write_zip(
        tmp_path / "bad.zip", {f"bad{building.SUFFIX}": bytes(broken), f"good{building.SUFFIX}": EXTENSION}
    )
    done = run("verify", archive)
    assert done.returncode == 1
    assert [line.partition(":")[0] for line in done.stdout.splitlines()] == [f"bad{building.SUFFIX}", archive]


def test_verify_tells_of_entries_that_cannot_be_reached(tmp_path):
    """Names like ../x are never members; who asks for the archive's health wants to know that there are some."""
    data = building.zip_bytes({"good.txt": "", "ab/evil.txt": "x"}).replace(b"ab/evil.txt", b"../evil.txt")
    (tmp_path / "odd.zip").write_bytes(data)
    done = run("verify", "odd.zip", cwd=tmp_path)
    assert "1" in done.stdout and "cannot be reached" in done.stdout


# ---- why


def test_why_tells_where_a_module_would_come_from(archive):
    lines = output("why", "pkg", "--in", archive).splitlines()
    assert lines[0] == f"pkg: package, source, {archive}/pkg/__init__.py"
    assert lines[1] == f"  {archive}: has pkg/__init__.py"


def test_why_tells_what_was_considered(tmp_path, archive):
    other = building.write_zip(tmp_path / "other.zip", {"pkg.py": "", "pkg.pyc": b""})
    report = json.loads(output("why", "pkg", "--in", archive, "--in", other, "--json"))
    assert (report["found"], report["origin"]) == (True, f"{other}/pkg.py")
    assert [entry["place"] for entry in report["considered"]] == [other, archive]
    assert "pkg.py, pkg.pyc" in report["considered"][0]["verdict"]


def test_why_of_a_missing_module_is_exit_1(archive):
    done = run("why", "nowhere", "--in", archive)
    assert (done.returncode, done.stdout.splitlines()[0]) == (1, "nowhere: not found")
    assert done.stderr == ""


@pytest.mark.parametrize("module", ["pkg.missing", "nowhere.at.all"])
def test_why_of_a_missing_submodule_is_exit_1(archive, module):
    assert run("why", module, "--in", archive).returncode == 1


def test_why_tells_that_the_standard_library_is_not_shadowed(tmp_path):
    archive = building.write_zip(tmp_path / "a.zip", {"colorsys.py": ""})
    done = run("why", "colorsys", "--in", archive)
    assert "first=True" in done.stdout
    assert archive not in done.stdout.splitlines()[0]
    assert f"{archive}/colorsys.py" in run("why", "colorsys", "--in", archive, "--first").stdout.splitlines()[0]


def test_why_of_a_namespace_package(tmp_path, archive):
    other = building.write_zip(tmp_path / "other.zip", {"space/more.py": ""})
    report = json.loads(output("why", "space", "--in", archive, "--in", other, "--json"))
    assert report["kind"] == "namespace package"
    assert archive in report["origin"] and other in report["origin"]


def test_why_of_a_package_that_fails_says_what_it_raised(tmp_path):
    archive = building.write_zip(
        tmp_path / "a.zip", {"pkg/__init__.py": "raise RuntimeError('its own trouble')", "pkg/leaf.py": ""}
    )
    done = run("why", "pkg.leaf", "--in", archive)
    assert "its own trouble" in done.stdout
    assert done.returncode == 1


@pytest.mark.parametrize("module", ["", ".", "a..b", "a b", "pkg/"])
def test_why_of_no_module_name_is_no_traceback(archive, module):
    done = run("why", module, "--in", archive)
    assert done.returncode in (1, 2)
    assert "Traceback" not in done.stderr
