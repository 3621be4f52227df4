"""What ``intact doctor`` has to say of an archive (docs/doctor.md): what it is for, and whether its shared objects can be loaded."""

from __future__ import annotations

import mmap
import os
import sys
from collections.abc import Callable
from functools import partial
from importlib.machinery import EXTENSION_SUFFIXES
from typing import Literal

import intact
from intact import _elf_versions, _engine, _info, _tags
from intact._doctor import Finding, can_run, in_child, map_executable
from intact._mounts import Mount
from intact._names import is_shared_object

_PASSWORD_REMEDY = "give the password with --password-file, or in INTACT_PASSWORD"


def examine(path: str, password: Callable[[], bytes | None] | None, trusted: bool) -> list[Finding]:
    """Everything about an archive; the arguments are as intact.mount takes them."""
    try:
        mount = Mount(path, os.path.abspath(path), path, (), password=password, trusted=trusted)
    except (intact.Error, OSError) as error:
        return [Finding("archive", "fail", str(error), "", _remedy(error, "fetch or pack it again"))]
    findings = [Finding("archive", "ok", f"{path}: {mount.format}, {len(mount)} files"), *_encryption(mount)]
    if not can_run(findings):
        return findings
    try:
        findings += _target(mount) if mount.format == "app" else [_wheel_tags(mount)]
        findings += _shared_objects(mount)
    except intact.Error as error:
        remedy = _remedy(error, f"intact verify {path} tells all that is broken; fetch or pack it again")
        findings.append(Finding("archive", "fail", str(error), "", remedy))
    return findings


def _remedy(error: Exception, damaged: str) -> str:
    if isinstance(error, intact.PasswordError):
        return _PASSWORD_REMEDY
    return damaged if isinstance(error, intact.Error) else "name a file that can be read"


def _encryption(mount: Mount) -> list[Finding]:
    """Whether there is a password for what is encrypted; that it is the right one was found when the archive was opened."""
    encrypted = [row[0] for row in mount._members() if row[-1] and not row[1]]
    if not encrypted:
        return []
    if mount._password() is not None:
        return [Finding("encryption", "ok", f"the password opens the {len(encrypted)} files that are encrypted")]
    code = [path for path in encrypted if path.endswith((".py", ".pyc")) or is_shared_object(path)]
    what = f"{len(encrypted)} files are encrypted, {', '.join((code or encrypted)[:3])} among them"
    why = f"{'importing' if code else 'reading'} them takes a password, and none was given"
    return [Finding("encryption", "fail" if code else "warn", what, why, _PASSWORD_REMEDY)]


def _target(mount: Mount) -> list[Finding]:
    """Whether an app is for this Python and C library."""
    targets = _info.describe(mount).get("app", {}).get("targets", [])
    here = EXTENSION_SUFFIXES[0].strip(".").rsplit(".", 1)[0]
    mine = [target for target in targets if target["abi"] == here]
    if not mine:
        packed = ", ".join(f"Python {target['python']} ({target['abi']})" for target in targets)
        remedy = f"run it with such a Python, or pack it again with --for {sys.version_info[0]}.{sys.version_info[1]}"
        return [Finding("target", "fail", f"packed for {packed}", f"this is {here}", remedy)]
    wanted = mine[0]["glibc"]
    minor = wanted.rpartition(".")[2]
    if minor.isdigit() and int(minor) > _tags._glibc_minor():
        remedy = "run it on a newer distribution, or pack it again with --platform manylinux_2_N_MACHINE"
        why = f"this is {os.confstr('CS_GNU_LIBC_VERSION')}"
        return [Finding("target", "fail", f"needs glibc {wanted}", why, remedy)]
    return [Finding("target", "ok", f"Python {mine[0]['python']} ({here}), glibc {wanted} or newer")]


def _wheel_tags(mount: Mount) -> Finding:
    """Whether what was installed into it, or the wheel that it is, is for this interpreter."""
    if wrong := _tags.misfits(mount):
        why = f"this interpreter accepts {_tags.accepted()}"
        version = f"{sys.version_info[0]}.{sys.version_info[1]}"
        remedy = f"fetch the wheel for this one: pip download --only-binary :all: NAME, with Python {version}"
        return Finding("tags", "fail", "; ".join(wrong), why, remedy)
    return Finding("tags", "ok", "for this interpreter")


def _shared_objects(mount: Mount) -> list[Finding]:
    paths = [path for path in mount if is_shared_object(path) and not _for_another(path)]
    if not paths:
        return [Finding("shared objects", "ok", "none")]
    needed: dict[str, list[str]] = {}  # by path
    versions: dict[str, list[tuple[str, str]]] = {}
    broken: dict[bool, list[str]] = {True: [], False: []}  # by whether it is an extension module
    for path in paths:
        data = mount.read(path)
        try:
            names, reason = _engine._needed(data), _for_another_machine(data)
        except intact.ImageError as error:
            names, reason = [], error.reason
        if reason:
            broken[_is_module(path, data)].append(f"{path}: {reason}")
        else:
            needed[path], versions[path] = names, _elf_versions.needs(data)
    return [_mapping(mount, len(paths)), *_broken(broken), *_libraries(needed, versions)]


