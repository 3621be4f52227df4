"""What the user asks to pack, told apart: requirements, wheels, projects, source archives, requirement files."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import InvalidWheelFilename, parse_wheel_filename

from intact._pack.errors import PackError

_ARCHIVES = (".whl", ".tar.gz", ".tgz", ".zip", ".tar.bz2", ".tar.xz")
EDITABLE = (
    "is editable: it would point into this machine's directories, and an archive holds copies; "
    "give the directory itself"
)


@dataclass
class Inputs:
    """What was asked for, and extras ("[socks]" or nothing) of what has no other place for them."""

    named: list[str] = field(default_factory=list)  # what an index, or a URL to a wheel, is asked for
    wheels: dict[str, str] = field(default_factory=dict)  # the user's own: path to extras
    sources: dict[str, str] = field(default_factory=dict)  # what has to be built: path or requirement to extras

    @property
    def lines(self) -> list[str]:
        """As in a requirements file."""
        wheels = [f"{wheel_name(path)}{extras} @ {Path(path).as_uri()}" for path, extras in self.wheels.items()]
        return [*self.named, *wheels, *(source + extras for source, extras in self.sources.items())]


def read(requirements: Sequence[str]) -> Inputs:
    """`requirements` told apart. Raises PackError for what is none of them, and for editable ones."""
    inputs = Inputs()
    for each in requirements:
        if re.match(r"(-e|--editable)\b", each):
            raise PackError(each, EDITABLE)
        path, extras = _split_extras(each)
        if _is_path(path):
            path = os.path.abspath(_checked(path))
            if path.endswith(".whl"):
                wheel_name(path)
            (inputs.wheels if path.endswith(".whl") else inputs.sources)[path] = extras
            continue
        requirement = _requirement(each)
        if requirement.url and not re.sub("[#?].*", "", requirement.url).endswith(".whl"):
            inputs.sources[each] = ""
        else:
            inputs.named.append(each)
    return inputs


def wheel_name(path: str) -> str:
    """The normalized name of the distribution in the wheel."""
    try:
        return parse_wheel_filename(os.path.basename(path))[0]
    except InvalidWheelFilename as error:
        raise PackError(path, str(error)) from error


def extras(text: str) -> list[str]:
    """Those in "[one, two]"."""
    return [each for part in text.strip("[]").split(",") if (each := part.strip())]


def extras_of(line: str) -> str:
    """Those of a requirement, as text."""
    found = next(iter(understood([line])), None)
    return f"[{','.join(sorted(found.extras))}]" if found and found.extras else ""


def understood(lines: Sequence[str]) -> list[Requirement]:
    """Those of `lines` that are requirements, and not paths or options."""
    found = []
    for line in lines:
        try:
            found.append(Requirement(re.split(r"\s+--", line)[0]))
        except InvalidRequirement:
            pass
    return found


def _split_extras(text: str) -> tuple[str, str]:
    """The path and the extras of "path[x]"."""
    found = re.fullmatch(r"(.*?)(\[[^\[\]]*\])", text)
    return (found[1], found[2]) if found and not os.path.exists(text) else (text, "")


def _is_path(text: str) -> bool:
    """As pip decides: a bare name is one for the index, also where a directory of that name lies here."""
    if "://" in text or " @ " in text:
        return False
    return text.startswith(".") or "/" in text or text.endswith(_ARCHIVES)


def _checked(path: str) -> str:
    if not os.path.exists(path):
        raise PackError(path, "there is no such file or directory")
    if os.path.isdir(path):
        if not any(os.path.exists(os.path.join(path, name)) for name in ("pyproject.toml", "setup.py")):
            raise PackError(path, "is no project: neither pyproject.toml nor setup.py is in it")
    elif not path.endswith(_ARCHIVES):
        raise PackError(path, "is neither a wheel nor a source archive; a requirements file is given with -r")
    return path


def _requirement(text: str) -> Requirement:
    try:
        return Requirement(text)
    except InvalidRequirement as error:
        raise PackError(text, " ".join(str(error).split())) from error


# ---- requirement files


@dataclass
class Scan:
    """What is asked of requirement files before a tool reads them."""

    hashed: bool = False
    requirements: list[Requirement] = field(default_factory=list)  # those that are understood


def scan(files: Sequence[str]) -> Scan:
    """Looks through requirement files, and those that they include. Raises PackError for editable inputs."""
    found, todo, seen = Scan(), list(files), set()
    while todo:
        path = todo.pop()
        if path in seen or "://" in path:
            continue
        seen.add(path)
        for line in _logical_lines(path):
            if re.match(r"(-e|--editable)\b", line):
                raise PackError(path, f"{line} {EDITABLE}")
            if included := re.match(r"(?:-r|--requirement)[\s=]*(\S+)", line):
                todo.append(os.path.join(os.path.dirname(path), included[1]))
            found.hashed |= "--hash" in line
            found.requirements += understood([line])
    return found


def _logical_lines(path: str) -> Iterator[str]:
    try:
        text = Path(path).read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise PackError(path, getattr(error, "strerror", None) or str(error)) from error
    for line in text.replace("\\\n", " ").splitlines():
        if line := re.sub(r"(^|\s+)#.*$", "", line).strip():
            yield line
