"""What the benches share: taking turns, what a figure is, the table, and the verdict.

Every measurement is a fresh process. The sides take turns, round after round, so that whatever the machine does
meanwhile falls on all of them alike; the first round is thrown away. A row's figure is the ratio of the two minima: the
least time is what the work takes, all above it is other load. The ratio of the medians stands beside it. Where there is
nothing to compare with, the figure is the largest that was seen.
"""

import argparse
import json
import statistics
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def arguments(about, result, rounds=11, flags=None):
    """The options of every bench; `result` is where the figures go unless it is told otherwise. `flags`: name to help."""
    parser = argparse.ArgumentParser(description=about.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=rounds)
    parser.add_argument("--only", default="", metavar="TEXT", help="rows whose name contains this")
    parser.add_argument("--without", metavar="TEXT", help="no rows whose name contains this")
    parser.add_argument("--json", type=Path, default=ROOT / "build" / result, metavar="FILE")
    for flag, text in (flags or {}).items():
        parser.add_argument(flag, action="store_true", help=text)
    return parser.parse_args()


def chosen(rows, options):
    """The rows that were asked for, and the sides that they need."""
    found = [row for row in rows if options.only in row.name]
    found = [row for row in found if options.without is None or options.without not in row.name]
    if not found:
        sys.exit("bench: no such row")
    return found, list(dict.fromkeys(side for row in found for side in (row.side, row.against) if side))


def collect(sides, rounds, measure, fewer):
    """Side to its list of what `measure(side)` returned; `fewer` names sides that take part in fewer rounds."""
    figures = {side: [] for side in sides}
    for turn in range(rounds + 1):
        order = sides if turn % 2 else sides[::-1]
        for side in order:
            if turn > fewer.get(side, rounds):
                continue
            result = measure(side)
            if turn:
                figures[side].append(result)
        print(f"\rround {turn}/{rounds}", end="", file=sys.stderr, flush=True)
    print(file=sys.stderr)
    return figures


def judge(row, figures):
    """A row's line of the figures that are written."""
    ours = [run[row.measure] for run in figures[row.side]]
    result = {"name": row.name, "at_most": row.at_most, "aim": row.aim}
    if row.against is None:
        return result | {"largest": max(ours), "median": statistics.median(ours)}
    theirs = [run[row.measure] for run in figures[row.against]]
    result["ratio_of_minima"] = min(ours) / min(theirs)
    result["ratio_of_medians"] = statistics.median(ours) / statistics.median(theirs)
    if row.measure == "wall":
        result["cpu_ratio"] = least(figures[row.side], "cpu") / least(figures[row.against], "cpu")
    return result


def conclude(rows, figures, options):
    """Judges the rows, writes and shows what comes of it; whether a figure missed its limit."""
    results = [judge(row, figures) for row in rows]
    options.json.write_text(json.dumps(results, indent=1) + "\n")
    show(results)
    return any(map(missed, results))


def least(runs, measure):
    return min(run[measure] for run in runs)


def _figure(result):
    return result["largest"] if "largest" in result else result["ratio_of_minima"]


def missed(result):
    return result["at_most"] is not None and _figure(result) > result["at_most"]


def show(results):
    width = max(len(result["name"]) for result in results)
    print(f"{'':{width}}  minima  medians  at most    aim")
    for result in results:
        figure, median = _figure(result), result.get("ratio_of_medians", result.get("median"))
        judged = result["at_most"] is not None
        verdict = "" if not judged else "MISSED" if missed(result) else "" if figure > result["aim"] else "aim met"
        limits = f"{result['at_most']:8.3f} {result['aim']:6.3f}" if judged else ""
        print(f"{result['name']:{width}} {figure:7.3f} {median:8.3f} {limits:15}  {verdict}")
