"""Runs CPython's own suites, from the interpreter's test package, with our importers in the place of CPython's.

Each suite also runs as it is, in the same surroundings: that is the control, and what fails there too is the suite's affair.
What fails, is skipped or is missing only with us has to stand in not_passed.toml with a reason, and what stands there must not
pass. A run in which nothing reached us while the tests ran, in this process or in those that they started, fails.

    python tests/cpython/run.py [--python PATH] [--site DIR] [--only SUITE] [--mode MODE] [--write] [-v]

--write puts the figures, and what is skipped, into figures.json, from which docs/compliance.md has them (report.py).
"""

import argparse
import fnmatch
import json
import os
import subprocess
import sys
import tempfile
import tomllib
import zipfile
from collections import Counter
from pathlib import Path

import report
import skips
from suites import SUITES, runs_in

HERE = Path(__file__).resolve().parent
BUILD = HERE.parents[1] / "build"
TIMEOUT = 900  # seconds for one suite
OURS = ("counts.py", "packed.py", "zipapps.py")  # modules for the interpreter of a mode
NO_TESTS = 77  # exit code: the interpreter comes without its tests, as Debian's does; it has only what serves other packages' tests
# Of the test package: what no suite of ours looks at, and is half of it.
LEFT_OUT = ("__pycache__", "cjkencodings", "decimaltestdata", "audiodata", "configdata", "xmltestdata", "tokenizedata")


class Python:
    """An interpreter, the directory that holds intact for it, and environments in which its suites run."""

    def __init__(self, executable, site, scratch):
        self.executable, self.site, self.scratch = str(executable), Path(site).resolve(), Path(scratch)
        query = "import sys, sysconfig; print(*sys.version_info[:3], sysconfig.get_path('stdlib'))"
        *version, stdlib = self.ask("-c", query).split(maxsplit=3)
        self.version, self.full_version = ".".join(version[:2]), ".".join(version)
        self.tests = Path(stdlib, "test")
        self._environments = {}

    def ask(self, *arguments):
        return subprocess.run(
            [self.executable, "-I", *arguments], check=True, capture_output=True, text=True
        ).stdout.strip()

    def environment(self, mode):
        """An interpreter of its own for the mode: the programs that tests start are as it is."""
        if mode not in self._environments:
            directory = self.scratch / f"venv-{mode}"
            self.ask("-m", "venv", "--without-pip", str(directory))
            (packages,) = directory.glob("lib/python*/site-packages")
            for module in OURS:
                (packages / module).symlink_to(HERE / module)
            lines = [] if mode == "control" else [str(self.site), "import counts"]
            if mode in ("zipimporter", "bytes"):
                program = str(HERE / "substitute.py")
                lines.append(
                    f"import sys; exec(compile(open({program!r}).read(), {program!r}, 'exec'), {{'MODE': {mode!r}}})"
                )
            if mode in ("packed", "packed-bytecode"):
                lines.append(f"import packed; packed.substitute_hook(bytecode={mode == 'packed-bytecode'})")
            (packages / "suite.pth").write_text("\n".join(lines) + "\n")
            self._environments[mode] = directory / "bin" / "python"
        return str(self._environments[mode])

    def archive(self):
        """The test package in a zip, and the modules that are tested by running them."""
        path = self.scratch / "suite.pyz"
        if not path.exists():
            with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
                archive.write(self.tests.parent / "zipapp.py", "zipapp.py")
                for file in sorted(self.tests.rglob("*")):
                    inner = file.relative_to(self.tests.parent)
                    if not set(inner.parts).intersection(LEFT_OUT):
                        archive.write(file, inner)
        return str(path)


def session(python, suite, mode):
    """({test: (state, text)}, calls that reached us) of one suite in a process of its own."""
    with tempfile.TemporaryDirectory() as scratch:
        out, log, work = Path(scratch, "outcomes.json"), Path(scratch, "calls"), Path(scratch, "work")
        work.mkdir()
        archive = python.archive() if mode in ("mounted", "in-memory") else None
        spec = {"tests": SUITES[suite][0], "mode": mode, "archive": archive, "out": str(out)}
        environment = {k: v for k, v in os.environ.items() if not k.startswith(("PYTHON", "INTACT"))}
        environment |= {"TMPDIR": str(work), "INTACT_CALLS": str(log)}
        # -P: what lies beside session.py is no module of the suite's.
        command = [python.environment(mode), "-P", str(HERE / "session.py"), json.dumps(spec)]
        try:
            done = subprocess.run(
                command,
                cwd=work,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                errors="replace",
                timeout=TIMEOUT,
            )
        except subprocess.TimeoutExpired as error:
            sys.exit(f"cpython: {suite} ({mode}) hangs\n{(error.stdout or b'')[-4000:]}")
        if not out.exists():
            sys.exit(
                f"cpython: {suite} ({mode}) did not run to its end (exit code {done.returncode})\n{done.stdout[-4000:]}"
            )
        calls = sum(map(int, log.read_text().split())) if log.exists() else 0
        return {name: tuple(outcome) for name, outcome in json.loads(out.read_text()).items()}, calls


