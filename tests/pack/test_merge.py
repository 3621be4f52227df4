"""`intact merge`: many wheels in one archive, laid out as installing them would, and used where it lies."""

import csv
import importlib.util
import json
import marshal
import os
import re
import resource
import signal
import subprocess
import sys
import time
import zipfile
import zlib
from pathlib import Path

import pytest

from support import making
from support.wheels import record_line

PLATFORM = f"cp{sys.version_info[0]}{sys.version_info[1]}-cp{sys.version_info[0]}{sys.version_info[1]}-linux_x86_64"
EXTENSION = importlib.util.find_spec("_testmultiphase")


def left(directory):
    """What is there besides wheels."""
    return sorted(path.name for path in directory.iterdir() if path.suffix != ".whl")


def test_what_was_merged_is_imported(pair, tmp_path):
    report = json.loads(making.merged(tmp_path / "app.zip", "--json", *pair))
    assert report["distributions"] == {"first": "1.0", "second": "2.0"}
    assert report["compiled"] == 3 and report["size"] == (tmp_path / "app.zip").stat().st_size
    code = """
        import importlib.metadata as m, shared.one, shared.two, first_pure
        assert (shared.one.n, shared.two.n, first_pure.n, shared.one.word) == (1, 2, 3, "word")
        assert m.version("second") == "2.0" and m.distribution("first").read_text("INSTALLER") == "intact\\n"
        [script] = m.entry_points(group="console_scripts", name="first")
        print(script.value, shared.two.__cached__)
    """
    done = making.intact(
        "run",
        tmp_path / "app.zip",
        "-c",
        "\n".join(line.strip() for line in code.splitlines()),
    )
    assert done.returncode == 0, done.stderr
    value, cached = done.stdout.split()
    assert value == "shared.one:main" and cached.startswith(str(tmp_path / "app.zip/shared/__pycache__/two."))


def test_record_says_what_is_there(pair, tmp_path):
    """importlib.metadata.files() of each distribution: every file but RECORD with its hash, and no script."""
    making.merged(tmp_path / "app.zip", *pair)
    with zipfile.ZipFile(tmp_path / "app.zip") as archive:
        assert archive.testzip() is None
        names = {name for name in archive.namelist() if "__pycache__" not in name}
        recorded = set()
        for dist in ("first-1.0", "second-2.0"):
            rows = list(csv.reader(archive.read(f"{dist}.dist-info/RECORD").decode().splitlines()))
            recorded |= {row[0] for row in rows}
            for path, digest, _ in rows:
                data = archive.read(path)
                assert path.endswith("/RECORD") or record_line(path, data) == f"{path},{digest},{len(data)}"
    assert names == recorded
    assert "first-1.0.data/data/share/first.conf" in names and "first_pure.py" in names


def test_bytecode_is_the_sources_and_unchecked(pair, tmp_path):
    making.merged(tmp_path / "app.zip", *pair)
    with zipfile.ZipFile(tmp_path / "app.zip") as archive:
        content = archive.read(importlib.util.cache_from_source("shared/two.py"))
        source = archive.read("shared/two.py")
    assert content[:4] == importlib.util.MAGIC_NUMBER and content[4:8] == b"\1\0\0\0"
    assert content[8:16] == importlib.util.source_hash(source)
    assert marshal.loads(content[16:]).co_code == compile(source, "shared/two.py", "exec").co_code


def test_bytecode_of_the_wheel_gives_way_to_ours(tmp_path):
    cached = importlib.util.cache_from_source("mod.py")
    wheel = making.wheel(tmp_path, "mine", {"mod.py": "n = 1", cached: "not bytecode"})
    done = making.intact("merge", "-o", tmp_path / "app.zip", wheel)
    assert done.returncode == 0 and "Warning" not in done.stderr
    with zipfile.ZipFile(tmp_path / "app.zip") as archive:
        assert archive.namelist().count(cached) == 1
        assert archive.read(cached)[:4] == importlib.util.MAGIC_NUMBER


def test_no_bytecode_when_it_is_not_wanted(pair, tmp_path):
    making.merged(tmp_path / "app.zip", "--no-bytecode", "--compress", "deflate", *pair)
    with zipfile.ZipFile(tmp_path / "app.zip") as archive:
        assert not any("__pycache__" in name for name in archive.namelist())
        for info in archive.infolist():  # packed where that makes it smaller
            control = len(zlib.compress(archive.read(info), wbits=-15))
            assert (info.compress_type == zipfile.ZIP_DEFLATED) == (control < info.file_size)
            assert info.compress_size == min(control, info.file_size)


@pytest.mark.skipif(EXTENSION is None, reason="this interpreter came without its test extensions")
@pytest.mark.parametrize("compress", ["none", "deflate"])
def test_shared_objects_are_mapped_from_the_archive(compress, tmp_path):
    extension = Path(EXTENSION.origin)
    files = {f"pkg/{extension.name}": extension.read_bytes(), "pkg/__init__.py": "", "pkg/pad.txt": "x" * 77}
    wheel = making.wheel(tmp_path, "native", files, tag=PLATFORM, purelib=False)
    making.merged(tmp_path / "app.zip", "--compress", compress, wheel)
    program = "import intact, pkg._testmultiphase; print(intact.stats()['images_grafted'])"
    done = making.intact("run", tmp_path / "app.zip", "-c", program)
    assert done.stdout == "1\n", done.stderr


