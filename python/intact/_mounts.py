"""Mounting: from what the user names to a mount that import, files and ``sys.path`` know.

Imports nothing that a starting interpreter has not loaded already: this runs at every start. Annotations are strings,
since what makes them so for a whole module is a module itself.
"""

import _thread
import os
import sys

from intact import _engine

TYPE_CHECKING = False  # type checkers take it for typing's, which costs an import
if TYPE_CHECKING:
    from collections.abc import Callable
    from importlib.machinery import ModuleSpec
    from typing import Any

    from intact._children import _Copy
    from intact._member_file import MemberFile

    from typing_extensions import Buffer

# Held while a mount is shown or taken away, which several steps do; also while the process forks, so that a child finds them
# done. Recursive: a finaliser or a signal handler may mount, too.
_lock = _thread.RLock()
_mounted: "list[Mount]" = []  # newest first; under _lock, or copied at once
app: "Mount | None" = None  # that this process is, if it is one
_on_path: "set[str]" = set()  # roots that we put on sys.path; under _lock
_shown: "set[str]" = set()  # roots that sys.path was made to show; under _lock


class Mount(_engine.Mount):
    """A mounted archive: ``root``, ``name``, ``first``, ``files``, ``shared``, ``mounted``, ``format``.

    ``len(m)`` counts its files, iterating gives their paths relative to the root, ``m.read(path)`` gives the bytes of
    one. As a context manager it is unmounted at the end of the block.
    """

    # What it was made of, source, prefixes and caps, until it is unmounted; and for bytes their copy in a file of
    # memory, once a child was started. Both are for _children.py.
    __slots__ = ("_copy", "_given")
    _given: "tuple[Any, tuple[str, ...], dict[str, Any]] | None"
    _copy: "_Copy | None"

    def unmount(self) -> bool:
        """Take the archive out of the tree; False if it was not mounted.

        Modules already imported go on working, their sources stay readable through their loaders, and shared objects
        stay loaded. What else would be imported or opened below the root is looked for as if it had never been mounted.
        """
        with _lock:
            if self in _mounted:
                _mounted.remove(self)
            gone = self._detach()
            self._given = self._copy = None
            if gone and self.root not in _engine._roots():
                _leave_path(self.root)
        if gone:
            _log("unmounted %s", self.root)
        return gone

    def open(self, path: str) -> "MemberFile":
        """The member at `path`, relative to the root, as a binary file: reading, seeking, ``with``.

        An archive in an archive is mounted by it: ``mount(parent.open("x.whl"))``. Nothing is read before it is asked for.
        Raises FileNotFoundError if there is no such file; reading raises MemberError if it is broken.
        """
        from intact._member_file import MemberFile

        return MemberFile(self, path)

    def __enter__(self) -> "Mount":
        return self

    def __exit__(self, *exception: object) -> None:
        self.unmount()


