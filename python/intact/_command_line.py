"""Python's own command line: where the options end, and what is run."""

from __future__ import annotations

TYPE_CHECKING = False  # as in _mounts.py
if TYPE_CHECKING:
    from collections.abc import Sequence

_FLAGS = "bBdEiIOPqRsSuv"  # without a value; with one: c, m, W, X


def read_command_line(argv: Sequence[str]) -> tuple[list[str], int, str, int, int] | None:
    """What `argv` has python run, read as python's getopt does; None where it only tells something or complains.

    Gives python's options, the index of the first argument that is more than options, and what is run: its kind as for
    `_run.run` (``--``, ``-m``, ``-c``) or ``-``, which argument from that index on names it (-1: none, stdin), and
    at which character of it (``-mthis``).
    """
    at = 1
    while at < len(argv):
        word = argv[at]
        before = [*argv[1:at]]
        if word == "--":
            return (before, at, "--", 1, 0) if at + 1 < len(argv) else (before, at, "-", -1, 0)
        if not word.startswith("-") or word == "-":
            return (before, at, "-" if word == "-" else "--", 0, 0) if word else None
        if word.startswith("--"):
            if word != "--check-hash-based-pycs":
                return None  # --help and --version
            at += 1
        for i, letter in enumerate(word[1:] if word[1] != "-" else "", 1):
            glued = i + 1 < len(word)
            if letter in "cm":
                flags = [word[:i]] if i > 1 else []
                if glued:
                    return before + flags, at, "-" + letter, 0, i + 1
                return (before + flags, at, "-" + letter, 1, 0) if at + 1 < len(argv) else None
            if letter in "WX":
                at += not glued
                break
            if letter not in _FLAGS:
                return None  # -h, -V, and -x, which is for scripts that are no Python
        at += 1
    return ([*argv[1:]], at, "-", -1, 0) if at == len(argv) else None
