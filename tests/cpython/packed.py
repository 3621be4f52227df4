"""Directories that tests write, answered from archives: finders and loaders of importlib.machinery whose answers are ours.

Whenever a finder is asked, or a loader made, the directory as it then is is packed into a zip in memory and mounted under the
directory's own path. What our finder finds there is the answer; its loader keeps the mount, which is taken out of the tree
at once, so that what is written later is packed when it is asked for.
"""

import contextlib
import importlib.machinery
import importlib.util
import io
import os
import py_compile
import stat
import sys
import types
import unittest
import zipfile
from pathlib import Path

import counts
from intact import _engine

EARLIEST, LATEST = 315532800, 4354819200  # seconds: the times that a zip can have
MANY = 500  # files; no test makes a directory of more
_packed = {}  # directory to (what was in it, its mount)
_kept = []


def contents(directory):
    """(path, mtime, size) of each file and directory below."""
    found = []
    for path in sorted(Path(directory).rglob("*")):
        with contextlib.suppress(FileNotFoundError):  # another process has renamed it
            status = path.stat()
            if stat.S_ISREG(status.st_mode) or stat.S_ISDIR(status.st_mode):
                found.append((path, int(status.st_mtime), status.st_size))
    if len(found) > MANY:
        raise ValueError(f"{directory} has {len(found)} files")
    return found


def zipped(directory, found):
    """The bytes of a zip of what was found in the directory."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for path, mtime, _ in found:
            with contextlib.suppress(FileNotFoundError):
                if path.is_dir() or EARLIEST <= mtime < LATEST:
                    archive.write(path, path.relative_to(directory))
                else:
                    archive.writestr(str(path.relative_to(directory)), path.read_bytes())
    return buffer.getvalue()


def _mount(directory):
    """The mount of a directory as it is, not attached: loaders of one state are equal, as they share it.

    Cached bytecode that comes later makes no other state.
    """
    found = contents(directory)
    sources = [each for each in found if "__pycache__" not in each[0].parts and each[0].is_file()]
    if directory not in _packed or _packed[directory][0] != sources:
        data = zipped(directory, found)
        _packed[directory] = sources, _engine.Mount(data, directory, directory, (), files=False)
    return _engine.Mount(_packed[directory][1], directory, directory, ())


def ask(directory, question):
    """What question(our finder of the directory) gives; counted if it is something."""
    mount = _mount(directory)
    mount._attach()
    try:
        answer = question(_engine.EntryFinder(directory))
    finally:
        mount._detach()
    counts.calls += bool(answer)
    return answer


class FileFinder(importlib.machinery.FileFinder):
    """FileFinder(path, *details) for one directory; what the details say is not asked.

    Derived for those who look at the type, and for what 3.11 deprecates, find_loader and find_module, which ask find_spec.
    """

    writes_bytecode = False

    @classmethod
    def path_hook(cls, *details):
        def hook(path):
            if not os.path.isdir(path or "."):
                raise ImportError("only directories are supported", path=path)
            return cls(path, *details)

        return hook

    def find_spec(self, fullname, target=None):
        directory = os.path.abspath(self.path)
        if not os.path.isdir(directory) or not os.access(directory, os.R_OK):
            return None
        spec = ask(directory, lambda finder: finder.find_spec(fullname, target))
        if self.writes_bytecode and spec is not None and isinstance(spec.loader, _engine.SourceLoader):
            with contextlib.suppress(py_compile.PyCompileError, OSError):
                py_compile.compile(spec.origin, doraise=True)
        return spec

    def iter_modules(self, prefix=""):
        return ask(os.path.abspath(self.path), lambda finder: finder.iter_modules(prefix))


def _loader_at(path):
    """The loader that our finder finds for the file at `path`, which may be a package's __init__; None if it finds another."""
    if not isinstance(path, str) or not os.path.isfile(path):
        return None
    place, base = os.path.split(os.path.abspath(path))
    name = base.partition(".")[0]
    if name == "__init__":
        place, name = os.path.split(place)
    spec = ask(place, lambda finder: finder.find_spec(name))
    return spec.loader if spec is not None and spec.origin == os.path.abspath(path) else None


class _Kind(type):
    def __instancecheck__(cls, instance):
        return isinstance(instance, cls.ours)


def _stand_in(ours):
    """A class whose objects are ours: for each thing that they are asked they have what is then found for their path."""

    class Found(ours):
        @property
        def _found(self):
            loader = _loader_at(self.path)
            _kept.append(loader)  # the engine relies on a loader's keeping what it has found
            return loader._found if loader else None

    class Loader(metaclass=_Kind):
        def __new__(cls, name, path):
            return Found(name, path)

    Loader.ours = ours
    return Loader


def machinery():
    """importlib.machinery with ours in it."""
    module = types.ModuleType("importlib.machinery")
    vars(module).update(vars(importlib.machinery))
    module.FileFinder = FileFinder
    module.SourceFileLoader = _stand_in(_engine.SourceLoader)
    module.SourcelessFileLoader = _stand_in(_engine.BytecodeLoader)
    module.ExtensionFileLoader = _stand_in(_engine.ExtensionLoader)
    return module


def substitute_in(suite, ours=None):
    """In every test class of the suite that has a `machinery`."""
    counts.calls = counts.calls or 0
    ours = ours or machinery()
    for test in suite:
        if isinstance(test, unittest.TestSuite):
            substitute_in(test, ours)
        elif hasattr(type(test), "machinery"):
            type(test).machinery = ours


def substitute_hook(bytecode):
    """For directories below that of temporary files, where the suites write; run as Python starts.

    On sys.path_hooks, and where a test says by the path which loader it expects. With `bytecode` it is written as CPython does,
    for tests that go on with it: an importer of archives writes none.
    """
    counts.calls = counts.calls or 0
    FileFinder.writes_bytecode = bytecode and not sys.dont_write_bytecode
    place = os.environ.get("TMPDIR")
    if not place:
        return  # a test has taken the environment away

    def hook(path):
        directory = os.path.abspath(path or ".")
        if not (directory + "/").startswith(place + "/"):
            raise ImportError("not a directory of tests", path=path)
        return FileFinder.path_hook()(path)

    def spec_from_file_location(name, location=None, **details):
        spec = original(name, location, **details)
        if spec is not None and not details and (os.path.abspath(spec.origin) + "/").startswith(place + "/"):
            found = _loader_at(spec.origin)
            if found is not None:
                found.name, spec.loader = name, found
        return spec

    original = importlib.util.spec_from_file_location
    importlib.util.spec_from_file_location = spec_from_file_location
    sys.path_hooks.insert(0, hook)
    sys.path_importer_cache.clear()
