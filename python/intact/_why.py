"""Explaining a module: every place that was considered, in order, and what came of it."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Sequence
from importlib.machinery import ModuleSpec

import intact

TYPE_CHECKING = False  # type checkers take it for typing's, which costs an import
if TYPE_CHECKING:
    from typing import Any


def explain(module: str, archives: Sequence[str], **options: Any) -> dict[str, Any]:
    """Mount `archives`, with these options of intact.mount, and find `module`, its parents being imported for it.

    Keys: module; found (bool); origin and kind (None where not found); considered, a list of {place, verdict}.
    """
    for archive in archives:
        intact.mount(archive, **options)
    considered = [{"place": m.root, "verdict": _verdict(m, module)} for m in intact.mounts()]
    try:
        spec = importlib.util.find_spec(module) if module else None
    except Exception as error:  # a parent package may raise anything when it is imported
        considered.append({"place": "import", "verdict": f"{type(error).__name__}: {error}"})
        spec = None
    return {
        "module": module,
        "found": spec is not None,
        "origin": _origin(spec),
        "kind": _kind(spec),
        "considered": considered,
    }


def show(explanation: dict[str, Any]) -> None:
    if explanation["found"]:
        print(f"{explanation['module']}: {explanation['kind']}, {explanation['origin']}")
    else:
        print(f"{explanation['module']}: not found")
    for place in explanation["considered"]:
        print(f"  {place['place']}: {place['verdict']}")


def _verdict(mount: intact.Mount, module: str) -> str:
    top = module.partition(".")[0]
    if top in sys.stdlib_module_names and not mount.first:
        return f"passed over: {top} is in the standard library (mount with first=True to shadow it)"
    directory, _, name = module.replace(".", "/").rpartition("/")
    in_package = [
        f"{module.replace('.', '/')}/{child}"
        for child in mount._list(module.replace(".", "/"))
        if child.startswith("__init__.")
    ]
    beside = [
        f"{directory}/{child}".lstrip("/")
        for child in mount._list(directory)
        if child.partition(".")[0] == name and "." in child
    ]
    candidates = sorted(in_package) + sorted(beside)
    if candidates:
        return "has " + ", ".join(candidates)
    if mount._list(module.replace(".", "/")):
        return "has a directory without __init__: a namespace portion"
    return "has no such module"


def _origin(spec: ModuleSpec | None) -> str | None:
    if spec is None:
        return None
    return spec.origin or ", ".join(spec.submodule_search_locations or ())


def _kind(spec: ModuleSpec | None) -> str | None:
    if spec is None:
        return None
    if spec.loader is None or spec.origin is None:
        return "namespace package"
    names = {"SourceLoader": "source", "BytecodeLoader": "bytecode", "ExtensionLoader": "extension"}
    kind = names.get(type(spec.loader).__name__)
    if kind is None:
        return "outside the mounts"
    return kind if spec.submodule_search_locations is None else f"package, {kind}"
