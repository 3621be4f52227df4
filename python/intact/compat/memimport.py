"""memimport: extension modules from bytes, or from what a loader gives, imported without a file.

Takes the place of the package memimport 0.13, a successor of py2exe's ``_memimporter``, which is for Windows; here extension
modules are those of Linux, and paths have slashes. What differs, and why, is in docs/compat.md.
"""

from __future__ import annotations

import os
import sys
from importlib.machinery import ExtensionFileLoader, ModuleSpec

from intact.compat.zipextimporter import import_module

TYPE_CHECKING = False  # type checkers take it for typing's, which costs an import
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import ModuleType
    from typing import Any

    _Data = bytes | Callable[[str], bytes]

__version__ = "0.13.0.0.post8"  # programs pin it
__all__ = ["memimport", "memimport_from_data", "memimport_from_loader", "memimport_from_spec", "set_verbose"]

_UNKNOWN = "<unknown>"
_verbose = 0


class MemExtensionFileLoader(ExtensionFileLoader):
    """What memimport() gives a module that was made of bytes; there is nothing left to load."""

    def __init__(self, name: str, path: str, data: _Data) -> None:
        super().__init__(name, path)
        self.data = data

    def create_module(self, spec: ModuleSpec) -> None:  # type: ignore[override]
        """Nothing: memimport() has made it."""

    def exec_module(self, module: ModuleType) -> None:
        """Nothing: memimport() has run it."""

    def get_data(self, path: str) -> bytes:
        """The module's bytes; of a library, what `data` gives for its name if it is a function. OSError if there are none."""
        if callable(self.data):
            return self.data(path)
        if path not in (self.name, self.path):
            raise FileNotFoundError(path)
        return self.data


def memimport(
    data: _Data | None = None,
    spec: ModuleSpec | None = None,
    fullname: str | None = None,
    loader: Any = None,
    origin: str | None = None,
    is_package: bool | None = None,
) -> ModuleType:
    """Load an extension module from memory, initialise it and return it; ``sys.modules`` is left to the caller.

    It is what `spec` says, whose loader's `get_data` gives the bytes; or `fullname`, of what `loader` has of it, else of
    `data`, else of the file `origin`. `data` is bytes, or a function from the path of the module, or the bare name of a library that it
    needs, to bytes. Raises ValueError if that is not enough, ImportError if it cannot be loaded.
    """
    if spec is None:
        if not fullname:
            raise ValueError("memimport() needs a spec or a fullname")
        spec = _spec(data, fullname, loader, origin, is_package)
    elif is_package and spec.submodule_search_locations is None:
        spec.submodule_search_locations = []
    given, origin = spec.loader, spec.origin or _UNKNOWN
    spec.has_location = origin != _UNKNOWN
    if spec.submodule_search_locations == []:
        spec.submodule_search_locations.append(origin.rpartition("/")[0])
    name = fullname or spec.name
    # Without the name of a function it is CPython's for the module, which PEP 489 has for names beyond ASCII, too.
    module = import_module(name, origin if spec.has_location else name, "", given.get_data, spec)  # type: ignore[union-attr]
    module.__spec__, module.__loader__, module.__package__ = spec, given, spec.parent
    module.__file__ = origin
    if spec.submodule_search_locations is not None:
        module.__path__ = spec.submodule_search_locations
    if max(_verbose, sys.flags.verbose):
        print(f"import {name} # loaded from {origin}", file=sys.stderr)
    return module


def _spec(data: _Data | None, fullname: str, loader: Any, origin: str | None, is_package: bool | None) -> ModuleSpec:
    if not origin:
        if hasattr(loader, "get_filename"):
            origin = loader.get_filename(fullname)
        elif data is None:
            raise ValueError(f"memimport() needs data or an origin: {loader!r} has no get_filename")
    origin = origin or _UNKNOWN
    if loader is None:
        if data is None and not os.path.isfile(origin):
            raise ValueError(f"memimport() needs a loader, data or an origin that is a file, not {origin!r}")
        loader = ExtensionFileLoader(fullname, origin) if data is None else MemExtensionFileLoader(fullname, origin, data)
    if is_package is None:
        is_package = loader.is_package(fullname)
    return ModuleSpec(fullname, loader, origin=origin, is_package=is_package)


def memimport_from_data(fullname: str, data: _Data, is_package: bool | None = None) -> ModuleType:
    """memimport() of bytes."""
    return memimport(data=data, fullname=fullname, is_package=is_package)


def memimport_from_loader(
    fullname: str, loader: Any, data: _Data | None = None, is_package: bool | None = None
) -> ModuleType:
    """memimport() of what `loader` has."""
    return memimport(data=data, loader=loader, fullname=fullname, is_package=is_package)


def memimport_from_spec(spec: ModuleSpec, data: _Data | None = None, is_package: bool | None = None) -> ModuleType:
    """memimport() of what the spec's loader has."""
    return memimport(data=data, spec=spec, is_package=is_package)


def set_verbose(i: int = 1) -> None:
    """Have each import told on stderr, or with 0 only those under ``-v``."""
    global _verbose
    _verbose = int(i)
