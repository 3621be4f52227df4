"""A trace as text, for terminals and logs."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from intact._trace import Trace
    from intact._trace._modules import Module


def render(trace: Trace) -> str:
    """The whole trace, milliseconds and bytes."""
    lines = [summary(trace), ""]
    if trace.modules:
        lines.append("    total      own    found  decoded executed      bytes  kind        module")
        lines += [_row(module) for module in trace.modules]
        lines += ["", "what was slow, by its own time:"]
        lines += [f"{ms(module.own):>9}  {shown(module.name)}: {reason}" for module, reason in trace.slow()]
    if trace.images:
        lines += [
            "",
            "shared objects:",
            "  reading  linking initialising  relocations     copied     mapped  how    path",
        ]
        for each in trace.images:
            relocations = "-" if each.relocations is None else f"{each.relocations:,}"
            lines.append(
                f"{ms(each.reading):>9}{ms(each.linking):>9}{ms(each.initialising):>13}{relocations:>13}"
                f"{each.copied:>11,}{each.mapped:>11,}  {each.how:5}  {shown(each.path)}"
            )
    return "\n".join(lines) + "\n"


def summary(trace: Trace) -> str:
    """One line: how much of what."""
    importing = sum(module.total for module in trace.modules if module.parent is None)
    threads = len({module.thread for module in trace.modules})
    found = sum(not module.failed for module in trace.modules)
    parts = [
        f"{found} modules imported in {ms(importing)} of {ms(trace.seconds)} ms",
        f"{sum(module.bytes for module in trace.modules):,} bytes read",
        f"{len(trace.images)} shared objects, {sum(image.relocations or 0 for image in trace.images):,} relocations",
    ]
    if failed := len(trace.modules) - found:
        parts.append(f"{failed} imports failed")
    if threads > 1:
        parts.append(f"{threads} threads")
    return "; ".join(parts)


def ms(seconds: float) -> str:
    return f"{seconds * 1000:.2f}"


def shown(text: str) -> str:
    """A name without what would move a terminal's cursor."""
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)


def origin(module: Module) -> str:
    """Where it came from, in a word: the archive, or what kind of place."""
    return os.path.basename(module.archive) if module.archive else module.place


def _row(module: Module) -> str:
    times = (module.total, module.own, module.found, module.decoded, module.executed)
    name = "  " * module.depth + shown(module.name)
    kind = "failed" if module.failed and module.kind != "missing" else module.kind
    return "".join(f"{ms(each):>9}" for each in times) + f"{module.bytes:>11,}  {kind:10}  {name}"
