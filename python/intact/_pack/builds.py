"""What an app is built from for each interpreter: its wheels, its engine, its compiler."""

from __future__ import annotations

import _imp
import argparse
import sys
from collections.abc import Callable

import intact
from intact import _engine
from intact._pack import bytecode, layout
from intact._pack.app import Build
from intact._pack.resolve import resolve
from intact._pack.target import Target


def prepare(options: argparse.Namespace, directory: str, progress: Callable[[str], None]) -> list[Build]:
    """Resolve and fetch what the command line asks for."""
    here = Target.here()
    wheels = resolve(
        options.requirements,
        directory,
        target=here,
        files=options.requirement,
        constraints=options.constraint,
        lock=options.lock,
        progress=progress,
    )
    with open(_engine.__file__, "rb") as file:
        engine = file.read()
    return [Build(here.python, _imp.extension_suffixes()[0], engine, wheels, bytecode.compile_all, layout.check_here)]
