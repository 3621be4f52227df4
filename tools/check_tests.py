"""Fails when a test file exists that nothing runs: a *_test.cc that is in no test program, a test_*.py not collected.

    python tools/check_tests.py BUILD_DIRECTORY

BUILD_DIRECTORY has been built by CMake. Files are asked of the tree, tests of ctest and of pytest.
"""

import json
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
# TEST(Suite, Name), TEST_F and TEST_P.
DECLARED = re.compile(r"^\s*TEST(?:_F|_P)?\(\s*(\w+)\s*,\s*(\w+)\s*\)", re.M)
FOLDERS = ("core", "python", "launcher", "fuzz", "tests")


def cpp_problems(build):
    """C++ test files that are not compiled, and tests in them that ctest does not know."""
    commands = json.loads((build / "compile_commands.json").read_text())
    compiled = {Path(command["file"]).resolve() for command in commands}
    listing = subprocess.run(["ctest", "--test-dir", build, "-N"], check=True, capture_output=True, text=True).stdout
    # "layer.Suite.Name", and of a parameterised test "layer.Instance/Suite.Name/Parameter".
    known = set(re.findall(r"(?:[./]|: )(\w+\.\w+)(?=/|\s|$)", listing))
    for path in (p for folder in FOLDERS for p in sorted((ROOT / folder).rglob("*_test.cc"))):
        name = path.relative_to(ROOT)
        tests = DECLARED.findall(path.read_text())
        if path not in compiled:
            yield f"{name} is in no test program"
        elif not tests:
            yield f"{name} declares no test"
        else:
            yield from (f"{name}: ctest does not run {s}.{t}" for s, t in tests if f"{s}.{t}" not in known)


def python_problems():
    """Python test files of which pytest collects nothing."""
    command = [sys.executable, "-m", "pytest", "--collect-only", "-q", "-o", "addopts=", "tests"]
    listing = subprocess.run(command, cwd=ROOT, capture_output=True, text=True).stdout
    collected = {line.partition("::")[0] for line in listing.splitlines() if "::" in line}
    for path in sorted((ROOT / "tests").rglob("test_*.py")):
        if str(path.relative_to(ROOT)) not in collected:
            yield f"{path.relative_to(ROOT)}: pytest collects nothing from it"


def main():
    problems = [*cpp_problems((ROOT / sys.argv[1]).resolve()), *python_problems()]
    print(*problems, sep="\n")
    print(f"check_tests: {len(problems)} test files or tests that nothing runs")
    return bool(problems)


if __name__ == "__main__":
    sys.exit(main())
