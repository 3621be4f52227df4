"""`intact.zipimporter`: zipimport's surface on the engine, for programs that ask for it by name and for `sys.path_hooks`.

What counts as a module, and in which order, is zipimport's rule here ("x.pyc" beside "x.py" comes first, `__pycache__` is
not looked at), unlike for mounts. Opening, finding and unpacking are the engine's: each archive is opened and indexed
once, and all importers of it share that; it is attached to no tree, so making an importer makes nothing importable.
"""

from __future__ import annotations

import marshal
import sys
import time
import warnings
from importlib.machinery import ModuleSpec
from importlib.util import decode_source, source_hash, spec_from_loader
from types import CodeType
from zipimport import ZipImportError
from zipimport import zipimporter as _Original

import _frozen_importlib_external
import _imp

from intact import _archives, _engine, _mounts

TYPE_CHECKING = False  # as in _mounts.py
if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import ModuleType
    from typing import Any

# What a name may be, best first: what follows it, and whether that makes it a package.
_KINDS = (("/__init__.pyc", True), ("/__init__.py", True), (".pyc", False), (".py", False))
_external: Any = _frozen_importlib_external
_HASH_BASED, _CHECK_SOURCE = 1, 2  # flags of bytecode (PEP 552)


class zipimporter(_Original):
    """zipimporter(path): finds and loads modules of one directory of an archive, as zipimport.zipimporter does.

    `path` is the path of a zip archive, of a directory in it ("app.zip/sub/dir"), or the same below a mount's root. It may
    stand in ``sys.path_hooks``. `archive` is the archive's path, `prefix` the directory, with a slash at its end or empty.
    Raises ZipImportError if there is no archive there.
    """

    archive: str
    prefix: str

    def __init__(self, path: str) -> None:
        if not isinstance(path, str):
            raise TypeError(f"expected str, not {type(path)!r}")
        if not path:
            raise ZipImportError("archive path is empty", path=path)
        self.archive, self.prefix = _archives.split(path)
        _archives.opened(self.archive, required=True)

    # ---- finding (PEP 302, PEP 451)

    def find_spec(self, fullname: str, target: ModuleType | None = None) -> ModuleSpec | None:
        """The spec of a module or of a portion of a namespace package, or None."""
        for _, package in self._members(fullname):
            return spec_from_loader(fullname, self, is_package=package)
        directory = self._stem(fullname)
        if not directory or not _archives.is_directory(self.archive, directory):
            return None
        spec = ModuleSpec(fullname, None, is_package=True)
        assert spec.submodule_search_locations is not None
        spec.submodule_search_locations.append(f"{self.archive}/{directory}")
        return spec

    if sys.version_info < (3, 12):

        def find_loader(self, fullname: str, path: str | None = None) -> tuple[Any, list[str]]:
            """Deprecated: (the importer or None, portions of a namespace package). Use find_spec."""
            _deprecated("find_loader", "find_spec")
            spec = self.find_spec(fullname)
            if spec is None or spec.loader is not None:
                return (None if spec is None else self), []
            return None, list(spec.submodule_search_locations or ())

        def find_module(self, fullname: str, path: str | None = None) -> Any:
            """Deprecated: the importer itself, or None. Use find_spec."""
            _deprecated("find_module", "find_spec")
            return self.find_loader(fullname, path)[0]

    def invalidate_caches(self) -> None:
        """Look at the archive anew, for every importer of it, when it is next asked for anything."""
        _archives.forget(self.archive)

    def iter_modules(self, prefix: str = "") -> list[tuple[str, bool]]:
        """Pairs (prefix + name, is a package) of the modules in this directory, for pkgutil."""
        found: dict[str, bool] = {}
        for child in _archives.children(self.archive, self.prefix.rstrip("/")):
            name, dot, suffix = child.partition(".")
            package = not dot and any(package for _, package in self._members(name))
            if package or (suffix in ("py", "pyc") and name != "__init__"):
                found[name] = found.get(name, False) or package
        return sorted((prefix + name, package) for name, package in found.items())

    # ---- loading

    def get_code(self, fullname: str) -> CodeType:
        """The module's code; ZipImportError if it is not there or cannot be used."""
        code, path = self._load(fullname)
        if isinstance(code, CodeType):
            return code
        compiled: CodeType = compile(code, path, "exec", dont_inherit=True)
        return compiled

    def get_filename(self, fullname: str) -> str:
        """What the module's ``__file__`` is; ZipImportError if it is not there."""
        return self._load(fullname)[1]

    def get_source(self, fullname: str) -> str | None:
        """The module's source, its encoding that of PEP 263; None if the archive has bytecode only."""
        stem = self._stem(fullname) + ("/__init__.py" if self.is_package(fullname) else ".py")
        if not _archives.is_file(self.archive, stem):
            return None
        try:
            return decode_source(_archives.read(self.archive, stem))
        except (SyntaxError, UnicodeDecodeError) as error:
            raise ZipImportError(f"cannot decode the source of {fullname!r}", name=fullname) from error

    def is_package(self, fullname: str) -> bool:
        """Whether the module is a package; ZipImportError if it is not there."""
        for _, package in self._members(fullname):
            return package
        raise ZipImportError(f"can't find module {fullname!r}", name=fullname)

    def get_data(self, pathname: str) -> bytes:
        """The bytes of a member, named by its path or relative to the archive; OSError if there is none."""
        return _archives.read(self.archive, pathname.removeprefix(self.archive + "/"))

    def load_module(self, fullname: str) -> ModuleType:
        """Deprecated: import the module, or run it again. Use exec_module."""
        if next(self._members(fullname), None) is None:
            _deprecated("load_module", "exec_module")
            raise ZipImportError(f"can't find module {fullname!r}", name=fullname)
        module: ModuleType = super(_Original, self).load_module(fullname)  # importlib's, not zipimport's; it warns, too
        return module

    def get_resource_reader(self, fullname: str) -> Any:
        """The reader of a package's resources, or None; from 3.13 on any module's, else ZipImportError."""
        if sys.version_info < (3, 13):
            try:
                if not self.is_package(fullname):
                    return None
            except ZipImportError:
                return None
        from intact import _zip_resources

        return _zip_resources.Reader(self, fullname)

    # ---- what zipimport keeps to itself, for those who look nevertheless

    def _get_files(self) -> dict[str, tuple[Any, ...]]:
        mount = _archives.opened(self.archive)
        return {} if mount is None else _directory(self.archive, mount)

    _files = property(_get_files)

    def _stem(self, fullname: str) -> str:
        return self.prefix + fullname.rpartition(".")[2]

    def _members(self, fullname: str) -> Iterator[tuple[str, bool]]:
        """(path in the archive, is a package) of what the module may be loaded from, best first."""
        stem = self._stem(fullname)
        return (
            (stem + suffix, package) for suffix, package in _KINDS if _archives.is_file(self.archive, stem + suffix)
        )

    def _load(self, fullname: str) -> tuple[CodeType | bytes, str]:
        """The module's code, or the source to compile, and the path of the one of both that was taken."""
        cause = None
        for member, _ in self._members(fullname):
            data, path = _archives.read(self.archive, member), f"{self.archive}/{member}"
            if not member.endswith(".pyc"):
                return data, path
            try:
                code = _unmarshal(self.archive, member, data, fullname)
            except (ImportError, EOFError, ValueError, TypeError) as error:
                cause = error
                continue
            if code is not None:
                return code, path
        if cause is not None:
            raise ZipImportError(f"module load failed: {cause}", name=fullname) from cause
        raise ZipImportError(f"can't find module {fullname!r}", name=fullname)


