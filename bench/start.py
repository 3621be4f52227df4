"""Measures an application from its start to its end, shipped by `intact pack` and in the ways that people use today.

How is said in compare.py, what is compared in rows.py, how it is built in peers.py and how it is measured in phases.py.

    python bench/start.py [--rounds N] [--only TEXT] [--without TEXT] [--json FILE]

Prints the tables, writes build/bench-start.json, exits 1 when a figure is above "at most".
"""

import json
import sys

import compare
import peers
from phases import Bench
from rows import START_ROWS

ROUNDS = 25  # of what is judged: starts that are a few hundredths apart
# Of what takes seconds, and of what is not judged and needs fewer to be told apart.
FEWER = {"memory": 2, "pack": 3}
FRESH_OF_OTHERS, WARM_OF_OTHERS = 2, 7


def overview(bench, figures):
    """Application to peer to figures, for all that was measured: seconds, bytes, counts."""
    found = {}
    for pair, job in bench.jobs.items():
        app, peer = pair.split("/")
        entry = found.setdefault(app, {})[peer] = {"artefact": peers.size(job.target), "build": bench.building[pair]}
        for phase in ("fresh", "warm"):
            if runs := figures.get(f"{pair}/{phase}"):
                entry |= {f"{phase}_{name}": compare.least(runs, name) for name in ("wall", "cpu")}
                entry |= {f"{phase}_{name}": max(run[name] for run in runs) for name in ("written", "files")}
        if runs := figures.get(f"{pair}/memory"):
            entry["memory"] = compare.least(runs, "memory")
    return found


# Heading, figure, and what it is divided by where it is no ratio to the venv.
COLUMNS = (
    ("first", "fresh_wall", None),
    ("CPU", "fresh_cpu", None),
    ("later", "warm_wall", None),
    ("CPU", "warm_cpu", None),
    ("memory", "memory", None),
    ("MB written", "fresh_written", 1e6),
    ("files", "fresh_files", 1),
    ("later", "warm_written", 1e6),
    ("MB", "artefact", 1e6),
    ("build s", "build", 1),
)


def show(found):
    """One table for each application; times and memory as ratios to the venv."""
    for app, entries in found.items():
        if "venv" not in entries or "warm_wall" not in entries["venv"]:
            continue
        control = entries["venv"]
        print(f"{app + ', against the venv':24}" + "".join(f"{heading:>11}" for heading, _, _ in COLUMNS))
        for peer, entry in entries.items():
            cells = []
            for _, name, unit in COLUMNS:
                known = name in entry and (unit or name in control)
                digits = 0 if unit == 1 else 2
                cells.append(f"{entry[name] / (unit or control[name]):11.{digits}f}" if known else " " * 11)
            print(f"{peer:24}" + "".join(cells))
        print()


def main():
    options = compare.arguments(__doc__, "bench-start.json", ROUNDS)
    rows, sides = compare.chosen(START_ROWS, options)
    tag = f"cp{sys.version_info[0]}{sys.version_info[1]}"
    bench = Bench(compare.ROOT / "build" / "bench" / tag / "start", sides)
    fewer = {}
    for side in sides:
        _, peer, phase = side.split("/")
        fewer[side] = FEWER.get(phase, options.rounds)
        if peer not in ("venv", "intact") and phase in ("fresh", "warm"):
            fewer[side] = FRESH_OF_OTHERS if phase == "fresh" else WARM_OF_OTHERS
    figures = compare.collect(sides, options.rounds, bench.measure, fewer)
    found = overview(bench, figures)
    results = [compare.judge(row, figures) for row in rows]
    wheels = {name: sorted(path.name for path in app.wheels.glob("*.whl")) for name, app in bench.apps.items()}
    options.json.write_text(json.dumps({"rows": results, "apps": found, "wheels": wheels}, indent=1) + "\n")
    show(found)
    limits = [result for result in results if result["at_most"] is not None]
    if limits:
        compare.show(limits)
    return any(map(compare.missed, results))


if __name__ == "__main__":
    sys.exit(main())
