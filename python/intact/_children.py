"""Child processes: a Python that this one starts is handed the mounts, so that what works here works there.

``[python, options…, "-m", module, arguments…]`` is started as ``[python, options…, "-c", BOOT, "-m", module, arguments…]``.
BOOT loads this same intact, mounts what is mounted here and runs the program as python would have. So it works with -I,
-S and -E, needs no variable and no file, and a grandchild is handed the mounts in the same way.

An archive is handed over as an open file that the child inherits: a mounted file's own descriptor, which stays right when the
file is deleted or replaced or may not be opened by the child's user; for bytes a sealed memfd, made for the first child. A password is handed over in a memfd too, which the child reads and closes: a
command line and an environment can be read by others.

Programs are started by os.exec*, os.posix_spawn* and subprocess' fork_exec, which _mounts.py sends through `start`.
No locks: a child of a fork may come through here.
"""

from __future__ import annotations

import os
import sys
from intact import _mounts
from intact._command_line import read_command_line

TYPE_CHECKING = False  # as in _mounts.py
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any, TypeAlias

    Path: TypeAlias = str | bytes | os.PathLike[str] | os.PathLike[bytes]
    Starter: TypeAlias = Callable[..., Any]
    Handed: TypeAlias = tuple[str, str, str, tuple[str, ...], dict[str, Any], int, int | None]

# What the program of an app is called in a child, which enters the app and starts another program.
CHILD = "<child of an app>"
_ENTER_APP = f"""\
import sys, zipimport
loader = zipimport.zipimporter("/proc/self/fd/{{descriptor}}")
boot = dict(__name__={CHILD!a}, __loader__=loader)
exec(loader.get_code("__main__"), boot)
path = sys.path[:]
del sys.path[:not sys.flags.safe_path]
booted = boot["enter"](boot["CONFIG"], loader, {{root!a}}, {{name!a}}, {{descriptor}})
from intact import _app, _child
sys.path[:] = path
_app.settle(booted, boot["CONFIG"], not sys.flags.safe_path)
"""

# Descriptors are handed over under numbers that programs do not choose for themselves, as socket activation chooses 3.
_LEAST_DESCRIPTOR = 100


def start(function: Starter, arguments: Sequence[Any], options: dict[str, Any]) -> Any:
    """Call `function`, which starts a program, with what hands over the mounts if the program is this interpreter."""
    return _STARTERS[function.__name__](function, *arguments, **options)


def _fork_exec(
    function: Starter,
    argv: Sequence[Path],
    programs: Sequence[Path],
    close: bool,
    keep: tuple[int, ...],
    cwd: Path | None,
    *rest: Any,
) -> Any:
    def call(argv: Sequence[Path], descriptors: list[int]) -> Any:
        return function(argv, programs, close, tuple(sorted((*keep, *descriptors))), cwd, *rest)

    return _hand_over(call, programs, argv, cwd)


def _exec(function: Starter, path: Path | int, argv: Sequence[Path], *env: Any, **named: Any) -> Any:
    def call(argv: Sequence[Path], descriptors: list[int]) -> Any:
        for descriptor in descriptors:
            os.set_inheritable(descriptor, True)
        return function(path, argv, *env, **named)

    return _hand_over(call, [path], argv)


def _posix_spawn(
    function: Starter,
    path: Path,
    argv: Sequence[Path],
    *env: Any,
    file_actions: Sequence[Any] | None = None,
    **named: Any,
) -> Any:
    actions = list(file_actions or ())
    # From 3.13 on subprocess closes all from 3 on in the child. Ours then move down to there, and what is above is closed.
    closing = [i for i, action in enumerate(actions) if action[0] == getattr(os, "POSIX_SPAWN_CLOSEFROM", None)]
    first = actions[closing[0]][1] if closing else None

    def call(argv: Sequence[Path], descriptors: list[int]) -> Any:
        if descriptors and first is not None:
            moved = [(os.POSIX_SPAWN_DUP2, descriptor, first + i) for i, descriptor in enumerate(descriptors)]
            actions[closing[0] : closing[0] + 1] = [*moved, (actions[closing[0]][0], first + len(descriptors))]
        for descriptor in descriptors:
            os.set_inheritable(descriptor, True)
        return function(path, argv, *env, file_actions=actions, **named)

    found = [path]
    if function.__name__ == "posix_spawnp" and not os.path.dirname(path):
        found = [os.path.join(directory, os.fsdecode(path)) for directory in os.get_exec_path()]
    return _hand_over(call, found, argv, first=first)


_STARTERS: dict[str, Starter] = {
    "execv": _exec,
    "execve": _exec,
    "fork_exec": _fork_exec,
    "posix_spawn": _posix_spawn,
    "posix_spawnp": _posix_spawn,
}