def mount(
    source: "str | os.PathLike[str] | Buffer | MemberFile",
    *,
    name: "str | None" = None,
    prefixes: "tuple[str, ...]" = (),
    first: bool = False,
    files: "bool | None" = None,
    extract: "str | os.PathLike[str] | None" = None,
    shared: bool = True,
    max_members: "int | None" = None,
    max_member_size: "int | None" = None,
    max_directory_size: "int | None" = None,
    max_unpacked_size: "int | None" = None,
    spill: "str | os.PathLike[str] | None" = None,
    password: "str | bytes | Callable[[], str | bytes | None] | None" = None,
    trusted: bool = False,
) -> "Mount":
    """Make an archive importable, and its files readable below its root.

    `source` is the path of an archive (wheel or zip; tar, 7z, iso9660, cpio, cab, xar, rar by way of libarchive) or of a
    directory, whose root is that path made absolute; or a bytes-like object (bytes, bytearray, memoryview, mmap) that holds
    an archive, whose root is ``/intact/NAME``; or what `Mount.open` gives, whose root is the member's path below its mount's
    root. The object is kept alive, not copied. The file behind a path may be replaced or deleted afterwards.

    name: what messages call the mount; needed to choose the root of a bytes-like object.
    prefixes: directories of the archive whose content counts as its root, such as ``("src",)``. A wheel's
        ``.data/purelib`` and ``.data/platlib`` always do.
    first: let its modules shadow the standard library's (never the built-in and frozen ones).
    files: whether the C library's file functions are answered below the root; by default yes, unless INTACT_FILES=0. Without
        them importlib.resources, which opens files by path, finds none.
    extract: a directory for shared objects, used only where the system refuses to execute memory.
    shared: whether every interpreter of the process that imports intact imports from it. With ``shared=False`` the one that
        mounts does, alone, and the mount ends with it; its files are the process's all the same, for who knows their paths.
    max_members: the most members the archive may have, 4,000,000 by default.
    max_member_size: the most bytes a member may unpack to, 4 GiB by default; a larger one is listed, not read.
    max_directory_size: the most bytes of a zip's central directory, 1 GiB by default (4 GiB at most), or of all names.
    max_unpacked_size: the most bytes that may be unpacked when an archive is mounted that is no zip, 1 GiB by default.
    spill: a directory for what is unpacked then, in a file without a name; by default it is kept in memory.
    password: of an archive with encrypted members, or a function that gives it, which is called once and only if something is
        encrypted. A str stands for its UTF-8. Without one such members are listed, and reading them is a PasswordError.
    trusted: whoever made the archive means no harm: what is refused because of what reading it may cost, compressed rar 4 among
        it, is read, whatever it costs. The limits above hold all the same.

    The newest mount wins where names clash; the same file mounted twice is two mounts. Raises ArchiveError if the archive
    is broken or of no known format, PasswordError if the password is wrong, TagError for a wheel that is not for this
    interpreter, OSError if a path cannot be read, ValueError for a name that cannot be part of a path.
    """
    opened: "Any" = source
    inner: "dict[str, Any]" = {}
    if isinstance(source, (str, os.PathLike)):
        path = os.fsdecode(os.fspath(source))
        if not path:
            import errno

            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), path)
        opened = root = os.path.abspath(path)
        name = root if name is None else name
    elif (member := getattr(source, "_member", None)) is not None:
        opened, inner["member"] = member
        root = f"{opened.root}/{inner['member']}"
        name = root if name is None else name
    else:
        name = f"archive-{_engine._next_number()}" if name is None else name
        root = "/intact/" + name
        if not name or name in (".", "..") or "/" in name or "\0" in name:
            raise ValueError(f"a mount's name is one component of a path, not {name!r}")
    caps = {
        "max_members": max_members,
        "max_member_size": max_member_size,
        "max_directory_size": max_directory_size,
        "max_unpacked_size": max_unpacked_size,
    }
    options: "dict[str, Any]" = {cap: value for cap, value in caps.items() if value is not None}
    if not shared:
        options["shared"] = False
    if trusted:
        options["trusted"] = True
    if extract is not None:
        options["extract"] = os.path.abspath(os.fspath(extract))
    if spill is not None:
        options["spill"] = os.path.abspath(os.fsdecode(spill))
    if files is None:
        files = os.environ.get("INTACT_FILES") != "0"
    mounted = Mount(opened, root, name, prefixes, first=first, files=files, password=password, **inner, **options)
    if mounted.format == "zip":
        from intact import _tags

        _tags.check(mounted)
    return _show(mounted, (root if inner else opened, tuple(prefixes), options))


def _show(mounted: "Mount", given: "tuple[Any, tuple[str, ...], dict[str, Any]]") -> "Mount":
    """Make an opened archive visible."""
    mounted._given, mounted._copy = given, None
    with _lock:
        mounted._attach()
        _mounted.insert(0, mounted)
        _show_on_path(mounted.root)
    _log("mounted %s: %d files", mounted.root, mounted)
    return mounted


def adopt(attached: "_engine.Mount") -> "Mount":
    """The Mount of what the engine has mounted already, under a root that stands on ``sys.path``."""
    mounted = Mount(attached, attached.root, attached.name, ())
    mounted._given, mounted._copy = (mounted.root, (), {}), None
    with _lock:
        _mounted.insert(0, mounted)
        _on_path.add(mounted.root)
        _show_on_path(mounted.root)
    return mounted


def mounts() -> "tuple[Mount, ...]":
    """The mounts that this interpreter made and has not unmounted, newest first."""
    return tuple(_mounted)


def _show_on_path(root: str) -> None:
    """Roots stand at the end of ``sys.path``, newest first, so that whatever walks it agrees with the finder."""
    _forget_path(root)
    _shown.add(root)
    if root in sys.path:
        return
    roots = set(_engine._roots())
    older = [i for i, entry in enumerate(sys.path) if entry in roots]
    sys.path.insert(older[0] if older else len(sys.path), root)
    _on_path.add(root)