def _deprecated(name: str, instead: str) -> None:
    warnings.warn(f"zipimporter.{name}() is deprecated; use {instead}() instead", DeprecationWarning)


def _unmarshal(archive: str, member: str, data: bytes, fullname: str) -> CodeType | None:
    """The code in valid bytecode, None if it is stale; ImportError and what marshal raises if it is none."""
    details = {"name": fullname, "path": member}
    flags = _external._classify_pyc(data, fullname, details)
    source = member.removesuffix("c")
    status = _archives.status(archive, source)
    if flags & _HASH_BASED:
        checked = flags & _CHECK_SOURCE or _imp.check_hash_based_pycs == "always"
        if checked and _imp.check_hash_based_pycs != "never" and status is not None and not status[0]:
            _external._validate_hash_pyc(data, source_hash(_archives.read(archive, source)), fullname, details)
    elif status is not None and not status[0]:
        mtime, size = int.from_bytes(data[8:12], "little"), int.from_bytes(data[12:16], "little")
        # The times of a zip are even seconds.
        if abs(mtime - (status[2] & 0xFFFF_FFFF)) > 1 or size != status[1] & 0xFFFF_FFFF:
            return None
    code = marshal.loads(memoryview(data)[16:])
    if not isinstance(code, CodeType):
        raise TypeError(f"compiled module {member!r} is not a code object")
    return code


def _directory(archive: str, mount: _engine.Mount) -> dict[str, tuple[Any, ...]]:
    """What zipimport keeps of each entry: path, method, packed size, size, offset, time, date, CRC-32."""
    entries = {}
    for path, directory, size, packed, method, crc, _, offset, mtime, _ in mount._members():
        if directory and not mtime:
            continue  # no member, only implied by others
        name = path + "/" if directory else path
        moment = time.localtime(mtime)
        date = (max(moment.tm_year - 1980, 0) << 9) | (moment.tm_mon << 5) | moment.tm_mday
        of_day = (moment.tm_hour << 11) | (moment.tm_min << 5) | (moment.tm_sec // 2)
        entries[name] = (f"{archive}/{path}", method, packed, size, offset, of_day, date, crc)
    return entries


_engine._watch("pkgutil", _mounts._find_patching)
if "pkgutil" in sys.modules:
    from intact import _patching

    _patching.apply(sys.modules["pkgutil"])
