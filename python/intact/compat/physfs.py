"""physfs.py's functions: archives and directories as one tree of files, by default the latest mount first.

Takes the place of the package physfs.py 0.2.0 (``import physfs``) and of ``memory_importer.physfs``. Archives are mounts of
the engine that are not published: import, ``sys.path`` and the file functions do not see them. Directories are read
as they are when they are asked, as PhysicsFS does. What differs, and why, is in docs/compat.md.

The order of a search and which of several errors is told are PhysicsFS's (https://icculus.org/physfs/docs/html/): each
mount is asked in turn, and the last one's reason counts.
"""

import _thread
import os
import stat as _mode
from _operator import index

from intact import ArchiveError, MemberError, PasswordError, _engine

TYPE_CHECKING = False  # type checkers take it for typing's, which costs an import
if TYPE_CHECKING:
    from typing import ClassVar, SupportsIndex

    from typing_extensions import Buffer

    # (directory, size, mtime, mode), and of a file on disk also ctime and atime
    _Entry = tuple[bool, int, int, int] | tuple[bool, int, int, int, int, int]
    _Found = tuple[_engine.Mount | "_Directory" | None, str, _Entry | str]

__version__ = "0.2.0"  # programs pin it
__author__ = "intact"
__all__ = [
    "PHYSFS_FileType",
    "PHYSFS_Stat",
    "PhysfsNotFound",
    "PhysfsRuntimeError",
    "PhysfsUninitialedError",
    "cat",
    "deinit",
    "init",
    "ls",
    "mount",
    "mount_memory",
    "read",
    "stat",
    "unmount",
]

_NOT_FOUND, _ILLEGAL, _FORBIDDEN = "not found", "filename is illegal or insecure", "symlinks are forbidden"
_ABOVE = (True, -1, -1, 0, -1, -1)  # the root, and directories that only mount points make


class PhysfsRuntimeError(Exception):
    """A call failed; the text says why in brackets."""


class PhysfsNotFound(Exception):
    """No mount has the file."""


class PhysfsUninitialedError(Exception):
    """init() was not called."""

    def __init__(self) -> None:
        super().__init__("PHYSFS is not initialized, please call init() first")


class PHYSFS_FileType:
    """What stat() says that a file is: a number with a name, equal to it, as pybind11 makes enumerations."""

    __slots__ = ("_value",)
    __members__: "ClassVar[dict[str, PHYSFS_FileType]]"
    PHYSFS_FILETYPE_REGULAR: "ClassVar[PHYSFS_FileType]"
    PHYSFS_FILETYPE_DIRECTORY: "ClassVar[PHYSFS_FileType]"
    PHYSFS_FILETYPE_SYMLINK: "ClassVar[PHYSFS_FileType]"
    PHYSFS_FILETYPE_OTHER: "ClassVar[PHYSFS_FileType]"

    def __init__(self, value: "SupportsIndex") -> None:
        self._value = index(value)

    @property
    def value(self) -> int:
        return self._value

    @property
    def name(self) -> str:
        return next((name for name, member in self.__members__.items() if member == self), "???")

    def __index__(self) -> int:
        return self._value

    __int__ = __hash__ = __index__

    def __eq__(self, other: object) -> bool:
        return self._value == (other._value if isinstance(other, PHYSFS_FileType) else other)

    def __str__(self) -> str:
        return f"PHYSFS_FileType.{self.name}"

    def __repr__(self) -> str:
        return f"<{self}: {self._value}>"


PHYSFS_FileType.PHYSFS_FILETYPE_REGULAR = PHYSFS_FileType(0)
PHYSFS_FileType.PHYSFS_FILETYPE_DIRECTORY = PHYSFS_FileType(1)
PHYSFS_FileType.PHYSFS_FILETYPE_SYMLINK = PHYSFS_FileType(2)
PHYSFS_FileType.PHYSFS_FILETYPE_OTHER = PHYSFS_FileType(3)
PHYSFS_FileType.__members__ = {name: kind for name, kind in vars(PHYSFS_FileType).items() if name.startswith("PHYSFS_")}


