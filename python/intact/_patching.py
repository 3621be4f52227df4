"""Patches modules when a program loads them: they cost too much to be loaded in advance, with every `import intact`."""

from __future__ import annotations

import sys

import _frozen_importlib_external

from intact import _engine, _mounts

TYPE_CHECKING = False  # as in _mounts.py
if TYPE_CHECKING:
    from importlib.machinery import ModuleSpec
    from types import ModuleType
    from typing import Any


_external: Any = _frozen_importlib_external


def find_spec(name: str) -> ModuleSpec | None:
    """The spec that the finders behind ours have, with a loader that patches."""
    parent = sys.modules.get(name.rpartition(".")[0])
    path = parent.__path__ if parent else None
    finders = list(sys.meta_path)
    ours = [i for i, finder in enumerate(finders) if isinstance(finder, _engine.Finder)]
    for finder in finders[ours[0] + 1 if ours else 0 :]:
        find = getattr(finder, "find_spec", None)
        spec: ModuleSpec | None = None if find is None else find(name, path, None)
        if spec is not None:
            _have_patched(spec)
            return spec
    return None


def _have_patched(spec: ModuleSpec) -> None:
    """By the loader's own exec_module where it is the module's alone, as importlib's loaders for files are; else by another loader."""
    loader: Any = spec.loader
    if type(loader) in (_external.SourceFileLoader, _external.SourcelessFileLoader, _external.ExtensionFileLoader):
        loader.exec_module = _Execution(loader, spec.name)
    elif loader is not None:  # as that of a namespace is
        spec.loader = _Patching(loader)  # type: ignore[assignment]


class _Execution:
    """In the place of a loader's exec_module, once. Specs and loaders can be compared, copied and pickled with it."""

    def __init__(self, loader: Any, name: str) -> None:
        self._loader, self._name = loader, name

    def __call__(self, module: Any) -> None:
        self._loader.__dict__.pop("exec_module", None)
        self._loader.exec_module(module)
        _PATCHES[self._name](module)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Execution) and other._name == self._name


class _Patching:
    """A loader for a moment: what it has loaded is patched, and told its own loader again."""

    def __init__(self, loader: Any) -> None:
        self._loader = loader

    def __getattr__(self, name: str) -> Any:
        if name == "_loader":  # of a copy that is being made
            raise AttributeError(name)
        return getattr(self._loader, name)  # for who asks the loader of a module that is not loaded: pkgutil, runpy

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        module: ModuleType | None = self._loader.create_module(spec)
        return module

    def exec_module(self, module: Any) -> None:
        self._loader.exec_module(module)
        module.__loader__ = module.__spec__.loader = self._loader
        apply(module)


def apply(module: Any) -> None:
    """Patch a module that is loaded."""
    _PATCHES[module.__name__](module)


def _patch_starts(module: Any) -> None:
    module.fork_exec = _mounts._handing_over(module.fork_exec, module.__name__)


def _patch_readers(module: Any) -> None:
    """CPython 3.13.0 fails where a namespace portion is a directory and may be inside a zip too; others take the directory."""
    original = module.NamespaceReader._resolve.__func__

    def resolve(cls: type, path: str) -> Any:
        directory = module.pathlib.Path(path)
        return directory if directory.is_dir() else original(cls, path)

    module.NamespaceReader._resolve = classmethod(resolve)


def _patch_abc(module: Any) -> None:
    """The loaders derive from importlib's, which it knows."""
    module.MetaPathFinder.register(_engine.Finder)
    module.PathEntryFinder.register(_engine.EntryFinder)


def _patch_metadata(module: Any) -> None:
    """Metadata is read in small files, and many of them: below a root without a descriptor for each."""
    original = module.PathDistribution.read_text

    def read_text(self: Any, filename: Any) -> Any:
        if not hasattr(self._path, "__fspath__"):  # of a zip, which may lie in a mount
            return original(self, filename)
        content = _engine._contents(f"{self._path}/{filename}")
        if content is NotImplemented:
            return original(self, filename)
        return None if content is None else content.decode("utf-8").replace("\r\n", "\n").replace("\r", "\n")

    read_text.__module__, read_text.__qualname__, read_text.__doc__ = original.__module__, original.__qualname__, original.__doc__
    module.PathDistribution.read_text = read_text


def _patch_pkg_resources(module: Any) -> None:
    """It finds distributions by the kinds of path entry finders that it knows; the set of what is there is made already."""
    if not hasattr(module, "register_finder"):  # another module of that name
        return
    module.register_finder(_engine.EntryFinder, module.find_on_path)
    module.register_namespace_handler(_engine.EntryFinder, module.file_ns_handler)
    known = module.working_set
    for entry in [entry for entry in known.entries if not known.entry_keys[entry]]:
        for distribution in module.find_distributions(entry, only=True):
            known.add(distribution, entry, insert=False)


def _patch_pkgutil(module: Any) -> None:
    """What it does for a zipimporter is to look into that one's cache; ours can tell what is there."""
    from intact import _zipimporter

    def iter_modules(importer: Any, prefix: str = "") -> Any:
        return importer.iter_modules(prefix)

    module.iter_importer_modules.register(_zipimporter.zipimporter, iter_modules)


_PATCHES = {
    "_posixsubprocess": _patch_starts,
    "importlib.abc": _patch_abc,
    "importlib.metadata": _patch_metadata,
    "importlib.resources.readers": _patch_readers,
    "pkg_resources": _patch_pkg_resources,
    "pkgutil": _patch_pkgutil,
}
