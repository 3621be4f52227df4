"""Runs upstream test suites from mounted, unmodified wheels and from installed files, and compares what failed.

The two lists of failures must be equal: what fails in both is the suite's own affair (a data file that the wheel does not
ship), what fails in one of them is ours. Tests that start another Python are left out of the comparison: a child does
not inherit mounts yet.

    python tests/upstream/compare.py [--only NAME] [--python PATH] [--site DIR]
"""

import argparse
import json
import os
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
# Words in a test's outcome that mean that it started another program, which cannot see the mounts.
CHILD = ("subprocess", "CalledProcessError", "sys.executable", "run_subprocess")


def outcomes(junit):
    """Test to ("passed" | "skipped" | "failed", text) from a JUnit file; a test of several phases counts once."""
    found = {}
    for case in xml.parse(junit).getroot().iter("testcase"):
        name = f"{case.get('file') or case.get('classname')}::{case.get('classname')}::{case.get('name')}"
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
    # Order and data are fixed, so that two runs of one suite can be compared.
    spec["arguments"] = ["--hypothesis-seed=0", "-m", "not slow and not network and not db and not single_cpu"]
    command = [interpreter.executable, "-I", "-S", str(HERE / "session.py"), json.dumps(spec)]
    environment = packages.environment(scratch) | {"NPY_TEST_HYPOTHESIS": "0"}
    done = subprocess.run(command, cwd=scratch, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if not junit.exists():
        sys.exit(f"upstream: {suite} did not run to its end (exit code {done.returncode})\n{done.stdout[-4000:]}")
    return outcomes(junit)


def relative(found, sources):
    """The same outcomes, with what names the place they came from taken out of the tests' names."""
    plain = {}
    for name, outcome in found.items():
        for source in sources:
            name = name.replace(source + "/", "").replace(source.strip("/").replace("/", ".") + ".", "")
        plain[name] = outcome
    return plain


def compare(suite, mounted, installed):
    """Prints both counts and every difference; the number of differences that are ours."""
    different = []
    for name in sorted(mounted.keys() | installed.keys()):
        ours, theirs = mounted.get(name, ("absent", "")), installed.get(name, ("absent", ""))
        if ours[0] != theirs[0] and not any(word in ours[1] for word in CHILD):
            different.append((name, ours, theirs))
    for title, found in (("mounted", mounted), ("installed", installed)):
        counts = Counter(state for state, _ in found.values())
        print(f"{suite}, {title}: " + ", ".join(f"{counts[s]} {s}" for s in ("passed", "failed", "skipped")), flush=True)
    excepted = sum(
        1 for name, (state, text) in mounted.items() if state == "failed" and any(word in text for word in CHILD)
    )
    if excepted:
        print(f"{suite}: {excepted} failed in starting another program and are not compared")
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
                os.chmod(scratch, 0o755)
                theirs = relative(session(interpreter, None, installed, suite, scratch), installed)
                ours = relative(session(interpreter, interpreter.site, mounted, suite, scratch), mounted)
            ran += len(ours)
            differences += compare(suite, ours, theirs)
    print(f"upstream: {ran} tests compared, {differences} differences")
    return differences > 0 or ran == 0


if __name__ == "__main__":
    sys.exit(main())
