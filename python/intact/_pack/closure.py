"""Whether a set of wheels is complete: what each one's metadata says it needs, on the target, has to be among them."""

from __future__ import annotations

import zipfile
from collections.abc import Iterable, Sequence
from email.parser import HeaderParser
from typing import cast

from packaging.markers import Environment
from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

from intact._pack.errors import PackError
from intact._pack.inputs import wheel_name


def lacking(
    wheels: Sequence[str], roots: Iterable[Requirement], environment: Environment, *, deep: bool = True
) -> list[str]:
    """What `roots` need in `environment` and have not among `wheels`; with `deep`, what that needs in its turn too."""
    needs = {wheel_name(path): path for path in wheels}
    lacks: dict[str, None] = {}
    todo, seen = list(roots), set()
    while todo:
        requirement = todo.pop()
        name = canonicalize_name(requirement.name)
        key = name, frozenset(requirement.extras)
        if key in seen or not active(requirement, environment):
            continue
        seen.add(key)
        if name not in needs:
            requirement.marker = None
            lacks[str(requirement)] = None
        elif deep:
            todo += needed(needs[name], requirement.extras, environment)
    return sorted(lacks)


def needed(wheel: str, extras: Iterable[str], environment: Environment) -> list[Requirement]:
    """What the wheel needs in `environment`, with `extras`."""
    found = []
    for each in requires(wheel):
        if any(active(each, environment, extra) for extra in ("", *extras)):
            each.marker = None  # it has been asked
            found.append(each)
    return found


def active(requirement: Requirement, environment: Environment, extra: str = "") -> bool:
    """Whether the requirement's marker, if it has one, is true."""
    variables = cast("dict[str, str]", {**environment, "extra": extra})
    return requirement.marker is None or requirement.marker.evaluate(variables)


def requires(wheel: str) -> list[Requirement]:
    """Requires-Dist of the wheel. Raises PackError if it cannot be read."""
    try:
        with zipfile.ZipFile(wheel) as archive:
            name = next(
                name for name in archive.namelist() if name.count("/") == 1 and name.endswith(".dist-info/METADATA")
            )
            metadata = HeaderParser().parsestr(archive.read(name).decode("utf-8", "replace"))
        return [Requirement(line) for line in metadata.get_all("Requires-Dist", [])]
    except StopIteration:
        raise PackError(wheel, "has no METADATA") from None
    except (OSError, zipfile.BadZipFile, InvalidRequirement) as error:
        raise PackError(wheel, str(error)) from error
