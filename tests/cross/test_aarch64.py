"""Apps for aarch64, packed here and run by Debian's own Python for aarch64 under qemu's user mode.

What they need is made by tools/aarch64_wheel.sh, and `tools/test_all.sh PYTHON aarch64-app` does both; without --aarch64 nothing runs here.
The engine, the wheels and the interpreter are the real ones; the kernel and the processor are qemu's idea of them.
"""

import json
import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from support import making, packages

PLATFORM = "manylinux_2_28_aarch64"
TAG = "cpython-311-aarch64-linux-gnu"
# Of the packages of make test those that a processor can make a difference to: libraries found by RPATH and moved tables, Rust,
# thread-local storage with C++ exceptions and a stack of its own, libraries that need each other, data files opened from C.
CHECKS = ("numpy", "orjson", "cryptography", "greenlet", "pillow", "zmq", "lxml")

PROG = """
import os, platform, subprocess, sys

def main():
    here = os.path.dirname(__file__)
    print(platform.machine(), *sys.argv[1:])
    print(open(f"{here}/prog.txt").read(), os.path.isdir(here), "prog.txt" in os.listdir(here), os.stat(f"{here}/prog.txt").st_size)
    try:
        open(f"{here}/new", "w")
    except OSError as error:
        print(error.strerror)

def fork():
    import multiprocessing
    with multiprocessing.get_context("fork").Pool(1) as pool:
        print(pool.map(word, [2]))

def spawn():
    done = subprocess.run([sys.executable, "-c", "import prog; print(prog.word(3), prog.__file__)"], capture_output=True, text=True)
    print(done.stdout, done.stderr)

def word(times):
    return open(os.path.dirname(__file__) + "/prog.txt").read() * times
"""


@pytest.fixture(scope="module")
def tree(request):
    """Where the wheel lies, and the interpreter with what it links."""
    given = request.config.getoption("--aarch64")
    if not given:
        pytest.skip("no --aarch64")
    return Path(given).resolve()


@pytest.fixture(scope="module")
def python(tree, tmp_path_factory):
    """A program that is python on aarch64. It names itself in sys.executable, for the kernel starts no files of another machine."""
    root = tree / "python"
    script = tmp_path_factory.mktemp("bin") / "python3.11"
    command = ["qemu-aarch64", "-L", str(root), "-0", str(script), str(root / "usr/bin/python3.11")]
    script.write_text(f'#!/bin/sh\nexec env PYTHONHOME={root}/usr {shlex.join(command)} "$@"\n')
    script.chmod(0o755)
    return script


@pytest.fixture(scope="module")
def pack(tree):
    (wheel,) = tree.glob("intact-*-cp311-cp311-linux_aarch64.whl")

    def pack(app, *arguments):
        options = ["-o", app, "--for", "3.11", "--platform", PLATFORM, "--engine", wheel]
        command = [sys.executable, "-m", "intact", "pack", "--json", *options, *arguments]
        done = subprocess.run(list(map(str, command)), capture_output=True, text=True, timeout=600)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    return pack


@pytest.fixture(scope="module")
def app(pack, tmp_path_factory):
    directory = tmp_path_factory.mktemp("pure")
    program = making.wheel(directory, "prog", {"prog.py": PROG, "prog.txt": "word"})
    summary = pack(directory / "app.pyz", "--entry", "prog:main", program)
    assert summary["targets"] == [f"CPython 3.11 ({TAG})"] and summary["compiled"] > 0
    return directory / "app.pyz"


def run(python, app, *arguments, **variables):
    environment = {"PATH": os.environ["PATH"], **variables}
    return subprocess.run(
        [python, app, *arguments], capture_output=True, text=True, timeout=300, cwd="/", env=environment
    )


def test_an_app_runs_and_opens_its_files(python, app):
    done = run(python, app, "one", "two")
    assert done.stdout == "aarch64 one two\nword True True 4\nRead-only file system\n", done.stderr
    assert done.returncode == 0 and done.stderr == ""


def test_here_it_says_for_whom_it_is(app):
    done = subprocess.run([sys._base_executable, app], capture_output=True, text=True)
    assert done.returncode == 1 and done.stdout == "" and done.stderr.count("\n") == 1
    assert f"is for CPython 3.11 ({TAG}), and this is cpython " in done.stderr


def test_an_app_for_this_machine_says_so_there(python, tmp_path):
    program = making.wheel(tmp_path, "prog", {"prog.py": PROG})
    done = making.intact("pack", "-o", tmp_path / "app.pyz", "--entry", "prog:main", program)
    assert done.returncode == 0, done.stderr
    done = run(python, tmp_path / "app.pyz")
    assert done.returncode == 1 and done.stdout == "" and done.stderr.count("\n") == 1
    assert f"and this is cpython 3.11 ({TAG}); pack it for this one with: intact pack --for 3.11" in done.stderr


@pytest.mark.parametrize(("function", "expected"), [("fork", "['wordword']"), ("spawn", "wordwordword {app}/prog.py")])
def test_children_are_in_the_app(python, app, function, expected):
    done = run(python, app, "-c", f"import prog; prog.{function}()", INTACT_INTERPRETER="1")
    assert done.stdout.strip() == expected.format(app=app), done.stderr


@pytest.mark.parametrize("name", CHECKS)
def test_package_works(name, python, pack, tmp_path):
    """The check of tests/packages, with the wheels that there are for aarch64: their shared objects are mapped from the app."""
    (check,) = [each for each in packages.load(True, (1, 2)) if each.name == name]
    modules = {
        "the_check.py": check.code + "\nimport bootstrap\nbootstrap.report_app()\n",
        "bootstrap.py": packages.BOOTSTRAP.read_text(),
    }
    program = making.wheel(tmp_path, "the_check", modules)
    app = tmp_path / "app.pyz"
    summary = pack(app, "--entry", "the_check", program, *check.requirements)
    done = run(python, app)
    app.unlink()
    outcome = packages.Outcome(done.returncode, done.stdout + done.stderr, packages.Outcome.of(done).report)
    outcome.check("app")
    assert summary["shared_objects"] and outcome.report["natives"]
    assert outcome.report["stats"]["images_copied"] == 0
