"""From what the engine recorded to modules and shared objects.

A span is (phase, subject, detail, line, thread, parent, failed, start, end, bytes), as python/ext/trace.h has it; parents come
before what is in them.
"""

from __future__ import annotations

import os
import sys
import zipimport
from dataclasses import dataclass, field
from importlib.machinery import ExtensionFileLoader, SourceFileLoader, SourcelessFileLoader
from typing import Any

from intact import _engine

KINDS = ("source", "bytecode", "extension", "namespace", "built-in", "frozen", "other", "missing")


@dataclass(slots=True)
class Module:
    """One import that was not answered by ``sys.modules``. Times are in seconds."""

    name: str
    importer: str | None  # the module whose code asked for it, which a parent package has from who asked for the child
    line: int  # of the importer; 0 where there is none, as of code in C
    thread: int  # 1 is the one that began the trace
    parent: int | None  # number of the module whose import was under way
    depth: int
    start: float  # since the trace began
    total: float = 0.0  # with everything that it imported
    own: float = 0.0  # without
    found: float = 0.0  # of own: asking the finders,
    decoded: float = 0.0  # making code, or a shared object, of what was found,
    executed: float = 0.0  # and running it; the rest is importlib's
    bytes: int = 0  # read; of what importlib itself read, the size of the file
    kind: str = "missing"  # one of KINDS; source: it was compiled
    place: str = ""  # "archive", "standard library", "interpreter", "disk"; empty if it was not found
    archive: str | None = None  # the root of the mount, or the zip that zipimport read
    path: str | None = None
    failed: bool = False
    phases: list[tuple[str, float, float]] = field(default_factory=list)  # ("found" | "decoded" | "executed", from, to)

    @property
    def by(self) -> str:
        """The importer and the line, as they are shown."""
        return f"{self.importer}:{self.line}" if self.importer and self.line else self.importer or ""


@dataclass(slots=True)
class Image:
    """A shared object that was loaded from a mount. Times are in seconds."""

    path: str
    how: str  # "graft": mapped from the archive, "copy": in memory, "file"
    copied: int  # bytes
    mapped: int
    relocations: int | None  # None: of a file, which the system's dynamic linker read
    start: float  # of linking, since the trace began
    reading: float
    linking: float
    initialising: float
    module: str | None  # that was being imported


def modules(spans: list[tuple[Any, ...]], thread: int, began: int, ended: int) -> list[Module]:
    """The modules that `spans` tell of; `thread` is to be number 1, times are of perf_counter_ns."""
    reader = _Reader(spans, thread, began, ended)
    return reader.read()


class _Reader:
    def __init__(self, spans: list[tuple[Any, ...]], thread: int, began: int, ended: int) -> None:
        self._spans = spans
        self._threads = {thread: 1}
        self._began, self._ended = began, ended
        self._used = {span[5] for span in spans}  # those with something in them
        self._records: list[_Record] = []
        self._owner: list[_Record | None] = []  # by span: whose it is
        self._compiled: dict[int, tuple[Any, ...]] = {}  # by thread: what was last compiled outside of loading

    def read(self) -> list[Module]:
        for number, span in enumerate(self._spans):
            self._owner.append(self._own(number, span))
        for record in self._records:
            record.finish()
        return [record.module for record in self._records]

    def _own(self, number: int, span: tuple[Any, ...]) -> _Record | None:
        _, subject, _, _, thread, parent, failed, *_ = span
        phase = self._phase(number)
        owner = self._owner[parent] if parent >= 0 else None
        if phase == "import":
            return self._add(number, span, owner) if number in self._used or failed else owner
        if phase == "compile" and (parent < 0 or self._phase(parent) == "execute"):
            self._compiled[thread] = span
            return None
        if phase == "execute" and isinstance(subject, str) and (owner is None or subject != owner.module.name):
            return self._add_executed(number, span, owner)
        if owner is not None and (phase != "find" or subject == owner.module.name):
            owner.take(phase, span, *self._interval(span))
        return owner

    def _add_executed(self, number: int, span: tuple[Any, ...], outer: _Record | None) -> _Record:
        """A module that is reloaded, or executed by somebody else than import; it may have been compiled for that."""
        spec = getattr(sys.modules.get(span[1]), "__spec__", None)
        compiled = self._compiled.pop(span[4], None)
        if compiled is None or compiled[1] != getattr(spec, "origin", None):
            record = self._add(number, span, outer)
        else:
            start, end = self._interval(compiled)
            record = self._add(number, span, outer, start)
            record.take("compile", compiled, start, end)
        record.take("execute", span, *self._interval(span))
        return record

    def _add(self, number: int, span: tuple[Any, ...], outer: _Record | None, start: float | None = None) -> _Record:
        _, name, importer, line, thread, parent, failed, *_ = span
        if importer is None and outer is not None:  # code in C, while its module is made or executed
            importer = outer.module.importer if self._phase(parent) == "import" else outer.module.name
        began, end = self._interval(span)
        start = began if start is None else start
        module = Module(
            name=name,
            importer=importer,
            line=line,
            thread=self._threads.setdefault(thread, len(self._threads) + 1),
            parent=None if outer is None else outer.number,
            depth=0 if outer is None else outer.module.depth + 1,
            start=start,
            total=end - start,
            failed=failed,
        )
        record = _Record(len(self._records), module)
        self._records.append(record)
        if outer is not None:
            outer.nest(self._phase_around(number, outer), end - start)
        return record

    def _phase_around(self, number: int, outer: _Record) -> str:
        """What `outer` was at when this span began: the innermost that tells."""
        at = self._spans[number][5]
        while at >= 0 and self._owner[at] is outer:
            phase = self._phase(at)
            if phase in ("execute", "fetch", "find", "load"):
                return phase
            at = self._spans[at][5]
        return "import"

    def _phase(self, number: int) -> str:
        """A span's phase. "fetch" only where a finder does: else it is part of loading."""
        phase: str = self._spans[number][0]
        parent = self._spans[number][5]
        return "decode" if phase == "fetch" and (parent < 0 or self._spans[parent][0] != "find") else phase

    def _interval(self, span: tuple[Any, ...]) -> tuple[float, float]:
        return (span[7] - self._began) / 1e9, ((span[8] or self._ended) - self._began) / 1e9


