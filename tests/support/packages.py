"""What the package checks are made of: which there are, their wheels, the layouts, and a process to run them in."""

import dataclasses
import hashlib
import json
import os
import resource
import shutil
import subprocess
from pathlib import Path

from support import wheels

TESTS = Path(__file__).resolve().parents[1]
BUILD = TESTS.parent / "build"
BOOTSTRAP = TESTS / "packages" / "bootstrap.py"

# `make test` downloads at most 200 MB and still meets each trap once. What each is here for:
SUBSET = {
    "tzdata": "package data through zoneinfo",
    "jinja2": "listing a package's files",
    "pytest": "another import hook, entry points, linecache",
    "orjson": "one shared object, Rust",
    "yaml": "an extension beside the package, C",
    "zstandard": "cffi",
    "greenlet": "thread-local storage and C++ exceptions",
    "fastapi": "source text at run time (inspect.getsource)",
    "numpy": "bundled libraries by RPATH, tables moved by patchelf",
    "pandas": "45 extensions that use another package's C API",
    "zmq": "bundled libraries, C++",
    "psycopg_binary": "a deep chain of bundled libraries, its own metadata",
    "pillow": "two libraries that need each other",
    "requests": "a data file that OpenSSL opens",
    "numba": "as_file and ctypes.CDLL, code made at run time",
    "lxml": "data files that libxml2 opens",
    "cv2": "a package that imports itself again from a directory it puts on sys.path",
    "pyproj": "a data base that SQLite opens, data found by dladdr",
}

# Packages that write by themselves, and only in HOME or the temporary directory, when run from an installed tree too.
WRITERS = {"pytest", "matplotlib"}


@dataclasses.dataclass(frozen=True)
class Check:
    name: str
    requirements: tuple
    code: str


def load(everything, stages=(1,)):
    """The checks of `stages`, or those of SUBSET."""
    table = json.loads((TESTS / "packages" / "checks.json").read_text())
    return [
        Check(name, tuple(entry["wheels"]), entry["check"])
        for name, entry in table.items()
        if entry["stage"] in stages and (everything or name in SUBSET)
    ]


@dataclasses.dataclass(frozen=True)
class Interpreter:
    """An interpreter to check, with the directory that holds intact for it and nothing else."""

    executable: str
    tag: str
    site: str

    @staticmethod
    def of(executable, site=None):
        code = "import sys; print('cp%d%d' % sys.version_info[:2], sys.prefix == sys.base_prefix)"
        tag, _ = subprocess.run([executable, "-c", code], check=True, capture_output=True, text=True).stdout.split()
        return Interpreter(str(executable), tag, str(Path(site or BUILD / "site" / tag).resolve()))

    def wheels(self, checks):
        """The wheels of all `checks`, each once, in the order of the checks."""
        requirements = list(dict.fromkeys(r for check in checks for r in check.requirements))
        found = wheels.fetch(requirements, BUILD / "wheels" / self.tag, self.executable)
        return [str(wheel) for wheel in found]

    def merged(self, paths):
        """One stored and aligned archive of the wheels `paths`, made anew when they change."""
        script = TESTS / "support" / "archives.py"
        return self._kept("archives", paths, ".zip", lambda target: [self.executable, "-I", script, target, *paths])

    def installed(self, paths):
        """The same wheels as pip installs them: the control."""
        pip = [self.executable, "-m", "pip", "--disable-pip-version-check", "install", "-q", "--no-deps", "--no-index"]
        return self._kept("control", paths, "", lambda target: [*pip, "--target", target, *paths])

    def _kept(self, kind, paths, suffix, command):
        """The path in build/ that is named after its inputs, which `command`, called with a path, makes where it is missing."""
        names = "\n".join(sorted(os.path.basename(path) for path in paths))
        key = hashlib.sha256(names.encode()).hexdigest()[:12]
        target = BUILD / kind / f"{self.tag}-{key}{suffix}"
        with wheels.alone(target.parent):
            if not target.exists():
                partial = target.with_name(f"partial{suffix}")
                shutil.rmtree(partial, ignore_errors=True)
                subprocess.run(command(partial), check=True)
                partial.rename(target)
        return str(target)

    def sources(self, layout, checks):
        paths = self.wheels(checks)
        return {
            "wheels": lambda: paths,
            "merged": lambda: [self.merged(paths)],
            "files": lambda: [self.installed(paths)],
        }[layout]()


@dataclasses.dataclass
class Outcome:
    code: int
    output: str
    report: dict

    @staticmethod
    def of(done):
        """Of a process whose last line is the report."""
        last = [line for line in done.stdout.splitlines() if line.startswith("report ")]
        return Outcome(done.returncode, done.stdout, json.loads(last[-1].partition(" ")[2]) if last else {})

    def check(self, layout):
        """Asserts that every check passed and that what was imported came out of the mounts."""
        assert self.code == 0, self.output
        assert self.report["failed"] == []
        assert self.report["modules"] > 0, self.output
        assert self.report["strangers"] == [], "not from a mount"
        if layout != "wheels" and self.report["natives"]:
            assert self.report["stats"]["images_grafted"] > 0, self.report["stats"]
        assert self.report["stats"]["images_from_files"] == 0, self.report["stats"]


def environment(home, temporary):
    """The surroundings of a check: a HOME and a temporary directory of its own or none, nothing that steers Python."""
    steering = ("PYTHON", "XDG_", "INTACT_", "HOME", "TMPDIR")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(steering)}
    for name, directory in (("HOME", home), ("TMPDIR", temporary)):
        if directory is not None:
            Path(directory).mkdir(parents=True, exist_ok=True)
            kept[name] = str(directory)
    return kept


def finished(command, **options):
    """What subprocess.run gives of a program that is asked nothing, whose two outputs are one text."""
    return subprocess.run(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        **options,
    )


def run(interpreter, layout, sources, checks, scratch, *, wrapper=(), descriptors=None, timeout=600):
    """Runs `checks` in one fresh process; `wrapper` goes before the command, `descriptors` limits open files."""
    spec = {
        "layout": layout,
        "site": interpreter.site,
        "sources": sources,
        "checks": [[check.name, check.code] for check in checks],
    }

    def limit():
        if descriptors:
            resource.setrlimit(resource.RLIMIT_NOFILE, (descriptors, descriptors))

    done = finished(
        [*wrapper, interpreter.executable, "-I", "-S", "-X", "faulthandler", str(BOOTSTRAP), json.dumps(spec)],
        cwd=f"{scratch}",
        env=environment(f"{scratch}/home", f"{scratch}/tmp"),
        timeout=timeout,
        preexec_fn=limit,
    )
    return Outcome.of(done)
