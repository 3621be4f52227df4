"""A trace as one HTML page that needs nothing else (page.html, page.css, page.js).

What is traced is anybody's: every name is escaped, and the page's policy allows the one script that it has and nothing to be
loaded.
"""

from __future__ import annotations

import base64
import hashlib
import json
import pkgutil
import re
import sys
from html import escape
from typing import TYPE_CHECKING, Any

from intact import __version__
from intact._trace._modules import KINDS
from intact._trace._text import ms, origin

if TYPE_CHECKING:
    from intact._trace import Trace
    from intact._trace._modules import Image, Module

_PHASES = ("found", "decoded", "executed")
_TIMES = ("total", "own", *_PHASES)
# key of the address, title, whether it is a number
_COLUMNS = (
    ("name", "module", False),
    ("by", "imported by", False),
    ("from", "from", False),
    ("kind", "kind", False),
    ("start", "start", True),
    *((key, key, True) for key in _TIMES),
    ("bytes", "bytes", True),
)


def render(trace: Trace) -> str:
    """The page."""
    script = _file("page.js")
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    parts = {
        "title": _text(trace.title),
        "style": _file("page.css"),
        "script": script,
        "script_hash": f"sha256-{digest}",
        "figures": _figures(trace),
        "legend": _legend(trace.modules),
        "slow": _slow(trace.slow()),
        "columns": "".join(_column(*column) for column in _COLUMNS),
        "rows": "\n".join(map(_row, trace.modules)),
        "images": _images(trace.images) if trace.images else "",
        "version": _text(__version__),
        "python": _text(f"Python {sys.version.split()[0]}"),
        "data": _data(trace),
    }
    # In one pass: what is put in stays as it is.
    return re.sub(r"\{\{(\w+)\}\}", lambda found: parts[found[1]], _file("page.html"))


def _file(name: str) -> str:
    data = pkgutil.get_data(__package__, name)
    assert data is not None
    return data.decode()


def _text(text: str) -> str:
    """A str as HTML, lone surrogates (of a path that is no UTF-8) in a form that has an encoding."""
    return escape(text.encode("utf-8", "backslashreplace").decode())


def _data(trace: Trace) -> str:
    """For the script, as JSON in which nothing can end the element that it stands in."""
    modules: list[dict[str, Any]] = [
        {
            "name": module.name,
            "by": module.by,
            "thread": module.thread,
            "depth": module.depth,
            "start": _ms(module.start),
            **{key: _ms(getattr(module, key)) for key in _TIMES},
            "bytes": module.bytes,
            "kind": module.kind,
            "from": origin(module),
            "phases": [[phase, _ms(start), _ms(end)] for phase, start, end in module.phases],
        }
        for module in trace.modules
    ]
    facts = {
        "modules": modules,
        "threads": sorted({module.thread for module in trace.modules}),
        "from": min((each["start"] for each in modules), default=0),
        "to": max((each["start"] + each["total"] for each in modules), default=0),
    }
    return json.dumps(facts).replace("<", "\\u003c")


def _ms(seconds: float) -> float:
    return round(seconds * 1000, 4)


def _figures(trace: Trace) -> str:
    importing = sum(module.total for module in trace.modules if module.parent is None)
    figures = [
        ("modules imported", f"{sum(not module.failed for module in trace.modules):,}"),
        ("imports failed", f"{sum(module.failed for module in trace.modules):,}"),
        ("importing", f"{ms(importing)} ms"),
        ("traced in all", f"{ms(trace.seconds)} ms"),
        ("read", f"{sum(module.bytes for module in trace.modules):,} bytes"),
        ("shared objects", f"{len(trace.images):,}"),
        ("relocations", f"{sum(image.relocations or 0 for image in trace.images):,}"),
    ]
    return "".join(f"<div><dt>{title}</dt><dd>{figure}</dd></div>" for title, figure in figures)


def _legend(modules: list[Module]) -> str:
    kinds = [kind for kind in KINDS if any(module.kind == kind for module in modules)]
    titles = {"source": "source, compiled", "missing": "not found"}
    entries = [f'<span><i style="background:var(--{kind})"></i>{titles.get(kind, kind)}</span>' for kind in kinds]
    entries += [f'<span><i class="phase" style="background:var(--{phase})"></i>{phase}</span>' for phase in _PHASES]
    return "".join(entries)


def _slow(modules: list[tuple[Module, str]]) -> str:
    longest = max((module.own for module, _ in modules), default=0) or 1
    lines = []
    for module, reason in modules:
        shares = [(phase, max(getattr(module, phase), 0) / longest * 100) for phase in _PHASES]
        bar = "".join(f'<i style="background:var(--{phase});width:{share:.2f}%"></i>' for phase, share in shares)
        lines.append(
            f"<li><code>{_text(module.name)}</code><b>{ms(module.own)} ms</b>"
            f'<span class="bar" aria-hidden="true">{bar}</span><span class="why">{reason}</span></li>'
        )
    return "".join(lines)


def _column(key: str, title: str, number: bool) -> str:
    return f'<th scope="col" data-key="{key}"{_class(number)}><button type="button">{title}</button></th>'


def _class(number: bool) -> str:
    return ' class="n"' if number else ""


def _row(module: Module) -> str:
    place = f' title="{_text(module.path)}"' if module.path else ""
    cells = [
        f"<td><code>{_text(module.name)}</code></td>",
        f'<td class="by">{_text(module.by)}</td>',
        f'<td class="place"{place}>{_text(origin(module))}</td>',
        f'<td class="kind"><i style="background:var(--{module.kind})"></i>{module.kind}</td>',
        *(_number(_ms(getattr(module, key)), ms(getattr(module, key))) for key in ("start", *_TIMES)),
        _number(module.bytes, f"{module.bytes:,}"),
    ]
    start = '<tr class="failed">' if module.failed else "<tr>"
    return f"{start}{''.join(cells)}</tr>"


def _number(value: float, shown: str) -> str:
    return f'<td class="n" data-v="{value}">{shown}</td>'


def _images(images: list[Image]) -> str:
    titles = ("reading", "linking", "initialising", "relocations", "copied", "mapped")
    columns = ("path", "for", "how", *titles)
    head = "".join(f'<th scope="col"{_class(title in titles)}><span>{title}</span></th>' for title in columns)
    rows = "\n".join(map(_image, images))
    return f"""<section aria-labelledby="images">
<h2 id="images">Shared objects</h2>
<p class="note">Loaded from mounts. A graft is mapped from the archive; a copy lies in memory, because its member is
compressed or not on a page boundary, or because it cannot be mapped.</p>
<div class="scroll"><table id="shared-objects"><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table></div>
</section>"""


def _image(image: Image) -> str:
    numbers: list[Any] = [(_ms(each), ms(each)) for each in (image.reading, image.linking, image.initialising)]
    numbers.append((-1, "") if image.relocations is None else (image.relocations, f"{image.relocations:,}"))
    numbers += [(each, f"{each:,}") for each in (image.copied, image.mapped)]
    texts = f"<td><code>{_text(image.path)}</code></td><td><code>{_text(image.module or '')}</code></td><td>{image.how}</td>"
    return f"<tr>{texts}{''.join(_number(*each) for each in numbers)}</tr>"