class _Record:
    """A module, while its spans are put together."""

    def __init__(self, number: int, module: Module) -> None:
        self.number, self.module = number, module
        self._spec: Any = None
        self._times = dict.fromkeys(("import", "find", "fetch", "load", "decode", "compile", "execute"), 0.0)
        self._nested = dict.fromkeys(("import", "find", "fetch", "load", "execute"), 0.0)
        kept = ("find", "fetch", "load", "compile", "execute")
        self._intervals: dict[str, list[tuple[float, float]]] = {phase: [] for phase in kept}

    def nest(self, phase: str, seconds: float) -> None:
        self._nested[phase] += seconds

    def take(self, phase: str, span: tuple[Any, ...], start: float, end: float) -> None:
        self._times[phase] += end - start
        self.module.bytes += span[9]
        if phase in self._intervals:
            self._intervals[phase].append((start, end))
        if phase == "find" and span[2] is not None:
            self._spec = span[2]
        elif phase == "load":
            self._spec = span[1]

    def finish(self) -> None:
        module, times, nested = self.module, self._times, self._nested
        module.own = max(module.total - sum(nested.values()), 0.0)
        module.found = times["find"] - times["fetch"] - nested["find"]
        if self._intervals["execute"]:
            module.executed = times["execute"] - nested["execute"]
            loading = max(times["load"] - times["execute"], 0.0) - nested["load"]
            module.decoded = loading if self._intervals["load"] else times["compile"]
        else:  # a loader that executes by itself
            module.decoded = times["decode"] + times["compile"]
            module.executed = max(times["load"] - module.decoded - nested["load"], 0.0)
        module.decoded += times["fetch"] - nested["fetch"]
        self._find_phases()
        _describe(module, self._spec, compiled=times["compile"] > 0)
        loaded = self._intervals["load"] or self._intervals["execute"]  # else its parent imported it meanwhile
        if loaded and module.bytes == 0 and module.kind in ("source", "bytecode", "extension"):
            module.bytes = _bytes_of(self._spec, module)

    def _find_phases(self) -> None:
        executed, phases = self._intervals["execute"], []
        for start, end in self._intervals["find"]:
            for first, last in self._intervals["fetch"]:
                if start <= first and last <= end:
                    phases += [("found", start, first), ("decoded", first, last)]
                    start = last
            phases.append(("found", start, end))
        for start, end in self._intervals["load"]:
            inside = [first for first, last in executed if start <= first and last <= end]
            middle = min(inside, default=start + self.module.decoded)
            phases += [("decoded", start, middle), *([] if inside else [("executed", middle, end)])]
        if not self._intervals["load"]:
            phases += [("decoded", start, end) for start, end in self._intervals["compile"]]
        phases += [("executed", start, end) for start, end in executed]
        self.module.phases = phases


