"""The same inputs give the same bytes, whatever else differs between two machines. One difference a test, which then tells what counts."""

import hashlib
import os
import shlex
import shutil
import subprocess
import sys
import zipfile

import index as indexes
import pytest
from support import making
from support.environment import EMPTY

# More modules than are compiled in one process, with what is kept in the order of hashes, and what is interned or not.
BODY = """
import re, string
WORDS = {{"{n}", "b", "c d", "e", b"f", 1.5, None}}
def only_{n}(x, *, y=("only_{n}", frozenset("abc"))):
    x.seldom_{n}  # once: whether anything else has the name is what marshal would write
    return x in {{"alpha", "beta {n}", "gamma", "{{", "}}", "only_{n}"}}, [lambda z={n}: z, "%s" % x]
class C{n}:
    def dialect(self):
        class dialect: pass
        return dialect.__qualname__ == "C{n}.dialect.<locals>.dialect"
"""
HOSTNAME = "import socket; socket.sethostname('elsewhere')"


@pytest.fixture(scope="module")
def index(tmp_path_factory):
    with indexes.serving(tmp_path_factory.mktemp("index")) as index:
        modules = {f"many/m{n}.py": BODY.format(n=n) for n in range(70)}
        index.add("many", {"many/__init__.py": "", **modules, "many.pth": "many\n"}, metadata="Requires-Dist: other\n")
        index.add("other", {"other.py": BODY.format(n=99), "shared/one.py": "", "other-1.0.data/data/share/x": "x"})
        index.add("other", {"other.py": ""}, version="0.9")
        index.own = making.wheel(tmp_path_factory.mktemp("own"), "own", {"own.py": "n = 1\n"})
        yield index


@pytest.fixture(scope="module")
def pack(index, tmp_path_factory):
    """Packs in a new directory with a new home, as another user of another machine would; facts about the app."""

    def pack(*options, variables=(), wrapper=(), umask=0o022, home=None, order=1):
        machine = tmp_path_factory.mktemp("machine")
        for directory in "home", "tmp", "work":
            (machine / directory).mkdir()
        write_inputs(machine / "work", index.own, order)
        environment = EMPTY | {
            "PATH": os.environ["PATH"],
            "HOME": str(home or machine / "home"),
            "TMPDIR": str(machine / "tmp"),
        }
        environment |= {"PIP_CONFIG_FILE": os.devnull, "PIP_INDEX_URL": index.url, "NO_PROXY": "127.0.0.1"}
        command = [
            *wrapper,
            sys.executable,
            "-m",
            "intact",
            "pack",
            "-o",
            "app.pyz",
            "--entry",
            "proj",
            "-r",
            "needs.txt",
            *options,
        ]
        done = subprocess.run(
            [*command, "./proj", "./own-1.0-py3-none-any.whl"],
            cwd=machine / "work",
            env=environment | dict(variables),
            umask=umask,
            capture_output=True,
            text=True,
            timeout=120,
        )
        assert done.returncode == 0, done.stderr
        found = facts(machine / "work" / "app.pyz")
        shutil.rmtree(machine)
        return found

    return pack


def facts(app):
    """Checksums of the members, which tell where two differ, and of the file."""
    with zipfile.ZipFile(app) as outer, outer.open("intact-payload.zip") as file, zipfile.ZipFile(file) as payload:
        members = {info.filename: info.CRC for archive in (outer, payload) for info in archive.infolist()}
    return members, hashlib.sha256(app.read_bytes()).hexdigest()


def write_inputs(directory, wheel, order):
    """A project, a wheel and a requirements file; `order` is that in which the files are made, and so listed where that is how it goes."""
    made = [lambda: indexes.project(directory / "proj", "proj"), lambda: (directory / "needs.txt").write_text("many\n")]
    for make in made[::order]:
        make()
    os.utime(shutil.copy(wheel, directory), (10**9 * order % 7, 10**9 * order % 7))


@pytest.fixture(scope="module")
def expected(pack):
    return pack()


def can(*command):
    try:
        return subprocess.run(command, capture_output=True).returncode == 0
    except FileNotFoundError:
        return False


# Another name of the machine and another user: in namespaces of their own.
OTHER_HOST = (
    "unshare",
    "--map-root-user",
    "--uts",
    sys.executable,
    "-c",
    f"{HOSTNAME}; import os, sys; os.execvp(sys.argv[1], sys.argv[1:])",
)
ONE_PROCESSOR = (
    sys.executable,
    "-c",
    "import os, sys; os.sched_setaffinity(0, [min(os.sched_getaffinity(0))]); os.execvp(sys.argv[1], sys.argv[1:])",
)
DIFFERENCES = {
    "nothing but directories": {},
    "time zone": {"variables": {"TZ": "Pacific/Kiritimati"}},
    "umask": {"umask": 0o077},
    "language": {"variables": {"LANG": "tr_TR.UTF-8", "LC_ALL": "C"}},
    "UTF-8 mode": {"variables": {"LC_ALL": "POSIX", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}},
    "seed of hashes": {"variables": {"PYTHONHASHSEED": "31415"}},
    "one processor": {"wrapper": ONE_PROCESSOR},
    "settings of Python's": {
        "variables": {"PYTHONOPTIMIZE": "2", "PYTHONDONTWRITEBYTECODE": "1", "PYTHONPYCACHEPREFIX": "/nonexistent"}
    },
    "no uv": {"variables": {"INTACT_UV": "0"}},
    "names": {"variables": {"USER": "somebody", "LOGNAME": "somebody", "HOSTNAME": "elsewhere"}},
    "machine and user": {"wrapper": OTHER_HOST},
    "order and times of files": {"order": -1},
}


@pytest.mark.parametrize("difference", DIFFERENCES)
def test_no_difference_between_machines_reaches_the_bytes(difference, expected, pack):
    options = DIFFERENCES[difference]
    if options.get("wrapper") == OTHER_HOST and not can(*OTHER_HOST, "true"):
        pytest.skip("no namespaces may be made here")
    assert pack(**options) == expected


def test_nor_does_what_the_tools_have_in_their_caches(expected, pack, tmp_path):
    assert [pack(home=tmp_path) for _ in range(2)] == [expected] * 2


def test_nor_does_how_many_modules_are_loaded_where_they_are_compiled(expected, pack, tmp_path):
    text = (
        "import asyncio, http.client, sys\nkept = [sys.intern(f'seldom_{n}') for n in range(99)] + [sys.intern('{')]\n"
    )
    (tmp_path / "sitecustomize.py").write_text(text)
    assert pack(variables={"PYTHONPATH": str(tmp_path)}) == expected


@pytest.mark.parametrize("options", ["--compress deflate", "--compress zstd --small", "--no-source"])
def test_nor_does_it_with_other_options(options, pack):
    options = shlex.split(options)
    assert pack(*options) == pack(
        *options, variables={"PYTHONHASHSEED": "1", "TZ": "Asia/Kolkata"}, umask=0o027, wrapper=ONE_PROCESSOR
    )


def test_the_date_that_is_given_is_in_them(expected, pack):
    dated = {"SOURCE_DATE_EPOCH": "1700000000"}
    first, second = pack(variables=dated), pack(variables=dated | {"TZ": "America/St_Johns"})
    assert first == second != expected