def _broken(broken: dict[bool, list[str]]) -> list[Finding]:
    findings = []
    if modules := broken[True]:
        what = f"{len(modules)} extension modules cannot be imported: {'; '.join(modules[:3])}"
        remedy = f"fetch the wheel for this machine, {os.uname().machine}, or pack it again"
        findings.append(Finding("shared objects", "fail", what, "", remedy))
    if others := broken[False]:
        what = f"{len(others)} cannot be loaded: {'; '.join(others[:3])}"
        findings.append(Finding("shared objects", "warn", what, "", "none is needed, unless something loads them"))
    return findings


def _for_another(path: str) -> bool:
    """Whether it is of another interpreter's: an extension module by its name, or what an app has for that one alone."""
    base = path.rpartition("/")[2]
    return path.startswith(".intact/") or (".cpython-" in base and not base.endswith(tuple(EXTENSION_SUFFIXES)))


def _for_another_machine(data: bytes) -> str | None:
    """Why not, of an object that the engine can read."""
    machine, here = {b"\x3e\0": "x86_64", b"\xb7\0": "aarch64"}.get(data[18:20]), os.uname().machine
    return f"for {machine}, this is {here}" if machine != here else None


def _is_module(path: str, data: bytes) -> bool:
    """Whether it is an extension module of this interpreter's: by its name, or for a plain .so by what it has."""
    base = path.rpartition("/")[2]
    tagged = tuple(suffix for suffix in EXTENSION_SUFFIXES if suffix != ".so")
    return base.endswith(tagged) or f"\0PyInit_{base.partition('.')[0]}\0".encode() in data


def _mapping(mount: Mount, count: int) -> Finding:
    """Whether the file system of the archive lets code be mapped from it."""

    def attempt() -> None:
        descriptor = os.open(mount.root, os.O_RDONLY)
        if os.path.isdir(mount.root):
            if os.fstatvfs(descriptor).f_flag & os.ST_NOEXEC:
                raise PermissionError("its file system is mounted noexec")
        else:
            map_executable(descriptor, min(mmap.PAGESIZE, os.fstat(descriptor).st_size))

    error = in_child(attempt)
    if error is None:
        return Finding("shared objects", "ok", f"{count}, which the archive's file system lets be executed")
    if mount.format == "directory":
        why, remedy = "those of a directory are loaded from their files", "move it, or mount its file system with exec"
        return Finding("shared objects", "fail", f"{count} cannot be executed: {error}", why, remedy)
    why, remedy = "they are copied into memory instead", "move it to a file system that is mounted with exec"
    return Finding("shared objects", "warn", f"{count} cannot be mapped from the archive: {error}", why, remedy)


def _libraries(needed: dict[str, list[str]], versions: dict[str, list[tuple[str, str]]]) -> list[Finding]:
    """What neither the archive nor the system has. Without it an extension fails; of a plug-in that is not certain."""
    inside = {path.rpartition("/")[2]: path for path in needed}
    outside = {name for names in needed.values() for name in names if name.rpartition("/")[2] not in inside}
    imported = _reached(needed, inside)
    findings = []

    def tell(what: str, users: list[str], why: str, remedy: str) -> None:
        certain = [path for path in users if path in imported]
        shown = ", ".join((certain or users)[:3]) + (" and more" if len(certain or users) > 3 else "")
        status: Literal["warn", "fail"] = "fail" if certain else "warn"
        findings.append(Finding("libraries", status, f"{what}, which {shown} needs", why, remedy))

    for name in sorted(outside):
        if (error := in_child(partial(_load, name))) is not None:
            users = sorted(path for path, names in needed.items() if name in names)
            remedy = f"install the package of this system that has {name}, or put a wheel that bundles it beside"
            tell(f"{name} is missing", users, error if name in error else f"{name}: {error}", remedy)
        elif lacking := _lacking(name, versions):
            users = sorted(path for path, wanted in versions.items() if any((name, each) in wanted for each in lacking))
            why = f"this is {os.confstr('CS_GNU_LIBC_VERSION')}"
            remedy = "run it on a newer distribution, or fetch a wheel that is for this one"
            tell(f"{name} has no {', '.join(sorted(lacking)[:3])}", users, why, remedy)
    return findings or [Finding("libraries", "ok", f"the {len(outside)} that the system has to have are there")]


def _lacking(name: str, versions: dict[str, list[tuple[str, str]]]) -> set[str]:
    """The versions that objects need of a library and the system's has not."""
    wanted = {version for each in versions.values() for library, version in each if library == name}

    def attempt() -> None:
        _load(name)
        if absent := _elf_versions.lacking(name, wanted):
            raise LookupError("\n".join(absent))

    return wanted.intersection((in_child(attempt) or "").split("\n"))


def _reached(needed: dict[str, list[str]], inside: dict[str, str]) -> set[str]:
    """Extension modules, and of the libraries in the archive those that they need."""
    reached: set[str] = set()
    modules = [path for path in needed if path.endswith(tuple(EXTENSION_SUFFIXES))]
    waiting = [path for path in modules if not path.rpartition("/")[2].startswith("lib")]
    while waiting:
        path = waiting.pop()
        if path not in reached:
            reached.add(path)
            waiting += [inside[name.rpartition("/")[2]] for name in needed[path] if name.rpartition("/")[2] in inside]
    return reached


def _load(name: str) -> None:
    import ctypes

    silent = os.open(os.devnull, os.O_WRONLY)  # whatever its initialisers have to say
    os.dup2(silent, 1)
    os.dup2(silent, 2)
    ctypes.CDLL(name)
