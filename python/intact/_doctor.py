"""``intact doctor``: why something cannot run here, with the remedy (docs/doctor.md).

What can be tried is tried, in a child process: what a sandbox does to a system call, to kill the process among it, only the
call itself tells.
"""

from __future__ import annotations

import mmap
import os
import signal
import sys
from collections.abc import Callable
from functools import partial
from importlib.machinery import EXTENSION_SUFFIXES
from typing import Literal, NamedTuple

import intact
from intact import _elf_versions, _engine, _info, _tags
from intact._mounts import Mount
from intact._names import is_shared_object

_MFD_EXEC = 0x10  # Linux 6.3, which Python 3.11 to 3.13 have no name for
_OLDEST_GLIBC = 28  # what the engine itself needs, of glibc 2.N
_PASSWORD_REMEDY = "give the password with --password-file, or in INTACT_PASSWORD"


class Finding(NamedTuple):
    """What was looked at, and what came of it."""

    check: str
    status: Literal["ok", "warn", "fail"]
    what: str
    why: str = ""
    remedy: str = ""


def examine(
    archive: str | None,
    extract: str | None = None,
    password: Callable[[], bytes | None] | None = None,
    trusted: bool = False,
) -> list[Finding]:
    """Everything about this host, and about an archive if there is one.

    extract: a directory where shared objects could be put, else that of INTACT_EXTRACT. password, trusted: as intact.mount takes
        them.
    """
    extract = extract or os.environ.get("INTACT_EXTRACT")
    host = [_python(), _glibc(), _proc(), _memory_files(), _files_switch()]
    extracting = [] if extract is None else [_extract_directory(extract)]
    executable = _executable_memory(any(each.status == "ok" for each in extracting))
    return [*host, executable, *extracting, *(_archive(archive, password, trusted) if archive is not None else [])]


def can_run(findings: list[Finding]) -> bool:
    return all(finding.status != "fail" for finding in findings)


def show(findings: list[Finding]) -> None:
    """Print each, with why and the remedy where there is something wrong."""
    for finding in findings:
        print(f"{finding.status:5} {finding.check + ':':19} {finding.what}")
        if finding.why:
            print(f"{'':26}{finding.why}")
        if finding.remedy:
            print(f"{'':26}remedy: {finding.remedy}")


# ---- the host


def _python() -> Finding:
    version = ".".join(map(str, sys.version_info[:3]))
    return Finding("python", "ok", f"CPython {version}, {EXTENSION_SUFFIXES[0].strip('.').removesuffix('.so')}")


def _glibc() -> Finding:
    name = os.confstr("CS_GNU_LIBC_VERSION") or "another C library than glibc"
    if _tags._glibc_minor() >= _OLDEST_GLIBC:
        return Finding("glibc", "ok", name)
    why = f"intact is made for glibc 2.{_OLDEST_GLIBC} and newer"
    return Finding("glibc", "warn", name, why, "run it on a newer distribution, or in a container of one")


def _proc() -> Finding:
    if os.path.exists("/proc/self/fd"):
        return Finding("/proc", "ok", "mounted")
    why = "shared objects in memory are loaded by their paths there"
    return Finding("/proc", "fail", "not mounted", why, "mount it: mount -t proc proc /proc")


def _memory_files() -> Finding:
    """As the redirect makes them, for files that are opened below a root (core/redirect/descriptor_linux.cc)."""
    error = _in_child(lambda: os.close(os.memfd_create("intact", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)))
    if error is None:
        return Finding("files in memory", "ok", "memfd_create works")
    what, why = f"memfd_create: {error}", _reason_for_memory()
    remedy = f"{_memory_remedy()}; what only imports Python modules runs without"
    return Finding("files in memory", "fail", what, why or "opening a file in an archive needs one", remedy)


def _executable_memory(extractable: bool) -> Finding:
    """As the image loader makes them, for shared objects (core/elf/private_copy_linux.cc)."""
    error = _in_child(_execute_memory)
    if error is None:
        note = f", although vm.memfd_noexec is {setting}" if (setting := _memfd_noexec()) else ""
        return Finding("executable memory", "ok", f"a memory file can be mapped for execution{note}")
    what, why = f"a memory file cannot be executed: {error}", _reason_for_memory()
    if extractable:
        return Finding(
            "executable memory", "warn", what, why, "none is needed: shared objects go to the directory named"
        )
    extract = "name a directory for shared objects: mount(extract=DIR), intact run --extract DIR, for an app INTACT_EXTRACT=DIR"
    why = why or "shared objects are loaded from memory"
    return Finding("executable memory", "fail", what, why, f"{_memory_remedy()}, or {extract}")


