"""The child's side of _children.py: mounts what it was handed and runs the program that python was asked to run."""

from __future__ import annotations

import os
import sys

from intact import _engine, _mounts, _run

TYPE_CHECKING = False  # as in _mounts.py
if TYPE_CHECKING:
    from typing import Any

    from intact._children import Handed


def take_over(where: tuple[int, str, int, int], handed: list[Handed]) -> None:
    """In the child: mount what was handed over and run the program, which then looks as if python had been told to."""
    _run.forget_command()
    at, kind, word, offset = where
    rest = sys.argv[1:]
    sys.orig_argv[:] = sys.orig_argv[:at] + rest
    for handing in handed:
        _receive(*handing)
    try:
        if kind != "-":
            code = _run.run([kind, rest[word][offset:], *rest[word + 1 :]])
        elif sys.flags.interactive or os.isatty(0):
            code = _run.run([])
        else:
            del sys.path[: not sys.flags.safe_path]
            code = _run.run_stdin(rest if word >= 0 else [""])
    except SystemExit as error:
        if sys.flags.inspect:
            _run.show(error)
            _run.be_silent_once()
        raise
    if code and not sys.flags.inspect:
        sys.exit(code)


def _receive(
    source: str, root: str, name: str, prefixes: tuple[str, ...], options: dict[str, Any], descriptor: int, secret: int | None
) -> None:
    try:
        password = None if secret is None else _read_whole(secret)
        mounted = _mounts.Mount(source, root, name, prefixes, descriptor=descriptor, password=password, **options)
        os.close(descriptor)
    except (OSError, _engine.Error) as error:
        sys.exit(f"intact: {root} was not handed over: {error}")
    del options["first"], options["files"], options["window"]
    _mounts._show(mounted, (source, prefixes, options))


def _read_whole(descriptor: int) -> bytes:
    with open(descriptor, "rb") as file:
        return os.pread(descriptor, os.fstat(file.fileno()).st_size, 0)
