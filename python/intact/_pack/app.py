"""Writing an app: one file that a plain ``python app.pyz`` runs (docs/formats/app.md).

outer zip   #! line, intact-payload.zip, engine/…, __main__.py
payload     the façade, what the wheels install, bytecode, .intact/app.json; .intact/ABI/ has what is for one target alone
"""

from __future__ import annotations

import _imp
import fnmatch
import hashlib
import io
import json
import os
import pkgutil
import re
import zipfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from importlib import resources
from typing import Any

import intact
from intact import _boot
from intact._children import CHILD
from intact._info import entry_points
from intact._names import is_shared_object
from intact._pack import bytecode, merge
from intact._pack.errors import PackError
from intact._pack.layout import Layout, recorded
from intact._pack.pth import PthFiles
from intact._pack.writer import ZipWriter, replacing

_ENTRY = re.compile(r"\w+(\.\w+)*(:\w+(\.\w+)*)?")
_TESTS = re.compile(r".+/tests?/")
_BOOT = "engine/boot.py"
# A zip without its end is a program to python, which complains of an unknown encoding (PEP 263), by this name.
_CUT = "# coding: this-app-was-cut-short"
# What python runs. It is source, for nothing checks bytecode before it runs: a bit that is wrong in it is a crash.
# It is short, for it is compiled at every start, and in words that any Python understands.
_MAIN = """\
import sys

compiled = {compiled!r}
path, expected = compiled.get(getattr(getattr(sys, "implementation", None), "cache_tag", None), ("{boot}", None))
program = __loader__.get_data(path)
if expected:
    import _imp, marshal

    if _imp.source_hash(0, program).hex() != expected:
        sys.exit("intact: %s: %s is not what was packed" % (__loader__.archive, path))
    program = marshal.loads(memoryview(program)[16:])
else:
    program = compile(program, path, "exec")
exec(program)
"""


@dataclass(frozen=True)
class Choices:
    """What the user decides about an app, besides what goes into it."""

    entry: str | None = None  # "module:function", or "module" as python -m runs it
    console_script: str | None = None  # the name of one that a packed distribution has
    compress: str = "none"  # a key of writer.METHODS
    small: bool = False  # compress shared objects too
    exclude: tuple[str, ...] = ()  # patterns of paths, as fnmatch has them
    source: bool = True  # keep sources beside their bytecode
    strip_tests: bool = False
    shebang: str = "/usr/bin/env python3"
    allow_pth: tuple[str, ...] = ()  # whose import lines run
    isolated: bool = True  # from the packages installed on the host
    # What packs the same for another target: "%s" is its version, and a second one the name of the app.
    command: str = "intact pack --for %s -o %s"

    def __post_init__(self) -> None:
        if self.entry is not None and not _ENTRY.fullmatch(self.entry):
            reason = "is no MODULE or MODULE:FUNCTION to run"
            if os.path.exists(self.entry):
                reason += " (and nothing can be packed editable: name the project without an option)"
            raise PackError(self.entry, reason)
        if "\n" in self.shebang or self.shebang.startswith("#!"):
            raise PackError(self.shebang, "is not one line for the kernel, without its #!")


@dataclass(frozen=True)
class Build:
    """What goes in for one interpreter."""

    python: str  # "3.11"
    suffix: str  # of its extension modules: ".cpython-311-x86_64-linux-gnu.so"
    engine: bytes  # the shared object of intact._engine for it
    wheels: Sequence[str]
    compile: bytecode.Compiler
    check: Callable[[str], None]  # raises TagError for a wheel that is not for it

    @property
    def tag(self) -> str:
        """As `suffix` has it (PEP 3149): "cpython-311-x86_64-linux-gnu"."""
        return self.suffix.strip(".").rpartition(".")[0]

    @property
    def cache_tag(self) -> str:
        """As in the names of its bytecode files (PEP 3147): "cpython-311"."""
        return "-".join(self.tag.split("-")[:2])

    @property
    def title(self) -> str:
        return f"CPython {self.python} ({self.tag})"

    @cached_property
    def glibc(self) -> str:
        """The oldest that the engine runs with, by the versions of the symbols it needs."""
        minors = [int(minor) for minor in re.findall(rb"\0GLIBC_2\.(\d+)", self.engine)]
        return f"2.{max(minors, default=0)}"


@dataclass
class Summary(merge.Summary):
    """What was written."""

    targets: list[str] = field(default_factory=list)  # titles of the builds
    entry: str | None = None
    left_out: int = 0
    pth_skipped: dict[str, list[str]] = field(default_factory=dict)  # file to its lines that will not run


