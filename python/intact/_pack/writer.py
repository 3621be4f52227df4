"""Zips in the layout that intact uses best: shared objects stored on page boundaries, so that they are mapped.

APPNOTE.TXT 4.4.5 (methods) and 4.5 (extra fields). The same members give the same bytes. zipfile makes the headers; what it
cannot do, zstd and members on page boundaries among them, is done here.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
import time
import zipfile
import zlib
from collections.abc import Callable, Iterator
from typing import Any, BinaryIO, Self

from intact._names import is_shared_object
from intact._pack.errors import PackError

PAGE = 4096
METHODS = {"none": zipfile.ZIP_STORED, "deflate": zipfile.ZIP_DEFLATED, "zstd": 93}
_VERSION_NEEDED = {zipfile.ZIP_STORED: 20, zipfile.ZIP_DEFLATED: 20, 93: 63}
# The extra field that zipalign made customary: an alignment in two bytes, then padding.
_ALIGNMENT_FIELD = 0xD935


def check_target(target: str | os.PathLike[str]) -> None:
    """Raise OSError for a place where no archive can be put, and for what an archive may not take the place of."""
    directory = os.path.dirname(os.path.abspath(target))
    if not os.path.isdir(directory):
        raise FileNotFoundError(errno.ENOENT, "no such directory to write to", directory)
    if os.path.exists(target) and not os.path.isfile(target):
        raise FileExistsError(errno.EEXIST, "not a file, and not replaced by one", os.fspath(target))


@contextlib.contextmanager
def replacing(target: str | os.PathLike[str], *, executable: bool = False) -> Iterator[BinaryIO]:
    """A new file that takes the place of `target` when the block has ended well; else nothing is left.

    Raises OSError if it cannot be written.
    """
    check_target(target)
    partial = f"{os.fspath(target)}.{os.getpid()}.partial"
    mode = 0o777 if executable else 0o666
    try:
        file = open(partial, "xb+", opener=lambda path, flags: os.open(path, flags, mode))  # noqa: SIM115
    except OSError as error:
        error.filename = os.fspath(target)
        raise
    try:
        try:
            yield file
        finally:
            file.close()
        os.replace(partial, target)
    except BaseException as error:
        os.unlink(partial)
        if isinstance(error, OSError) and error.filename is None:  # of a write, which does not know where to
            error.filename = os.fspath(target)
        raise


class ZipWriter:
    """Writes a zip into `file`, from where that stands. Its directory is written at the end of the block, if that ends well.

    compress: how members are kept, a key of METHODS. Shared objects are stored, unless `small`.

    Members have the time of SOURCE_DATE_EPOCH, or the first that a zip can state. Raises OSError if the file cannot be
    written, ModuleNotFoundError if zstd is asked for and not to be had.
    """

    def __init__(self, file: Any, *, compress: str = "none", small: bool = False) -> None:
        self._file, self._small, self._method, self._time = file, small, METHODS[compress], _time()
        self._compressor = compressor(compress)
        self._zip = zipfile.ZipFile(file, "w")
        self._last: list[zipfile.ZipInfo] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *error: object) -> None:
        if kind is not None:
            self._zip.fp = None  # what is left behind is no zip, and nobody shall make it look like one
        else:
            for info in self._last:
                self._end(info)
        self._zip.close()

    def add(self, path: str, data: bytes, *, executable: bool = False) -> int:
        """Write one member; where its data begins in the file."""
        mapped = is_shared_object(path) and not self._small
        packed, method = data, zipfile.ZIP_STORED
        if self._method != zipfile.ZIP_STORED and not mapped:
            packed, method = self._compressor(data), self._method
            if len(packed) >= len(data):
                packed, method = data, zipfile.ZIP_STORED
        info = self._info(path, method, executable=executable)
        info.CRC, info.file_size, info.compress_size = zlib.crc32(data), len(data), len(packed)
        self._begin(info, zip64=len(data) > zipfile.ZIP64_LIMIT, aligned=mapped)
        start: int = self._file.tell()
        self._file.write(packed)
        self._end(info)
        return start

    @contextlib.contextmanager
    def nested(self, path: str, **options: Any) -> Iterator[ZipWriter]:
        """A zip as a stored member on a page boundary, written in place. In the directory it comes last."""
        info = self._info(path, zipfile.ZIP_STORED)
        info.CRC = info.file_size = info.compress_size = 0  # until it has been written
        self._begin(info, zip64=True, aligned=True)
        part = _Part(self._file)
        with ZipWriter(part, **options) as inner:
            yield inner
        info.CRC, info.file_size, info.compress_size = part.crc, part.size, part.size
        end = self._file.tell()
        self._file.seek(info.header_offset)
        self._file.write(info.FileHeader(zip64=True))
        self._file.seek(end)
        self._last.append(info)

    def _info(self, path: str, method: int, *, executable: bool = False) -> zipfile.ZipInfo:
        info = zipfile.ZipInfo(path, self._time)
        info.create_system = 3  # Unix
        info.external_attr = (stat.S_IFREG | (0o755 if executable else 0o644)) << 16
        info.compress_type, info.extract_version = method, _VERSION_NEEDED[method]
        return info

    def _begin(self, info: zipfile.ZipInfo, *, zip64: bool, aligned: bool) -> None:
        info.header_offset = self._file.tell()
        if aligned:
            before = len(info.FileHeader(zip64=zip64)) + 6
            padding = -(info.header_offset + before) % PAGE
            fields = (_ALIGNMENT_FIELD, 2 + padding, PAGE)
            info.extra = b"".join(number.to_bytes(2, "little") for number in fields) + bytes(padding)
        self._file.write(info.FileHeader(zip64=zip64))

    def _end(self, info: zipfile.ZipInfo) -> None:
        info.extra = b""  # the padding belongs to the local header; the directory need not repeat it
        self._zip.filelist.append(info)
        self._zip.NameToInfo[info.filename] = info
        self._zip.start_dir = self._file.tell()


class _Part:
    """A zip's view of the file it is nested in, written from here to the end: offsets count from its start."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.crc = self.size = 0

    def write(self, data: bytes) -> int:
        self.crc = zlib.crc32(data, self.crc)
        self.size += len(data)
        return self._file.write(data)

    def tell(self) -> int:
        return self.size

    def seek(self, offset: int) -> int:
        """As zipfile calls it before it writes the directory: to where the file stands."""
        if offset != self.size:
            raise ValueError("a nested zip is written from its start to its end")
        return offset

    def flush(self) -> None:
        self._file.flush()


def _time() -> tuple[int, int, int, int, int, int]:
    epoch = os.environ.get("SOURCE_DATE_EPOCH", "0")
    try:
        at = time.gmtime(int(epoch))
    except (ValueError, OverflowError, OSError):
        raise PackError("SOURCE_DATE_EPOCH", f"{epoch!r} is no number of seconds") from None
    stated = at.tm_year, at.tm_mon, at.tm_mday, at.tm_hour, at.tm_min, at.tm_sec
    return min(max(stated, (1980, 1, 1, 0, 0, 0)), (2107, 12, 31, 23, 59, 58))


def _deflate(data: bytes) -> bytes:
    compressor = zlib.compressobj(wbits=-15)
    return compressor.compress(data) + compressor.flush()


def compressor(compress: str) -> Callable[[bytes], bytes]:
    """What compresses so, a key of METHODS. Raises ModuleNotFoundError if zstd is asked for and not to be had."""
    if compress != "zstd":
        return _deflate
    import zstandard

    compress_all: Callable[[bytes], bytes] = zstandard.ZstdCompressor(level=19).compress
    return compress_all
