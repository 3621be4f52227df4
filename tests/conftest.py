"""Options of the test run. What `make test` runs is the default; `make test-all` asks for more with these."""

import signal
import sys

import hypothesis
import pytest
from support import packages

# Here, where it is in force before any test is imported: decorators take what they do not state from it at once.
hypothesis.settings.register_profile(
    "intact",
    derandomize=True,
    deadline=None,
    database=None,
    suppress_health_check=[hypothesis.HealthCheck.function_scoped_fixture, hypothesis.HealthCheck.too_slow],
)
hypothesis.settings.load_profile("intact")

# Whoever starts the suite in the background (nohup, `&` in a script) has it ignore these, and with it all that it starts.
signal.signal(signal.SIGINT, signal.default_int_handler)
signal.signal(signal.SIGHUP, signal.SIG_DFL)


def pytest_addoption(parser):
    group = parser.getgroup("intact")
    group.addoption("--all-packages", action="store_true", help="check every package, not the subset of make test")
    group.addoption("--python", metavar="PATH", help="the interpreter of the package checks")
    group.addoption("--site", metavar="DIR", help="the directory that holds intact, and nothing else, for --python")
    group.addoption("--aarch64", metavar="DIR", help="what tools/aarch64_wheel.sh made: run apps for aarch64 under qemu")
    group.addoption("--memory-importer", metavar="DIR", help="a clone of that package: run its own tests and README on ours")
    group.addoption("--no-packages", action="store_true", help="leave the package checks out")


def pytest_ignore_collect(collection_path, config):
    if config.getoption("--no-packages") and collection_path.name == "packages":
        return True
    return None


@pytest.fixture(scope="session")
def interpreter(request):
    """The interpreter under test and the directory with intact for it."""
    return packages.Interpreter.of(
        request.config.getoption("--python") or sys.executable, request.config.getoption("--site")
    )