def _hand_over(
    call: Callable[[Sequence[Path], list[int]], Any],
    programs: Sequence[Path | int],
    argv: Sequence[Path],
    cwd: Path | None = None,
    first: int | None = None,
) -> Any:
    """`call` with the command line and the open descriptors for the child; `first`: the first one's number there."""
    line = [os.fsdecode(argument) for argument in argv] if _is_this_python(programs, cwd) else []
    program = read_command_line(line)
    if program is None or _starts_itself(line, program, cwd):
        return call(argv, [])
    mounts = _mounts._mounted[::-1]
    least = max(min(_LEAST_DESCRIPTOR, os.sysconf("SC_OPEN_MAX") // 2), (first or 0) + 2 * len(mounts))
    descriptors: list[int] = []
    handed: list[Handed] = []

    def hand(descriptor: int) -> int:
        descriptors.append(descriptor)
        return descriptor if first is None else first + len(descriptors) - 1

    try:
        for mount in mounts:
            given = mount._given
            opened = _descriptor(mount, least) if given else None
            if given is None or opened is None:
                continue  # another thread has unmounted it
            source, prefixes, caps = given
            number = hand(opened[0])
            password = mount._password()
            secret = None if password is None else hand(_Copy("password", password).duplicate(least))
            name = source if isinstance(source, str) else mount.name
            options = {"first": mount.first, "files": mount.files, "window": opened[1], **caps}
            handed.append((name, mount.root, mount.name, prefixes, options, number, secret))
        boot = _boot(handed)
        if boot is None:
            return call(argv, [])
        boot += f"\n_child.take_over({program[1:]!a}, {handed!a})"
        return call([argv[0], *program[0], "-c", boot, *argv[program[1] :]], descriptors)
    finally:
        for descriptor in descriptors:
            os.close(descriptor)


def _starts_itself(line: list[str], program: tuple[list[str], int, str, int, int], cwd: Path | None) -> bool:
    """Whether the script is an app that is mounted here: it mounts itself, and its `__main__` is outside of what is mounted."""
    _, at, kind, word, _ = program
    if kind != "--":
        return False
    script = os.path.abspath(os.path.join(os.fsdecode(cwd or ""), line[at + word]))
    return any(mount.root == script and mount.format == "app" for mount in _mounts._mounted)


def _is_this_python(programs: Sequence[Path | int], cwd: Path | None) -> bool:
    """Whether the first of `programs` that can be executed is this interpreter. An embedding program is none."""
    if not sys.executable or not os.path.basename(os.path.realpath(sys.executable)).startswith("python"):
        return False
    for program in programs:
        path = program if isinstance(program, int) else os.path.join(os.fsdecode(cwd or ""), os.fsdecode(program))
        try:
            if os.path.samefile(path, sys.executable):
                return True
        except (OSError, ValueError):
            continue
        if os.access(path, os.X_OK):
            return False
    return False


def _descriptor(mount: _mounts.Mount, least: int) -> tuple[int, tuple[int, int] | None] | None:
    """A descriptor of our own, `least` or above, of the file that the mount is read from, and which part of that it is.

    None if it is unmounted.
    """
    try:
        opened = mount._duplicate(least)
        if opened is not None:
            return opened
        copy = mount._copy
        if copy is None:
            copy = mount._copy = _Copy(mount.name, mount._memory())  # two threads may make one each: the same bytes
    except ValueError:
        return None
    return copy.duplicate(least), None


class _Copy:
    """A sealed file of memory, until nobody holds it."""

    descriptor = -1

    def __init__(self, name: str, source: Any) -> None:
        import fcntl

        self.descriptor = os.memfd_create(f"intact:{name}"[:200], os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
        left = memoryview(source).cast("B")
        while left:
            left = left[os.write(self.descriptor, left) :]
        seals = fcntl.F_SEAL_WRITE | fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SEAL
        fcntl.fcntl(self.descriptor, fcntl.F_ADD_SEALS, seals)

    def duplicate(self, least: int) -> int:
        import fcntl

        return fcntl.fcntl(self.descriptor, fcntl.F_DUPFD_CLOEXEC, least)

    def __del__(self, close: Callable[[int], None] = os.close) -> None:
        if self.descriptor >= 0:
            close(self.descriptor)


def _boot(handed: list[Handed]) -> str | None:
    """The source text that gives a child this very intact: afterwards `_child` is its module, and `sys.path` as it was.

    Python has put the current directory first there for -c, where a script would not have it: it is left out meanwhile. In an app
    intact is the app's own, whose mount the text makes instead of what takes the others. None where this intact cannot be had: the
    app was unmounted, or the package lies in another archive.
    """
    own = next((mount for mount in handed if _mounts.app is not None and mount[1] == _mounts.app.root), None)
    if own is not None:
        handed.remove(own)
        return _ENTER_APP.format(root=own[1], name=own[2], descriptor=own[5])
    place = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    if _mounts.app is not None or any(mount.root == place for mount in _mounts._mounted):
        return None
    return (
        f"import sys\npath = sys.path[:]\nsys.path[:not sys.flags.safe_path] = [{place!a}]\n"
        "from intact import _child\nsys.path[:] = path"
    )
