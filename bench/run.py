"""Measures intact against what it stands in for, and fails where a figure misses its limit.

Every measurement is a fresh process. The sides take turns, round after round, so that whatever the machine does
meanwhile falls on all of them alike; inputs are warm (the first round is thrown away). A row's figure is the ratio of the
two minima: the least time is what the work takes, all above it is other load. The ratio of the medians stands beside it.

    python bench/run.py [--rounds N] [--only TEXT]

Prints the table, writes build/bench.json, exits 1 when a ratio of minima is above "at most".
"""

import argparse
import json
import shutil
import statistics
import subprocess
import sys
import time
from pathlib import Path

import inputs
from rows import ROWS

ROOT = Path(__file__).resolve().parents[1]
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


def collect(python, sides, rounds, given, made):
    """Side to its list of figures."""
    figures = {side: [] for side in sides}
    for turn in range(rounds + 1):
        order = sides if turn % 2 else sides[::-1]
        for side in order:
            if turn > FEWER.get(side, rounds):
                continue
            result = measure(python, side, given, made)
            if turn:
                figures[side].append(result)
        print(f"\rround {turn}/{rounds}", end="", file=sys.stderr, flush=True)
    print(file=sys.stderr)
    return figures


def agree(figures):
    """Both sides of the standard-library rows must have imported the same number of modules from what is compared."""
    counts = {side: runs[0]["count"] for side, runs in figures.items() if runs and "count" in runs[0]}
    if len(set(counts.values())) > 1:
        sys.exit(f"bench: the sides did not import the same modules: {counts}")
    if counts and min(counts.values()) < 250:
        sys.exit(f"bench: fewer than 250 modules: {counts}")
    return counts


def judge(row, figures):
    """A row's line of build/bench.json."""
    ours = [run[row.measure] for run in figures[row.side]]
    theirs = [run[row.measure] for run in figures[row.against]]
    result = {
        "name": row.name,
        "ratio_of_minima": min(ours) / min(theirs),
        "ratio_of_medians": statistics.median(ours) / statistics.median(theirs),
        "at_most": row.at_most,
        "aim": row.aim,
    }
    if row.measure == "wall":
        result["cpu_ratio"] = min(r["cpu"] for r in figures[row.side]) / min(r["cpu"] for r in figures[row.against])
    return result


def missed(result):
    return result["at_most"] is not None and result["ratio_of_minima"] > result["at_most"]


def show(results):
    width = max(len(result["name"]) for result in results)
    print(f"{'':{width}}  minima  medians  at most    aim")
    for result in results:
        minima = result["ratio_of_minima"]
        judged = result["at_most"] is not None
        verdict = "" if not judged else "MISSED" if missed(result) else "" if minima > result["aim"] else "aim met"
        limits = f"{result['at_most']:8.3f} {result['aim']:6.3f}" if judged else ""
        numbers = f"{minima:7.3f} {result['ratio_of_medians']:8.3f} {limits:15}"
        print(f"{result['name']:{width}} {numbers}  {verdict}")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=11)
    parser.add_argument("--only", default="", help="rows whose name contains this")
    options = parser.parse_args()
    python = sys.executable
    tag = f"cp{sys.version_info[0]}{sys.version_info[1]}"
    directory = ROOT / "build" / "bench" / tag
    made = inputs.make(python, str(ROOT / "build" / "site" / tag), directory)
    made["packages"]["fresh"] = str(directory / "fresh")
    given = directory / "inputs.json"
    given.write_text(json.dumps(made))

    rows = [row for row in ROWS if options.only in row.name]
    sides = list(dict.fromkeys(side for row in rows for side in (row.side, row.against)))
    figures = collect(python, sides, options.rounds, given, made)
    counts = agree(figures)
    if counts:
        print(f"{min(counts.values())} standard-library modules")
    results = [judge(row, figures) for row in rows]
    (ROOT / "build" / "bench.json").write_text(json.dumps(results, indent=1) + "\n")
    show(results)
    return any(map(missed, results))


if __name__ == "__main__":
    sys.exit(main())
