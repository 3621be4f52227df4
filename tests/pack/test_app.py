"""Apps: `python app.pyz` runs with nothing installed, as the program would run when installed.

The interpreter of these tests is the plain one, without intact and without packages; `-I -S` unless a test is about that.
"""

import os
import pty
import re
import signal
import subprocess

import pytest
from support import environment, making, strace
from support.program import INTERPRETER, PYTHON, SAYS, pack, run


@pytest.mark.parametrize(
    "flags", [(), ("-I",), ("-S",), ("-E",), ("-I", "-S"), ("-O",), ("-X", "importtime"), ("-B", "-s", "-P")]
)
def test_starts_with_any_of_pythons_options(app, flags):
    done = run(app, "a", "b c", flags=flags)
    assert (done.returncode, done.stdout) == (0, SAYS), done.stderr
    assert done.stderr == "" or "importtime" in flags


def test_starts_by_itself(app, tmp_path):
    bin = tmp_path / "bin"
    bin.mkdir()
    (bin / "python3").symlink_to(PYTHON)
    done = subprocess.run(
        [app, "a", "b c"], env={**environment.EMPTY, "PATH": str(bin)}, capture_output=True, text=True
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, SAYS, "")


def test_starts_by_a_relative_path_and_through_a_link(app, tmp_path):
    (tmp_path / "app.pyz").symlink_to(app)
    assert run("app.pyz", "a", "b c", cwd=app.parent).stdout == SAYS
    assert run("./app.pyz", "a", "b c", cwd=tmp_path).stdout == SAYS


def test_starts_without_home_or_temporary_directory_or_a_users_name(app):
    """And in an environment that is empty; nobody has the user id 54321."""
    program = ["setpriv", "--reuid=54321", "--clear-groups"] if os.geteuid() == 0 else []
    done = subprocess.run(
        [*program, PYTHON, app, "a", "b c"], env=environment.EMPTY, cwd="/", capture_output=True, text=True
    )
    if program and done.returncode:
        # this checkout, or the interpreter, lies where only its owner may go
        assert "ermission denied" in done.stderr or "cannot open shared object file" in done.stderr
        done = subprocess.run([PYTHON, app, "a", "b c"], env=environment.EMPTY, cwd="/", capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, SAYS), done.stderr


def test_nothing_is_created(app, tmp_path):
    log = tmp_path / "log"
    done = subprocess.run([*strace.command(log), PYTHON, app, "a", "b c"], capture_output=True, text=True)
    assert done.stdout == SAYS and strace.changes(log) == []


def test_runs_by_runpy(app):
    code = "import runpy, sys; sys.argv = ['x', 'a', 'b c']; runpy.run_path({!r})"
    assert run(code.format(str(app)), flags=("-I", "-S", "-c")).stdout == SAYS
    with open(app, "rb") as file:
        done = run(code.format("/dev/stdin"), flags=("-I", "-S", "-c"), stdin=file)
    assert done.stdout.startswith("hello word ['a', 'b c']"), done.stderr


def test_console_script_is_found_by_its_name(wheels, tmp_path):
    pack(tmp_path / "app.pyz", "--console-script", "prog-it", *wheels)
    assert run(tmp_path / "app.pyz", "a", "b c").stdout == SAYS
    done = making.intact("pack", "-o", tmp_path / "no.pyz", "--console-script", "other", *wheels)
    assert done.returncode == 1 and "other" in done.stderr and "there are: prog-it" in done.stderr.splitlines()[-1]
    assert not (tmp_path / "no.pyz").exists()


def test_entry_that_is_a_module_runs_as_python_runs_it(wheels, tmp_path):
    pack(tmp_path / "app.pyz", "--entry", "prog", *wheels)
    assert run(tmp_path / "app.pyz", "x").stdout == "__main__ prog.__main__ ['x'] app.pyz\n"


