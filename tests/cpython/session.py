"""Runs one of CPython's suites in this process and writes what became of each test, as JSON. Started by run.py.

session.py '{"tests": [module...], "mode": as in suites.py, "archive": of the test package, to be mounted, or null, "out": path}'
"""

import json
import os
import sys
import unittest
import unittest.mock  # some suites use it without importing it; `python -m test` has it

import counts


class Outcomes(unittest.TestResult):
    """Test to [state, text]. A subtest that fails makes its test fail."""

    def __init__(self):
        super().__init__()
        self.states = {}

    def note(self, test, state, text=""):
        name = test.id()
        if self.states.get(name, ["passed"])[0] in ("passed", "skipped"):
            self.states[name] = [state, text]

    def addSuccess(self, test):
        if test.id() not in self.states:
            self.note(test, "passed")

    def addFailure(self, test, error):
        self.note(test, "failed", self._exc_info_to_string(error, test))

    addError = addFailure

    def addSkip(self, test, reason):
        self.note(test, "skipped", reason)

    def addExpectedFailure(self, test, error):
        self.note(test, "passed")

    def addUnexpectedSuccess(self, test):
        self.note(test, "failed", "passed where a failure is expected")

    def addSubTest(self, test, subtest, error):
        if error is not None:
            self.note(test, "failed", self._exc_info_to_string(error, test))


def mount_suite(archive, in_memory):
    """CPython's own tests come out of an archive."""
    import intact

    source = archive
    if in_memory:
        with open(archive, "rb") as file:
            source = file.read()
    return intact.mount(source, name="suite", first=True)


def main():
    spec = json.loads(sys.argv[1])
    sys.argv[1:] = []
    mounted = mount_suite(spec["archive"], spec["mode"] == "in-memory") if spec["archive"] else None
    from test import support

    # No network. The large files of test_zipimport have holes: they take seconds, and a few megabytes.
    support.use_resources = {name: None for name in ("cpu", "largefile", "subprocess")}
    suite = unittest.defaultTestLoader.loadTestsFromNames(spec["tests"])
    if mounted is not None:
        # The finder does not need it there, and tests tidy up by deleting files in every directory of sys.path: below a
        # root that fails as on any read-only file system.
        sys.path[:] = [entry for entry in sys.path if entry != mounted.root]
        # The sources of frozen modules are on disk, and not beside the suite.
        for name in [name for name in sys.modules if name.startswith("test.test_importlib.frozen.")]:
            sys.modules[name].STDLIB_DIR = os.path.dirname(os.__file__)
    if spec["mode"] == "loaders":
        import packed

        packed.substitute_in(suite)
    if spec["mode"] == "zipapps":
        import zipapps

        zipapps.substitute()
    result = Outcomes()
    counts.begin()
    suite.run(result)
    counts.end()
    if mounted is not None:
        for name in spec["tests"]:
            if not sys.modules[name].__file__.startswith(mounted.root + "/"):
                sys.exit(f"{name} is not the mounted one")
    with open(spec["out"], "w") as file:
        json.dump(result.states, file)
    sys.stdout.flush()
    # Threads and finalisers of the tests have had their say; atexit functions have not.
    os.chdir("/")


if __name__ == "__main__":
    main()