class PHYSFS_Stat:
    """What stat() gives: `filetype`, `filesize` in bytes, and times in seconds since the epoch, -1 where unknown."""

    __slots__ = ("accesstime", "createtime", "filesize", "filetype", "modtime")
    filetype: "PHYSFS_FileType"
    filesize: int
    modtime: int
    createtime: int
    accesstime: int

    def __init__(self) -> None:
        raise TypeError("PHYSFS_Stat: No constructor defined!")


class _Directory:
    """A directory on disk, asked as _engine.Mount is. A link is what it is, not what it leads to."""

    def __init__(self, path: str) -> None:
        self._path = path

    def _stat(self, path: str) -> "_Entry | None":
        place = self._path
        try:
            found = os.stat(place)
            for part in path.split("/") if path else ():
                place = f"{place}/{part}"
                found = os.lstat(place)
                if _mode.S_ISLNK(found.st_mode):
                    break
        except (OSError, ValueError):
            return None
        mode, times = found.st_mode, (int(found.st_ctime), int(found.st_atime))
        return (_mode.S_ISDIR(mode), found.st_size, int(found.st_mtime), mode, *times)

    def _list(self, path: str) -> "list[str]":
        try:
            return os.listdir(f"{self._path}/{path}")
        except OSError:
            return []

    def read(self, path: str) -> bytes:
        with open(f"{self._path}/{path}", "rb") as file:
            return file.read()

    def _detach(self) -> None:
        pass


class _Mounted:
    __slots__ = ("content", "point", "source")

    def __init__(self, source: str, point: str, content: "_engine.Mount | _Directory") -> None:
        self.source = source  # what unmount() calls it
        self.point = point  # normal, so "" for the root
        self.content = content


# In the order of search; None while not initialised. Replaced whole, under the lock, so that readers take none.
_mounted: "tuple[_Mounted, ...] | None" = None
_lock = _thread.RLock()  # also for a finaliser that runs meanwhile


def init() -> None:
    """Start anew, with nothing mounted."""
    global _mounted
    with _lock:
        if _mounted is not None:
            raise _failure("already initialized")
        _mounted = ()


def deinit() -> None:
    """Unmount everything; init() is to be called before anything else."""
    global _mounted
    with _lock:
        gone, _mounted = _all(), None
    for mounted in gone:
        mounted.content._detach()


def mount(source: str, mountPoint: str = "/", appendToPath: bool = False) -> None:
    """Add an archive or directory to the search path, in front unless `appendToPath`, below the directory `mountPoint`.

    The same source twice is mounted once. Raises PhysfsRuntimeError if it is not there or cannot be read.
    """
    source = _text(source)
    _mount(source, source, mountPoint, appendToPath)


def mount_memory(buf: "Buffer", bufName: str, mountPoint: str = "/", appendToPath: bool = False) -> None:
    """Add an archive in memory, any contiguous buffer, which is kept alive and not copied. unmount() calls it `bufName`."""
    if isinstance(buf, str) or buf is None:
        raise TypeError(f"mount_memory(): a bytes-like object is required, not {type(buf).__name__!r}")
    _mount(_text(bufName), buf, mountPoint, appendToPath)


def unmount(oldSource: str) -> None:
    """Take out what was mounted under that name. Raises PhysfsRuntimeError if nothing was."""
    global _mounted
    source = _text(oldSource)
    with _lock:
        gone = [mounted for mounted in _all() if mounted.source == source]
        if not gone:
            raise _failure("not mounted")
        _mounted = tuple(mounted for mounted in _all() if mounted not in gone)
    gone[0].content._detach()


