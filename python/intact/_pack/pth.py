"""``.pth`` files of packed wheels: which of their lines an app obeys (as ``site`` does, once it starts)."""

from __future__ import annotations

import posixpath
from collections.abc import Collection, Iterable


class PthFiles:
    """Collects them: path lines apply, lines that import run only where the user allowed it.

    allowed: names of files ("coverage", "coverage.pth") or of the distributions they come from.
    """

    def __init__(self, allowed: Collection[str]) -> None:
        self._allowed = {name.removesuffix(".pth") for name in allowed}
        self._used: set[str] = set()
        self.paths: list[str] = []
        self.lines: list[str] = []
        self.skipped: dict[str, list[str]] = {}

    def add(self, path: str, distribution: str, text: str) -> None:
        """Take in the member `path` of the root; what it says for one target and for another counts once."""
        names = {path.removesuffix(".pth"), distribution}
        for line in map(str.rstrip, text.removeprefix("\ufeff").splitlines()):
            if not line.strip() or line.startswith("#"):
                continue
            if not line.startswith(("import ", "import\t")):
                self.paths.append(posixpath.normpath(line))
                continue
            self._used |= names & self._allowed
            lines = self.lines if names & self._allowed else self.skipped.setdefault(path, [])
            if line not in lines:
                lines.append(line)

    def unused(self) -> set[str]:
        """What was allowed and is not there."""
        return self._allowed - self._used

    def inside(self, files: Iterable[str]) -> list[str]:
        """The path lines that name a directory with some of `files` in or below it."""
        known: set[str] = set()
        for directory in map(posixpath.dirname, files):
            while directory and directory not in known:
                known.add(directory)
                directory = posixpath.dirname(directory)
        return list(dict.fromkeys(path for path in self.paths if path in known))
