"""The driver of CPython's own suites (tests/cpython): what it must notice, and that docs/compliance.md is what it found."""

import os
import subprocess
import sys
import tomllib
from pathlib import Path

import building
import pytest

DRIVER = Path(__file__).resolve().parents[1] / "cpython"


@pytest.fixture
def driver(monkeypatch):
    """Its modules: run, report, skips, suites."""
    monkeypatch.syspath_prepend(str(DRIVER))
    names = ("run", "report", "skips", "suites")
    for name in names:
        monkeypatch.delitem(sys.modules, name, raising=False)
    import run

    yield run
    for name in names:
        sys.modules.pop(name, None)


@pytest.fixture
def tests_of_cpython(interpreter):
    """Skips where the interpreter comes without CPython's tests."""
    if subprocess.run([interpreter.executable, "-c", "import test.test_zipimport"], capture_output=True).returncode:
        pytest.skip("the interpreter comes without CPython's tests")


def test_the_page_is_that_of_the_figures_and_the_list(driver):
    assert driver.report.PAGE.read_text() == driver.report.page(), "run python tests/cpython/report.py"


def test_what_is_listed_names_suites_that_run(driver):
    for entry in tomllib.loads((DRIVER / "not_passed.toml").read_text())["not_passed"]:
        _, modes = driver.SUITES[entry["suite"]]
        assert set(entry.get("modes", modes)) <= set(modes) and entry["tests"] and entry["reason"], entry


def test_every_suite_has_figures_for_every_version(driver):
    import json

    from suites import VERSIONS, runs_in

    known = json.loads(driver.report.FIGURES.read_text())
    assert tuple(known) == VERSIONS, "run tests/cpython/run.py --write on each"
    for version, figures in known.items():
        assert figures["python"].startswith(f"{version}.")
        run = {(row["suite"], row["mode"]) for row in figures["suites"]}
        wanted = {(suite, mode) for suite, (_, modes) in driver.SUITES.items() for mode in modes}
        assert run == {each for each in wanted if runs_in(*each, version)}, version
        assert all(row["calls"] > 0 and row["run"] > 0 for row in figures["suites"])


def test_the_page_says_why_each_test_that_did_not_run_or_pass_without_us_did_not(driver):
    import json

    for version, figures in json.loads(driver.report.FIGURES.read_text()).items():
        for row in figures["suites"]:
            said = sum(sum(tests.values()) for tests in row.get("skips", {}).values())
            assert said == row.get("skipped", 0) + row.get("failed without us", 0), (version, row["suite"], row["mode"], "run tests/cpython/run.py --write")


PASSED, FAILED, SKIPPED = ("passed", ""), ("failed", "why"), ("skipped", "why")


@pytest.mark.parametrize(
    ("ours", "theirs", "listed", "complaint"),
    [
        ({"t": PASSED}, {"t": PASSED}, {}, None),
        ({"t": FAILED}, {"t": PASSED}, {}, "t is failed"),
        ({"t": SKIPPED}, {"t": PASSED}, {}, "t is skipped"),
        ({}, {"t": PASSED}, {}, "t is absent"),
        ({"t": FAILED}, {}, {}, "t is failed"),
        ({"t": FAILED}, {"t": FAILED}, {}, None),
        ({"t": SKIPPED}, {"t": SKIPPED}, {}, None),
        ({"t": FAILED}, {"t": PASSED}, {"t": "because"}, None),
        ({"a.t": FAILED}, {"a.t": PASSED}, {"*.t": "because"}, None),
        ({"t": PASSED}, {"t": PASSED}, {"t": "because"}, "t is listed as not passing, and is passed"),
        ({"t": PASSED}, {"t": PASSED}, {"u": "because"}, "u is listed, and there is no such test"),
    ],
)
def test_what_it_complains_of(driver, ours, theirs, listed, complaint):
    _, complaints = driver.compare(ours, theirs, listed)
    assert [text.startswith(complaint or "") for text in complaints] == [True] * (complaint is not None)


