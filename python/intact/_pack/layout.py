"""Where the files of wheels go in an archive: what installing them would lay out.

Layout follows the binary distribution format: purelib and platlib are the root. Other schemes (data, scripts, headers)
stay in the wheel's ``NAME-VERSION.data``; entry points stay in its metadata, and no script is made of them.
"""

from __future__ import annotations

import base64
import configparser
import csv
import hashlib
import io
import os
import warnings
import zipfile
from collections.abc import Callable, Iterable, Iterator
from typing import BinaryIO

import installer.exceptions
from installer.destinations import WheelDestination
from installer.records import Hash, RecordEntry
from installer.sources import WheelFile
from installer.utils import Scheme, canonicalize_name, construct_record_file

import intact
from intact import _tags
from intact._mounts import Mount
from intact._names import laid_out
from intact._pack.errors import PackError

_ROOT_SCHEMES = ("purelib", "platlib")
_LEFT_OUT = RecordEntry("", None, None)


def check_here(wheel: str) -> None:
    _tags.check(Mount(os.path.abspath(wheel), wheel, wheel, ()))


class Layout(WheelDestination):
    """Where pypa/installer puts the files of one wheel after another.

    add: takes each file's path, content, the sha256 of that as RECORD has it, and whether it is executable.
    wanted: tells by a file's path whether it is to be there at all.
    check: raises TagError for a wheel that is not for the interpreter of the layout, by default the one at hand.

    Raises PackError for a wheel that is broken, that disagrees with its RECORD, or that clashes with another; TagError for one
    for another interpreter or platform.
    """

    def __init__(
        self,
        add: Callable[[str, bytes, str, bool], None],
        wanted: Callable[[str], bool] = lambda path: True,
        check: Callable[[str], None] = check_here,
    ) -> None:
        self._add_file, self._wanted, self._check = add, wanted, check
        self._owners: dict[str, tuple[str, str]] = {}  # path to the wheel it came from and the hash of its content
        self._directories: dict[str, str] = {}  # to the wheel that has it first
        self._wheel = self._data = ""
        self.distribution = ""  # canonical name of the one that is being installed
        self.distributions: dict[str, str] = {}  # name to version
        self.left_out = 0

    def install(self, wheel: str) -> None:
        self._wheel = wheel
        try:
            self._check(wheel)
            with _CheckedWheel.open(wheel) as source:  # type: ignore[arg-type]  # a str will do
                self._begin(source)
                source.validate_record(validate_contents=False)
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore")  # of a __pycache__ in the wheel, which is left out
                    installer.install(source, self, additional_metadata={"INSTALLER": b"intact\n"})
        except WheelFile.validation_error as error:
            raise PackError(wheel, "; ".join(error.issues)) from error
        except (configparser.Error, AssertionError) as error:  # of installer's parse_entrypoints
            raise PackError(wheel, "its entry_points.txt does not say what scripts there are") from error
        except (installer.exceptions.InstallerError, zipfile.BadZipFile, ValueError) as error:
            raise PackError(
                wheel, str(error.args[-1] if error.args else error)
            ) from error  # the source, and what is wrong with it
        except intact.ArchiveError as error:
            raise PackError(wheel, str(error.reason)) from error

    def _begin(self, source: WheelFile) -> None:
        self.distribution = name = canonicalize_name(source.distribution)
        known = self.distributions.setdefault(name, source.version)
        if known != source.version:
            raise PackError(self._wheel, f"{name} {source.version} is asked for, and {known} too")
        self._data = source.dist_info_dir.removesuffix(".dist-info") + ".data"

    def _prefix(self, scheme: Scheme) -> str:
        return "" if scheme in _ROOT_SCHEMES else f"{self._data}/{scheme}/"

    def write_file(
        self, scheme: Scheme, path: str | os.PathLike[str], stream: BinaryIO, is_executable: bool
    ) -> RecordEntry:
        inner, data = os.fspath(path), stream.read()
        if not self._wanted(self._prefix(scheme) + inner):
            self.left_out += 1
            return _LEFT_OUT
        self._add(self._prefix(scheme) + inner, data, is_executable)
        return RecordEntry(inner, Hash("sha256", _digest(data)), len(data))

    def write_script(self, name: str, module: str, attr: str, section: str) -> RecordEntry:
        return _LEFT_OUT

    def finalize_installation(
        self, scheme: Scheme, record_file_path: str, records: Iterable[tuple[Scheme, RecordEntry]]
    ) -> None:
        written = [(each, entry) for each, entry in records if entry is not _LEFT_OUT]
        with construct_record_file(written, lambda each: self._prefix(each) or None) as record:
            self._add(record_file_path, record.read(), False)

    def _add(self, path: str, data: bytes, executable: bool) -> None:
        if any(part in ("", ".", "..") for part in path.split("/")) or "\0" in path or path.startswith(".intact/"):
            raise PackError(self._wheel, f"{path!r} is no path below a root")
        self._check_directories(path)
        digest = _digest(data)
        if path in self._owners:
            owner, content = self._owners[path]
            if content != digest:
                raise PackError(self._wheel, f"{path} is in {owner} too, with other content")
            return
        self._owners[path] = os.path.basename(self._wheel), digest
        self._add_file(path, data, digest, executable)

    def _check_directories(self, path: str) -> None:
        """Make sure that no path is a file for one wheel and a directory for another."""
        directory = os.path.dirname(path)
        while directory and directory not in self._directories:
            self._directories[directory] = os.path.basename(self._wheel)
            if directory in self._owners:
                raise PackError(
                    self._wheel, f"{directory} is a directory, and in {self._owners[directory][0]} it is a file"
                )
            directory = os.path.dirname(directory)
        if path in self._directories:
            raise PackError(self._wheel, f"{path} is a file, and in {self._directories[path]} it is a directory")


class _CheckedWheel(WheelFile):
    """A wheel whose files are compared with RECORD while they are installed, so that each is unpacked once."""

    def get_contents(self) -> Iterator[tuple[tuple[str, str, str], BinaryIO, bool]]:
        listed = {row[0] for row in csv.reader(self.read_dist_info("RECORD").splitlines()) if row}
        if absent := sorted(listed.difference(self._zipfile.namelist())):
            raise self.validation_error([f"{', '.join(absent[:3])}: in RECORD, and not in the wheel"])
        for record, stream, executable in super().get_contents():
            data = io.BytesIO(stream.read())
            if not RecordEntry.from_elements(*record).validate_stream(data):
                raise self.validation_error([f"{record[0]} didn't match RECORD"])
            data.seek(0)
            yield record, data, executable


def recorded(wheel: str) -> set[tuple[str, str]]:
    """(path in the layout, sha256) of what the wheel's RECORD lists. Raises PackError for a wheel that is broken."""
    try:
        with WheelFile.open(wheel) as source:  # type: ignore[arg-type]  # a str will do
            rows = csv.reader(source.read_dist_info("RECORD").splitlines())
            directory = source.dist_info_dir
    except (installer.exceptions.InstallerError, zipfile.BadZipFile, ValueError, KeyError) as error:
        raise PackError(wheel, str(error)) from error
    return {(laid_out(row[0], directory), row[1].removeprefix("sha256=")) for row in rows if len(row) == 3}


def _digest(data: bytes) -> str:
    """As RECORD keeps it."""
    return base64.urlsafe_b64encode(hashlib.sha256(data).digest()).decode().rstrip("=")
