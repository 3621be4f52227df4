"""memory_importer's PhysfsImporter: imports from what is mounted in physfs, as an entry of ``sys.meta_path``.

Takes the place of the package memory_importer 0.2.0. What a module's attributes are here, `origin` without `__file__` and
`__path__` as a tuple, is that package's behaviour and not the engine's; who wants modules as from files uses
intact.mount(). What differs, and why, is in docs/compat.md.
"""

import marshal
from importlib import _bootstrap, _bootstrap_external

from intact.compat import physfs

TYPE_CHECKING = False  # type checkers take it for typing's, which costs an import
if TYPE_CHECKING:
    from types import ModuleType

__version__ = "0.2.0"  # programs pin it
__author__ = "intact"
__all__ = ["PhysfsImporter", "physfs"]

_SCHEME = "physfs://"
ModuleSpec = _bootstrap.ModuleSpec  # importlib.machinery's, whose import costs more than that of a small module
# PEP 420's path of a namespace package, for which importlib has no public name.
_NamespacePath = _bootstrap_external._NamespacePath  # type: ignore[attr-defined]


class PhysfsImporter:
    """A finder and loader (PEP 451) for pure Python modules in the mounts of physfs, which all importers share.

    ``PhysfsImporter(archive)`` calls physfs.init() if that is still to be done, and mounts `archive` at the root.
    With `debug` set it prints what it is asked to find.
    """

    debug = False

    def __init__(self, *archive: str) -> None:
        if len(archive) > 1:
            raise TypeError(f"PhysfsImporter() takes at most one archive, {len(archive)} given")
        if archive:
            try:
                physfs.init()
            except physfs.PhysfsRuntimeError:
                pass  # it was done
            physfs.mount(archive[0])

    def find_spec(self, fullname: str, path: object = None, target: object = None) -> "ModuleSpec | None":
        """The spec of a module: of the directory NAME, else NAME.pyc, else NAME.py. None if there is none."""
        if self.debug:
            given = {"path": path, "target": target}
            shown = "".join(f", {name}={value}" for name, value in given.items() if value is not None)
            print(f"find_spec(fullname='{fullname}'{shown})")
        place = fullname.replace(".", "/")
        found = _first(place, "", ".pyc", ".py")
        if found is None:
            if self.debug:
                print("Exception: not a module in physfs")
            return None
        if found != place:
            return ModuleSpec(fullname, self, origin=_SCHEME + found)  # type: ignore[arg-type]
        init = _first(place + "/__init__", ".pyc", ".py")
        spec = ModuleSpec(fullname, self, origin=_SCHEME + (init or place), is_package=True)  # type: ignore[arg-type]
        path = (place,) if init else _NamespacePath(fullname, (place,), self.find_spec)
        spec.submodule_search_locations = path  # type: ignore[assignment]
        return spec

    def create_module(self, spec: "ModuleSpec") -> None:
        """Nothing of its own: the import system makes the module."""

    def exec_module(self, module: "ModuleType") -> None:
        """Run the module's code; nothing for a namespace package."""
        path = _origin(module).replace(_SCHEME, "")
        content, inner, found = physfs._find(physfs._mounted or (), path)
        if isinstance(found, str):
            data = physfs.cat(path)  # which raises what is to be raised
        elif found[0] or content is None:  # a directory, where cat() would go on to what older mounts have
            return
        else:
            try:
                data = physfs._read(content, inner)
            except ValueError:  # another thread has unmounted it
                data = physfs.cat(path)
        if path.endswith(".pyc"):
            code = marshal.loads(data[16:])
        else:
            code = compile(data, "<string>", "exec", dont_inherit=True)
        exec(code, module.__dict__)


def _first(stem: str, *suffixes: str) -> "str | None":
    every, path = physfs._mounted or (), physfs._normal(stem)
    if path:
        for suffix in suffixes:
            if not isinstance(physfs._find(every, path + suffix)[2], str):
                return stem + suffix
    return None


def _origin(module: "ModuleType") -> str:
    origin = module.__spec__.origin if module.__spec__ else None
    if origin is None:
        raise ImportError(f"module {module.__name__!r} was not found by PhysfsImporter", name=module.__name__)
    return origin
