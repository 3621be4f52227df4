"""A zip in the layout that intact uses best: shared objects stored on page boundaries, so that they are mapped.

APPNOTE.TXT 4.4.5 (methods) and 4.5 (extra fields). The same members give the same bytes.
"""

from __future__ import annotations

import contextlib
import os
import stat
import time
import zipfile
from types import TracebackType
from typing import Self

from intact._names import is_shared_object

PAGE = 4096
METHODS = {"none": zipfile.ZIP_STORED, "deflate": zipfile.ZIP_DEFLATED}
# The extra field that zipalign made customary: an alignment in two bytes, then padding.
_ALIGNMENT_FIELD = 0xD935
_LOCAL_HEADER = 30  # bytes before the name


class ArchiveWriter:
    """Writes beside `target`, which appears when the block has ended well; else nothing is left.

    compress: how members other than shared objects are kept, a key of METHODS.

    Members have the time of SOURCE_DATE_EPOCH, or the first that a zip can state. Raises OSError if the file cannot be
    written.
    """

    def __init__(self, target: str | os.PathLike[str], *, compress: str = "none") -> None:
        self._target = os.fspath(target)
        self._method = METHODS[compress]
        self._partial = f"{self._target}.{os.getpid()}.partial"
        epoch = int(os.environ.get("SOURCE_DATE_EPOCH", 0))
        self._time = max(time.gmtime(epoch)[:6], (1980, 1, 1, 0, 0, 0))

    def __enter__(self) -> Self:
        self._zip = zipfile.ZipFile(self._partial, "x")
        return self

    def add(self, path: str, data: bytes, *, executable: bool = False) -> None:
        """Write one member."""
        info = zipfile.ZipInfo(path, self._time)
        info.external_attr = (stat.S_IFREG | (0o755 if executable else 0o644)) << 16
        info.compress_type = zipfile.ZIP_STORED if is_shared_object(path) else self._method
        if is_shared_object(path):
            padding = -(self._zip.start_dir + _LOCAL_HEADER + len(path.encode()) + 6) % PAGE
            fields = (_ALIGNMENT_FIELD, 2 + padding, PAGE)
            info.extra = b"".join(number.to_bytes(2, "little") for number in fields) + bytes(padding)
        self._zip.writestr(info, data)
        info.extra = b""  # the padding belongs to the local header; the directory need not repeat it

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        try:
            if error is None:
                self._zip.close()
                os.replace(self._partial, self._target)
                return
        except BaseException:
            os.unlink(self._partial)
            raise
        os.unlink(self._partial)
        with contextlib.suppress(OSError):  # what made it fail may make closing fail
            self._zip.close()