def pack(
    builds: Sequence[Build], target: str, choices: Choices, progress: Callable[[str], None] = lambda line: None
) -> Summary:
    """Write the app of `builds` (at least one) to `target`.

    Raises PackError and TagError for what cannot be packed, OSError if `target` cannot be written; then nothing is left.
    """
    summary = Summary(os.path.abspath(target), targets=[build.title for build in builds])
    with replacing(target, executable=True) as file:
        file.write(b"#!" + os.fsencode(choices.shebang) + f"\n{_CUT}\n".encode())
        with ZipWriter(file) as outer:
            with outer.nested("intact-payload.zip", compress=choices.compress, small=choices.small) as archive:
                config = _Payload(archive, builds, choices, summary, progress).write()
            for build in builds:
                offset = outer.add(f"engine/_engine{build.suffix}", build.engine)
                found = _boot.copy(io.BytesIO(build.engine), len(build.engine), io.BytesIO())
                config["engines"][build.suffix] = (offset, len(build.engine), found)
            program, compiled = _program(config), {}
            outer.add(_BOOT, program)
            for build in builds:
                for _, code in build.compile([("__main__.py", program)]):
                    path = f"engine/boot.{build.cache_tag}.pyc"
                    outer.add(path, code)
                    compiled[build.cache_tag] = path, _imp.source_hash(0, code).hex()
            outer.add("__main__.py", _MAIN.format(compiled=compiled, boot=_BOOT).encode())
        check_size(target, file.tell(), [build.python for build in builds])
    summary.size = os.stat(target).st_size
    return summary


def check_size(target: str, size: int, pythons: Sequence[str]) -> None:
    """Raise PackError for an app that would not start: zipimport reads zips with zip64 fields from Python 3.13 on."""
    old = [python for python in pythons if int(python.partition(".")[2]) < 13]
    if size > zipfile.ZIP64_LIMIT and old:
        most = f"Python {' and '.join(old)} starts none of more than {zipfile.ZIP64_LIMIT:,}"
        raise PackError(
            target, f"an app of {size:,} bytes, and {most}: --compress, --small and --exclude make it smaller"
        )


def _program(config: dict[str, Any]) -> bytes:
    source = pkgutil.get_data("intact", "_boot.py")
    assert source is not None
    # A child of the app enters it by the same code, and starts another program (_children.py).
    return source + f"\n\nCONFIG = {config!r}\n\nif __name__ != {CHILD!r}:\n    start(CONFIG, __loader__)\n".encode()


