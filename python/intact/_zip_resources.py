"""Resources of packages that `intact.zipimporter` loads, read by the engine: the archive may be in memory alone."""

from __future__ import annotations

import errno
import io
import os
import posixpath
from importlib.resources.abc import Traversable
from importlib.resources.readers import ZipReader

from intact import _archives

TYPE_CHECKING = False  # as in _mounts.py
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any


class Reader(ZipReader):
    """The resources beside a module: CPython's reader, but for where the files come from."""

    archive: str
    prefix: str

    def files(self) -> Traversable:  # type: ignore[override]
        return _Member(self.archive, self.prefix.rstrip("/"))


class _Member(Traversable):
    """A file or a directory of an archive, which need not be there."""

    def __init__(self, archive: str, path: str) -> None:
        self._archive, self._path = archive, path

    @property
    def name(self) -> str:
        return posixpath.basename(self._path or self._archive)

    def is_dir(self) -> bool:
        return not self._path or _archives.is_directory(self._archive, self._path)

    def is_file(self) -> bool:
        return _archives.is_file(self._archive, self._path)

    def exists(self) -> bool:
        return self.is_dir() or self.is_file()

    def iterdir(self) -> Iterator[Traversable]:
        if not self.is_dir():
            raise ValueError(f"not a directory: {self!r}")  # zipfile's kind of error
        return (self.joinpath(name) for name in _archives.children(self._archive, self._path))

    def read_bytes(self) -> bytes:
        if self.is_dir():
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), f"{self._archive}/{self._path}")
        return _archives.read(self._archive, self._path)

    def read_text(self, encoding: str | None = None, errors: str | None = None, newline: str | None = None) -> str:
        with self.open(encoding=encoding, errors=errors, newline=newline) as stream:
            text: str = stream.read()
        return text

    def joinpath(self, *descendants: Any) -> _Member:
        return _Member(self._archive, posixpath.join(self._path, *map(str, descendants)))

    def __truediv__(self, child: Any) -> _Member:
        return self.joinpath(child)

    def open(self, mode: str = "r", *args: Any, **options: Any) -> Any:
        if mode not in ("r", "rb") and not self.is_dir():
            raise ValueError(f"a member of an archive is opened with mode 'r' or 'rb', not {mode!r}")
        stream = io.BytesIO(self.read_bytes())
        return io.TextIOWrapper(stream, *args, **options) if mode == "r" else stream

    def __repr__(self) -> str:
        return f"<{self._path!r} in {self._archive!r}>"
