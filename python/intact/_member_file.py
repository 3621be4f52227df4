"""A member of a mount as a file: what `Mount.open` gives, to be read or to be mounted as an archive itself."""

from __future__ import annotations

import errno
import io
import os

TYPE_CHECKING = False  # as in _mounts.py
if TYPE_CHECKING:
    from intact._mounts import Mount

    from typing_extensions import Buffer


class _Contents(io.RawIOBase):
    """The bytes of a member, which are taken from the archive when they are first asked for."""

    def __init__(self, mount: Mount, path: str) -> None:
        found = mount._stat(path)
        if found is None or found[0]:
            code = errno.ENOENT if found is None else errno.EISDIR
            raise OSError(code, os.strerror(code), f"{mount.root}/{path}")
        self._mount, self._path, self._size, self._at = mount, path, found[1], 0
        self._bytes: bytes | None = None

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def readinto(self, target: Buffer) -> int:
        if self._bytes is None:
            self._bytes = self._mount.read(self._path)
        view = memoryview(target).cast("B")
        piece = self._bytes[self._at : self._at + len(view)]
        view[: len(piece)] = piece
        self._at += len(piece)
        return len(piece)

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        if self.closed:
            raise ValueError("I/O operation on closed file.")
        at = offset + {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._size}[whence]
        if at < 0:
            raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))
        self._at = at
        return at


class MemberFile(io.BufferedReader):
    """A member of a mount, opened for reading. `name` is its path below the mount's root."""

    def __init__(self, mount: Mount, path: str) -> None:
        super().__init__(_Contents(mount, path))
        self._member = (mount, path)

    @property
    def name(self) -> str:
        mount, path = self._member
        return f"{mount.root}/{path}"