class _Payload:
    """The inner zip, while it is written."""

    def __init__(
        self,
        archive: ZipWriter,
        builds: Sequence[Build],
        choices: Choices,
        summary: Summary,
        progress: Callable[[str], None],
    ) -> None:
        self._archive, self._builds, self._choices, self._summary, self._progress = (
            archive,
            builds,
            choices,
            summary,
            progress,
        )
        self._written: set[str] = set()  # paths
        self._scripts: dict[str, str] = {}  # console script to object reference
        self._pth = PthFiles(choices.allow_pth)

    def write(self) -> dict[str, Any]:
        """Write all of it; what its program is to be told."""
        facade = list(_facade())
        shared = self._shared()
        for path, data in facade:
            self._add(path, data)
        modules = [each for each in facade if bytecode.is_module(each[0])]
        for build in self._builds:
            self._compile(build, [*modules, *self._lay_out(build, shared)])
        config = self._config()
        facts = self._facts(config)
        self._add(".intact/app.json", json.dumps(facts, indent=1, sort_keys=True).encode())
        return config

    def _shared(self) -> set[tuple[str, str]] | None:
        """(path, sha256) of the files that all builds have alike; None if there is one build, which may have the root."""
        if len(self._builds) == 1:
            return None
        each = [set().union(*map(recorded, build.wheels)) for build in self._builds]
        return set.intersection(*each)

    def _lay_out(self, build: Build, shared: set[tuple[str, str]] | None) -> list[tuple[str, bytes]]:
        """Write the files of one build; (path, source) of its modules."""
        sources: list[tuple[str, bytes]] = []
        mine = f".intact/{build.tag}/"

        def add(path: str, data: bytes, digest: str, executable: bool) -> None:
            self._note(path, data, layout)
            alone = shared is not None and (path, digest) not in shared
            if bytecode.is_module(path):
                alone |= shared is not None and not self._choices.source
                sources.append((f"{mine}{path}" if alone else path, data))
                if not self._choices.source:
                    return
            self._add(f"{mine}{path}" if alone else path, data, executable=executable)

        layout = Layout(add, self._wanted, build.check)
        for wheel in sorted(build.wheels, key=os.path.basename):
            self._progress(os.path.basename(wheel))
            layout.install(wheel)
        for name, version in layout.distributions.items():
            known = self._summary.distributions.setdefault(name, version)
            if version not in known.split(" and "):
                self._summary.distributions[name] = f"{known} and {version}"
        self._summary.left_out += layout.left_out
        return sources

    def _wanted(self, path: str) -> bool:
        if path.startswith("intact/") or fnmatch.fnmatch(path, "intact-*.dist-info/*"):
            return False  # the app brings its own
        if self._choices.strip_tests and _TESTS.match(path):
            return False
        return not any(fnmatch.fnmatchcase(path, pattern) for pattern in self._choices.exclude)

    def _note(self, path: str, data: bytes, layout: Layout) -> None:
        """Remember what the program needs to know of a file."""
        if path.endswith(".dist-info/entry_points.txt"):
            self._scripts |= entry_points(data.decode("utf-8", "replace")).get("console_scripts", {})
        elif path.endswith(".pth") and "/" not in path:
            self._pth.add(path, layout.distribution, data.decode("utf-8", "replace"))

    def _add(self, path: str, data: bytes, *, executable: bool = False) -> None:
        if path in self._written:
            return
        self._written.add(path)
        self._archive.add(path, data, executable=executable)
        self._summary.files += 1
        self._summary.shared_objects += is_shared_object(path)

    def _compile(self, build: Build, sources: list[tuple[str, bytes]]) -> None:
        self._progress(f"{len(sources)} modules to compile")
        left = dict(sources)
        for path, code in build.compile(sorted(sources)):
            place = bytecode.cached_path(path, build.cache_tag)
            self._add(place if path in self._written else bytecode.sourceless_path(path), code)
            self._summary.compiled += 1
            del left[path]
        for path, data in left.items():
            self._add(path, data)  # what does not compile is nothing without its source

    def _config(self) -> dict[str, Any]:
        """What _boot.start and _app.run take."""
        self._summary.entry = self._entry()
        if unused := self._pth.unused():
            raise PackError(
                ", ".join(sorted(unused)), "allowed by --allow-pth, and there is no .pth file of that name that imports"
            )
        self._summary.pth_skipped = self._pth.skipped
        return {
            "engines": {},  # until they are written
            "targets": [build.title for build in self._builds],
            "command": self._choices.command,
            "entry": self._summary.entry,
            "paths": self._pth.inside(re.sub(r"^\.intact/[^/]+/", "", path) for path in self._written),
            "lines": self._pth.lines,
            "isolated": self._choices.isolated,
        }

    def _entry(self) -> str | None:
        choices = self._choices
        entry = choices.entry
        if choices.console_script is not None:
            if choices.console_script not in self._scripts:
                known = ", ".join(sorted(self._scripts)) or "none"
                raise PackError(choices.console_script, f"no console script of that name is packed; there are: {known}")
            entry = self._scripts[choices.console_script].partition("[")[0].replace(" ", "")
        if entry is not None and not self._has_module(entry.partition(":")[0]):
            raise PackError(entry, "no such module is packed")
        return entry

    def _has_module(self, name: str) -> bool:
        stem = name.replace(".", "/")
        prefixes = ["", *(f".intact/{build.tag}/" for build in self._builds)]
        starts = tuple(f"{prefix}{stem}{rest}" for prefix in prefixes for rest in (".", "/__init__.", "/__main__."))
        return any(path.startswith(starts) and path.endswith((".py", ".pyc", ".so")) for path in self._written)

    def _facts(self, config: dict[str, Any]) -> dict[str, Any]:
        """For `intact info`: what was packed, from what."""
        return {
            "format": 1,
            "intact": intact.__version__,
            "targets": [{"python": each.python, "abi": each.tag, "glibc": each.glibc} for each in self._builds],
            "wheels": {os.path.basename(wheel): _sha256(wheel) for build in self._builds for wheel in build.wheels},
            "pth_skipped": self._pth.skipped,
            **{key: config[key] for key in ("entry", "paths", "lines", "isolated")},
        }


def _facade() -> Iterator[tuple[str, bytes]]:
    """What of intact an app carries: the modules at the top of the package, without its program, compat and _trace."""
    package = resources.files("intact")
    files = {file.name: file for file in package.iterdir() if file.name != "_boot.py"}
    for folder in ("compat", "_trace"):
        files |= {f"{folder}/{file.name}": file for file in (package / folder).iterdir()}
    for name in sorted(files):
        if name.endswith((".py", ".html", ".css", ".js")):
            yield f"intact/{name}", files[name].read_bytes()


def _sha256(path: str) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
