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
from importlib.machinery import EXTENSION_SUFFIXES
from typing import Literal, NamedTuple

from intact import _tags

_MFD_EXEC = 0x10  # Linux 6.3, which Python 3.11 to 3.13 have no name for
_OLDEST_GLIBC = 28  # what the engine itself needs, of glibc 2.N


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
    if archive is None:
        return [*host, executable, *extracting]
    from intact import _doctor_archive

    return [*host, executable, *extracting, *_doctor_archive.examine(archive, password, trusted)]


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
    error = in_child(lambda: os.close(os.memfd_create("intact", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)))
    if error is None:
        return Finding("files in memory", "ok", "memfd_create works")
    what, why = f"memfd_create: {error}", _reason_for_memory()
    remedy = f"{_memory_remedy()}; what only imports Python modules runs without"
    return Finding("files in memory", "fail", what, why or "opening a file in an archive needs one", remedy)


def _executable_memory(extractable: bool) -> Finding:
    """As the image loader makes them, for shared objects (core/elf/private_copy_linux.cc)."""
    error = in_child(_execute_memory)
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
    map_executable(descriptor)


def map_executable(descriptor: int, size: int = mmap.PAGESIZE) -> None:
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
        map_executable(descriptor)

    error = in_child(attempt)
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


# ---- trying


def in_child(attempt: Callable[[], object]) -> str | None:
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
