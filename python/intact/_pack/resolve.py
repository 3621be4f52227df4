"""The set of wheels that make up an application: resolved, downloaded and built, ready to be laid out in an archive.

uv resolves where it is there, because it is much faster than pip, and its answer is a lock (pylock.toml, PEP 751). From
that lock, as from the user's own, pip fetches each file by its URL and builds what is no wheel: uv cannot download.
pip resolves as well where there is no uv, where uv cannot be told what pip is configured with (settings.py), and where
a requirements file has hashes, which uv would not hold against what it finds.
"""

from __future__ import annotations

import logging
import os
import shutil
import tempfile
from collections.abc import Callable, Sequence

from packaging.utils import InvalidWheelFilename, parse_wheel_filename

from intact._pack import closure, inputs, locks, settings, tools
from intact._pack.errors import PackError
from intact._pack.fetch import Fetcher
from intact._pack.target import Target

__all__ = ["Target", "resolve"]

_log = logging.getLogger("intact")
_ROUNDS = 20  # of asking for what markers hid


def resolve(
    requirements: Sequence[str],
    directory: str,
    *,
    target: Target,
    files: Sequence[str] = (),
    constraints: Sequence[str] = (),
    lock: str | None = None,
    progress: Callable[[str], None] = lambda line: None,
) -> list[str]:
    """Paths of the wheels that `requirements` and those in `files` need on `target`, sorted by name, none twice.

    A requirement is one of PEP 508, or the path of a wheel, a project or a source archive. What is fetched or built is
    put into `directory`; a wheel of the user stays where it is. With `lock`, a requirements file with exact versions
    and hashes or a pylock.toml, nothing is resolved: `requirements` may then be paths only, and what they need must be
    in the lock.

    Raises PackError if there is no such set, or a tool fails; a note of the error holds all that the tool printed.
    """
    asked = inputs.read(requirements)
    scan = inputs.scan([*files, *([lock] if lock and not locks.is_pylock(lock) else [])])
    os.makedirs(directory, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".resolve-", dir=directory) as work:
        try:
            fetcher = Fetcher(work, target, progress)
            if not target.is_here:
                _build(asked, fetcher)  # its wheels are then as the user's own
            if lock is not None:
                wheels = _from_lock(asked, fetcher, lock, files)
            else:
                found = None if scan.hashed else _with_uv(asked, fetcher, files, constraints)
                wheels = _with_pip(asked, fetcher, scan, files, constraints) if found is None else found
        except tools.ToolError as error:
            _log.debug("%s", error.output)
            only = "" if target.is_here else f" (for {target}, where only wheels serve)"
            failure = PackError(_what([*requirements, *files, *([lock] if lock else [])]), str(error) + only)
            failure.add_note(error.output)
            raise failure from error
        return _settled(wheels, asked, work, directory, target)


def _with_uv(
    asked: inputs.Inputs, fetcher: Fetcher, files: Sequence[str], constraints: Sequence[str]
) -> list[str] | None:
    """uv resolves, pip fetches. None where uv cannot serve."""
    uv = tools.find_uv()
    variables, lost = settings.for_uv(fetcher.settings, os.environ)
    if uv is None or lost:
        if lost:
            fetcher.progress(f"pip resolves: uv cannot be told what pip is, {', '.join(lost)}")
        return None
    fetcher.progress("Resolving")
    lock = os.path.join(fetcher.work, "pylock.toml")
    options = [
        "--format",
        "pylock.toml",
        "-o",
        lock,
        *fetcher.target.for_uv,
        *(f"--constraints={path}" for path in constraints),
    ]
    try:
        fetcher.run([*uv, "pip", "compile", *options, fetcher.write(asked.lines), *files], variables)
    except tools.ToolError as error:
        if "'--format" not in error.output:
            raise
        fetcher.progress("pip resolves: this uv is too old to write pylock.toml")
        return None
    return fetcher.locked(locks.read(lock, fetcher.target))


def _with_pip(
    asked: inputs.Inputs, fetcher: Fetcher, scan: inputs.Scan, files: Sequence[str], constraints: Sequence[str]
) -> list[str]:
    """pip resolves and fetches. Markers it asks for its own interpreter, so what the target needs follows."""
    options = [f"--constraint={path}" for path in constraints] + [part for path in files for part in ("-r", path)]
    lines, environment = asked.lines, fetcher.target.environment
    wheels = fetcher.wheels(lines, *options)
    if fetcher.target.is_here:
        return wheels
    roots = [*inputs.understood(lines), *scan.requirements]
    for _ in range(_ROUNDS):
        lacking = closure.lacking(wheels, roots, environment)
        if not lacking:
            break
        lines += lacking
        wheels = fetcher.wheels(lines, *options)
    else:
        raise PackError(", ".join(lacking), f"is still lacking after {_ROUNDS} rounds of asking pip")
    return wheels


def _from_lock(asked: inputs.Inputs, fetcher: Fetcher, lock: str, files: Sequence[str]) -> list[str]:
    """What the lock has, and what the user has beside it."""
    if asked.named or files:
        named = ", ".join([*asked.named, *files])
        raise PackError(
            lock, f"nothing is resolved with a lock, so {named} cannot be asked for beside it, only paths can"
        )
    if locks.is_pylock(lock):
        wheels = fetcher.locked(locks.read(lock, fetcher.target))
    else:
        wheels = fetcher.wheels([], "--no-deps", "--require-hashes", "-r", lock)
    _build(asked, fetcher)
    wheels += asked.wheels
    environment = fetcher.target.environment
    for path, extras in asked.wheels.items():
        needed = closure.needed(path, inputs.extras(extras), environment)
        if lacking := closure.lacking(wheels, needed, environment, deep=False):
            raise PackError(lock, f"it lacks {', '.join(lacking)}, which {os.path.basename(path)} needs")
    return wheels


def _build(asked: inputs.Inputs, fetcher: Fetcher) -> None:
    """Makes wheels of what was given as sources."""
    while asked.sources:
        source = next(iter(asked.sources))
        extras = asked.sources.pop(source)
        asked.wheels |= dict.fromkeys(fetcher.build(source), extras or inputs.extras_of(source))


def _settled(wheels: Sequence[str], asked: inputs.Inputs, work: str, directory: str, target: Target) -> list[str]:
    """The wheels where they stay, looked at once more: they fit, and no distribution is there twice."""
    own = {os.path.basename(path): path for path in asked.wheels}  # pip copies what it is given
    paths = sorted({os.path.basename(path): own.get(os.path.basename(path), path) for path in wheels}.items())
    fitting, known, settled = set(target.tags), dict[str, str](), []
    for name, path in paths:
        try:
            project, version, _, tags = parse_wheel_filename(name)
        except InvalidWheelFilename as error:
            raise PackError(path, str(error)) from error
        if not tags & fitting:
            raise PackError(path, f"is for {', '.join(sorted(map(str, tags)))}, which does not fit {target}")
        if project in known:
            raise PackError(path, f"{project} {version} is asked for, and {known[project]} too")
        known[project] = str(version)
        settled.append(shutil.move(path, os.path.join(directory, name)) if path.startswith(work + os.sep) else path)
    return settled


def _what(inputs: Sequence[str]) -> str:
    """What was to be packed, for an error."""
    return ", ".join(inputs) if len(inputs) < 5 else f"{', '.join(inputs[:3])} and {len(inputs) - 3} more"
