"""Real packages out of archives: unmodified wheels as the index serves them, used the way their users use them.

Each check imports a package and asserts what it does, in a process that has the standard library, intact and the
mounts. `make test` runs those in support/packages.py's SUBSET; --all-packages runs every one.
"""

import os
from pathlib import Path

import pytest
from support import packages, strace

# A descriptor limit that fails where an image keeps its memory file open.
FEW_DESCRIPTORS = 256
LAYOUTS = ("wheels", "merged")


def pytest_generate_tests(metafunc):
    checks = packages.load(metafunc.config.getoption("--all-packages"))
    if "check" in metafunc.fixturenames:
        metafunc.parametrize("check", checks, ids=[check.name for check in checks])


@pytest.fixture(scope="session")
def every(request):
    """All checks of this run."""
    return packages.load(request.config.getoption("--all-packages"))


@pytest.fixture(scope="session")
def prepared(interpreter, every):
    """A function from layout and checks to what is mounted: of its own wheels, or of the one archive of all."""

    def sources(layout, checks):
        return interpreter.sources(layout, every if layout != "wheels" else checks)

    return sources


@pytest.mark.parametrize("layout", LAYOUTS)
def test_package_works_from_archives(check, layout, interpreter, prepared, tmp_path):
    outcome = packages.run(interpreter, layout, prepared(layout, [check]), [check], tmp_path)
    outcome.check(layout)


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("order", ["forward", "backward"])
def test_all_packages_work_in_one_process_with_few_descriptors(order, layout, every, interpreter, prepared, tmp_path):
    checks = every if order == "forward" else every[::-1]
    outcome = packages.run(
        interpreter, layout, prepared(layout, checks), checks, tmp_path, descriptors=FEW_DESCRIPTORS, timeout=1800
    )
    outcome.check(layout)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_nothing_is_created(check, layout, interpreter, prepared, tmp_path):
    log = tmp_path / "strace.log"
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    outcome = packages.run(
        interpreter, layout, prepared(layout, [check]), [check], scratch, wrapper=strace.command(log)
    )
    outcome.check(layout)
    allowed = (str(scratch),) if check.name in packages.WRITERS else ()
    assert strace.changes(log, allowed) == []


def test_strace_shows_what_is_created(interpreter, prepared, tmp_path):
    """The control of the test above: a program that writes is seen writing, in shared memory, too; its semaphores are no files."""
    log = tmp_path / "strace.log"
    marks = [str(tmp_path / "mark"), f"/dev/shm/intact-{os.getpid()}"]
    program = "import multiprocessing\nmultiprocessing.Lock()\n" + "".join(f"open({mark!r}, 'w').close()\n" for mark in marks)
    try:
        packages.run(interpreter, "files", [], [packages.Check("writer", (), program)], tmp_path, wrapper=strace.command(log))
    finally:
        Path(marks[1]).unlink(missing_ok=True)  # it may not have come so far
    assert "/dev/shm/sem." in log.read_text()
    assert [path for line in strace.changes(log) for path in strace.paths(line)] == marks


def test_checks_pass_from_installed_files(request, every, interpreter, prepared, tmp_path):
    """The control of all of them: what fails from archives does not fail from files."""
    if not request.config.getoption("--all-packages"):
        every = [check for check in every if check.name in ("numpy", "pandas", "requests")]
        sources = interpreter.sources("files", every)
    else:
        sources = prepared("files", every)
    for check in every:
        outcome = packages.run(interpreter, "files", sources, [check], tmp_path)
        assert outcome.code == 0 and outcome.report["modules"] > 0, outcome.output


OPENED_BY_RUST = """
import io, json, zipfile
import intact, safetensors
header = json.dumps({"weights": {"dtype": "U8", "shape": [3], "data_offsets": [0, 3]}}).encode()
buffer = io.BytesIO()
with zipfile.ZipFile(buffer, "w") as archive:
    archive.writestr("model.safetensors", len(header).to_bytes(8, "little") + header + b"abc")
mount = intact.mount(buffer.getvalue(), name="model")
before = intact.stats()["redirect_hits"]
with safetensors.safe_open(f"{mount.root}/model.safetensors", "numpy") as file:
    assert list(file.keys()) == ["weights"]
    assert bytes(file.get_tensor("weights")) == b"abc"
assert intact.stats()["redirect_hits"] > before
"""


def test_rust_opens_a_file_below_a_root(interpreter, tmp_path):
    """std::fs::File::open, in an extension that has its own copy of Rust's library and calls the C library's open64."""
    check = packages.Check("rust", ("safetensors==0.8.0", "numpy"), OPENED_BY_RUST)
    packages.run(interpreter, "wheels", interpreter.sources("wheels", [check]), [check], tmp_path).check("wheels")
