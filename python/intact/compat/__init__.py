"""Drop-in replacements for other packages that import from archives: docs/compat.md.

    import intact.compat
    intact.compat.enable("memory_importer")
    from memory_importer import PhysfsImporter, physfs  # ours

Nothing here is imported by ``import intact``.
"""

import importlib
import sys

TYPE_CHECKING = False  # type checkers take it for typing's, which costs an import
if TYPE_CHECKING:
    from types import ModuleType

__all__ = ["enable"]

# What is enabled, and under which names which module of this package stands then.
_LAYERS = {
    "memimport": {"memimport": "memimport"},
    "memory_importer": {"memory_importer": "memory_importer", "memory_importer.physfs": "physfs"},
    "physfs": {"physfs": "physfs"},
    "zipextimporter": {"zipextimporter": "zipextimporter", "_memimporter": "zipextimporter"},
}


def enable(name: str) -> "ModuleType":
    """Have ``import NAME`` give ours from now on, in this interpreter, and return it.

    `name` is "memimport", "memory_importer" (with ``memory_importer.physfs``), "physfs" or "zipextimporter" (with
    ``_memimporter``).
    Takes the place of an installed package of that name, also of one that is imported already; whoever holds objects of
    that one keeps them. Raises ValueError for other names.
    """
    if name not in _LAYERS:
        raise ValueError(f"no replacement for {name!r}; there are {', '.join(_LAYERS)}")
    for alias, ours in _LAYERS[name].items():
        sys.modules[alias] = importlib.import_module(f"{__name__}.{ours}")
    return sys.modules[name]