def ls(dir: str = "/") -> "list[str]":
    """The names in a directory of all mounts, sorted; none if there is no such directory."""
    path, every, names = _normal(_text(dir)), _all(), set[str]()
    if path is None:
        return []
    for mounted in every:
        point, content = mounted.point, mounted.content
        inner = _below(point, path)
        if inner is None:
            if not path or point.startswith(path + "/"):  # the mount point lies further down
                names.add(point[len(path) :].lstrip("/").partition("/")[0])
            continue
        here = _entry(content, inner)
        if here and here[0]:
            below = inner + "/" if inner else ""
            try:
                names.update(name for name in content._list(inner) if not _is_link(_entry(content, below + name)))
            except ValueError:  # another thread has unmounted it
                pass
    return sorted(names)


def stat(file: str) -> "PHYSFS_Stat":
    """Type, size and times of a file or directory.

    Raises PhysfsNotFound if there is none, PhysfsRuntimeError for an illegal path, a link, or if nothing is mounted.
    """
    file = _text(file)
    _, _, found = _search(_all(), file)
    if isinstance(found, str):
        raise _missing("failed to stat. Reason [%s]", found, file)
    directory, size, mtime, mode, *times = found
    result = PHYSFS_Stat.__new__(PHYSFS_Stat)
    # What an archive says that a file is besides a link is not asked.
    result.filetype = PHYSFS_FileType(1 if directory else 3 if times and not _mode.S_ISREG(mode) else 0)
    result.filesize = size if found is _ABOVE or not directory else 0
    result.modtime = mtime
    result.createtime, result.accesstime = times or (mtime, -1)
    return result


def cat(file: str) -> bytes:
    """The bytes of a file. Raises PhysfsNotFound if there is none, PhysfsRuntimeError if it cannot be read."""
    if type(file) is not str or not file.isascii():
        file = _text(file)
    while True:
        content, path, found = _search(_all(), file, True)
        if content is None or isinstance(found, str):
            raise _missing("failed to open. Reason: [%s]", found, file)
        try:
            return _read(content, path)
        except ValueError:  # another thread has unmounted it, and what is mounted now is to be asked
            continue


read = cat


def _read(content: "_engine.Mount | _Directory", path: str) -> bytes:
    """The bytes of what was found. Raises ValueError if that is unmounted meanwhile."""
    try:
        return content.read(path)
    except (MemberError, PasswordError, OSError) as error:
        reason = _strerror(error) if isinstance(error, OSError) else "corrupted"
        raise PhysfsRuntimeError(f"Error condition in reading. Reason: [{reason}]") from error


def _all() -> "tuple[_Mounted, ...]":
    if _mounted is None:
        raise PhysfsUninitialedError
    return _mounted


def _mount(source: str, given: "str | Buffer", point: str, append: bool) -> None:
    global _mounted
    normal = _normal(_text(point))
    if not isinstance(append, bool):
        raise TypeError(f"appendToPath is a bool, not {type(append).__name__!r}")
    with _lock:
        every = _all()
        if any(mounted.source == source for mounted in every):
            return
        if normal is None:
            raise _failure(_ILLEGAL)
        new = (_Mounted(source, normal, _open(given, source)),)
        _mounted = every + new if append else new + every


def _open(given: "str | Buffer", name: str) -> "_engine.Mount | _Directory":
    try:
        if isinstance(given, str) and os.path.isdir(given):
            return _Directory(os.path.abspath(given))
        return _engine.Mount(given, "/intact/physfs", name, (), links=False)
    except ArchiveError as error:
        unknown = (error.reason or "").startswith(("of no known", "no end of central directory"))
        raise _failure("unsupported" if unknown else "corrupted") from error
    except (BufferError, PasswordError, ValueError) as error:
        raise _failure("unsupported") from error
    except OSError as error:
        raise _failure(_strerror(error)) from error


def _search(every: "tuple[_Mounted, ...]", file: str, files: bool = False) -> "_Found":
    """What _find() finds of a path as programs write it."""
    path = _normal(file)
    if path is None:  # which each mount judges where a file is opened
        return None, "", _ILLEGAL if every or not files else _NOT_FOUND
    return _find(every, path, files)


