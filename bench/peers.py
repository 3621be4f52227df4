"""The ways of shipping an application that bench/start.py compares, and how each is built and started.

A way is one entry of PEERS. Everything is built by its tool's own defaults, as a user would who reads its first page,
from the wheels of one directory and without a network; everything runs on one interpreter with nothing installed.
"""

import dataclasses
import hashlib
import json
import os
import shutil
import subprocess
import sys
import sysconfig
import time
from collections.abc import Callable
from pathlib import Path


@dataclasses.dataclass(frozen=True)
class App:
    """An application: its requirement is both the name of its distribution and of its console script."""

    requirement: str
    entry: str  # module:function
    wheels: Path  # a directory with its wheel and those of all it needs


@dataclasses.dataclass(frozen=True)
class Job:
    """One application to be built one way; what is built is `target`, a file or a directory."""

    python: str  # the interpreter that it is for
    tools: Path  # where the scripts of the peer's tools are
    app: App
    target: Path

    @property
    def index(self):
        return ["--no-index", "--find-links", str(self.app.wheels)]


@dataclasses.dataclass(frozen=True)
class Peer:
    tools: tuple[str, ...]  # what the bench installs for it, from the package index
    build: Callable[[Job], list[list[object]]]  # commands
    start: Callable[[Job], list[object]] = lambda job: [job.python, job.target]
    watched: tuple[Path, ...] = ()  # directories whose change asks for another build, besides the application


def _venv(job):
    # Without pip and setuptools, which would cost it a start-up hook. pip compiles what it installs.
    pip = [job.tools / "pip", "--python", job.target / "bin/python"]
    return [
        [job.python, "-m", "venv", "--without-pip", job.target],
        [*pip, "install", "-q", *job.index, job.app.requirement],
    ]


def _shiv(job):
    return [[job.tools / "shiv", "-q", "-o", job.target, "-e", job.app.entry, *job.index, job.app.requirement]]


def _pex(*options):
    def build(job):
        index = ["--no-pypi", "-f", job.app.wheels]
        return [[job.tools / "pex", job.app.requirement, *index, "-e", job.app.entry, *options, "-o", job.target]]

    return build


def _pyinstaller(layout):
    def build(job):
        # It takes what is installed beside it, and its users wait for that, too. They name packages that have data.
        install = [job.tools / "pip", "install", "-q", "--force-reinstall", *job.index, job.app.requirement]
        folder, data = job.target.parent, job.app.entry.split(".")[0]
        places = ["--distpath", folder, "--workpath", folder / "work", "--specpath", folder / "work"]
        options = ["--log-level", "ERROR", layout, "--name", job.target.name, "--collect-data", data, *places]
        return [install, [job.tools / "pyinstaller", *options, job.tools / job.app.requirement]]

    return build


def _intact(job):
    return [[sys.executable, "-m", "intact", "pack", "-o", job.target, "--entry", job.app.entry, job.app.requirement]]


PEERS = {
    "venv": Peer(("pip",), _venv, lambda job: [job.target / "bin" / job.app.requirement]),
    "intact": Peer((), _intact, watched=(Path(sysconfig.get_path("platlib"), "intact"),)),
    "shiv": Peer(("pip", "shiv==1.0.8"), _shiv),
    "pex": Peer(("pip", "pex==2.105.2"), _pex()),
    "pex-venv": Peer(("pip", "pex==2.105.2"), _pex("--venv")),
    "pyinstaller-onefile": Peer(("pip", "pyinstaller==6.22.3"), _pyinstaller("--onefile"), lambda job: [job.target]),
    "pyinstaller-onedir": Peer(
        ("pip", "pyinstaller==6.22.3"), _pyinstaller("--onedir"), lambda job: [job.target / job.target.name]
    ),
}


class Workshop:
    """Builds applications below `directory` for the interpreter `python`, and keeps what it built."""

    def __init__(self, directory, python):
        self._directory, self._python = directory, python

    def kept(self, folder, inputs, make):
        """The seconds that `make(folder)` took, which is called where `folder` was not made of these `inputs` yet."""
        record = folder.with_name(folder.name + ".json")
        inputs = json.loads(json.dumps(inputs))  # as it will be read again
        if record.exists() and (known := json.loads(record.read_text()))["inputs"] == inputs:
            return known["seconds"]
        print(f"bench: making {folder.relative_to(self._directory)}", file=sys.stderr, flush=True)
        record.unlink(missing_ok=True)
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        start = time.perf_counter()
        make(folder)
        seconds = time.perf_counter() - start
        record.write_text(json.dumps({"inputs": inputs, "seconds": seconds}))
        return seconds

    def job(self, app, peer, folder=None):
        """The job of building `app` as `peer`, with its tools in place; without `folder`, the one that is kept."""
        # Each application has its own: pyinstaller takes what is installed beside it.
        tools = self._directory / "tools" / "-".join((*PEERS[peer].tools[-1:], app.requirement))
        if PEERS[peer].tools:
            self.kept(tools, [self._python, PEERS[peer].tools], self._install(PEERS[peer].tools))
        folder = folder or self._directory / app.requirement / peer
        return Job(self._python, tools / "bin", app, folder / "app")

    def _install(self, tools):
        def make(folder):
            subprocess.run([self._python, "-m", "venv", folder], check=True)
            subprocess.run([folder / "bin/pip", "install", "-q", "--upgrade", *tools], check=True)

        return make

    def built(self, app, peer):
        """The job of `app` as `peer`, done, and the seconds that it took when it was."""
        job = self.job(app, peer)
        watched = [contents(path) for path in (app.wheels, *PEERS[peer].watched)]
        commands = [list(map(str, command)) for command in PEERS[peer].build(job)]
        inputs = [commands, PEERS[peer].tools, watched]
        return job, self.kept(job.target.parent, inputs, lambda folder: self.build(job, peer))

    def build(self, job, peer):
        """Build `job` in its folder, which is empty; what the tools keep between runs is in a home of their own."""
        home = self._directory / "home"
        home.mkdir(exist_ok=True)
        environment = clean(home) | {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(job.app.wheels)}
        environment["PEX_ROOT"] = str(home / "pex")
        for command in PEERS[peer].build(job):
            done = subprocess.run(list(map(str, command)), env=environment, capture_output=True, text=True)
            if done.returncode:
                sys.exit(f"bench: {' '.join(map(str, command))} failed\n{done.stdout}{done.stderr}")


def clean(home):
    """An environment in which only the bench's own choices count."""
    return {"PATH": os.environ["PATH"], "LANG": "C.UTF-8", "HOME": str(home), "PIP_DISABLE_PIP_VERSION_CHECK": "1"}


def contents(directory):
    """A digest of all files below `directory`, caches of bytecode excepted."""
    digest = hashlib.sha256()
    for path in sorted(directory.rglob("*")):
        if path.is_file() and path.suffix != ".pyc":
            digest.update(f"{path.relative_to(directory)}\0{path.stat().st_size}\0".encode() + path.read_bytes())
    return digest.hexdigest()


def size(path):
    """Bytes of a file, or of all files below a directory; links are nothing."""
    files = path.rglob("*") if path.is_dir() else [path]
    return sum(file.stat().st_size for file in files if file.is_file() and not file.is_symlink())
