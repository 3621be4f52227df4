"""Whether a wheel is for this interpreter, asked before anything of it is visible (PEP 425, PEP 600, PEP 656)."""

import os
import sys

from intact._engine import Mount, TagError


def check(mount: "Mount") -> None:
    """Raise TagError unless one of the wheel's tags fits. What is no wheel passes.

    The tags are those of the file name; an archive with another name that holds one wheel is asked for its WHEEL file.
    """
    wheels = _wheels(mount)
    wrong = _misfit(mount, wheels[0]) if len(wheels) == 1 else None
    if wrong is None:
        return
    reason = f"the wheel is for {wrong}; this interpreter accepts {accepted()}"
    error = TagError(f"{mount.name}: {reason}")
    error.archive, error.reason = mount.name, reason
    raise error


def misfits(mount: "Mount") -> "list[str]":
    """Of all wheels in an archive: those that are not for this interpreter, with what they are for."""
    wrong = [(wheel.partition("-")[0], _misfit(mount, wheel)) for wheel in _wheels(mount)]
    return [f"{name} is for {tags}" for name, tags in wrong if tags is not None]


def _wheels(mount: "Mount") -> "list[str]":
    """The stem of the file name of a wheel; of another archive the directories of metadata that wheels left in it."""
    base = os.path.basename(mount.root)
    if base.endswith(".whl") and base.count("-") >= 4:
        return [base.removesuffix(".whl")]
    return [name for name in mount._list("") if name.endswith(".dist-info")]


def _misfit(mount: "Mount", wheel: str) -> "str | None":
    tags = _metadata_tags(mount, wheel + "/WHEEL") if wheel.endswith(".dist-info") else _expand(wheel)
    return ", ".join(map("-".join, tags)) if tags and not any(_fits(*tag) for tag in tags) else None


def _expand(stem: str) -> "list[tuple[str, str, str]]":
    """The tags of "name-1.0-cp311-cp311-manylinux_2_17_x86_64.manylinux2014_x86_64"."""
    pythons, abis, platforms = stem.rsplit("-", 3)[1:]
    return [(p, a, f) for p in pythons.split(".") for a in abis.split(".") for f in platforms.split(".")]


def _metadata_tags(mount: "Mount", path: str) -> "list[tuple[str, str, str]]":
    if path not in mount:
        return []
    lines = mount.read(path).decode("utf-8", "replace").splitlines()
    return [tag for line in lines if line.startswith("Tag:") and line.count("-") >= 2 for tag in _expand("wheel-" + line[4:].strip())]


def _fits(python: str, abi: str, platform: str) -> bool:
    return _python_fits(python, abi) and _platform_fits(platform) and (platform != "any" or abi == "none")


def _python_fits(python: str, abi: str) -> bool:
    here = f"cp{sys.version_info[0]}{sys.version_info[1]}"
    kind, digits = python[:2], python[2:]
    if not digits.isdigit() or digits[0] != "3" or kind not in ("py", "cp"):
        return False
    minor = int(digits[1:] or 0)
    if abi == "none":
        return minor <= sys.version_info[1] if kind == "py" else python == here
    if kind != "cp":
        return False
    if abi == "abi3":
        return 2 <= minor <= sys.version_info[1] and not _free_threaded()
    return python == here and abi == here + ("t" if _free_threaded() else "")


def _platform_fits(platform: str) -> bool:
    machine = os.uname().machine
    if platform in ("any", f"linux_{machine}"):
        return True
    legacy = {"manylinux1": 5, "manylinux2010": 12, "manylinux2014": 17}
    for name, minor in legacy.items():
        if platform == f"{name}_{machine}":
            return minor <= _glibc_minor()
    parts = platform.split("_", 3)
    return (
        len(parts) == 4
        and parts[:2] == ["manylinux", "2"]
        and parts[2].isdigit()
        and int(parts[2]) <= _glibc_minor()
        and parts[3] == machine
    )


def _glibc_minor() -> int:
    version = os.confstr("CS_GNU_LIBC_VERSION") or ""  # "glibc 2.36"
    minor = version.rpartition(".")[2]
    return int(minor) if version.startswith("glibc 2.") and minor.isdigit() else -1


def _free_threaded() -> bool:
    return "t" in getattr(sys, "abiflags", "")


def accepted() -> str:
    here, machine = f"cp{sys.version_info[0]}{sys.version_info[1]}", os.uname().machine
    abi = f"{here}-{here}t" if _free_threaded() else f"{here}-{here}, cp32…{here}-abi3"
    return f"{abi}, {here}-none and py3-none, on manylinux_2_5…2_{_glibc_minor()}_{machine}, linux_{machine} and any"
