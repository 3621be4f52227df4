"""Runs one submission: a zip on standard input, the answer as JSON on standard output.

Each submission has a process of its own, so that its modules meet no other's, and what it breaks ends with it. The zip is mounted
from memory, by the process that is to import it: a mount that the service had made would be handed to every child.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import resource
import sys
import traceback
from collections.abc import Callable
from types import ModuleType
from typing import Any

import intact

from robot_service import BROKEN, FAILED, SOLVED, world

MiB = 1 << 20
MOST_MEMBERS = 200
MOST_UNPACKED = 8 * MiB
MOST_OUTPUT = 10_000  # characters of what it prints


def main(name: str, seconds: str, memory: str) -> None:
    answer = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what native code of a submission prints is not our answer
    del sys.path[: not sys.flags.safe_path]  # the directory of the service: its neighbours are not the submission's
    limit(int(seconds), int(memory) * MiB)
    ended, result = simulate(sys.stdin.buffer.read(), name)
    json.dump(result, answer)
    answer.flush()
    os._exit(ended)  # not held up by threads that it has left


def limit(seconds: int, memory: int) -> None:
    """What the process may use. The service watches the clock as well: a robot that sleeps uses no processor."""
    for what, most in (
        (resource.RLIMIT_CPU, seconds + 1),  # what the service has not ended by then
        (resource.RLIMIT_AS, memory),
        (resource.RLIMIT_FSIZE, MOST_UNPACKED),  # of files in memory too, such as those of opened members
        (resource.RLIMIT_CORE, 0),
    ):
        resource.setrlimit(what, (most, most))


def simulate(submission: bytes, name: str) -> tuple[int, dict[str, Any]]:
    """How it ended, and the answer."""
    printed = io.StringIO()
    try:
        mount = intact.mount(submission, name=name, max_members=MOST_MEMBERS, max_member_size=MOST_UNPACKED)
        check(mount)
    except intact.Error as error:
        return BROKEN, {"error": str(error), "printed": ""}
    step_aside()
    try:
        with contextlib.redirect_stdout(printed):
            ended, result = SOLVED, world.run(load())
    except BaseException as error:  # SystemExit, too: the code is not ours
        ended, result = FAILED, {"error": report(error, f"/intact/{name}/")}
    return ended, {**result, "printed": printed.getvalue()[:MOST_OUTPUT]}


def check(mount: intact.Mount) -> None:
    """Read every member once: damage and bombs are found before any code runs."""
    unpacked = 0
    for path in mount:
        unpacked += len(mount.read(path))
        if unpacked > MOST_UNPACKED:
            raise intact.ArchiveError(f"{mount.name}: unpacks to more than {MOST_UNPACKED} bytes")


def step_aside() -> None:
    """Leave the names of the service's modules to the submission, which could import them otherwise."""
    for name in [name for name in sys.modules if name.partition(".")[0] == "robot_service"]:
        del sys.modules[name]
    sys.modules["__main__"] = ModuleType("__main__")


def load() -> Callable[[dict[str, str]], object]:
    import robot  # type: ignore[import-not-found]

    step: Callable[[dict[str, str]], object] = robot.step
    return step


def report(error: BaseException, root: str) -> str:
    """The traceback, from where the submission's own code begins."""
    at = error.__traceback__
    while at is not None and not at.tb_frame.f_code.co_filename.startswith(root):
        at = at.tb_next
    return "".join(traceback.format_exception(type(error), error, at))


if __name__ == "__main__":
    main(*sys.argv[1:])
