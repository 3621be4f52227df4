"""Lock files in the standard format (pylock.toml, PEP 751): which file of each package is for the target.

What is chosen becomes lines of a requirements file, a URL and its hash each, which pip fetches and checks.
"""

from __future__ import annotations

import hashlib
import os
import tomllib
from dataclasses import dataclass, field
from pathlib import Path
from urllib.request import url2pathname

from packaging.pylock import (
    Package,
    PackageArchive,
    PackageDirectory,
    PackageSdist,
    PackageVcs,
    PackageWheel,
    Pylock,
    PylockSelectError,
    PylockValidationError,
)
from packaging.specifiers import SpecifierSet

from intact._pack.errors import PackError
from intact._pack.inputs import EDITABLE
from intact._pack.target import Target

_Source = PackageVcs | PackageDirectory | PackageArchive | PackageWheel | PackageSdist
_STRONG = ("sha256", "sha512", "sha384")


@dataclass
class Locked:
    """What a lock has for a target: lines of a requirements file, and paths of wheels that lie on this machine."""

    wheels: list[str] = field(default_factory=list)
    sources: list[str] = field(default_factory=list)
    own: list[str] = field(default_factory=list)


def is_pylock(path: str) -> bool:
    """Whether the lock is a pylock.toml, by its name; otherwise it is a requirements file."""
    return path.endswith(".toml")


def read(path: str, target: Target) -> Locked:
    """What the lock at `path` has for `target`. Raises PackError if it is broken, has nothing for it, or is altered."""
    try:
        content = tomllib.loads(Path(path).read_text(encoding="utf-8"))
        releases = [f"{target.python}.0", f"{target.python}.99"]  # which one the target has is not known
        required = content.get("requires-python")
        if not target.is_here and isinstance(required, str) and any(SpecifierSet(required).filter(releases)):
            del content["requires-python"]
        lock = Pylock.from_dict(content)
        chosen = list(lock.select(environment=target.environment, tags=target.tags))
    except (OSError, ValueError, PylockValidationError, PylockSelectError) as error:
        raise PackError(path, getattr(error, "strerror", None) or " ".join(str(error).split())) from error
    locked = Locked()
    for package, source in chosen:
        _add(locked, package, source, path)
    return locked


def _add(locked: Locked, package: Package, source: _Source, lock: str) -> None:
    place = _place(source, package, lock)
    if isinstance(source, PackageDirectory):
        if source.editable:
            raise PackError(lock, f"{package.name} {EDITABLE}")
        locked.sources.append(_line(package, f"{Path(place).as_uri()}{_fragment(source.subdirectory)}", lock))
    elif isinstance(source, PackageVcs):
        reference = f"{source.type}+{place}@{source.commit_id}{_fragment(source.subdirectory)}"
        locked.sources.append(_line(package, reference, lock))
    else:
        algorithm, digest = _hash(source, package, lock)
        if place.partition("?")[0].endswith(".whl"):
            if "://" not in place:
                _check(place, algorithm, digest)
                locked.own.append(place)
                return
            lines = locked.wheels
        else:
            lines = locked.sources
        url = place if "://" in place else Path(place).as_uri()
        inside = getattr(source, "subdirectory", None)
        reference = f"{url}#{algorithm}={digest}" + (f"&subdirectory={inside}" if inside else "")
        lines.append(_line(package, reference, lock))


def _line(package: Package, reference: str, lock: str) -> str:
    """A line for pip. Raises PackError for what is more to pip: a second line, which may be an option, or a comment."""
    if not reference.isprintable() or " " in reference:
        raise PackError(lock, f"{package.name}: {reference!r} is no URL")
    return f"{package.name} @ {reference}"


def _place(source: _Source, package: Package, lock: str) -> str:
    """A URL, or an absolute path: those of a lock are relative to it."""
    url = None if isinstance(source, PackageDirectory) else source.url
    if url and not url.startswith("file:"):
        place = url.partition("#")[0]
    elif url:
        place = url2pathname(url.removeprefix("file://").partition("#")[0])
    else:
        place = os.path.abspath(os.path.join(os.path.dirname(lock), source.path or ""))
    if place.splitlines() != [place] or not ("://" in place or os.path.isabs(place)):
        raise PackError(lock, f"{package.name}: {place!r} is neither a URL nor a path")
    return place


def _hash(source: PackageArchive | PackageWheel | PackageSdist, package: Package, lock: str) -> tuple[str, str]:
    for algorithm in _STRONG:
        if algorithm in source.hashes:
            return algorithm, source.hashes[algorithm].lower()
    raise PackError(lock, f"{package.name} has no hash of {', '.join(_STRONG)}")


def _check(wheel: str, algorithm: str, expected: str) -> None:
    try:
        with open(wheel, "rb") as file:
            found = hashlib.file_digest(file, algorithm).hexdigest()
    except OSError as error:
        raise PackError(wheel, error.strerror or str(error)) from error
    if found != expected:
        raise PackError(wheel, f"its {algorithm} is {found}, and the lock expects {expected}")


def _fragment(subdirectory: str | None) -> str:
    return f"#subdirectory={subdirectory}" if subdirectory else ""
