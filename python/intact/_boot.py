"""The program of an app, which ``__main__`` of its outer zip executes (docs/formats/app.md).

It loads the packed engine through a memory file, mounts the payload and hands over to what lies in it. It runs before
anything of intact is there, on whatever Python 3 the user has, so it has to be understood by old ones too. The packer
appends CONFIG and a call of start.
"""

import sys

TYPE_CHECKING = False  # type checkers take it for typing's, which costs an import
if TYPE_CHECKING:
    from typing import IO, Any
    from zipimport import zipimporter


def start(config: "dict[str, Any]", loader: "zipimporter") -> None:
    """Become the application that `config` describes; `loader` is zipimport's, of the outer zip.

    engines: extension suffix to offset, size and hash (of copy) of the engine for it; targets: what they are called;
    command: what packs another one;
    entry, interpreter, paths, lines, isolated: see intact._app.
    """
    suffix = _suffix()
    if suffix not in config["engines"]:
        sys.exit(_for_others(config, loader.archive, suffix))
    import os

    if sys.path and sys.path[0] == loader.archive:
        del sys.path[0]
    try:
        root = os.path.abspath(loader.archive)
    except OSError as error:  # a relative path, and the current directory is gone
        sys.exit("intact: %s: no absolute path leads to it: %s" % (loader.archive, error.strerror))
    booted = enter(config, loader, root, loader.archive)
    from intact import _app

    _app.settle(booted, config, 0, __name__ == "__main__")
    sys.exit(_app.run(config))


def enter(config: "dict[str, Any]", loader: "zipimporter", root: str, name: str, descriptor: int = -1) -> "Any":
    """Load the engine, mount the app (of `descriptor`, if that is one) and have `intact` come from it; the engine's Mount."""
    import os

    suffix, extract = _suffix(), os.environ.get("INTACT_EXTRACT")
    engine = sys.modules.get("intact._engine") or _load_engine(loader, suffix, config["engines"][suffix], extract)
    options = {"extract": os.path.abspath(extract)} if extract else {}
    try:
        mount = engine.Mount(
            root, root, name, (), files=os.environ.get("INTACT_FILES") != "0", descriptor=descriptor, **options
        )
    except (engine.Error, OSError) as error:
        sys.exit("intact: %s" % error)
    mount._attach()
    if not any(isinstance(finder, engine.Finder) for finder in sys.meta_path):
        sys.meta_path.insert(0, engine.Finder())
    sys.path.insert(0, root)  # before what PYTHONPATH has; settle puts it where it stays
    import intact

    intact._engine = engine
    return mount


def _suffix() -> str:
    if sys.version_info < (3, 11):
        return ""
    import _imp

    return _imp.extension_suffixes()[0]


def _for_others(config: "dict[str, Any]", archive: str, suffix: str) -> str:
    version = "%d.%d" % (sys.version_info[0], sys.version_info[1])
    here = "%s %s" % (sys.implementation.name if suffix else "Python", version)
    text = "intact: %s is for %s, and this is %s" % (archive, " and ".join(config["targets"]), here)
    if not suffix or sys.implementation.name != "cpython":
        return text + "; intact needs CPython 3.11 or newer"
    tag = suffix.strip(".").rsplit(".", 1)[0]
    return text + " (%s); pack it for this one with: %s" % (tag, config["command"] % (version, archive))


def _load_engine(loader: "zipimporter", suffix: str, place: "tuple[int, int, str]", directory: "str | None") -> "Any":
    """The extension module intact._engine, from memory, or from `directory` where the user names one."""
    import _imp
    import os
    from importlib.machinery import ExtensionFileLoader, ModuleSpec

    partial = ""
    try:
        if directory:
            path = os.path.join(directory, "_engine-%s%s" % (place[2], suffix))
            new = "%s.%s" % (path, os.urandom(8).hex())  # in containers all have the same process number
            descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o700)
            partial = new
        else:
            descriptor = os.memfd_create("intact", os.MFD_CLOEXEC)
            path = "/proc/self/fd/%d" % descriptor
        with open(descriptor, "wb") as file:
            with open(loader.archive, "rb", buffering=0) as app:
                app.seek(place[0])
                found = copy(app, place[1], file)
            file.flush()
            if found != place[2]:
                sys.exit("intact: %s: engine/_engine%s is not what was packed" % (loader.archive, suffix))
            if directory:
                os.rename(partial, path)
            partial = ""
            spec = ModuleSpec("intact._engine", ExtensionFileLoader("intact._engine", path), origin=path)
            engine = _imp.create_dynamic(spec)
            _imp.exec_dynamic(engine)
    except (ImportError, OSError) as error:
        advice = (
            "INTACT_EXTRACT=DIR has shared objects written to DIR"
            if os.path.exists("/proc/self/fd")
            else "/proc is not mounted"
        )
        sys.exit("intact: %s: the engine cannot be loaded: %s (%s)" % (loader.archive, error, advice))
    finally:
        if partial:
            os.unlink(partial)
    engine.__spec__ = spec
    engine.__file__ = spec.origin = loader.archive
    sys.modules["intact._engine"] = engine
    return engine


def copy(source: "IO[bytes]", size: int, target: "IO[bytes]") -> str:
    """Copy so many bytes and give their hash: that of each piece is keyed with the one before.

    In pieces because after a block of a megabyte the C library keeps more memory at hand for the rest of the process.
    """
    import _imp

    key = 0
    while size > 0:
        piece = source.read(min(size, 1 << 16))
        if not piece:
            return "cut"
        target.write(piece)
        size -= len(piece)
        key = int.from_bytes(_imp.source_hash(key, piece)[:7], "little")
    return "%014x" % key