def _find(every: "tuple[_Mounted, ...]", path: str, files: bool = False) -> "_Found":
    """(content, path in it, entry) of the first mount that has `path`, where `files` is set as a file; else the reason."""
    if not path and not files:
        return None, "", _ABOVE
    reason = _NOT_FOUND if files else "not mounted"
    for mounted in every:
        # cat("/") asks each mount for its own top, wherever that is.
        inner = path if not mounted.point or not path else _below(mounted.point, path)
        if inner is None:
            if not files and mounted.point.startswith(path + "/"):
                return None, "", _ABOVE
            reason = _NOT_FOUND
            continue
        found = _entry(mounted.content, inner)
        if found is None:
            reason = _NOT_FOUND
        elif _is_link(found):
            reason = _FORBIDDEN
        elif files and found[0] and len(found) == 4:  # one on disk is opened, and ends the search
            reason = "not a file"
        else:
            return mounted.content, inner, found
    return None, "", reason


def _entry(content: "_engine.Mount | _Directory", path: str) -> "_Entry | None":
    try:
        return content._stat(path)
    except ValueError:  # no Unicode; or another thread has unmounted it
        return None


def _below(point: str, path: str) -> "str | None":
    """`path` as seen from a mount point; None where it is not below it."""
    if not point or path == point:
        return path[len(point) :]
    return path[len(point) + 1 :] if path.startswith(point + "/") else None


def _is_link(entry: "_Entry | None") -> bool:
    return entry is not None and entry[3] & 0o170000 == 0o120000


def _normal(path: str) -> "str | None":
    """The path as members are named; None if PhysicsFS refuses it. Of several components it does not judge the last,
    unless a slash follows."""
    if path[:1] in "/." or path[-1:] == "/" or "//" in path or "/." in path:
        parts = [part for part in path.split("/") if part]
        judged = parts if path[-1:] == "/" else parts[:-1] or parts
        if not {".", ".."}.isdisjoint(judged):
            return None
        path = "/".join(parts)
    return None if ":" in path or "\\" in path else path


def _text(argument: "str | bytes | bytearray") -> str:
    """A str that has a UTF-8, or bytes, which the original takes as well."""
    if isinstance(argument, (bytes, bytearray)):
        return os.fsdecode(bytes(argument))
    if not isinstance(argument, str):
        raise TypeError(f"a str is required, not {type(argument).__name__!r}")
    if not argument.isascii():
        try:
            argument.encode()
        except UnicodeEncodeError as error:
            raise TypeError(f"a str without surrogates is required: {error}") from None
    return argument


def _through_link(file: str) -> bool:
    """Whether the mount that is asked last has a link above what is not there, which leads to something from its top.

    Where else a link leads PhysicsFS does not find out. _find() is spared this: the importer has it miss for each module.
    """
    path = _normal(file)
    for mounted in (_mounted or ())[-1:]:
        inner, at = (path and _below(mounted.point, path)) or "", 0
        while (at := inner.find("/", at + 1)) > 0:
            if _is_link(_entry(mounted.content, inner[:at])):
                try:
                    target = os.fsdecode(_read(mounted.content, inner[:at]))
                except ValueError:  # another thread has unmounted it
                    return False
                return target != "" and _entry(mounted.content, target) is not None
    return False


def _missing(message: str, reason: object, file: str) -> "Exception":
    if reason == _NOT_FOUND and _through_link(file):
        reason = _FORBIDDEN
    return PhysfsNotFound(f"Not Found: '{file}'") if reason == _NOT_FOUND else PhysfsRuntimeError(message % reason)


def _failure(reason: str) -> "PhysfsRuntimeError":
    return PhysfsRuntimeError(f"Failure. Reason: [{reason}]")


def _strerror(error: "OSError") -> str:
    """PhysicsFS's text for it."""
    if isinstance(error, (FileNotFoundError, NotADirectoryError)):
        return _NOT_FOUND
    return "not a file" if isinstance(error, IsADirectoryError) else (error.strerror or str(error)).lower()