def test_same_inputs_give_the_same_bytes(pair, tmp_path):
    making.merged(tmp_path / "a.zip", *pair)
    os.utime(pair[0], (0, 0))
    making.merged(tmp_path / "b.zip", *pair[::-1], pair[0])
    assert (tmp_path / "a.zip").read_bytes() == (tmp_path / "b.zip").read_bytes()
    making.merged(tmp_path / "c.zip", *pair, env={**os.environ, "SOURCE_DATE_EPOCH": "1700000000"})
    with zipfile.ZipFile(tmp_path / "c.zip") as archive:
        assert {info.date_time for info in archive.infolist()} == {(2023, 11, 14, 22, 13, 20)}


def test_files_that_agree_may_be_in_two_wheels(tmp_path):
    wheels = [making.wheel(tmp_path, name, {"ns/__init__.py": "", f"ns/{name}.py": ""}) for name in ("one", "two")]
    making.merged(tmp_path / "app.zip", *wheels)


# A path of one wheel, a path of another, and what the error has to say.
CLASHES = {
    "clash": ("mod.py", "mod.py", r"two-1\.0.*mod\.py is in one-1\.0"),
    "file and directory": ("mod/a.py", "mod", r"two-1\.0.*mod is a file, and in one-1\.0.* a directory"),
    "directory and file": ("mod", "mod/sub/a.py", r"two-1\.0.*mod is a directory, and in one-1\.0.* a file"),
}


def broken(tmp_path, kind):
    """A wheel, or two, that cannot be merged, and what the error has to say."""
    if kind in CLASHES:
        first, second, expected = CLASHES[kind]
        one = making.wheel(tmp_path, "one", {first: "1"})
        return [one, making.wheel(tmp_path, "two", {second: "2"})], expected
    if kind == "versions":
        one = making.wheel(tmp_path, "one", {"mod.py": "1"})
        return [
            one,
            making.wheel(tmp_path, "one", {"mod.py": "1"}, version="2.0"),
        ], r"one 2\.0 is asked for, and 1\.0"
    if kind == "escape":
        return [making.wheel(tmp_path, "one", {"../mod.py": ""})], r"one-1\.0.*'\.\./mod\.py' is no path"
    if kind == "record lies":

        def lie(text):
            return re.sub(r"(?m)^mod\.py,.*", f"mod.py,sha256={'A' * 43},1", text)

        return [making.wheel(tmp_path, "one", {"mod.py": "1"}, record=lie)], r"one-1\.0.*mod\.py didn't match RECORD"
    if kind == "record has more":
        more = making.wheel(tmp_path, "one", {"mod.py": "1"}, record=lambda text: text + "ghost.py,sha256=abc,3\n")
        return [more], r"one-1\.0.*ghost\.py: in RECORD, and not in the wheel"
    if kind == "no scheme":
        return [
            making.wheel(tmp_path, "one", {"one-1.0.data/other/x": ""})
        ], r"one-1\.0-py3-none-any\.whl: one-1\.0\.data/other/x is not"
    if kind == "intact's own":
        return [making.wheel(tmp_path, "one", {".intact/app.json": "{}"})], r"'\.intact/app\.json' is no path"
    if kind == "not in record":
        return [
            making.wheel(tmp_path, "one", {"mod.py": "1"}, record=lambda text: "")
        ], r"mod\.py is not mentioned in RECORD"
    if kind == "other platform":
        return [making.wheel(tmp_path, "one", {"mod.py": ""}, tag="cp311-cp311-win_amd64")], "wheel is for .*win_amd64"
    if kind == "cut":
        whole = making.wheel(tmp_path, "one", {"mod.py": "x" * 1000})
        whole.write_bytes(whole.read_bytes()[:-30])
        return [whole], r"one-1\.0.*not a whole zip"
    if kind in ("no entry points", "no reference"):
        text = {"no entry points": "nothing", "no reference": "[console_scripts]\na = b"}[kind]
        wheel = making.wheel(tmp_path, "one", {"one-1.0.dist-info/entry_points.txt": text})
        return [wheel], r"one-1\.0.*: its entry_points\.txt"
    if kind == "no wheel's name":
        return [making.wheel(tmp_path, "one", {"mod.py": ""}).rename(tmp_path / "one.whl")], r"one\.whl"
    return [tmp_path / "absent-1.0-py3-none-any.whl"], "No such file.*absent"