def test_entry_may_be_an_attribute_of_an_attribute(wheels, tmp_path):
    pack(tmp_path / "app.pyz", "--entry", "prog.cli:Commands.inner", *wheels)
    assert run(tmp_path / "app.pyz").stdout == "inner\n"


def test_exit_code_is_what_the_function_returns(wheels, tmp_path):
    pack(tmp_path / "app.pyz", "--entry", "prog.cli:code", *wheels)
    assert run(tmp_path / "app.pyz", "3").returncode == 3


def test_traceback_begins_with_the_program(wheels, tmp_path):
    pack(tmp_path / "app.pyz", "--entry", "prog.cli:fails", *wheels)
    done = run(tmp_path / "app.pyz")
    app = tmp_path / "app.pyz"
    control = f'Traceback (most recent call last):\n  File "{app}/prog/cli.py", line 8, in fails\n    raise ValueError("on purpose")\n'
    assert done.returncode == 1 and done.stderr == control + "ValueError: on purpose\n"


def test_ctrl_c_ends_it_as_it_ends_any_program(wheels, tmp_path):
    """By the signal, so that a shell's loop ends too, and with a traceback of the program's frames alone."""
    app = tmp_path / "app.pyz"
    pack(app, "--entry", "prog.cli:interrupted", *wheels)
    done = run(app)
    control = f'Traceback (most recent call last):\n  File "{app}/prog/cli.py", line 11, in interrupted\n'
    assert done.returncode == -signal.SIGINT and done.stderr.startswith(control)
    assert done.stderr.endswith("\nKeyboardInterrupt\n") and done.stderr.count("  File ") == 1


def test_interpreter_on_request(app, tmp_path):
    (tmp_path / "script.py").write_text("import sys, prog; print(sys.argv, __name__, sys.path[0])")
    flags = {"flags": (), "env": INTERPRETER}
    assert run(app, "-m", "prog", "x", **flags).stdout.startswith("__main__ prog.__main__ ['x']")
    assert run(app, "-mprog", "x", **flags).stdout.startswith("__main__ prog.__main__ ['x']")
    assert (
        run(app, "-c", "import helper, sys; print(helper.greet('you'), sys.argv)", "x", **flags).stdout
        == "hello you ['-c', 'x']\n"
    )
    script = str(tmp_path / "script.py")
    assert run(app, script, "x", **flags).stdout == f"['{script}', 'x'] __main__ {tmp_path}\n"
    assert run(app, input="import helper\nprint(helper.greet('you'))", **flags).stdout == "hello you\n"
    assert run(app, "-c", **flags).returncode == 2
    assert run(app, "-O", "x", **flags).returncode == 2


def test_prompt(app):
    master, slave = pty.openpty()
    process = subprocess.Popen(
        [PYTHON, app], stdin=slave, stdout=slave, stderr=slave, env=INTERPRETER | {"TERM": "dumb"}
    )
    os.close(slave)
    os.write(master, b"import helper; print(helper.greet('you' + 'r'))\nexit()\n")
    text = b""
    while process.poll() is None or b"hello" not in text:
        try:
            text += os.read(master, 4096)
        except OSError:
            break
    process.wait(30)
    os.close(master)
    assert b"hello your" in text and b"mounted: " in text


def test_app_without_a_program_is_an_interpreter(wheels, tmp_path):
    pack(tmp_path / "app.pyz", *wheels)
    assert run(tmp_path / "app.pyz", "-m", "prog", "x").stdout.startswith("__main__ prog.__main__ ['x']")


