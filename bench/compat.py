"""Measures intact.compat against the packages that it stands in for, and fails where a figure misses its limit.

physfs.py is fetched from the index, in the version that intact.compat takes the place of; without it the bench fails, unless
``--without physfs.py`` leaves its rows out. How is measured is said in compare.py.

    python bench/compat.py [--rounds N] [--only TEXT] [--without TEXT] [--json FILE]

Prints the table, writes build/bench-compat.json, exits 1 when a ratio of minima is above "at most".
"""

import json
import subprocess
import sys
import zipfile
from pathlib import Path

import compare
import inputs  # noqa: F401  (puts tests/ on sys.path)
from rows import COMPAT_ROWS
from support import archives, wheels

WORKER = Path(__file__).with_name("compat_worker.py")
MEMBERS, MODULES = 10_000, 200
# A module as memory_importer's own examples have it, and one as applications have it: some 60 lines, functions and classes.
_EXAMPLE = "VALUE = {i}\n\n\ndef flag():\n    return 'module{i}'\n"
_LARGER = _EXAMPLE + "".join(
    f'''

def function_{n}(first, second=None, *rest, **options):
    """Adds what it is given, as functions of an application do."""
    if second is None:
        second = options.get("second", {n})
    return [first, second, *rest]


class Class{n}:
    """Holds a name and a value."""

    def __init__(self, name, value={n}):
        self.name, self.value = name, value

    def __repr__(self):
        return f"Class{n}({{{{self.name!r}}}}, {{{{self.value!r}}}})"
'''
    for n in range(3)
)


def original(directory):
    """The directory with physfs.py."""
    try:
        [wheel] = wheels.fetch([wheels.PHYSFS], directory / "originals-wheels", sys.executable)
    except subprocess.CalledProcessError:
        sys.exit(f"bench: pip does not get {wheels.PHYSFS}; --without physfs.py leaves the rows out that compare with it")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(directory / "originals")
    return str(directory / "originals")


def write(path, members, compression):
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in members.items():
            archives.add(archive, name, data, compression=compression)
    return str(path)


def modules(template, compiled):
    """MODULES modules in packages of twenty; as bytecode they stand where both importers look for it."""
    made = {}
    for i in range(MODULES):
        for name, text in ((f"package{i // 20}/__init__.py", ""), (f"package{i // 20}/module{i}.py", template)):
            source = text.format(i=i).encode()
            made[name + "c" * compiled] = archives.bytecode(name, source) if compiled else source
    return made


def make(site, directory, sides):
    directory.mkdir(parents=True, exist_ok=True)
    text = "The quick brown fox jumps over the lazy dog, number {}.\n"
    members = {f"data/part{i // 100}/member{i}.txt": (text.format(i) * (i % 40)).encode() for i in range(MEMBERS)}
    deflated = zipfile.ZIP_DEFLATED
    return {
        "site": site,
        "originals": original(directory) if any(side.endswith("physfs") for side in sides) else None,
        "names": list(members),
        "modules": [f"package{i // 20}.module{i}" for i in range(MODULES)],
        "stored": write(directory / "compat-stored.zip", members, zipfile.ZIP_STORED),
        "deflated": write(directory / "compat-deflated.zip", members, deflated),
        "examples": write(directory / "compat-examples.zip", modules(_EXAMPLE, True), deflated),
        "sources": write(directory / "compat-sources.zip", modules(_EXAMPLE, False), deflated),
        "larger": write(directory / "compat-larger.zip", modules(_LARGER, True), deflated),
    }


def measure(side, given):
    command = [sys.executable, "-I", "-S", "-B", str(WORKER), side, str(given)]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"bench: {side} failed\n{done.stderr}")
    return json.loads(done.stdout.splitlines()[-1])


def main():
    options = compare.arguments(__doc__, "bench-compat.json")
    tag = f"cp{sys.version_info[0]}{sys.version_info[1]}"
    directory = compare.ROOT / "build" / "bench" / tag
    rows, sides = compare.chosen(COMPAT_ROWS, options)
    made = make(str(compare.ROOT / "build" / "site" / tag), directory, sides)
    given = directory / "compat-inputs.json"
    given.write_text(json.dumps(made))

    figures = compare.collect(sides, options.rounds, lambda side: measure(side, given), {})
    for row in rows:
        counts = {figures[side][0]["count"] for side in (row.side, row.against)}
        if len(counts) > 1:
            sys.exit(f"bench: the sides of {row.name!r} did not do the same: {counts}")
    return compare.conclude(rows, figures, options)


if __name__ == "__main__":
    sys.exit(main())
