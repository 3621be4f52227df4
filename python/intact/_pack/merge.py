"""Many wheels in one archive: what installing them would lay out, in a zip that is used where it lies."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field

from intact._names import is_shared_object
from intact._pack import bytecode
from intact._pack.layout import Layout
from intact._pack.writer import ZipWriter, replacing


@dataclass
class Summary:
    """What was written."""

    target: str
    distributions: dict[str, str] = field(default_factory=dict)  # name to version
    files: int = 0
    shared_objects: int = 0
    compiled: int = 0
    size: int = 0  # bytes, of the archive

    def as_json(self) -> dict[str, object]:
        return asdict(self)


def merge(
    wheels: Sequence[str],
    target: str,
    *,
    compress: str = "none",
    compiled: bool = True,
    progress: Callable[[str], None] = lambda line: None,
) -> Summary:
    """Write what all of `wheels` install as one archive, with bytecode for this interpreter unless `compiled` is false.

    The order of `wheels` does not matter. Raises what Layout does, and OSError if `target` cannot be written.
    """
    summary = Summary(os.path.abspath(target))
    sources: list[tuple[str, bytes]] = []
    with replacing(target) as file, ZipWriter(file, compress=compress) as archive:

        def add(path: str, data: bytes, digest: str, executable: bool) -> None:
            archive.add(path, data, executable=executable)
            summary.files += 1
            summary.shared_objects += is_shared_object(path)
            if bytecode.is_module(path):
                sources.append((path, data))

        layout = Layout(add)
        for wheel in sorted(dict.fromkeys(wheels), key=os.path.basename):
            progress(os.path.basename(wheel))
            layout.install(wheel)
        summary.distributions = layout.distributions
        if compiled:
            progress(f"{len(sources)} modules to compile")
            for path, content in bytecode.compile_all(sorted(sources)):
                archive.add(bytecode.cached_path(path), content)
                summary.compiled += 1
    summary.size = os.stat(target).st_size
    return summary
