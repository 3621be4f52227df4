"""What an app is built from for each interpreter: its wheels, its engine, its compiler."""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import zipfile
from collections.abc import Callable, Iterable

from packaging.utils import InvalidWheelFilename, parse_wheel_filename
from packaging.version import Version

import intact
from intact import _engine
from intact._pack import bytecode, layout
from intact._pack.app import Build
from intact._pack.errors import PackError
from intact._pack.resolve import resolve
from intact._pack.target import Target

Progress = Callable[[str], None]

_ELF = b"\x7fELF\x02\x01"  # 64 bits, little-endian
_ELF_MACHINES = {"x86_64": 62, "aarch64": 183}


def prepare(options: argparse.Namespace, directory: str, progress: Progress) -> list[Build]:
    """Resolve and fetch, below `directory`, what the command line asks for. Raises PackError if that cannot be had."""
    pythons = dict.fromkeys(options.pythons) or [Target.here().python]
    targets = [Target(python, options.platform) for python in pythons]
    engines = [_engine_for(target, options.engine) for target in targets]  # before the long work
    builds = []
    for number, (target, (suffix, engine)) in enumerate(zip(targets, engines, strict=True)):
        if len(targets) > 1:
            progress(f"for {target}")
        wheels = resolve(
            options.requirements,
            os.path.join(directory, str(number)),
            target=target,
            files=options.requirement,
            constraints=options.constraint,
            lock=options.lock,
            progress=progress,
        )
        compiler = _compiler_for(target)
        if compiler is None:
            if options.no_source:
                raise PackError(
                    f"python{target.python}",
                    "is not here, and without it there is no bytecode to keep instead of sources",
                )
            progress(f"python{target.python} is not here: nothing is compiled for it")
        builds.append(
            Build(target.python, suffix, engine, wheels, compiler or (lambda sources: []), _checker_for(target))
        )
        _tell_of_older_glibc(builds[-1], target, progress)
    return builds


def _engine_for(target: Target, wheels: list[str]) -> tuple[str, bytes]:
    """The suffix of extension modules, and intact's own for the target: this one's, or out of a wheel that the user names."""
    for wheel in wheels:
        if _fits(wheel, target):
            return target.suffix, _engine_in(wheel, target)
    if target.is_here and os.path.basename(_engine.__file__).startswith("_engine."):
        with open(_engine.__file__, "rb") as file:
            return target.suffix, file.read()
    wanted = f"its engine is in the wheel that `pip wheel intact=={intact.__version__}` makes there"
    if wheels:
        raise PackError(str(target), f"{wanted}, and {', '.join(map(os.path.basename, wheels))} is not for it")
    raise PackError(str(target), f"{wanted}: name that wheel with --engine")


def _engine_in(wheel: str, target: Target) -> bytes:
    """The file named for the target; a cross build that went wrong may have another beside it, or in its place."""
    version = parse_wheel_filename(os.path.basename(wheel))[1]
    if version != Version(intact.__version__):
        raise PackError(
            wheel, f"is of version {version}, and an engine runs with the intact that packs, {intact.__version__}"
        )
    name = f"intact/_engine{target.suffix}"
    try:
        with zipfile.ZipFile(wheel) as archive:
            engine = archive.read(name)
    except KeyError:
        raise PackError(wheel, f"its name says that it is for {target}, and it has no {name}") from None
    except (OSError, zipfile.BadZipFile) as error:
        raise PackError(wheel, getattr(error, "strerror", None) or str(error)) from error
    if engine[:6] != _ELF or int.from_bytes(engine[18:20], "little") != _ELF_MACHINES[target.machine]:
        raise PackError(wheel, f"its {name} is no shared object for {target.machine}")
    return engine


def _tell_of_older_glibc(build: Build, target: Target, progress: Progress) -> None:
    """The platform is the user's promise of what the app will meet; the engine may need more, as its own build had it."""
    needed = int(build.glibc.partition(".")[2])
    if target.glibc is not None and needed > target.glibc:
        progress(
            f"its engine needs glibc {build.glibc}, and {target.platform} says 2.{target.glibc}: it will not start there"
        )


def _fits(wheel: str, target: Target) -> bool:
    try:
        return bool(parse_wheel_filename(os.path.basename(wheel))[3] & set(target.tags))
    except InvalidWheelFilename as error:
        raise PackError(wheel, str(error)) from error


def _checker_for(target: Target) -> Callable[[str], None]:
    if target.is_here:
        return layout.check_here

    def check(wheel: str) -> None:
        if not _fits(wheel, target):
            raise PackError(wheel, f"the wheel is not for {target}")

    return check


def _compiler_for(target: Target) -> bytecode.Compiler | None:
    """Bytecode is the version's, whatever the machine: any interpreter of that version will do, this one first."""
    if target.python == Target.here().python:
        return bytecode.compile_all
    python = shutil.which(f"python{target.python}")
    if python is None or subprocess.run([python, "-c", ""], capture_output=True).returncode:
        return None

    def compile_all(sources: Iterable[tuple[str, bytes]]) -> Iterable[tuple[str, bytes]]:
        try:
            return bytecode.compile_by(python, sources)
        except subprocess.CalledProcessError as error:
            raise PackError(python, f"does not compile for the app: it ended with status {error.returncode}") from error

    return compile_all