def known(entries, suite, mode, version):
    """{pattern of tests: reason} of what is listed as not passing there."""
    return {
        name: entry["reason"]
        for entry in entries
        if entry["suite"] == suite
        and mode in entry.get("modes", [mode])
        and version in entry.get("versions", [version])
        for name in entry["tests"]
    }


def compare(ours, theirs, listed):
    """(figures, complaints) of a suite that ran with our importers, and as it is."""
    figures, complaints, used = Counter(), [], set()
    for name in sorted(ours.keys() | theirs.keys()):
        state, text = ours.get(name, ("absent", ""))
        control = theirs.get(name, ("absent", ""))[0]
        patterns = [pattern for pattern in listed if fnmatch.fnmatchcase(name, pattern)]
        used.update(patterns)
        if state != "absent":
            figures["run"] += 1
        if state in ("passed", "skipped") and (state == control or control != "passed"):
            figures[state] += 1
            complaints.extend(f"{name} is listed as not passing, and is {state}" for _ in patterns[:1])
        elif state == control:
            figures["failed without us"] += 1
        else:
            figures["listed"] += 1
            if not patterns:
                complaints.append(f"{name} is {state} (as it is: {control})\n{text}")
    complaints.extend(f"{pattern} is listed, and there is no such test" for pattern in listed if pattern not in used)
    return figures, complaints


def wanted(python, options):
    """(suite, mode, what comes of the suite as it is) of what the command line asks for."""
    for suite, (_, modes) in SUITES.items():
        modes = [mode for mode in modes if options.mode in ("", mode) and runs_in(suite, mode, python.version)]
        if modes and options.only in ("", suite):
            theirs, _ = session(python, suite, "control")
            yield from ((suite, mode, theirs) for mode in modes)


def main(arguments=None):
    parser = argparse.ArgumentParser()
    parser.add_argument("--python", default=sys.executable)
    parser.add_argument("--site", help="the directory that holds intact for it")
    parser.add_argument("--only", default="", metavar="SUITE")
    parser.add_argument("--mode", default="")
    parser.add_argument("--write", action="store_true", help="write the figures into the documentation")
    parser.add_argument("-v", "--verbose", action="store_true", help="all of what a failed test says")
    options = parser.parse_args(arguments)
    entries = tomllib.loads((HERE / "not_passed.toml").read_text())["not_passed"]
    wrong, ran, table = 0, 0, []
    with tempfile.TemporaryDirectory() as scratch:
        tag = f"cp{sys.version_info[0]}{sys.version_info[1]}"
        python = Python(options.python, options.site or BUILD / "site" / tag, scratch)
        if not (python.tests / "test_zipimport.py").is_file():
            print(f"cpython: {python.executable} comes without CPython's tests; Debian has them in libpython{python.version}-testsuite")
            return NO_TESTS
        for suite, mode, theirs in wanted(python, options):
            ours, calls = session(python, suite, mode)
            figures, complaints = compare(ours, theirs, known(entries, suite, mode, python.version))
            if calls == 0:
                complaints.append("no call reached us: nothing was substituted")
            ran += figures["run"]
            table.append({"suite": suite, "mode": mode, "calls": calls, **figures})
            if reasons := skips.by_reason(ours, theirs):
                table[-1]["skips"] = reasons
            print(f"{suite}, {mode}, {python.full_version}: " + report.words(table[-1]), flush=True)
            if not options.write and report.is_stale(python.version, python.full_version, table[-1]):
                complaints.append("docs/compliance.md has other figures: --write takes these over")
            wrong += len(complaints)
            for complaint in complaints:
                text = complaint if options.verbose else complaint[:2000]
                print("  " + text.replace("\n", "\n    "), flush=True)
    print(f"cpython: {ran} tests run on {python.full_version}, {wrong} complaints")
    if options.write and not wrong:
        report.write(python.version, python.full_version, table)
    return wrong > 0 or ran == 0


if __name__ == "__main__":
    sys.exit(main())
