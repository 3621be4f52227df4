"""Running a program as ``python`` would: a script, ``-m``, ``-c`` or a prompt, in a fresh ``__main__``."""

from __future__ import annotations

import builtins
import os
import sys
from types import ModuleType


def run(program: list[str]) -> None:
    """Run ``["--", script, args…]``, ``["-m", module, args…]``, ``["-c", code, args…]``, or a prompt for ``[]``.

    What the program raises, SystemExit included, passes through.
    """
    if not program:
        return _prompt()
    kind, what, *arguments = program
    if kind == "-m":
        import runpy

        sys.argv = [what, *arguments]
        _set_first_path("")
        runpy.run_module(what, run_name="__main__", alter_sys=True)
    elif kind == "-c":
        sys.argv = ["-c", *arguments]
        _set_first_path("")
        exec(compile(what, "<string>", "exec"), _fresh_main().__dict__)
    else:
        sys.argv = [what, *arguments]
        _set_first_path(os.path.dirname(os.path.abspath(what)))
        with open(what, "rb") as script:
            code = compile(script.read(), what, "exec", dont_inherit=True)
        main = _fresh_main()
        main.__file__ = what
        exec(code, main.__dict__)


def _fresh_main() -> ModuleType:
    main = ModuleType("__main__")
    main.__builtins__ = builtins
    main.__annotations__ = {}
    sys.modules["__main__"] = main
    return main


def _set_first_path(directory: str) -> None:
    """sys.path[0] is the script's directory, or '' for -m and -c; ``python -m intact`` put the current directory there."""
    if getattr(sys.flags, "safe_path", False):
        return
    if _run_as_module() and sys.path:
        sys.path[0] = directory
    else:
        sys.path.insert(0, directory)


def _run_as_module() -> bool:
    return getattr(sys.modules.get("__main__"), "__spec__", None) is not None


def _prompt() -> None:
    import code

    try:
        import readline  # noqa: F401  (line editing)
    except ImportError:
        pass
    sys.argv = [""]
    _set_first_path("")
    main = _fresh_main()
    banner = f"Python {sys.version} on {sys.platform}\nmounted: {', '.join(m.root for m in _newest_first()) or 'nothing'}"
    code.interact(banner=banner, local=main.__dict__, exitmsg="")


def _newest_first():
    from intact import mounts

    return mounts()
