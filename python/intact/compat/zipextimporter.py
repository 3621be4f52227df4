"""zipextimporter: extension modules beside Python modules in a zip on ``sys.path``, with nothing unpacked.

Takes the place of py2exe's zipextimporter and ``_memimporter``, which are for Windows; here extension modules are those of
Linux, and paths have slashes. Python modules are zipimport's. What differs, and why, is in docs/compat.md.
"""

from __future__ import annotations

import _imp
import contextlib
import io
import os
import sys
import zipfile
from importlib.machinery import EXTENSION_SUFFIXES, ModuleSpec
from importlib.util import module_from_spec
from zipimport import ZipImportError, zipimporter

from intact import ImageError, _engine

TYPE_CHECKING = False  # type checkers take it for typing's, which costs an import
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import ModuleType

__all__ = ["ZipExtensionImporter", "install"]


class ZipExtensionImporter(zipimporter):
    """A zipimporter that finds extension modules as well, after all that zipimport finds but namespace packages."""

    def find_spec(self, name: str, path: object = None) -> ModuleSpec | None:
        """The spec of a module, or of a portion of a namespace package; None if the archive has neither. Parameters have py2exe's names."""
        spec = super().find_spec(name, path)  # type: ignore[arg-type]
        if spec is not None and spec.loader is not None:
            return spec
        member = self._extension(name)
        if member is None:
            return spec
        spec = ModuleSpec(name, self, origin=self._place(member))  # type: ignore[arg-type]
        spec.has_location = True
        return spec

    def find_loader(self, fullname: str, path: object = None) -> tuple[ZipExtensionImporter | None, list[str]]:
        """The importer itself if it has the module, and the portions of a namespace package (PEP 420)."""
        spec = self.find_spec(fullname)
        if spec is None:
            return None, []
        return (None, list(spec.submodule_search_locations or ())) if spec.loader is None else (self, [])

    def find_module(self, fullname: str, path: object = None) -> ZipExtensionImporter | None:
        """The importer itself if it has the module (PEP 302)."""
        return self.find_loader(fullname)[0]

    def load_module(self, fullname: str) -> ModuleType:
        """Import a module (PEP 302); one that is loaded is given as it is. Raises ZipImportError if it is not here."""
        if fullname in sys.modules:
            return sys.modules[fullname]
        spec = self.find_spec(fullname)
        if spec is None or spec.loader is None:
            raise ZipImportError(f"can't find module {fullname}", name=fullname)
        if self._extension_of(spec) is None:
            return super().load_module(fullname)
        module = sys.modules[fullname] = module_from_spec(spec)
        try:
            self.exec_module(module)
        except BaseException:
            sys.modules.pop(fullname, None)
            raise
        return sys.modules[fullname]

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:  # type: ignore[override]
        """Load an extension module from memory. None for Python modules."""
        member = self._extension_of(spec)
        if member is None:
            return super().create_module(spec)
        place = self._place(member)
        module = _create(spec.name, place, "PyInit_" + spec.name.rpartition(".")[2], self.get_data, spec)
        module.__file__, module.__loader__ = place, self
        if get_verbose_flag():
            print(f"import {spec.name} # loaded from zipfile {self.archive}", file=sys.stderr)
        return module

    def exec_module(self, module: ModuleType) -> None:
        """Run a Python module, or initialise an extension module, once: then `__memimported__` is set."""
        if getattr(module, "__memimported__", False):
            return
        if module.__spec__ is None or self._extension_of(module.__spec__) is None:
            return super().exec_module(module)
        _imp.exec_dynamic(module)
        module.__memimported__ = True  # type: ignore[attr-defined]

    def _extension(self, fullname: str) -> str | None:
        """The member that is the extension module: below the importer's own directory, else below the archive's top."""
        stems = (self.prefix + fullname.rpartition(".")[2], fullname.replace(".", os.sep))
        table = self._get_files() if hasattr(self, "_get_files") else self._files  # type: ignore[attr-defined]
        return next((stem + end for stem in stems for end in EXTENSION_SUFFIXES if stem + end in table), None)

    def _extension_of(self, spec: ModuleSpec) -> str | None:
        """The same for a spec; None if what was found is a Python module."""
        member = self._extension(spec.name)
        return member if member is not None and spec.origin == self._place(member) else None

    def _place(self, member: str) -> str:
        return f"{self.archive}{os.sep}{member}"

    def __repr__(self) -> str:
        return f"<{type(self).__name__} object {self.archive!r}>"


def install() -> None:
    """Have zips on ``sys.path`` imported from by ZipExtensionImporter."""
    sys.path_hooks.insert(0, ZipExtensionImporter)
    sys.path_importer_cache.clear()


def import_module(
    modname: str, pathname: str, initfuncname: str, finder: Callable[[str], bytes | None], spec: ModuleSpec
) -> ModuleType:
    """Load an extension module from memory, initialise it and return it; it is `_memimporter`'s as well.

    `finder` is asked for the bytes of `pathname`, and for those of each library that is needed by its bare name; where it
    raises or gives None for a library, that is the system's. What is loaded already under that name is used.
    Raises ImportError if the shared object cannot be loaded.
    """
    module = _create(modname, pathname, initfuncname, finder, spec)
    _imp.exec_dynamic(module)
    return module


def get_verbose_flag() -> int:
    """How often ``-v`` was given."""
    return sys.flags.verbose


def _create(
    modname: str, pathname: str, initfuncname: str, finder: Callable[[str], bytes | None], spec: ModuleSpec
) -> ModuleType:
    """import_module() up to what PEP 489 calls the execution phase."""
    base = os.path.basename(pathname)
    try:
        members = {base: _ask(finder, pathname)}
        _gather(members, base, finder)
        archive = _engine.Mount(_packed(members), os.path.dirname(os.path.abspath(pathname)), pathname, ())
        image = archive._load(base, sys.getdlopenflags())
    except (ImageError, LookupError) as error:
        message = f"MemoryLoadLibrary failed loading {pathname}: {getattr(error, 'reason', None) or error} (0)"
        raise ImportError(message, name=modname, path=pathname) from error
    # CPython asks the C library for that path, which has the image under it, and derives the name of the function.
    parent, dot, last = modname.rpartition(".")
    if initfuncname.startswith("PyInit_"):
        last = initfuncname.removeprefix("PyInit_")
    module = _imp.create_dynamic(ModuleSpec(parent + dot + last, spec.loader, origin=image))
    module.__name__ = modname
    return module


def _ask(finder: Callable[[str], bytes | None], name: str) -> bytes:
    """What the finder has. Raises LookupError where it has nothing: it says so by raising anything, or with None."""
    try:
        content = finder(name)
    except Exception as error:
        raise LookupError(f"the finder does not have it: {error!r}") from error
    if content is None:
        raise LookupError("the finder does not have it")
    return content


def _gather(members: dict[str, bytes], name: str, finder: Callable[[str], bytes | None]) -> None:
    """Add the libraries that a member needs, as far as `finder` has them, and what those need."""
    for library in _engine._needed(members[name]):
        if library not in members and "/" not in library:
            with contextlib.suppress(LookupError):  # then it is the system's
                members[library] = _ask(finder, library)
                _gather(members, library, finder)


def _packed(members: dict[str, bytes]) -> bytes:
    """An archive of them, which is what the engine loads from."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in members.items():
            archive.writestr(zipfile.ZipInfo(name), content)
    return buffer.getvalue()
