"""An app meets what is there where it runs: other interpreters and packages, `.pth` lines, the environment."""

import ensurepip
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from intact import _cli_pack
from intact._pack.pth import PthFiles
from support import making
from support.program import INTERPRETER, PYTHON, SAYS, pack, run


def test_what_is_installed_where_it_runs_is_out_of_sight(wheels, tmp_path):
    """A virtual environment's package is not found, unless the app was packed to see it; the app's own comes first."""
    subprocess.run([PYTHON, "-m", "venv", "--without-pip", tmp_path / "venv"], check=True)
    [site] = (tmp_path / "venv").glob("lib/python*/site-packages")
    (site / "installed.py").write_text("n = 1")
    (site / "helper.py").write_text("def greet(name): return 'not this one'")
    python = str(tmp_path / "venv/bin/python")
    code = "import helper\nprint(helper.greet('you'))\nimport installed"
    for options, found in ((), False), (("--site-packages",), True):
        app = tmp_path / "app.pyz"
        pack(app, *options, *wheels)
        done = run(app, "-c", code, flags=(), python=python)
        assert done.stdout == "hello you\n" and (done.returncode == 0) == found, done.stderr


HOOK = """
import importlib.util, sys
class Hook:
    @staticmethod
    def find_spec(name, path=None, target=None):
        if name == "installed":
            return importlib.util.spec_from_loader(name, importlib.util.LazyLoader)
sys.meta_path.append(Hook)
"""


# Modules that import others, or fail, as soon as they are asked for anything: six.moves, importlib.util.LazyLoader.
LAZY = """
import sys, types
class Lazy(types.ModuleType):
    def __getattribute__(self, name):
        sys.modules["more than there was"] = None
        raise ImportError(name)
sys.modules["lazy module"] = Lazy("lazy module")
"""


def test_what_the_hosts_start_up_code_imported_is_out_of_sight(app, tmp_path):
    """Neither the module that the app has too, nor the finder that knows others (editable installs leave one)."""
    subprocess.run([PYTHON, "-m", "venv", "--without-pip", tmp_path / "venv"], check=True)
    [site] = (tmp_path / "venv").glob("lib/python*/site-packages")
    (site / "hook.py").write_text(HOOK)
    (site / "helper.py").write_text("def greet(name): return 'not this one'")
    (site / "start.pth").write_text("import helper, hook, lazy\n")
    (site / "lazy.py").write_text(LAZY)
    code = "import helper, sys\nprint(helper.greet('you'), 'hook' in sys.modules)\nimport installed"
    done = run(app, "-c", code, flags=(), python=str(tmp_path / "venv/bin/python"), env=INTERPRETER)
    assert done.stdout == "hello you False\n" and "No module named 'installed'" in done.stderr


def test_packed_intact_is_used_where_one_is_installed(app):
    code = "import intact, sys; print(intact.__file__, intact._engine.__file__)"
    installed = {"PYTHONPATH": os.path.dirname(os.path.dirname(_cli_pack.__file__))}
    for environment in INTERPRETER, INTERPRETER | installed:
        done = run(app, "-c", code, flags=(), python=sys.executable, env=environment)
        assert done.stdout == f"{app}/intact/__init__.py {app}\n", done.stderr


def other_interpreters():
    versions = Path.home() / ".pyenv/versions"
    here = "%d.%d" % sys.version_info[:2]
    found = [path / "bin/python" for path in sorted(versions.glob("3.*")) if not path.name.startswith(here + ".")]
    return [str(path) for path in found if path.exists()] or [shutil.which("python2") or ""]


@pytest.mark.parametrize("python", other_interpreters())
def test_another_interpreter_is_told_so_in_one_line(app, python):
    if not python:
        pytest.skip("there is no other interpreter here")
    done = run(app, flags=(), python=python)
    assert done.returncode == 1 and done.stdout == "" and done.stderr.count("\n") == 1
    here = "%d.%d" % sys.version_info[:2]
    assert f"app.pyz is for CPython {here}" in done.stderr
    assert (
        re.search(rf"pack it for this one with: intact pack --for 3\.\d+ -o {re.escape(str(app))} --entry", done.stderr)
        or "needs CPython 3.11 or newer" in done.stderr
    )


def test_where_there_is_no_room_for_the_engine_that_is_what_is_said(app):
    """The engine is written as a whole or not at all: what is missing of a mapped file is a bus error."""
    import resource

    size = 500_000  # less than the engine has
    done = run(app, preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (size, size)))
    assert done.returncode == 1 and re.fullmatch(
        r"intact: .*app\.pyz: the engine cannot be loaded: .*File too large.*\n", done.stderr
    )


