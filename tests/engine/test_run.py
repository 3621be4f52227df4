"""`intact run` runs a program as `python` does. The control is `python` itself, with the archive's files on PYTHONPATH."""

import os
import pty
import re
import signal
import subprocess
import sys

import building
import pytest

TREE = {
    "helper.py": "def greet(name): return f'hello {name}'\n",
    "app/__init__.py": "",
    "app/__main__.py": "import sys\nfrom app import core\nprint(core.n, sys.argv[1:], __name__, __package__, __spec__.name)\n",
    "app/core.py": "n = 3\n",
    "module.py": "import sys\nprint('module', __name__, sys.argv[1:])\n",
}

ABOUT = """
import sys, os
print(sys.argv, __name__, __file__, __package__, __spec__, __doc__, __builtins__.__name__, type(__loader__).__name__)
print(sys.path[0], sys.modules['__main__'].__dict__ is globals(), sorted(n for n in globals() if n.startswith('__')))
import helper
print(helper.greet('you'))
"""


@pytest.fixture
def place(tmp_path):
    building.write_zip(tmp_path / "app.zip", TREE)
    building.write_files(tmp_path / "files", TREE)
    (tmp_path / "work").mkdir()
    return tmp_path


def run(place, *arguments, **options):
    return building.python("-m", "intact", "run", "../app.zip", *arguments, cwd=place / "work", **options)


def control(place, *arguments, **options):
    env = {"PYTHONPATH": str(place / "files"), **options.pop("env", {})}
    return building.python(*arguments, cwd=place / "work", env=env, **options)


def script(place, text, name="script.py"):
    (place / "work" / name).write_text(text)
    return name


def same(place, ours, expected):
    """Both ended alike and printed the same; the archive and the directory count as one place."""

    def told(done):
        texts = (done.stdout, done.stderr)
        return done.returncode, *(
            t.replace(str(place / "app.zip"), "ROOT").replace(str(place / "files"), "ROOT") for t in texts
        )

    assert told(ours) == told(expected)


def test_script_is_run_as_python_runs_it(place):
    name = script(place, ABOUT)
    same(place, run(place, "--", name, "a", "--b", "-c"), control(place, name, "a", "--b", "-c"))


def test_script_elsewhere_finds_its_neighbours(place):
    (place / "work" / "sub").mkdir()
    script(place, "n = 9", "sub/neighbour.py")
    name = script(place, "import neighbour, helper, sys; print(neighbour.n, sys.path[0], __file__)", "sub/main.py")
    same(place, run(place, "--", name), control(place, name))


def test_neighbour_of_the_script_wins_over_an_archive(place):
    """A script's directory comes before site-packages, and a mount ranks as site-packages does."""
    script(place, "def greet(name): return 'the neighbour'", "helper.py")
    name = script(place, "import helper; print(helper.greet(1))")
    same(place, run(place, "--", name), control(place, name))


def test_module_is_run_as_python_runs_it(place):
    same(place, run(place, "-m", "module", "x", "-y"), control(place, "-m", "module", "x", "-y"))


def test_package_is_run_by_its_main(place):
    same(place, run(place, "-m", "app", "x"), control(place, "-m", "app", "x"))


def test_module_of_the_standard_library_is_run(place):
    same(place, run(place, "-m", "calendar", "2024", "1"), control(place, "-m", "calendar", "2024", "1"))


def test_command_is_run_as_python_runs_it(place):
    code = (
        "import sys, helper; print(sys.argv, __name__, repr(sys.path[0]), helper.greet('c'), '__file__' in globals())"
    )
    same(place, run(place, "-c", code, "x", "-m"), control(place, "-c", code, "x", "-m"))


def test_missing_module_exits_with_1(place):
    done = run(place, "-m", "there_is_none")
    assert done.returncode == 1
    assert "there_is_none" in done.stderr


def test_missing_script_is_one_line_and_no_zero(place):
    done = run(place, "--", "missing.py")
    assert done.returncode != 0
    assert "missing.py" in done.stderr and "Traceback" not in done.stderr


def test_missing_archive_is_one_line_and_exit_1(place):
    done = run(place, "missing.zip", "-c", "print('ran')")
    assert (done.returncode, done.stdout) == (1, "")
    assert "missing.zip" in done.stderr and "Traceback" not in done.stderr


