"""Runs upstream test suites from mounted, unmodified wheels and from installed files, and compares what failed.

The two lists of failures must be equal: what fails in both is the suite's own affair (a data file that the wheel does not
ship), what fails in one of them is ours. Excepted is one thing that cannot be, and is counted.

    python tests/upstream/compare.py [--only NAME] [--python PATH] [--site DIR]
"""

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
import xml.etree.ElementTree as xml
from collections import Counter
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

from support import packages, wheels  # noqa: E402

TOOLS = ("pytest", "hypothesis")
SUITES = {
    "numpy linalg": (("numpy",), ("numpy/linalg/tests",)),
    "numpy fft": (("numpy",), ("numpy/fft/tests",)),
    "numpy core": (("numpy",), ("numpy/_core/tests",)),
    "pandas groupby": (("pandas",), ("pandas/tests/groupby",)),
    "pandas reshape": (("pandas",), ("pandas/tests/reshape",)),
    "pandas tslibs": (("pandas",), ("pandas/tests/tslibs",)),
}
# As pandas' own continuous integration does without a network or a data base.
PANDAS_MARKS = "not slow and not network and not db"
# A directory in an archive cannot be the working directory, not even of a child (docs/redirect.md).
BY_DESIGN = re.compile(r"PermissionError: \[Errno 13\] Permission denied: .*\.whl/")


def outcomes(junit, folders):
    """Test to ("passed" | "skipped" | "failed", text) from a JUnit file; a test of several phases counts once.

    Tests are named from `folders` on, so that the same test has one name wherever the suite lies.
    """
    found = {}
    for case in xml.parse(junit).getroot().iter("testcase"):
        file = case.get("file") or case.get("classname")
        file = next((file[file.rindex(folder) :] for folder in folders if folder in file), file)
        class_name = case.get("classname").rpartition(Path(file).stem)[2]
        name = re.sub(r"\b0x[0-9a-f]+", "0x", f"{file}{class_name.replace('.', '::')}::{case.get('name')}")
        state, text = "passed", ""
        for child in case:
            if child.tag in ("failure", "error"):
                state, text = "failed", (child.get("message") or "") + (child.text or "")
            elif child.tag == "skipped" and state == "passed":
                state = "skipped"
        if found.get(name, ("passed",))[0] != "failed":
            found[name] = (state, text)
    return found


def session(interpreter, site, sources, suite, scratch):
    """Outcomes of one suite in a fresh process."""
    junit = Path(scratch, "junit.xml")
    junit.unlink(missing_ok=True)
    spec = {"site": site, "sources": sources, "tests": SUITES[suite][1], "junit": str(junit)}
    # Data is fixed, so that two runs of one suite can be compared.
    spec["arguments"] = ["--hypothesis-seed=0", *(["-m", PANDAS_MARKS] if suite.startswith("pandas") else [])]
    command = [interpreter.executable, "-I", "-S", str(HERE / "session.py"), json.dumps(spec)]
    environment = packages.environment(f"{scratch}/home", f"{scratch}/tmp") | {"NPY_TEST_HYPOTHESIS": "0"}
    if site is None:  # for the Pythons that tests start; those of the other session have its mounts
        environment["PYTHONPATH"] = os.pathsep.join(sources)
    done = subprocess.run(command, cwd=scratch, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    found = outcomes(junit, SUITES[suite][1]) if junit.exists() else {}
    if not found:
        sys.exit(f"upstream: {suite} did not run to its end (exit code {done.returncode})\n{done.stdout[-4000:]}")
    return found


def compare(suite, mounted, installed):
    """Prints both counts and every difference; the number of differences that are ours."""
    different, excepted = [], 0
    for name in sorted(mounted.keys() | installed.keys()):
        ours, theirs = mounted.get(name, ("absent", "")), installed.get(name, ("absent", ""))
        if ours[0] == theirs[0]:
            continue
        if ours[0] == "failed" and BY_DESIGN.search(ours[1]):
            excepted += 1
        else:
            different.append((name, ours, theirs))
    for title, found in (("mounted", mounted), ("installed", installed)):
        counts = Counter(state for state, _ in found.values())
        print(f"{suite}, {title}: " + ", ".join(f"{counts[s]} {s}" for s in ("passed", "failed", "skipped")), flush=True)
    if excepted:
        print(f"{suite}: {excepted} more failed mounted, where a directory in an archive was to be the working directory")
    for name, ours, theirs in different:
        print(f"  {name}: mounted {ours[0]}, installed {theirs[0]}\n    {(ours[1] or theirs[1])[-800:]}")
    return len(different)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--only", default="")
    parser.add_argument("--python", default=sys.executable)
    parser.add_argument("--site")
    options = parser.parse_args()
    interpreter = packages.Interpreter.of(options.python, options.site)
    directory = packages.BUILD / "upstream" / interpreter.tag
    wanted = [*TOOLS, *dict.fromkeys(name for needed, _ in SUITES.values() for name in needed)]
    mounted = [str(w) for w in wheels.fetch(wanted, directory, interpreter.executable, dependencies=True)]
    installed = [interpreter.installed(mounted)]

    differences = ran = 0
    for suite in SUITES:
        if options.only in suite:
            with tempfile.TemporaryDirectory() as scratch:
                theirs = session(interpreter, None, installed, suite, scratch)
                ours = session(interpreter, interpreter.site, mounted, suite, scratch)
            ran += len(ours)
            differences += compare(suite, ours, theirs)
    print(f"upstream: {ran} tests compared, {differences} differences")
    return differences > 0 or ran == 0


if __name__ == "__main__":
    sys.exit(main())
