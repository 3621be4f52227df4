"""Running a program as ``python`` would: a script, ``-m``, ``-c`` or a prompt, in a fresh ``__main__``.

The measure is python itself: the same ``sys.argv``, ``sys.path[0]``, ``__main__``, tracebacks and exit codes.
"""

from __future__ import annotations

import builtins
import importlib
import os
import sys
from importlib.machinery import SourceFileLoader, SourcelessFileLoader
from types import ModuleType

from intact import _engine

TYPE_CHECKING = False  # type checkers take it for typing's, which costs an import
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import CodeType
    from typing import Any


def run(program: list[str]) -> int:
    """Run ``["--", script, args…]``, ``["-m", module, args…]``, ``["-c", code, args…]``, or a prompt for ``[]``.

    Gives the exit code; SystemExit passes through, and so does KeyboardInterrupt once its traceback is printed.
    """
    if not program:
        return _prompt()
    kind, what, *arguments = program
    sys.argv = [what if kind == "--" else "-c" if kind == "-c" else "-m", *arguments]
    if kind == "-m":
        _set_first_path(os.getcwd())
        return run_module(what)
    main = _fresh_main()
    if kind == "-c":
        _set_first_path("")
        return _exit_code(lambda: exec(_compile_command(what), main.__dict__))
    return _exit_code(lambda: _run_script(what, main))


def run_module(name: str) -> int:
    """Run the module `name` as ``python -m`` does; ``sys.argv[1:]`` and ``sys.path`` are as they stand."""
    import runpy

    _fresh_main()
    return _exit_code(lambda: runpy._run_module_as_main(name))  # type: ignore[attr-defined]  # what python -m calls


def run_function(module: str, function: str) -> int:
    """Call a function as a console script does: what it returns is the exit code, or a message for stderr."""

    def call() -> None:
        target: Any = importlib.import_module(module)
        for name in function.split("."):
            target = getattr(target, name)
        sys.exit(target())

    return _exit_code(call)


def run_stdin(argv: list[str]) -> int:
    """Run the program that stdin holds."""
    sys.argv = argv
    with open(0, "rb", closefd=False) as file:
        source = file.read()
    main = _fresh_main()
    main.__dict__.update(__file__="<stdin>", __cached__=None)
    if not sys.flags.safe_path:
        sys.path.insert(0, "")
    return _exit_code(lambda: exec(compile(source, "<stdin>", "exec", dont_inherit=True), main.__dict__))


def _exit_code(program: Callable[[], object]) -> int:
    try:
        program()
    except SystemExit:
        raise
    except KeyboardInterrupt as error:  # python dies of the signal, and need not print it again
        show(error)
        be_silent_once()
        raise
    except BaseException as error:
        show(error)
        return 1
    return 0


def show(error: BaseException) -> None:
    """Print a program's exception as python does that ends of it, without the frames of ours that it came through."""
    at = error.__traceback__
    while at is not None and os.path.dirname(at.tb_frame.f_code.co_filename) == os.path.dirname(__file__):
        at = at.tb_next
    error.__traceback__ = at
    sys.last_type, sys.last_value, sys.last_traceback = type(error), error, at
    if sys.version_info >= (3, 12):
        sys.last_exc = error
    sys.excepthook(type(error), error, at)


def be_silent_once() -> None:
    """Leave the end to python, which dies of the signal or prompts, but does not have to print the exception again."""
    hook = sys.excepthook

    def silent(*exception: object) -> None:
        sys.excepthook = hook

    sys.excepthook = silent


def _compile_command(text: str) -> CodeType:
    """Compile the program of ``-c``. From 3.13 on python's tracebacks show the lines of a command, by linecache."""
    code = compile(text, "<string>", "exec", dont_inherit=True)
    if sys.version_info >= (3, 13):
        import linecache

        register = linecache._register_code  # type: ignore[attr-defined]
        register(code if hasattr(linecache, "_interactive_cache") else "<string>", text, "<string>")  # 3.13.0: by name
    return code


def forget_command() -> None:
    """Have tracebacks not show the lines of the ``-c`` that started us where a program's own ``<string>`` is meant.

    3.13.0 keeps them under that name, later 3.13s by what is alike in all ``<string>``; nothing else is there yet.
    """
    linecache = sys.modules.get("linecache")
    if linecache is not None:
        linecache.cache.pop("<string>", None)
        getattr(linecache, "_interactive_cache", {}).clear()


def _run_script(script: str, main: ModuleType) -> None:
    path = os.path.abspath(script)
    if _can_be_imported_from(path):
        import runpy

        # A directory or archive with a __main__ of its own: it stands first on sys.path itself.
        _drop_first_path()
        sys.path.insert(0, path)
        runpy._run_module_as_main("__main__", alter_argv=False)  # type: ignore[attr-defined]
        return
    try:
        with open(path, "rb") as file:
            source = file.read()
    except OSError as error:
        print(f"{sys.executable}: can't open file {path!r}: [Errno {error.errno}] {error.strerror}", file=sys.stderr)
        raise SystemExit(2) from None
    _set_first_path(os.path.dirname(path))
    loader = (SourcelessFileLoader if path.endswith(".pyc") else SourceFileLoader)("__main__", path)
    main.__dict__.update(__file__=path, __loader__=loader, __cached__=None)
    compiled = isinstance(loader, SourcelessFileLoader)
    code = loader.get_code("__main__") if compiled else compile(source, path, "exec", dont_inherit=True)
    exec(code, main.__dict__)  # type: ignore[arg-type]  # a SourcelessFileLoader gives code or raises


def _can_be_imported_from(path: str) -> bool:
    """Whether a path hook knows it: how python tells a directory or archive from a script."""
    for hook in sys.path_hooks:
        try:
            finder = hook(path)
        except ImportError:
            continue
        # EntryFinder takes what may be mounted later, too, which python would not find.
        mounted = any(f"{path}/".startswith(f"{root}/") for root in _engine._roots())
        return mounted or not isinstance(finder, _engine.EntryFinder)
    return False


def _fresh_main() -> ModuleType:
    main = ModuleType("__main__")
    main.__dict__.update(__builtins__=builtins, __annotations__={})
    sys.modules["__main__"] = main
    return main


def _set_first_path(directory: str) -> None:
    _drop_first_path()
    if not sys.flags.safe_path:
        sys.path.insert(0, directory)


def _drop_first_path() -> None:
    """Take away what python put there for intact itself: the current directory for ``-m``, a console script's own."""
    if not sys.flags.safe_path:
        del sys.path[0]


def _prompt() -> int:
    import code

    import intact

    try:
        import readline  # noqa: F401  (line editing)
    except ImportError:
        pass
    sys.argv = [""]
    _set_first_path("")
    roots = ", ".join(mount.root for mount in intact.mounts()) or "nothing"
    code.interact(
        banner=f"Python {sys.version} on {sys.platform}\nmounted: {roots}", local=_fresh_main().__dict__, exitmsg=""
    )
    return 0
