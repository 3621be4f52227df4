"""Patches _posixsubprocess when a program loads it: it costs too much to be loaded in advance, with every `import intact`."""

from __future__ import annotations

import sys

from intact import _engine, _mounts

TYPE_CHECKING = False  # as in _mounts.py
if TYPE_CHECKING:
    from importlib.machinery import ModuleSpec
    from types import ModuleType
    from typing import Any


def find_spec(name: str) -> ModuleSpec | None:
    """The spec that the other finders have, with a loader that patches."""
    for finder in sys.meta_path:
        spec = None if isinstance(finder, _engine.Finder) else finder.find_spec(name, None)
        if spec is not None:
            spec.loader = _Patching(spec.loader)  # type: ignore[assignment]
            return spec
    return None


class _Patching:
    """A loader for a moment: what it has loaded is patched, and told its own loader again."""

    def __init__(self, loader: Any) -> None:
        self._loader = loader

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        module: ModuleType | None = self._loader.create_module(spec)
        return module

    def exec_module(self, module: Any) -> None:
        self._loader.exec_module(module)
        module.__loader__ = module.__spec__.loader = self._loader
        module.fork_exec = _mounts._handing_over(module.fork_exec)