def _execute_memory() -> None:
    try:
        descriptor = os.memfd_create("intact", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING | _MFD_EXEC)
    except OSError:
        descriptor = os.memfd_create("intact", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    os.ftruncate(descriptor, mmap.PAGESIZE)
    _map_executable(descriptor)


def _map_executable(descriptor: int, size: int = mmap.PAGESIZE) -> None:
    mmap.mmap(descriptor, size, mmap.MAP_PRIVATE, mmap.PROT_READ | mmap.PROT_EXEC).close()


def _reason_for_memory() -> str:
    """What of this host may refuse a memory file."""
    reasons = []
    if (setting := _memfd_noexec()) > 0:
        reasons.append(f"vm.memfd_noexec is {setting}")
    if "Seccomp:\t2" in _text("/proc/self/status"):
        reasons.append("a seccomp filter is in force")
    if _text("/sys/fs/selinux/enforce").strip() == "1":
        reasons.append("SELinux is enforcing")
    return "; ".join(reasons)


def _memory_remedy() -> str:
    also = " and set sysctl vm.memfd_noexec=0" if _memfd_noexec() else ""
    return f"let the sandbox allow memfd_create{also}"


def _memfd_noexec() -> int:
    text = _text("/proc/sys/vm/memfd_noexec").strip()
    return int(text) if text.isdigit() else 0


def _text(path: str) -> str:
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read()
    except OSError:
        return ""


def _files_switch() -> Finding:
    if os.environ.get("INTACT_FILES") != "0":
        return Finding("INTACT_FILES", "ok", "files below roots are answered")
    why = "programs cannot open files in archives by their path, import works"
    return Finding("INTACT_FILES", "warn", "0", why, "unset INTACT_FILES")


def _extract_directory(directory: str) -> Finding:
    """Whether shared objects can be written there and executed; what is made of it for that is removed."""
    made = []
    above = place = os.path.abspath(directory)
    while not os.path.lexists(above):
        made.append(above)
        above = os.path.dirname(above)

    def attempt() -> None:
        os.makedirs(place, 0o700, exist_ok=True)
        path = os.path.join(place, f".intact-{os.urandom(8).hex()}")
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o700)
        os.unlink(path)
        os.ftruncate(descriptor, mmap.PAGESIZE)
        _map_executable(descriptor)

    error = _in_child(attempt)
    for path in made:
        try:
            os.rmdir(path)
        except OSError:  # it was not made, or somebody uses it
            pass
    if error is None:
        would = ", which would be made" if made else ""
        return Finding("extract", "ok", f"{directory}{would}: shared objects can be loaded from there")
    remedy = "name a directory that can be written to, not mounted noexec"
    return Finding("extract", "fail", f"{directory}: {error}", "", remedy)


# ---- the archive


def _archive(path: str, password: Callable[[], bytes | None] | None, trusted: bool) -> list[Finding]:
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
            _map_executable(descriptor, min(mmap.PAGESIZE, os.fstat(descriptor).st_size))

    error = _in_child(attempt)
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
        if (error := _in_child(partial(_load, name))) is not None:
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

    return wanted.intersection((_in_child(attempt) or "").split("\n"))


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


# ---- trying


def _in_child(attempt: Callable[[], object]) -> str | None:
    """Try something in a forked child: None if it works, else what was wrong."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            try:
                attempt()
            except Exception as error:
                os.write(writing, (getattr(error, "strerror", None) or str(error) or repr(error)).encode()[:4000])
        finally:
            os._exit(0)
    os.close(writing)
    with open(reading, "rb") as pipe:
        said = pipe.read().decode("utf-8", "replace")
    _, status = os.waitpid(child, 0)
    if os.WIFSIGNALED(status):
        return f"the process is killed ({signal.Signals(os.WTERMSIG(status)).name})"
    return said or None
