"""A trace in the Trace Event Format (complete events, in microseconds), for chrome://tracing and Perfetto."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from intact._trace._text import origin

if TYPE_CHECKING:
    from collections.abc import Iterator

    from intact._trace import Trace
    from intact._trace._modules import Image, Module

_SHARED_OBJECTS = 0  # the number of their track; threads are numbered from 1


def events(trace: Trace) -> dict[str, Any]:
    """What json.dumps makes a file of."""
    tracks = {number: f"thread {number}" for number in sorted({module.thread for module in trace.modules})}
    if trace.images:
        tracks[_SHARED_OBJECTS] = "shared objects"
    named = [_event("M", "thread_name", number, args={"name": name}) for number, name in tracks.items()]
    modules = [event for module in trace.modules for event in _of_module(module)]
    return {"traceEvents": [*named, *modules, *map(_of_image, trace.images)], "displayTimeUnit": "ms"}


def _of_module(module: Module) -> Iterator[dict[str, Any]]:
    facts = {
        "imported by": module.by or None,
        "from": origin(module),
        "path": module.path,
        "bytes": module.bytes,
        "own ms": round(module.own * 1000, 3),
        "failed": module.failed,
    }
    yield _span(module.name, f"import,{module.kind}", module.thread, module.start, module.total, facts)
    for phase, start, end in module.phases:
        yield _span(phase, phase, module.thread, start, end - start, {"module": module.name})


def _of_image(image: Image) -> dict[str, Any]:
    facts = {
        "path": image.path,
        "for": image.module,
        "how": image.how,
        "bytes copied": image.copied,
        "bytes mapped": image.mapped,
        "relocations": image.relocations,
        "reading ms": round(image.reading * 1000, 3),
    }
    seconds = image.linking + image.initialising
    return _span(os.path.basename(image.path), "shared object", _SHARED_OBJECTS, image.start, seconds, facts)


def _span(name: str, category: str, track: int, start: float, seconds: float, args: dict[str, Any]) -> dict[str, Any]:
    return _event("X", name, track, cat=category, ts=round(start * 1e6, 3), dur=round(seconds * 1e6, 3), args=args)


def _event(phase: str, name: str, track: int, **more: Any) -> dict[str, Any]:
    return {"ph": phase, "name": name, "pid": os.getpid(), "tid": track, **more}
