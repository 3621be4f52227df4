"""The application of an app: what runs once its payload is mounted (docs/formats/app.md)."""

import atexit
import gc
import os
import sys

from intact import _mounts, _run

TYPE_CHECKING = False  # type checkers take it for typing's, which costs an import
if TYPE_CHECKING:
    from typing import Any

    from intact import _engine


def settle(booted: "_engine.Mount", config: "dict[str, Any]", at: int, fresh: bool = True) -> None:
    """Make the mounted app what this process is.

    at: where in ``sys.path`` its root and the paths of its ``.pth`` files go.

    paths: directories below the root. lines: what ``.pth`` files are allowed to execute. isolated: whether the packages
    installed on the host are out of sight. fresh: whether nothing but Python's start has run yet.
    """
    atexit.register(_collect_little, _full_collections())  # the first that is registered is the last that runs
    mount = _mounts.app = _mounts.adopt(booted)
    sys.path[:] = [path for path in sys.path if path != mount.root]
    if config["isolated"]:
        left = _leave_site_packages()
        if fresh:
            _forget_modules(left)
    sys.path[at:at] = [mount.root, *(f"{mount.root}/{path}" for path in config["paths"])]
    # By this name lines that packages generate look for it, in the frame that executes them.
    sitedir = mount.root  # noqa: F841
    for line in config["lines"]:
        try:
            exec(line, {})
        except Exception as error:  # site goes on, too
            print(f"intact: {mount.name}: a line of a .pth file failed: {line!r}: {error!r}", file=sys.stderr)


def _full_collections() -> int:
    """How often the oldest generation was collected, by itself or by the program."""
    count: int = gc.get_stats()[2]["collections"]
    return count


def _collect_little(full_before: int) -> None:
    """Spare the program one of the two full collections with which Python ends, that before modules are torn down.

    It traverses everything that was imported, and finds something there only if it became garbage since. The younger
    generations, which hold what the program made, are collected here; all else is left to the second one. That holds only
    while nothing the program made has grown old: no full collection since it began, which keeps what is alive, and none of
    the middle generation (the third count) since imports last filled the oldest.
    """
    young = gc.get_count()[2] == 0 and _full_collections() == full_before
    if gc.isenabled() and young and sys.version_info < (3, 14):
        gc.collect(1)
        gc.disable()


def run(config: "dict[str, Any]") -> int:
    """Run the program of `config`; the exit code, while SystemExit passes through.

    entry: "module:function", "module", or None for an interpreter.
    """
    entry: "str | None" = config["entry"]
    interpreter = os.environ.pop("INTACT_INTERPRETER", "0")  # this app's, not that of apps which it starts
    if entry is None or interpreter not in ("", "0"):
        return _interpreter(sys.argv[1:])
    module, _, function = entry.partition(":")
    return _run.run_function(module, function) if function else _run.run_module(module)


def _leave_site_packages() -> "list[str]":
    """Cut from ``sys.path`` what site appends, and return it: all that follows the standard library's own entries."""
    library: str = sys._stdlib_dir  # type: ignore[attr-defined]
    standard = [i for i, path in enumerate(sys.path) if path == library or path.endswith("/lib-dynload")]
    end = standard[-1] + 1 if standard else len(sys.path)  # there is always one
    left = sys.path[end:]
    del sys.path[end:]
    return left


def _forget_modules(directories: "list[str]") -> None:
    """Take modules in `directories`, and the finders that they made, out of sight: the app is to import its own.

    Start-up code of the host (``.pth`` files, sitecustomize) imported them. They live on in whatever holds them.
    """
    below = tuple(f"{path}/" for path in directories if path)
    gone = {name for name, module in list(sys.modules.items()) if _place(module).startswith(below)}
    gone = {name for name in gone if name.partition(".")[0] not in ("__main__", "intact")}
    sys.meta_path[:] = [finder for finder in sys.meta_path if getattr(finder, "__module__", None) not in gone]
    for name in gone:
        del sys.modules[name]


def _place(module: "Any") -> str:
    """The file of a module, or a directory of a namespace; asked in a way that no lazy module takes for its use."""
    try:
        known = object.__getattribute__(module, "__dict__")
    except AttributeError:  # whatever has been put there in a module's place
        return ""
    return str(known.get("__file__") or next(iter(known.get("__path__") or ()), ""))


def _interpreter(arguments: "list[str]") -> int:
    """What ``python`` does with `arguments`, of its options -m and -c."""
    if arguments and arguments[0][:2] in ("-m", "-c"):
        kind, glued = arguments[0][:2], arguments[0][2:]
        arguments = [kind, *([glued] if glued else []), *arguments[1:]]
        if len(arguments) < 2:
            print(f"intact: nothing follows {kind}", file=sys.stderr)
            return 2
    elif arguments and arguments[0] != "-":
        if arguments[0].startswith("-"):
            print(f"intact: {arguments[0]}: python's own options go before the app's name", file=sys.stderr)
            return 2
        arguments = ["--", *arguments]
    elif sys.stdin is None:  # it was closed
        return 0
    elif not sys.stdin.isatty():
        return _run.run_stdin(arguments or [""])
    else:
        arguments = []
    if not sys.flags.safe_path:
        sys.path.insert(0, "")  # where run puts what python would
    return _run.run(arguments)