ENDINGS = {
    "exit 3": "import sys; sys.exit(3)",
    "exit text": "import sys; sys.exit('farewell')",
    "exit none": "import sys; sys.exit()",
    "uncaught": "def f(): raise ValueError('mine')\nf()",
    "file not found": "open('/there/is/no/such/file')",
    "broken pipe": "raise BrokenPipeError('mine')",
    "interrupt": "raise KeyboardInterrupt",
    "import error": "import there_is_none",
    "syntax error": "x = (",
    "os._exit": "import os; os._exit(9)",
    "killed": "import os, signal; os.kill(os.getpid(), signal.SIGTERM)",
    "atexit": "import atexit, sys; atexit.register(lambda: print('at exit', sys.modules['__main__'].__name__, mine)); mine = 1",
    "thread goes on": "import threading, time\ndef late():\n    time.sleep(.1); print(mine)\nthreading.Thread(target=late).start(); mine = 'mine'",
    "unraisable": "class C:\n    def __del__(self): print('gone')\nc = C()",
    "intact's own error": "import intact\nintact.mount(b'garbage')",
}


@pytest.mark.parametrize("code", ENDINGS.values(), ids=ENDINGS.keys())
@pytest.mark.parametrize("way", ["script", "-c"])
def test_program_ends_as_under_python(place, way, code):
    arguments = ("-c", code) if way == "-c" else (script(place, code),)
    ours = run(place, *(arguments if way == "-c" else ("--", *arguments)))
    expected = control(place, *arguments)
    assert (ours.returncode, ours.stdout) == (expected.returncode, expected.stdout)
    assert ours.stderr.splitlines()[-1:] == expected.stderr.splitlines()[-1:]
    assert ("Traceback" in ours.stderr) == ("Traceback" in expected.stderr)


@pytest.mark.parametrize("code", ["def f(): raise ValueError('mine')\nf()", "x = (", "import helper\nhelper.greet()"])
@pytest.mark.parametrize("way", ["script", "-c"])
def test_traceback_of_a_program_is_the_one_python_prints(place, way, code):
    arguments = ("-c", code) if way == "-c" else (script(place, code),)
    same(place, run(place, *(arguments if way == "-c" else ("--", *arguments))), control(place, *arguments))


def test_module_run_as_main_is_main_until_the_end(place):
    code = "import atexit, sys, pickle\nclass C: pass\natexit.register(lambda: print(type(pickle.loads(pickle.dumps(C()))).__module__))\n"
    script(place, code, "at_the_end.py")
    same(place, run(place, "-m", "at_the_end"), control(place, "-m", "at_the_end"))


def test_program_reads_stdin(place):
    code = "import sys; print(sys.stdin.read().upper())"
    assert run(place, "-c", code, stdin="typed").stdout == "TYPED\n"


def test_interrupted_program_ends_as_under_python(place):
    name = script(
        place,
        "import signal, os\nprint(signal.getsignal(signal.SIGINT) is signal.default_int_handler)\nos.kill(os.getpid(), signal.SIGINT)\n",
    )

    ours, expected = run(place, "--", name), control(place, name)
    assert (ours.returncode, ours.stdout) == (expected.returncode, expected.stdout) == (-signal.SIGINT, "True\n")


def test_what_follows_on_stdin_is_run_at_the_prompt(place):
    done = run(place, stdin="import helper\nprint(helper.greet('prompt'))\nimport sys; sys.exit(5)\n")
    assert "hello prompt" in done.stdout
    assert done.returncode == 5


def test_prompt_goes_on_after_an_exception(place):
    done = run(place, stdin="1/0\nprint('still here')\n")
    assert "still here" in done.stdout
    assert "ZeroDivisionError" in done.stderr + done.stdout
    assert done.returncode == 0


def test_prompt_on_a_terminal(place):
    master, slave = pty.openpty()
    command = [sys.executable, "-m", "intact", "run", "../app.zip"]
    env = {k: v for k, v in os.environ.items() if not k.startswith("INTACT")} | {
        "TERM": "dumb",
        "PYTHON_BASIC_REPL": "1",
    }
    child = subprocess.Popen(command, cwd=place / "work", stdin=slave, stdout=slave, stderr=slave, env=env)
    os.close(slave)
    os.write(master, b"import helper\nhelper.greet('terminal')\nexit()\n")
    shown = b""
    while True:
        try:
            shown += os.read(master, 4096)
        except OSError:  # the other side is closed
            break
    assert child.wait(20) == 0
    assert b"'hello terminal'" in shown
    assert str(place / "app.zip").encode() in shown
    os.close(master)


