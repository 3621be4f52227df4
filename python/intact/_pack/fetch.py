"""pip at work: what a lock or an index has is downloaded, and what is no wheel is built."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

from intact._pack import settings, tools
from intact._pack.errors import PackError
from intact._pack.locks import Locked
from intact._pack.target import Target


class Fetcher:
    """Runs pip, and what else reads the user's configuration, for one target."""

    def __init__(self, work: str, target: Target, progress: Callable[[str], None]) -> None:
        self.work, self.target, self.progress = work, target, progress
        self._pip = tools.find_pip()
        self.settings = settings.parse(self.run([*self._pip, "config", "list"], {}))

    def run(self, command: Sequence[str], variables: Mapping[str, str]) -> str:
        """What a tool printed, run with the user's variables, and `variables` where the user set none."""
        known = getattr(self, "settings", {})
        return tools.run(command, tools.environment(self.work, known, variables), self.progress)

    def write(self, lines: Iterable[str]) -> str:
        """Path of a requirements file with `lines`."""
        with tempfile.NamedTemporaryFile("w", dir=self.work, suffix=".txt", delete=False, encoding="utf-8") as file:
            file.writelines(f"{line}\n" for line in lines)
        return file.name

    def locked(self, locked: Locked) -> list[str]:
        """The wheels of a lock, each checked against its hash."""
        if self.target.is_here:
            return [*locked.own, *self.wheels([*locked.wheels, *locked.sources], "--no-deps")]
        built = [path for line in locked.sources for path in self.build(line)]
        return [*locked.own, *self.wheels(locked.wheels, "--no-deps"), *built]

    def wheels(self, lines: Sequence[str], *options: str) -> list[str]:
        """What pip finds for `lines` and `options`: downloaded, and built where it may be."""
        if not lines and "-r" not in options:
            return []
        into = tempfile.mkdtemp(dir=self.work)
        way = ["wheel", "-w", into] if self.target.is_here else ["download", "-d", into, *self.target.for_pip]
        self.run([*self._pip, *way, *options, *(["-r", self.write(lines)] if lines else [])], {})
        return _in(into)

    def build(self, line: str) -> list[str]:
        """The wheel of a source, by this interpreter. For another target it has to be for every one."""
        into = tempfile.mkdtemp(dir=self.work)
        self.run([*self._pip, "wheel", "-w", into, "--no-deps", "-r", self.write([line])], {})
        for path in _in(into):
            if not self.target.is_here and not path.endswith("-none-any.whl"):
                name = os.path.basename(path)
                raise PackError(
                    line, f"what is built here is {name}, which is not for {self.target}: give a wheel that is"
                )
        return _in(into)


def _in(directory: str) -> list[str]:
    return sorted(str(path) for path in Path(directory).glob("*.whl"))