def _describe(module: Module, spec: Any, *, compiled: bool) -> None:
    """Kind, place and path, by what the finders answered."""
    if spec is None:
        loaded = None if module.failed else sys.modules.get(module.name)
        spec = getattr(loaded, "__spec__", None)
    if spec is None:
        return
    loader, origin = getattr(spec, "loader", None), getattr(spec, "origin", None)
    locations = getattr(spec, "submodule_search_locations", None) or ()
    if origin in ("built-in", "frozen"):
        module.kind, module.place = origin, "interpreter"
        return
    module.kind = _kind(loader, origin, bool(locations), compiled)
    if isinstance(origin, str):
        module.path = origin
    elif module.kind == "namespace":
        module.path = os.pathsep.join(str(place) for place in locations)
    found = getattr(loader, "_found", None)
    if found is not None:
        module.archive, module.place = found.root, "archive"
    elif module.path is not None:
        root = next((root for root in [*_engine._roots(), *_zips()] if module.path.startswith(root + "/")), None)
        library: str = sys._stdlib_dir  # type: ignore[attr-defined]
        standard = module.path.startswith(library + "/") and "-packages/" not in module.path
        module.archive, module.place = root, "archive" if root else "standard library" if standard else "disk"


def _kind(loader: object, origin: object, package: bool, compiled: bool) -> str:
    if origin is None and package:
        return "namespace"
    if isinstance(loader, zipimport.zipimporter):
        return {".py": "source", ".pyc": "bytecode", ".so": "extension"}.get(os.path.splitext(str(origin))[1], "other")
    if isinstance(loader, ExtensionFileLoader):
        return "extension"
    if isinstance(loader, (SourceFileLoader, SourcelessFileLoader)):
        return "source" if compiled else "bytecode"
    return "other"


def _zips() -> list[str]:
    """The archives that zipimport has read."""
    importers = [each for each in sys.path_importer_cache.values() if isinstance(each, zipimport.zipimporter)]
    return [each.archive for each in importers if hasattr(each, "archive")]  # a subclass may have none


def _bytes_of(spec: Any, module: Module) -> int:
    """The size of the file that importlib or zipimport read; of one in a zip, unpacked."""
    loader, path = getattr(spec, "loader", None), module.path or ""
    if isinstance(loader, zipimport.zipimporter):
        archive = getattr(loader, "archive", "")
        entry = zipimport._zip_directory_cache.get(archive, {}).get(path.removeprefix(archive + os.sep))  # type: ignore[attr-defined]
        return entry[3] if entry else 0
    cached = _size(getattr(spec, "cached", None)) if module.kind == "bytecode" else 0
    return cached or _size(path)


def _size(path: str | None) -> int:
    try:
        return os.stat(path).st_size if path else 0
    except (OSError, ValueError):
        return 0


def images(imported: list[Module], began: int, ended: int) -> list[Image]:
    """The shared objects that were linked between the two times."""
    known = []
    for (path, how, copied, mapped), relocations, reading, start, linking, initialising in _engine._image_times():
        if not began <= start <= ended:
            continue
        at = (start - began) / 1e9
        around = [module for module in imported if module.start <= at <= module.start + module.total]
        known.append(
            Image(
                path=path,
                how=how,
                copied=copied,
                mapped=mapped,
                relocations=None if relocations < 0 else relocations,
                start=at,
                reading=reading / 1e9,
                linking=linking / 1e9,
                initialising=initialising / 1e9,
                module=max(around, key=lambda module: module.depth).name if around else None,
            )
        )
    return known


def slow(imported: list[Module], loaded: list[Image], most: int) -> list[tuple[Module, str]]:
    """What took longest by itself, and why."""
    longest = sorted(imported, key=lambda module: module.own, reverse=True)[:most]
    return [(module, _reason(module, loaded)) for module in longest]


def _reason(module: Module, loaded: list[Image]) -> str:
    if module.kind == "missing":
        return "looked for in vain"
    times = {"found": module.found, "decoded": module.decoded, "executed": module.executed}
    times["waiting"] = module.own - sum(times.values())
    longest = max(times, key=lambda phase: times[phase])
    if longest == "waiting":
        return "importlib itself, or waiting for another thread"
    if longest == "found":
        return "finding it"
    if longest == "executed":
        return "running its code"
    if module.kind == "source":
        return "compiling it: there was no valid bytecode"
    own = [image for image in loaded if image.module == module.name]
    if not own:
        return "reading and decoding it"
    copied = [image for image in own if image.how == "copy" and image.reading > image.linking + image.initialising]
    return "unpacking shared objects: stored and page-aligned they are mapped" if copied else "linking shared objects"
