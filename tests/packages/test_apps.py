"""Real packages out of apps that `intact pack` wrote: `python app.pyz` with nothing installed and nothing to write to.

Each check is packed with the wheels that it needs, and run by a plain Python in a mount namespace that is read-only.
What is written by whom, where it can be, is listed here and in docs/packages.md.
"""

from fnmatch import fnmatch

import pytest
from support import apps, packages

# Checks that make files themselves, so that they need a temporary directory: what tempfile makes for them (a file of
# eight letters to see whether it can write, then the directory), and what the package makes beside it.
OWN = ("tmp/????????", "tmp/tmp*")
NEED_A_DIRECTORY = {
    "pytest": (*OWN, "tmp", "tmp/pytest-of-*"),
    "matplotlib": OWN,
    "cython": OWN,
    "pyogrio": OWN,
    "watchfiles": OWN,
}
# Packages that write where they can, and do without where they cannot.
WRITE_IF_THEY_CAN = {
    "hf_xet": ("home/.cache", "home/.cache/huggingface*"),
}
WRITERS = NEED_A_DIRECTORY | WRITE_IF_THEY_CAN


def pytest_generate_tests(metafunc):
    if "check" not in metafunc.fixturenames:
        return
    everything = metafunc.config.getoption("--all-packages")
    checks = packages.load(everything, stages=(1, 2))
    if metafunc.function is test_package_writes_only_what_is_listed and not everything:
        checks = [check for check in checks if check.name in WRITERS]
    if metafunc.function is test_package_works_with_site:
        checks = [check for check in checks if check.name == "pandas"]
    metafunc.parametrize("check", checks, ids=[check.name for check in checks], scope="module")


@pytest.fixture(scope="module")
def app(check, interpreter, tmp_path_factory):
    """One at a time is kept: they are as large as what is in them."""
    made = apps.pack(tmp_path_factory.mktemp("app"), check, interpreter.wheels([check]))
    yield made
    made.unlink()


def test_package_works_where_nothing_can_be_written(check, app, tmp_path):
    apps.run_sealed(app, tmp_path, writable=check.name in NEED_A_DIRECTORY).check("app")


def test_package_works_with_site(check, app, tmp_path):
    """`python app.pyz` and no more: what is installed for that Python stays out of sight."""
    apps.run_sealed(app, tmp_path, flags=()).check("app")


def test_package_writes_only_what_is_listed(check, app, tmp_path):
    outcome, written = apps.run_watched(app, tmp_path)
    outcome.check("app")
    listed = WRITERS.get(check.name, ())
    assert [path for path in written if not any(fnmatch(path, pattern) for pattern in listed)] == []


def test_writing_fails_and_is_seen(tmp_path):
    """The control of both tests above."""
    app = apps.pack(tmp_path, packages.Check("writer", (), f"open({str(tmp_path / 'mark')!r}, 'w').close()"), [])
    if apps.can_be_read_only():
        outcome = apps.run_sealed(app, tmp_path)
        assert outcome.code == 1 and "Read-only file system" in outcome.output
    with pytest.raises(AssertionError, match="mark"):
        apps.run_watched(app, tmp_path / "scratch")
