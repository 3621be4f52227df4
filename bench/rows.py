"""The comparisons: what is measured, against what, the limit that fails the run and the aim."""

import dataclasses


@dataclasses.dataclass(frozen=True)
class Row:
    name: str
    side: str  # ours, a name in worker.SIDES, or APP/PEER/PHASE of start.py
    against: str | None  # None: the figure itself is judged
    at_most: float | None  # None: printed for comparison, not judged
    aim: float | None
    # "wall": the phase inside the process. "process": from start to end, pip's run with it. "engine": seconds.
    # "memory", "written": bytes.
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
    Row("bytes of memory for each of 100,000 members, beside its name", "many-memory", None, 120, 90, "memory"),
    Row("find a module that is not there / FileFinder", "miss-intact", "miss-files", 0.2, 0.1),
    Row("stat and open of an ordinary path, redirect on / off", "redirect-on", "redirect-off", 1.05, 1.01),
    Row(
        "private memory of numpy+pandas, packed archive / venv", "packages-packed", "packages-venv", 1.1, 1.0, "memory"
    ),
]

_WAYS = ("intact", "shiv", "pex", "pex-venv", "pyinstaller-onefile", "pyinstaller-onedir")
_START_AIM = {"pure": 0.7, "native": 0.75}


def _start_rows():
    for app, start in _START_AIM.items():
        for way in _WAYS:
            for title, phase, measure, limits in (
                ("start to exit", "warm", "wall", (0.9, start)),
                ("first start to exit", "fresh", "wall", (0.9, start)),
                ("private memory", "memory", "memory", (1.1, 1.0)),
            ):
                sides = f"{app}/{way}/{phase}", f"{app}/venv/{phase}"
                at_most, aim = limits if way == "intact" else (None, None)
                yield Row(f"{app} app, {title}, {way} / venv", *sides, at_most, aim, measure)
        for title, phase in (("at first", "fresh"), ("later", "warm")):
            yield Row(f"{app} app, bytes written {title}, intact", f"{app}/intact/{phase}", None, 0, 0, "written")
    many, few = (f"members-{count}/intact/engine" for count in (20_000, 200))
    yield Row("before the engine runs, intact, 20,000 members / 200", many, few, 1.1, 1.0, "engine")
    yield Row("packing the native app, intact / shiv", "native/intact/pack", "native/shiv/pack", 1.0, 0.5)


START_ROWS = list(_start_rows())

# Against the packages that intact.compat stands in for. memory_importer has no files on the index: zipimport stands for it.
COMPAT_ROWS = [
    Row(
        "mount in memory and read 10,000 stored members / physfs.py",
        "read-stored-ours",
        "read-stored-physfs",
        0.5,
        0.25,
    ),
    Row("the same, deflated / physfs.py", "read-deflated-ours", "read-deflated-physfs", 0.5, 0.25),
    Row(
        "import 200 example modules from memory, bytecode / zipimport", "examples-ours", "examples-zipimport", 0.5, 0.25
    ),
    Row("the same from sources / zipimport", "sources-ours", "sources-zipimport", 0.5, 0.25),
    # Making code of the bytes and running it is half of it, and the same on both sides: what is left of the others' limit.
    Row("the same, bytecode of larger modules / zipimport", "larger-ours", "larger-zipimport", 0.75, 0.55),
]

# Against libarchive's own bsdtar, which reads each into nothing.
FORMAT_ROWS = [
    Row(f"mount and read 5,000 members, {kind} / bsdtar", f"intact/{kind}", f"bsdtar/{kind}", at_most, aim)
    for kind, at_most, aim in (
        ("zip", 0.5, 0.45),
        ("tar.gz", 1.1, 0.9),
        ("7z", 1.1, 1.05),
        # What bsdtar does not do shows in these: to keep what was unpacked, and to give each member to Python.
        ("tar", None, None),
        ("tar.xz", None, None),
        ("tar.zst", None, None),
        ("iso", None, None),
    )
]