def test_several_archives_the_last_wins(place):
    building.write_zip(place / "two.zip", {"helper.py": "def greet(name): return 'two'"})
    assert run(place, "../two.zip", "-c", "import helper; print(helper.greet(1))").stdout == "two\n"


def test_nothing_mounted_is_plain_python(place):
    done = building.python("-m", "intact", "run", "-c", "print(1)", cwd=place)
    assert (done.stdout, done.returncode) == ("1\n", 0)


def test_first_lets_archives_shadow_the_standard_library(place):
    building.write_zip(place / "std.zip", {"colorsys.py": "shadow = True"})
    code = "import colorsys; print(hasattr(colorsys, 'shadow'))"
    assert building.python("-m", "intact", "run", "std.zip", "-c", code, cwd=place).stdout == "False\n"
    assert building.python("-m", "intact", "run", "--first", "std.zip", "-c", code, cwd=place).stdout == "True\n"


def test_no_files_leaves_file_functions_alone(place):
    code = "import os, helper; print(os.path.exists(helper.__file__))"
    assert [run(place, *option, "-c", code).stdout for option in ((), ("--no-files",))] == ["True\n", "False\n"]


def test_environment_leaves_file_functions_alone(place):
    code = "import os, helper, intact; print(os.path.exists(helper.__file__), intact.stats()['redirect_slots'])"
    assert run(place, "-c", code, env={"INTACT_FILES": "0"}).stdout == "False 0\n"


def test_trace_prints_each_module_from_where_and_how_long(place):
    done = run(place, "-c", "import app.core, helper", env={"INTACT_TRACE": "1"})
    pattern = r"intact: (\S+) from (\S+) \((source|bytecode|extension), \d+\.\d\d ms\)"
    lines = [re.fullmatch(pattern, line).groups() for line in done.stderr.splitlines()]
    root = place / "app.zip"
    assert lines == [
        ("app", f"{root}/app/__init__.py", "source"),
        ("app.core", f"{root}/app/core.py", "source"),
        ("helper", f"{root}/helper.py", "source"),
    ]


@pytest.mark.parametrize("value", ["", "0"])
def test_trace_is_off_unless_asked_for(place, value):
    assert run(place, "-c", "import helper", env={"INTACT_TRACE": value}).stderr == ""


def test_program_that_is_an_archive_itself(place):
    """python runs a directory or zip that has a __main__.py."""
    building.write_zip(
        place / "work" / "prog.pyz",
        {"__main__.py": "import helper, beside, sys; print(helper.greet(beside.n), sys.argv)", "beside.py": "n = 4"},
    )
    same(place, run(place, "--", "prog.pyz", "x"), control(place, "prog.pyz", "x"))


def test_program_inside_a_mounted_archive(place):
    done = run(place, "--", "../app.zip/module.py", "x")
    assert (done.returncode, done.stdout) == (0, "module __main__ ['x']\n"), done.stderr


def test_script_that_cannot_be_decoded_is_a_syntax_error(place):
    (place / "work" / "script.py").write_bytes(b"x = '\xff'\n")
    done = run(place, "--", "script.py")
    assert (done.returncode, done.stderr.splitlines()[-1].partition(":")[0]) == (1, "SyntaxError")


def test_safe_path_keeps_the_scripts_directory_out(place):
    name = script(place, "import sys; print(sys.path[0])")
    ours = building.python("-m", "intact", "run", "../app.zip", "--", name, cwd=place / "work", flags=("-P",))
    assert ours.stdout == control(place, name, flags=("-P",), env={"PYTHONPATH": ""}).stdout


def test_isolated_mode_works(place):
    done = building.python(
        "-m",
        "intact",
        "run",
        "../app.zip",
        "-c",
        "import helper; print(helper.greet(1))",
        cwd=place / "work",
        flags=("-I",),
    )
    assert done.stdout == "hello 1\n"
