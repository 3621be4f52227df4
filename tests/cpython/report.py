"""docs/compliance.md from the figures of runs and the list of what does not pass. `python report.py` writes it anew."""

import json
import tomllib
from pathlib import Path

import skips
from suites import SUITES, runs_in

HERE = Path(__file__).resolve().parent
FIGURES = HERE / "figures.json"
PAGE = HERE.parents[1] / "docs" / "compliance.md"
BEGIN, END = "<!-- from here on written by tests/cpython/report.py -->", "<!-- up to here -->"
COLUMNS = ("run", "passed", "listed", "failed without us", "skipped", "calls")


def words(row):
    return ", ".join(f"{row.get(column, 0)} {column}" for column in COLUMNS)


def write(version, full_version, table):
    """Takes the figures of one version; suites that were not run keep theirs."""
    figures = _figures()
    rows = {(row["suite"], row["mode"]): row for row in figures.get(version, {}).get("suites", [])}
    rows |= {(row["suite"], row["mode"]): row for row in table}
    order = [(suite, mode) for suite, (_, modes) in SUITES.items() for mode in modes if runs_in(suite, mode, version)]
    figures[version] = {"python": full_version, "suites": [rows[key] for key in order if key in rows]}
    FIGURES.write_text(json.dumps(dict(sorted(figures.items())), indent=1) + "\n")
    PAGE.write_text(page())


def is_stale(version, full_version, row):
    """Whether the page has other figures of this suite on this interpreter. How many calls reach us, and what the suite skips, is the
    machine's affair too."""
    known = _figures().get(version, {})
    rows = {(each["suite"], each["mode"]): each for each in known.get("suites", [])}
    stated = rows.get((row["suite"], row["mode"]), {})
    return known.get("python") == full_version and any(stated.get(c, 0) != row.get(c, 0) for c in ("run", "listed"))


def page():
    """The page as it has to be."""
    text = PAGE.read_text()
    before, after = text.partition(BEGIN)[0], text.partition(END)[2]
    return before + BEGIN + "\n\n" + "\n".join([*_tables(), *_skips(), *_list()]) + "\n" + END + after


def _figures():
    return json.loads(FIGURES.read_text()) if FIGURES.exists() else {}


def _tables():
    for version in _figures().values():
        yield f"### Python {version['python']}\n"
        yield "| suite | in place of CPython's | " + " | ".join(COLUMNS) + " |"
        yield "|---|---|" + "---:|" * len(COLUMNS)
        for row in version["suites"]:
            yield f"| {row['suite']} | {row['mode']} | " + " | ".join(str(row.get(c, 0)) for c in COLUMNS) + " |"
        yield ""


def _skips():
    yield "## Skipped, or failing, without us too\n"
    yield "The driver fails where a test is skipped or fails only with us."
    yield "The reasons are the suites' own. A class or module of which all is skipped stands for its tests.\n"
    for version in _figures().values():
        if lines := list(skips.table(version["suites"])):
            yield from (f"### Not run or failing on Python {version['python']}\n", *lines, "")


def _list():
    yield "## Not passed\n"
    yield "| suite | tests | where | why |"
    yield "|---|---|---|---|"
    for entry in tomllib.loads((HERE / "not_passed.toml").read_text())["not_passed"]:
        where = ", ".join([*entry.get("modes", []), *entry.get("versions", [])]) or "everywhere"
        tests = "<br>".join(f"`{name}`" for name in entry["tests"])
        yield f"| {entry['suite']} | {tests} | {where} | {entry['reason']} |"
    yield ""


if __name__ == "__main__":
    PAGE.write_text(page())