CHILDREN = {
    "many/__init__.py": "",
    "many/work.py": """
import multiprocessing, os, subprocess, sys
from concurrent.futures import ProcessPoolExecutor
import helper

def square(n):
    import helper
    return helper.greet(str(n * n))

def main():
    for method in ("spawn", "forkserver", "fork"):
        with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context(method)) as pool:
            print(method, list(pool.map(square, [2])))
    for command in (["-m", "many.child"], ["-c", "import many.child"], [os.path.dirname(__file__) + "/child.py"]):
        print(subprocess.run([sys.executable, *command], capture_output=True, text=True))
    print(subprocess.run([sys.executable, "-I", sys.argv[0], "again"], capture_output=True, text=True).stdout if len(sys.argv) == 1 else "self")
""",
    "many/child.py": "import helper, intact, sys\nprint(helper.greet('parent'), len(intact.mounts()), [p for p in sys.path if 'site-packages' in p])\n",
}


def test_children_find_the_app(wheels, tmp_path):
    """multiprocessing's three ways, -m, -c, a script below the root, and the app itself; and nothing is created for it."""
    wheel = making.wheel(tmp_path, "many", CHILDREN)
    app = tmp_path / "app.pyz"
    pack(app, "--entry", "many.work:main", wheel, *wheels)
    done = run(app, flags=(), cwd="/", env=environment.EMPTY)
    lines = done.stdout.splitlines()
    assert done.returncode == 0 and lines[:3] == [f"{way} ['hello 4']" for way in ("spawn", "forkserver", "fork")], (
        done.stdout + done.stderr
    )
    for line in lines[3:6]:
        assert "returncode=0, stdout='hello parent 1 []\\n', stderr=''" in line
    assert "self" in lines


ENDS = """
import gc, sys
class Ring:
    def __init__(self, name):
        self.name, self.me = name, self
    def __del__(self):
        import colorsys
        print("end of", self.name, flush=True)
kept = Ring("a module's")
class Holder:
    file = open(sys.argv[1], "w")
Holder.self = Holder
def main():
    Ring("garbage")
    Holder.file.write("written")
    keep = Ring("a frame's")
    sys.exit(0)
if __name__ == "__main__":
    main()
"""


def test_interpreter_is_not_what_its_programs_start(app):
    code = f"import subprocess; print(subprocess.run([{PYTHON!r}, {str(app)!r}, 'a', 'b c'], capture_output=True, text=True).stdout)"
    assert run(app, "-c", code, flags=(), env=INTERPRETER).stdout.strip() == SAYS.strip()


def test_what_is_alive_at_the_end_is_finalised_as_python_does_it(tmp_path):
    """Garbage in cycles, whose finalisers import; what modules and classes hold, an open file among it."""
    wheel = making.wheel(tmp_path, "ends", {"ends.py": ENDS})
    pack(tmp_path / "app.pyz", "--entry", "ends:main", wheel)
    done = run(tmp_path / "app.pyz", tmp_path / "ours")
    code = f"import sys; sys.path.insert(0, {str(wheel)!r}); import ends; ends.main()"
    control = run(tmp_path / "control", flags=("-I", "-S", "-c", code))
    ours, theirs = (re.sub(r"0x[0-9a-f]+|/.*/", "", each.stderr) for each in (done, control))
    assert (done.returncode, done.stdout, ours) == (control.returncode, control.stdout, theirs)
    assert (
        done.stdout.count("end of") == 2 and "Python is likely shutting down" in ours
    )  # as it is for what modules hold
    assert (tmp_path / "ours").read_text() == (tmp_path / "control").read_text() == "written"


COLLECTS = """
import gc
class Cycle:
    def __del__(self):
        import colorsys
        print("end of an old one")
def main():
    cycle = Cycle()
    cycle.itself = cycle
    gc.collect()
"""


def test_what_has_grown_old_is_finalised_before_modules_are_gone(tmp_path):
    """A program that collects by itself makes its objects old, and its finalisers import."""
    pack(
        tmp_path / "app.pyz", "--entry", "collects:main", making.wheel(tmp_path, "collects", {"collects.py": COLLECTS})
    )
    done = run(tmp_path / "app.pyz")
    assert (done.stdout, done.stderr) == ("end of an old one\n", "")