def _leave_path(root: str) -> None:
    """Have ``sys.path`` as it would be had there never been that root."""
    _forget_path(root)
    _shown.discard(root)
    if root in _on_path and root in (sys.path or ()):  # None while the interpreter ends
        sys.path.remove(root)
    _on_path.discard(root)


def _forget_path(root: str) -> None:
    """Let path hooks look anew at the root and what is below it."""
    below = root + "/"
    for path in [each for each in sys.path_importer_cache or () if isinstance(each, str)]:
        absolute = path if path.startswith("/") else _absolute(path)
        if absolute == root or absolute.startswith(below):
            sys.path_importer_cache.pop(path, None)


def _absolute(path: str) -> str:
    try:
        return os.path.abspath(path)
    except OSError:  # there is no current directory
        return path


def _follow_tree() -> bool:
    """Have ``sys.path`` show what other interpreters have mounted since, and no more what they have unmounted.

    False if that cannot be now. Import asks, and may hold locks that a fork waits for which has this one already.
    """
    if sys.path is None or not _lock.acquire(blocking=False):  # None while the interpreter ends
        return False
    try:
        roots = _engine._roots()
        for root in _shown.difference(roots):
            _leave_path(root)
        for root in reversed(roots):
            if root not in _shown:
                _show_on_path(root)
        return True
    finally:
        _lock.release()


def _log(message: str, root: str, counted: "Mount | None" = None) -> None:
    """Log, without being the reason that `logging` is imported."""
    logging = sys.modules.get("logging")
    if logging is not None:
        logging.getLogger("intact").debug(message, root, *(() if counted is None else (len(counted),)))


def _handing_over(function: "Callable[..., Any]", module: str) -> "Callable[..., Any]":
    """`function` of that module, which starts programs, such that a python among them is handed the mounts."""

    def start(*arguments: "Any", **options: "Any") -> "Any":
        if not _mounted:
            return function(*arguments, **options)
        from intact import _children

        return _children.start(function, arguments, options)

    start.__module__, start.__doc__ = module, function.__doc__
    start.__name__, start.__qualname__ = function.__name__, function.__qualname__
    start.__wrapped__ = function  # type: ignore[attr-defined]
    start.__text_signature__ = getattr(function, "__text_signature__", None)  # type: ignore[attr-defined]
    return start


def _watch_forks() -> None:
    os.register_at_fork(before=_lock.acquire, after_in_parent=_lock.release, after_in_child=_lock.release)
    os.register_at_fork(after_in_child=_engine._after_fork)


def _find_patching(name: str) -> "ModuleSpec | None":
    from intact import _patching

    return _patching.find_spec(name)


def _watch_starts() -> None:
    """Patch what starts programs. _children.py itself is loaded when there is something to hand over."""
    for name in ("execv", "execve", "posix_spawn", "posix_spawnp"):
        setattr(os, name, _handing_over(getattr(os, name), "os"))
    os.supports_fd.add(os.execve)
    for module, name in (("_posixsubprocess", "fork_exec"), ("subprocess", "_fork_exec")):
        if hasattr(sys.modules.get(module), name):
            setattr(sys.modules[module], name, _handing_over(getattr(sys.modules[module], name), "_posixsubprocess"))
    _engine._watch("_posixsubprocess", _find_patching)


def _watch_readers() -> None:
    """Have what reads distributions and resources patched, now or when it is loaded: it is slow on mounts, or fails.

    And importlib.abc, which is to know our finders as it knows importlib's.
    """
    names = ["importlib.abc", "importlib.metadata", "pkg_resources"]
    if sys.version_info[:2] == (3, 13):
        names.append("importlib.resources.readers")
    for name in names:
        _engine._watch(name, _find_patching)
        if name in sys.modules:
            from intact import _patching

            _patching.apply(sys.modules[name])


def _install() -> None:
    """Put the finder before importlib's own, the path hook before zipimport's, and existing roots on sys.path.

    The finder leaves built-in and frozen modules alone by itself; standing before their importers spares each of ours two
    fruitless questions in Python. Finders that programs put first stay first.
    """
    if not any(isinstance(finder, _engine.Finder) for finder in sys.meta_path):
        names = [getattr(finder, "__name__", "") for finder in sys.meta_path]
        own = [names.index(name) for name in ("BuiltinImporter", "FrozenImporter", "PathFinder") if name in names]
        sys.meta_path.insert(min(own, default=len(names)), _engine.Finder())
    sys.path_hooks.insert(0, _engine.EntryFinder)
    _engine._watch_tree(_follow_tree)
    _follow_tree()
    _watch_forks()
    _watch_starts()
    _watch_readers()


_install()
