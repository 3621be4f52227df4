"""Archives that are opened but attached to no tree: what `intact.zipimporter` reads from.

Each is opened and indexed once by the engine, and shared by all who name it by the same path. Where an archive is mounted
at that path, the mount is what is read.

An error about the archive is an intact.ArchiveError, MemberError or PasswordError and zipimport's ZipImportError at once: the first is
what users of intact catch, the second what the import system and CPython's own modules catch.
"""

from __future__ import annotations

import errno
import io
import os
import stat
from zipimport import ZipImportError

from intact import _engine

TYPE_CHECKING = False  # as in _mounts.py
if TYPE_CHECKING:
    from typing import Any

# By the path that was given for them. What is not there is opened when it is next asked for.
_shared: dict[str, _engine.Mount] = {}


class _ArchiveImportError(_engine.ArchiveError, ZipImportError):
    """The archive is broken, or of no format that intact reads."""


class _MemberImportError(_engine.MemberError, ZipImportError):
    """One member is broken, or cannot be read."""


class _PasswordImportError(_engine.PasswordError, ZipImportError):
    """A member is encrypted; nobody can give zipimport's classes a password."""


def split(path: str) -> tuple[str, str]:
    """The archive in `path`, and the directory in it, with a slash at its end or empty."""
    below, archive = "", path
    while True:
        if _mounted(archive) is not None:
            return archive, below
        try:
            mode = os.stat(archive).st_mode
        except (OSError, ValueError):
            mode = None
        if mode is not None and stat.S_ISREG(mode):
            return archive, below
        if not archive or (mode is not None and not _below_mount(archive)):
            raise ZipImportError("not a Zip file", path=archive)
        archive, _, name = archive.rpartition("/")
        below = f"{name}/{below}" if name else below


def _mounted(path: str) -> _engine.Mount | None:
    """The newest mount of an archive at `path`, whichever interpreter made it. It may have no file on disk."""
    return _engine._mount_at(os.path.abspath(path)) if _engine._roots() and "\0" not in path else None


def _below_mount(path: str) -> bool:
    """Whether an archive is mounted above `path`: it may be a directory, then, and in an archive."""
    roots = _engine._roots()
    place = os.path.abspath(path) if roots else ""
    return any(place.startswith(root + "/") and _engine._mount_at(root) is not None for root in roots)


def _open(path: str) -> _engine.Mount:
    """An archive opened through Python's own open: audit hooks and a hook for code hear of it."""
    with io.open_code(path) as file:
        try:
            descriptor = file.fileno()
        except (OSError, AttributeError):
            mount = _engine.Mount(file.read(), path, path, (), links=False)
        else:
            mount = _engine.Mount(path, path, path, (), links=False, descriptor=descriptor)
    if mount.format not in ("zip", "app"):
        raise _engine.ArchiveError(f"{path}: {mount.format}, where zipimport reads zips alone")
    return mount


def opened(path: str, required: bool = False) -> _engine.Mount | None:
    """The archive at `path`, shared by all who ask; None if it cannot be opened and is not required."""
    mount = _mounted(path) or _shared.get(path)
    if mount is not None:
        return mount
    try:
        mount = _shared[path] = _open(path)
    except (_engine.ArchiveError, _engine.PasswordError, OSError) as error:
        if not required:
            return None
        if isinstance(error, OSError):
            raise ZipImportError(f"can't open Zip file: {path!r}", path=path) from error
        kind = _ArchiveImportError if isinstance(error, _engine.ArchiveError) else _PasswordImportError
        raise _as_import_error(kind, error, path) from error
    return mount


def forget(path: str) -> None:
    """Have the archive opened anew when it is next asked for."""
    _shared.pop(path, None)


def _as_import_error(kind: type[Any], error: _engine.Error, path: str) -> ImportError:
    """`error` of the engine as one that is an ImportError too."""
    raised: ImportError = kind(str(error), path=path)
    vars(raised).update(vars(error))
    return raised


def status(archive: str, path: str) -> tuple[bool, int, int, int] | None:
    """(is a directory, size, mtime, mode) of what is at `path` in the archive; None if nothing is."""
    mount = opened(archive)
    return None if mount is None else mount._stat(path)


def is_file(archive: str, path: str) -> bool:
    found = status(archive, path)
    return found is not None and not found[0]


def is_directory(archive: str, path: str) -> bool:
    found = status(archive, path)
    return found is not None and found[0]


def children(archive: str, directory: str) -> list[str]:
    """The names in a directory of the archive; none if there is no such directory."""
    mount = opened(archive)
    return [] if mount is None else mount._list(directory)


def read(archive: str, path: str) -> bytes:
    """The bytes of a member; OSError if there is none."""
    mount = opened(archive)
    if mount is None:
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), archive)
    try:
        return mount.read(path)
    except (_engine.MemberError, _engine.PasswordError) as error:
        kind = _MemberImportError if isinstance(error, _engine.MemberError) else _PasswordImportError
        raise _as_import_error(kind, error, f"{archive}/{path}") from error
