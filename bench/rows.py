"""The comparisons: what is measured, against what, the limit that fails the run and the aim."""

import dataclasses


@dataclasses.dataclass(frozen=True)
class Row:
    name: str
    side: str  # ours, a name in worker.SIDES
    against: str
    at_most: float | None  # None: printed for comparison, not judged
    aim: float | None
    # "wall": the phase inside the process. "process": from start to end, pip's run with it. "memory": bytes.
    measure: str = "wall"


ROWS = [
    Row("stdlib, stored archive / files", "stdlib-stored", "stdlib-files", 0.85, 0.75),
    Row("stdlib, deflated archive / files", "stdlib-deflated", "stdlib-files", 0.95, 0.80),
    Row("stdlib, stored archive / zipimport", "stdlib-stored", "stdlib-zipimport", 0.65, 0.55),
    # The layout that is kindest to zipimport, which reads an archive's directory in Python: bytecode and nothing else.
    Row("stdlib, bytecode alone / zipimport", "stdlib-sourceless", "stdlib-zipimport-sourceless", None, None),
    Row("numpy+pandas, packed archive / venv", "packages-packed", "packages-venv", 0.95, 0.75),
    Row("numpy+pandas, wheels / venv without bytecode", "packages-wheels", "packages-bare", 1.0, 0.9),
    Row("numpy+pandas, wheels / pip install and import", "packages-wheels", "packages-fresh", 0.5, 0.3, "process"),
    Row("open and index 100,000 members / zipimport", "many-intact", "many-zipimport", 0.02, 0.01),
    Row("find a module that is not there / FileFinder", "miss-intact", "miss-files", 0.2, 0.1),
    Row("stat and open of an ordinary path, redirect on / off", "redirect-on", "redirect-off", 1.05, 1.01),
    Row("private memory of numpy+pandas, packed archive / venv", "packages-packed", "packages-venv", 1.1, 1.0, "memory"),
]