def test_what_is_skipped_stands_under_its_reason_and_a_class_skipped_whole_once(driver):
    theirs = {f"test.m.{name}": SKIPPED for name in ("Whole.a", "Whole.b", "Part.a", "Ours.a", "One.a")}
    theirs |= {"unittest.loader.ModuleSkipped.test.n": ("skipped", "no |"), "setUpClass (test.m.Early)": SKIPPED}
    theirs |= {"test.m.Bad.a": ("failed", "Traceback:\n  …\nAssertionError: 1 != 2\n")}
    ours = theirs | {"test.m.Part.b": PASSED, "test.m.Ours.a": PASSED, "test.m.Ours.b": SKIPPED}
    skips = driver.skips.by_reason(ours, theirs)
    assert skips == {"why": {"m.Whole": 2, "m.Part.a": 1, "m.One.a": 1, "m.Early": 1}, "no |": {"n": 1}} | {
        "fails: AssertionError: 1 != 2": {"m.Bad.a": 1}
    }
    rows = [{"suite": suite, "mode": mode, "skips": skips} for suite, mode in (("s", "one"), ("s", "two"), ("u", "one"))]
    assert list(driver.skips.table(rows))[2:] == [
        "| fails: AssertionError: 1 != 2 | s: 1, u: 1 | `m.Bad.a` |",
        "| no \\| | s: 1, u: 1 | `n` |",
        "| why | s: 5, u: 5 | `m.Early`<br>`m.One.a`<br>`m.Part.a`<br>`m.Whole` |",
    ]


def test_what_is_reached_counts_while_tests_run_and_in_what_they_start(tmp_path):
    (tmp_path / "app.zip").write_bytes(building.zip_bytes({"loading.py": "", "testing.py": "", "starting.py": "", "late.py": ""}))
    child = f"import sys; sys.path.insert(0, {str(DRIVER)!r}); import counts, starting"
    program = f"{child.rpartition(',')[0]}, intact, subprocess; intact.mount('app.zip'); import loading; counts.begin(); import testing\n"
    program += f"subprocess.run([sys.executable, '-c', {child!r}], check=True); counts.end(); import late"
    environment = os.environ | {"INTACT_CALLS": str(tmp_path / "calls")}
    subprocess.run([sys.executable, "-c", program], cwd=tmp_path, env=environment, check=True)
    assert (tmp_path / "calls").read_text().split() == ["1", "1"]


def test_a_suite_of_cpythons_passes_with_our_importer(driver, tests_of_cpython, interpreter, capsys):
    arguments = ["--python", interpreter.executable, "--site", interpreter.site, "--only", "test_zipimport_support"]
    assert driver.main([*arguments, "--mode", "zipimporter"]) == 0
    assert "4 run, 4 passed" in capsys.readouterr().out


def test_an_interpreter_without_the_tests_is_neither_a_success_nor_a_failure(driver, interpreter, capsys, monkeypatch, tmp_path):
    """Debian's has a directory `test` all the same."""
    monkeypatch.setattr(driver.Python, "ask", lambda self, *arguments: f"3 11 2 {tmp_path}")
    (tmp_path / "test" / "support").mkdir(parents=True)
    assert driver.main(["--python", interpreter.executable, "--site", interpreter.site]) == driver.NO_TESTS
    assert "comes without CPython's tests" in capsys.readouterr().out


@pytest.mark.parametrize("mode", ["zipimporter", "packed", "mounted"])
def test_a_suite_whose_tests_never_reach_us_fails(driver, tests_of_cpython, interpreter, capsys, monkeypatch, mode):
    """Though it comes out of the archive itself, where it is mounted."""
    monkeypatch.setattr(driver, "SUITES", {"test_bool": (("test.test_bool",), (mode,))})
    assert driver.main(["--python", interpreter.executable, "--site", interpreter.site]) == 1
    assert "no call reached us" in capsys.readouterr().out