@pytest.mark.parametrize(
    "kind",
    [
        *CLASHES,
        "versions",
        "escape",
        "record lies",
        "record has more",
        "no scheme",
        "intact's own",
        "not in record",
        "other platform",
        "cut",
        "no entry points",
        "no reference",
        "no wheel's name",
        "absent",
    ],
)
def test_one_clear_error_and_nothing_half_written(kind, tmp_path):
    wheels, expected = broken(tmp_path, kind)
    (tmp_path / "app.zip").write_bytes(b"what was there before")
    done = making.intact("merge", "-o", tmp_path / "app.zip", *wheels)
    assert done.returncode == 1 and done.stderr.count("\n") == 1, done.stderr
    assert re.search(expected, done.stderr), done.stderr
    assert left(tmp_path) == ["app.zip"] and (tmp_path / "app.zip").read_bytes() == b"what was there before"


def test_only_a_file_is_replaced(tmp_path):
    """A device or a directory that is named by mistake stays what it is."""
    wheel = making.wheel(tmp_path, "one", {"mod.py": "1"})
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "there").mkdir()
    for name in "pipe", "there":
        done = making.intact("merge", "-o", tmp_path / name, wheel)
        assert done.returncode == 1 and f"not a file, and not replaced by one: '{tmp_path / name}'" in done.stderr
    done = making.intact("merge", "-o", tmp_path / "absent/app.zip", wheel)
    assert done.returncode == 1 and f"no such directory to write to: '{tmp_path / 'absent'}'" in done.stderr
    assert (tmp_path / "pipe").is_fifo() and left(tmp_path) == ["pipe", "there"]


@pytest.mark.parametrize("epoch", ["soon", "9" * 30])
def test_a_date_that_is_none_is_refused_in_one_line(epoch, tmp_path):
    wheel = making.wheel(tmp_path, "one", {"mod.py": "1"})
    done = making.intact("merge", "-o", tmp_path / "app.zip", wheel, env={**os.environ, "SOURCE_DATE_EPOCH": epoch})
    assert done.returncode == 1 and done.stderr == f"intact: SOURCE_DATE_EPOCH: {epoch!r} is no number of seconds\n"


def test_a_date_that_no_zip_can_state_is_the_nearest(tmp_path):
    wheel = making.wheel(tmp_path, "one", {"mod.py": "1"})
    for epoch, year in ("0", 1980), ("9999999999", 2107):
        making.merged(tmp_path / "app.zip", wheel, env={**os.environ, "SOURCE_DATE_EPOCH": epoch})
        with zipfile.ZipFile(tmp_path / "app.zip") as archive:
            assert {info.date_time[0] for info in archive.infolist()} == {year}


def test_disk_that_is_full_leaves_nothing(tmp_path):
    wheel = making.wheel(tmp_path, "big", {"big.bin": os.urandom(200_000)})

    def little_room():
        resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, 50_000))

    done = making.intact("merge", "-o", tmp_path / "app.zip", wheel, preexec_fn=little_room)
    assert done.returncode == 1 and f"File too large: '{tmp_path / 'app.zip'}'" in done.stderr, done.stderr
    assert left(tmp_path) == []


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_interrupt_leaves_nothing(number, status, tmp_path):
    body = "\n".join(f"def f{i}(a, b=({i}, {i})): return [x for x in range(a) if x % b[0]]" for i in range(200))
    wheel = making.wheel(tmp_path, "many", {f"many/m{i}.py": body for i in range(800)})
    command = [
        sys.executable,
        "-m",
        "intact",
        "merge",
        "-o",
        tmp_path / "app.zip",
        wheel,
    ]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        while not left(tmp_path):
            time.sleep(0.01)
        time.sleep(0.3)
        assert process.poll() is None, "it was over before it could be interrupted"
        process.send_signal(number)
        assert process.wait(60) == status, process.stderr.read()
    assert left(tmp_path) == []


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, -signal.SIGINT), (signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_interrupt_in_a_callback_that_swallows_it_comes_again(number, status):
    """Packing went on to its end where the signal came while Python ran what was registered for a fork."""
    program = (
        "import os, signal, sys, time\n"
        "from intact import _cli_pack\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "_cli_pack._clean_up_when_ended()\n"
        "os.register_at_fork(after_in_parent=lambda: os.kill(os.getpid(), int(sys.argv[1])))\n"
        "os.fork() or os._exit(0)\n"
        "time.sleep(30)\n"
    )
    done = subprocess.run([sys.executable, "-c", program, str(int(number))], capture_output=True, text=True)
    assert done.returncode == status and "Exception ignored" not in done.stderr, done.stderr


def test_without_the_extra_it_says_what_is_missing(tmp_path):
    wheel = making.wheel(tmp_path, "one", {"mod.py": ""})
    (tmp_path / "hidden").mkdir()
    (tmp_path / "hidden/sitecustomize.py").write_text("import sys; sys.modules['installer'] = None\n")
    environment = {**os.environ, "PYTHONPATH": str(tmp_path / "hidden")}
    done = making.intact("merge", "-o", tmp_path / "app.zip", wheel, env=environment)
    assert done.returncode == 1 and "pip install 'intact[pack]'" in done.stderr, done.stderr
