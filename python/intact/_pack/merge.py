"""Many wheels in one archive: what installing them would lay out, in a zip that is used where it lies.

Layout follows the binary distribution format: purelib and platlib are the root. Other schemes (data, scripts, headers)
stay in the wheel's ``NAME-VERSION.data``; entry points stay in its metadata, and no script is made of them.
"""

from __future__ import annotations

import base64
import hashlib
import os
import zipfile
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, field
from typing import BinaryIO

import installer.exceptions
from installer.destinations import WheelDestination
from installer.records import Hash, RecordEntry
from installer.sources import WheelFile
from installer.utils import Scheme, canonicalize_name, construct_record_file

import intact
from intact import _tags
from intact._mounts import Mount
from intact._names import is_shared_object
from intact._pack import bytecode
from intact._pack.errors import PackError
from intact._pack.writer import ArchiveWriter

_ROOT_SCHEMES = ("purelib", "platlib")
_NO_SCRIPT = RecordEntry("", None, None)


@dataclass
class Summary:
    """What a merge wrote."""

    target: str
    distributions: dict[str, str] = field(default_factory=dict)  # name to version
    files: int = 0
    shared_objects: int = 0
    compiled: int = 0
    size: int = 0  # bytes, of the archive

    def as_json(self) -> dict[str, object]:
        return asdict(self)


def merge(
    wheels: Sequence[str],
    target: str,
    *,
    compress: str = "none",
    compiled: bool = True,
    progress: Callable[[str], None] = lambda line: None,
) -> Summary:
    """Write what all of `wheels` install as one archive, with bytecode for this interpreter unless `compiled` is false.

    The order of `wheels` does not matter. Raises PackError for a wheel that is broken, that disagrees with its RECORD, or
    that clashes with another; TagError for one for another interpreter or platform; OSError if `target` cannot be written.
    """
    summary = Summary(os.path.abspath(target))
    with ArchiveWriter(target, compress=compress) as archive:
        layout = _Layout(archive, summary)
        for wheel in sorted(dict.fromkeys(wheels), key=os.path.basename):
            progress(os.path.basename(wheel))
            layout.install(wheel)
        if compiled:
            progress(f"{len(layout.sources)} modules to compile")
            for path, content in bytecode.compile_all(sorted(layout.sources)):
                archive.add(path, content)
                summary.compiled += 1
    summary.size = os.stat(target).st_size
    return summary


class _Layout(WheelDestination):
    """Where pypa/installer puts the files of one wheel after another."""

    def __init__(self, archive: ArchiveWriter, summary: Summary) -> None:
        self._archive, self._summary = archive, summary
        self._owners: dict[str, tuple[str, str]] = {}  # path to the wheel it came from and the hash of its content
        self._wheel = self._data = ""
        self.sources: list[tuple[str, bytes]] = []

    def install(self, wheel: str) -> None:
        self._wheel = wheel
        try:
            _tags.check(Mount(os.path.abspath(wheel), wheel, wheel, ()))
            with WheelFile.open(wheel) as source:  # type: ignore[arg-type]  # a str will do
                self._begin(source)
                source.validate_record()
                installer.install(source, self, additional_metadata={"INSTALLER": b"intact\n"})
        except WheelFile.validation_error as error:
            raise PackError(wheel, "; ".join(error.issues)) from error
        except (
            installer.exceptions.InstallerError,
            zipfile.BadZipFile,
            ValueError,
        ) as error:
            raise PackError(wheel, str(error)) from error
        except intact.ArchiveError as error:
            raise PackError(wheel, str(error.reason)) from error

    def _begin(self, source: WheelFile) -> None:
        name = canonicalize_name(source.distribution)
        known = self._summary.distributions.setdefault(name, source.version)
        if known != source.version:
            raise PackError(self._wheel, f"{name} {source.version} is asked for, and {known} too")
        self._data = source.dist_info_dir.removesuffix(".dist-info") + ".data"

    def _prefix(self, scheme: Scheme) -> str:
        return "" if scheme in _ROOT_SCHEMES else f"{self._data}/{scheme}/"

    def write_file(
        self,
        scheme: Scheme,
        path: str | os.PathLike[str],
        stream: BinaryIO,
        is_executable: bool,
    ) -> RecordEntry:
        inner, data = os.fspath(path), stream.read()
        self._add(self._prefix(scheme) + inner, data, is_executable)
        return RecordEntry(inner, Hash("sha256", _digest(data)), len(data))

    def write_script(self, name: str, module: str, attr: str, section: str) -> RecordEntry:
        return _NO_SCRIPT

    def finalize_installation(
        self,
        scheme: Scheme,
        record_file_path: str,
        records: Iterable[tuple[Scheme, RecordEntry]],
    ) -> None:
        written = [(each, entry) for each, entry in records if entry is not _NO_SCRIPT]
        with construct_record_file(written, lambda each: self._prefix(each) or None) as record:
            self._add(record_file_path, record.read(), False)

    def _add(self, path: str, data: bytes, executable: bool) -> None:
        if any(part in ("", ".", "..") for part in path.split("/")) or "\0" in path:
            raise PackError(self._wheel, f"{path!r} is no path below a root")
        digest = _digest(data)
        if path in self._owners:
            owner, content = self._owners[path]
            if content != digest:
                raise PackError(self._wheel, f"{path} is in {owner} too, with other content")
            return
        self._owners[path] = os.path.basename(self._wheel), digest
        self._archive.add(path, data, executable=executable)
        self._summary.files += 1
        self._summary.shared_objects += is_shared_object(path)
        if path.endswith(".py") and not path.startswith(self._data + "/"):
            self.sources.append((path, data))


def _digest(data: bytes) -> str:
    """As RECORD keeps it."""
    return base64.urlsafe_b64encode(hashlib.sha256(data).digest()).decode().rstrip("=")