def test_a_relative_path_from_a_directory_that_is_gone_is_refused_in_one_line(app, tmp_path):
    code = f"import os; os.mkdir('x'); os.chdir('x'); os.rmdir('../x'); os.execv({PYTHON!r}, [{PYTHON!r}, '../app.pyz'])"
    (tmp_path / "app.pyz").symlink_to(app)
    done = subprocess.run([PYTHON, "-c", code], cwd=tmp_path, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (
        1,
        "intact: ../app.pyz: no absolute path leads to it: No such file or directory\n",
    )


PTH = {
    "extra/inside.py": "n = 7\n",
    "marks.py": "import sys\nsys.marked = True\n",
    "extra.pth": "# comment\nextra\nabsent\n",
    "marks.pth": "import marks\n",
}


def test_pth_lines_with_paths_apply_and_those_that_import_are_asked_for(wheels, tmp_path):
    wheel = making.wheel(tmp_path, "paths", PTH)
    code = "import sys, inside; print(inside.n, hasattr(sys, 'marked'), [p.rpartition('app.pyz')[2] for p in sys.path if 'app.pyz' in p])"
    done = pack(tmp_path / "app.pyz", wheel)
    assert "marks.pth: 1 import lines will not run" in done.stdout
    assert run(tmp_path / "app.pyz", "-c", code).stdout == "7 False ['', '/extra']\n"
    for name in "marks", "paths":
        assert "will not run" not in pack(tmp_path / "app.pyz", "--allow-pth", name, wheel).stdout
        assert run(tmp_path / "app.pyz", "-c", code).stdout == "7 True ['', '/extra']\n"
    done = making.intact("pack", "-o", tmp_path / "no.pyz", "--allow-pth", "absent", wheel)
    assert done.returncode == 1 and "absent" in done.stderr and not (tmp_path / "no.pyz").exists()


def test_a_pth_line_may_name_a_directory_that_has_nothing_but_packages(tmp_path):
    files = {"lib/inside/__init__.py": "n = 7\n", "paths.pth": "./lib/\n/lib/inside\n", "other.py": ""}
    pack(tmp_path / "app.pyz", making.wheel(tmp_path, "paths", files))
    code = "import sys, inside; print(inside.n, [p.rpartition('app.pyz')[2] for p in sys.path if 'app.pyz' in p])"
    assert run(tmp_path / "app.pyz", "-c", code).stdout == "7 ['', '/lib']\n"


def test_pth_lines_of_several_targets_count_once():
    """Each target has the same file, and lays it out anew; a line that ran twice would register twice what it registers."""
    pth = PthFiles({"runs"})
    for _ in range(2):
        pth.add("runs.pth", "one", "import a\nlib\n")
        pth.add("not.pth", "two", "import b\n")
    assert (pth.lines, pth.skipped, pth.unused()) == (["import a"], {"not.pth": ["import b"]}, set())
    assert pth.inside(["lib/a.py"]) == ["lib"]


def test_a_pth_line_sees_the_directory_and_one_that_fails_is_told(tmp_path):
    """Namespace packages of old look for `sitedir` in the frame that executes the line."""
    line = "import sys; sys.seen = sys._getframe(1).f_locals['sitedir']\n"
    wheel = making.wheel(tmp_path, "lines", {"lines.pth": "import absent_module\n" + line, "lines.py": ""})
    pack(tmp_path / "app.pyz", "--allow-pth", "lines", wheel)
    done = run(tmp_path / "app.pyz", "-c", "import sys; print(sys.seen)")
    assert done.stdout == f"{tmp_path / 'app.pyz'}\n"
    assert re.fullmatch(
        r"intact: .*app\.pyz: a line of a \.pth file failed: 'import absent_module': Module.*\n", done.stderr
    )


BUNDLED = [*Path(ensurepip.__file__).parent.glob("_bundled/setuptools-*.whl")]


@pytest.mark.skipif(not BUNDLED, reason="this Python comes without setuptools")
def test_pkg_resources_finds_distributions_and_resources(wheels, tmp_path):
    pack(tmp_path / "app.pyz", *BUNDLED, *wheels)
    code = """
import pkg_resources as p
print(p.get_distribution("prog").version, p.resource_string("prog", "w.txt"), p.require("prog"))
print(p.resource_filename("prog", "w.txt"), *p.iter_entry_points("console_scripts", "prog-it"))
"""
    done = run(tmp_path / "app.pyz", "-c", code)
    at = f"{tmp_path / 'app.pyz'}"
    assert done.stdout == f"1.0 b'word' [prog 1.0 ({at})]\n{at}/prog/w.txt prog-it = prog.cli:main\n", done.stderr


def test_redirect_can_be_off(app):
    """Then modules are imported, and files not opened by path."""
    off = {**INTERPRETER, "INTACT_FILES": "0"}
    done = run(
        app, "-c", "import helper, intact; print(helper.greet('you'), intact.mounts()[0].files)", flags=(), env=off
    )
    assert done.stdout == "hello you False\n", done.stderr


def test_where_memory_may_not_be_executed_a_directory_will_do(app, tmp_path):
    """The engine is written there, and only there, when the user says so."""
    done = run(app, "a", "b c", flags=(), env={**os.environ, "INTACT_EXTRACT": str(tmp_path)})
    assert done.stdout == SAYS, done.stderr
    assert [path.name.startswith("_engine-") for path in tmp_path.iterdir()] == [True]
    assert run(app, "a", "b c", flags=(), env={**os.environ, "INTACT_EXTRACT": str(tmp_path)}).stdout == SAYS
