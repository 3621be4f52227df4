"""Measures intact against what it stands in for, and fails where a figure misses its limit.

How is said in compare.py. Inputs are warm.

    python bench/run.py [--rounds N] [--only TEXT] [--without TEXT] [--json FILE]

Prints the table, writes build/bench.json, exits 1 when a ratio of minima is above "at most".
"""

import json
import shutil
import subprocess
import sys
import time
from pathlib import Path

import compare
import inputs
from rows import ROWS

WORKER = Path(__file__).with_name("worker.py")
# Sides that take many seconds, or whose figure is far from its limit, would take most of the run's time.
FEWER = {"packages-fresh": 3, "many-zipimport": 5}
# Bytecode is not written by a bench; where a side would want it, it is there (or the row says that it is not).
OPTIONS = ("-I", "-S", "-B")


def measure(python, side, given, made):
    """One fresh process; the figures it printed, and under "process" the time from its start to its end."""
    installing = 0.0
    if side == "packages-fresh":
        installing = install_fresh(python, made)
    start = time.perf_counter()
    done = subprocess.run([python, *OPTIONS, str(WORKER), side, str(given)], capture_output=True, text=True)
    elapsed = time.perf_counter() - start
    if done.returncode:
        sys.exit(f"bench: {side} failed\n{done.stderr}")
    figures = json.loads(done.stdout.splitlines()[-1])
    return figures | {"process": elapsed + installing}


def install_fresh(python, made):
    """Seconds that pip takes to install the wheels; the place for them was made before the clock starts."""
    target = Path(made["packages"]["fresh"])
    if target.exists():
        shutil.rmtree(target)
    command = [python, "-m", "pip", "--disable-pip-version-check", "install", "-q", "--no-deps", "--no-index"]
    start = time.perf_counter()
    subprocess.run([*command, "--target", str(target), *made["packages"]["wheels"]], check=True)
    return time.perf_counter() - start


def agree(figures):
    """Both sides of the standard-library rows must have imported the same number of modules from what is compared."""
    counts = {side: runs[0]["count"] for side, runs in figures.items() if runs and "count" in runs[0]}
    if len(set(counts.values())) > 1:
        sys.exit(f"bench: the sides did not import the same modules: {counts}")
    if counts and min(counts.values()) < 250:
        sys.exit(f"bench: fewer than 250 modules: {counts}")
    return counts


def main():
    options = compare.arguments(__doc__, "bench.json")
    rows, sides = compare.chosen(ROWS, options)
    python = sys.executable
    tag = f"cp{sys.version_info[0]}{sys.version_info[1]}"
    directory = compare.ROOT / "build" / "bench" / tag
    made = inputs.make(python, str(compare.ROOT / "build" / "site" / tag), directory)
    made["packages"]["fresh"] = str(directory / "fresh")
    given = directory / "inputs.json"
    given.write_text(json.dumps(made))

    figures = compare.collect(sides, options.rounds, lambda side: measure(python, side, given, made), FEWER)
    counts = agree(figures)
    if counts:
        print(f"{min(counts.values())} standard-library modules")
    return compare.conclude(rows, figures, options)


if __name__ == "__main__":
    sys.exit(main())
