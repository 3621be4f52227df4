"""Apps: `python app.pyz` runs with nothing installed, as the program would run when installed.

The interpreter of these tests is the plain one, without intact and without packages; `-I -S` unless a test is about that.
"""

import ensurepip
import hashlib
import json
import os
import pty
import re
import runpy
import shutil
import signal
import subprocess
import sys
import zipfile
from pathlib import Path
from random import Random

import pytest
from intact import _cli_pack
from intact._pack.app import check_size
from intact._pack.errors import PackError
from intact._pack.pth import PthFiles
from support import making, strace

PYTHON = sys._base_executable
PROGRAM = {
    "prog/__init__.py": "",
    "prog/cli.py": """
import sys
from importlib.resources import files
import helper
def main():
    print(helper.greet(files("prog").joinpath("w.txt").read_text()), sys.argv[1:], __file__.rpartition("app.pyz")[2])
def fails():
    raise ValueError("on purpose")
def interrupted():
    import os, signal
    os.kill(os.getpid(), signal.SIGINT)
def code():
    return int(sys.argv[1])
class Commands:
    @staticmethod
    def inner():
        print("inner")
""",
    "prog/__main__.py": "import sys\nprint(__name__, __spec__.name, sys.argv[1:], sys.path[0].rpartition('/')[2])\n",
    "prog/w.txt": "word",
    "prog-1.0.dist-info/entry_points.txt": "[console_scripts]\nprog-it = prog.cli:main\n",
}
HELPER = {"helper.py": "def greet(name): return f'hello {name}'\n"}


@pytest.fixture(scope="session")
def wheels(tmp_path_factory):
    directory = tmp_path_factory.mktemp("wheels")
    return making.wheel(directory, "prog", PROGRAM), making.wheel(directory, "helper", HELPER)


def pack(target, *arguments, **options):
    done = making.intact("pack", "-o", target, *arguments, **options)
    assert done.returncode == 0, done.stderr
    return done


def run(app, *arguments, flags=("-I", "-S"), python=PYTHON, **options):
    command = [python, *flags, str(app), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, **options)


@pytest.fixture(scope="session")
def app(wheels, tmp_path_factory):
    target = tmp_path_factory.mktemp("app") / "app.pyz"
    pack(target, "--entry", "prog.cli:main", *wheels)
    return target


SAYS = "hello word ['a', 'b c'] /prog/cli.py\n"


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
    done = subprocess.run([app, "a", "b c"], env={"PATH": str(bin)}, capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, SAYS, "")


def test_starts_by_a_relative_path_and_through_a_link(app, tmp_path):
    (tmp_path / "app.pyz").symlink_to(app)
    assert run("app.pyz", "a", "b c", cwd=app.parent).stdout == SAYS
    assert run("./app.pyz", "a", "b c", cwd=tmp_path).stdout == SAYS


def test_starts_without_home_or_temporary_directory_or_a_users_name(app):
    """And in an environment that is empty; nobody has the user id 54321."""
    program = ["setpriv", "--reuid=54321", "--clear-groups"] if os.geteuid() == 0 else []
    done = subprocess.run([*program, PYTHON, app, "a", "b c"], env={}, cwd="/", capture_output=True, text=True)
    if program and done.returncode:
        # this checkout, or the interpreter, lies where only its owner may go
        assert "ermission denied" in done.stderr or "cannot open shared object file" in done.stderr
        done = subprocess.run([PYTHON, app, "a", "b c"], env={}, cwd="/", capture_output=True, text=True)
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


def test_an_app_that_is_too_large_to_start_is_refused():
    """Python before 3.13 says of it that it has no __main__."""
    check_size("app.pyz", 2**31 - 1, ["3.11", "3.13"])
    check_size("app.pyz", 2**31, ["3.13"])
    with pytest.raises(PackError, match=r"Python 3\.11 and 3\.12 starts none"):
        check_size("app.pyz", 2**31, ["3.11", "3.12", "3.13"])


def test_entry_that_is_not_packed_is_refused(wheels, tmp_path):
    done = making.intact("pack", "-o", tmp_path / "app.pyz", "--entry", "absent:main", *wheels)
    assert done.returncode == 1 and done.stderr.splitlines()[-1] == "intact: absent:main: no such module is packed"


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (("--entry", "."), r"\.: is no MODULE or MODULE:FUNCTION to run \(and nothing can be packed editable: .*"),
        (("--entry", "prog:"), "prog:: is no MODULE or MODULE:FUNCTION to run"),
        (
            ("--python-shebang", "#!/usr/bin/python3"),
            "#!/usr/bin/python3: is not one line for the kernel, without its #!",
        ),
    ],
)
def test_options_that_make_no_sense_are_refused_before_the_work(options, expected, tmp_path):
    done = making.intact("pack", "-o", tmp_path / "app.pyz", *options, "absent-from-any-index")
    assert done.returncode == 1 and re.fullmatch(f"intact: {expected}\n", done.stderr), done.stderr


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


INTERPRETER = {**os.environ, "INTACT_INTERPRETER": "1"}


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


def test_mounting_an_app_gives_its_payload(app):
    code = f"import intact; m = intact.mount({str(app)!r}); import helper; print(m.format, helper.greet('you'), len(m) > 10)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout == "app hello you True\n", done.stderr


def test_zip_tools_list_and_extract_it(app, tmp_path):
    with zipfile.ZipFile(app) as outer:
        assert outer.testzip() is None
        assert outer.namelist()[-1] == "intact-payload.zip"
        outer.extract("intact-payload.zip", tmp_path)
    with zipfile.ZipFile(tmp_path / "intact-payload.zip") as inner:
        assert inner.testzip() is None
        assert {"prog/cli.py", "helper.py", ".intact/app.json"} <= set(inner.namelist())


def test_info_tells_what_was_packed_for_whom(app, wheels):
    facts = json.loads(making.intact("info", "--json", app).stdout)
    assert [each["name"] for each in facts["distributions"]] == ["helper", "prog"]
    assert facts["app"]["entry"] == "prog.cli:main"
    assert [each["python"] for each in facts["app"]["targets"]] == ["%d.%d" % sys.version_info[:2]]
    assert facts["app"]["wheels"] == {wheel.name: hashlib.sha256(wheel.read_bytes()).hexdigest() for wheel in wheels}
    shown = making.intact("info", app).stdout
    assert "entry point: prog.cli:main" in shown and "glibc 2." in shown and "prog 1.0" in shown


def test_same_inputs_give_the_same_bytes(wheels, tmp_path):
    for name, order in ("a", wheels), ("b", wheels[::-1]):
        (tmp_path / name).mkdir()
        copies = [shutil.copy(wheel, tmp_path / name) for wheel in order]
        pack("app.pyz", "--entry", "prog", *map(os.path.basename, copies), cwd=tmp_path / name)
    first, second = ((tmp_path / name / "app.pyz").read_bytes() for name in "ab")
    if first != second:  # the order of the command line is kept in what tells others how to pack it
        assert len(first) == len(second)
    pack("other.pyz", "--entry", "prog", *map(os.path.basename, wheels), cwd=tmp_path / "b")
    assert (tmp_path / "b/other.pyz").read_bytes() == first


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


def altered(app, target, needle):
    data = bytearray(app.read_bytes())
    data[data.index(needle) + len(needle) // 2] ^= 0x20
    target.write_bytes(data)
    return target


def test_what_packs_another_one_names_no_directory_and_no_password():
    """It is kept in the app, which others have; a bare name would mean what an index has by that name."""
    line = "--lock=/home/me/pylock.toml -r/home/me/r.txt /home/me/app/ --python-shebang /usr/bin/python3 --for 3.12 ./b -o x"
    urls = ["a @ https://me:token@host/a.whl", "c @ file:///home/me/c-1-py3-none-any.whl"]
    wanted = "--lock=./pylock.toml -r./r.txt ./app --python-shebang /usr/bin/python3 ./b 'a @ https://host/a.whl' ./c-1-py3-none-any.whl"
    assert _cli_pack._command(["pack", *line.split(), *urls]) == f"intact pack --for %s -o %s {wanted}"


def test_an_engine_of_another_version_is_refused(wheels, tmp_path):
    tag = f"cp{sys.version_info[0]}{sys.version_info[1]}"
    other = making.wheel(
        tmp_path, "intact", {"intact/_engine.x.so": ""}, version="99.0", tag=f"{tag}-{tag}-linux_{os.uname().machine}"
    )
    done = making.intact("pack", "-o", tmp_path / "app.pyz", "--engine", other, *wheels)
    assert done.returncode == 1 and "is of version 99.0" in done.stderr and done.stderr.count("\n") == 1


def test_an_altered_engine_is_refused(app, tmp_path):
    done = run(altered(app, tmp_path / "app.pyz", b"The engine of intact."))
    assert done.returncode == 1 and re.fullmatch(r"intact: .*app\.pyz: engine/.* is not what was packed\n", done.stderr)


def test_no_altered_bit_of_what_starts_it_ends_in_a_crash_or_a_wrong_answer(app, tmp_path):
    """Bytecode is not checked by the interpreter that runs it; it was a crash in one of some fifty."""
    data, random = app.read_bytes(), Random(4)
    start = data.index(b"engine/boot.py")
    for _ in range(60):
        broken = bytearray(data)
        broken[random.randrange(start, len(data))] ^= 1 << random.randrange(8)
        (tmp_path / "app.pyz").write_bytes(broken)
        done = run(tmp_path / "app.pyz", "a", "b c")
        right = (done.returncode, done.stdout) == (0, SAYS)
        assert right or (done.returncode > 0 and done.stderr and done.stdout in ("", SAYS)), done


def test_where_there_is_no_room_for_the_engine_that_is_what_is_said(app):
    """The engine is written as a whole or not at all: what is missing of a mapped file is a bus error."""
    import resource

    size = 500_000  # less than the engine has
    done = run(app, preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (size, size)))
    assert done.returncode == 1 and re.fullmatch(
        r"intact: .*app\.pyz: the engine cannot be loaded: .*File too large.*\n", done.stderr
    )


def test_a_relative_path_from_a_directory_that_is_gone_is_refused_in_one_line(app, tmp_path):
    code = f"import os; os.mkdir('x'); os.chdir('x'); os.rmdir('../x'); os.execv({PYTHON!r}, ['python', '../app.pyz'])"
    (tmp_path / "app.pyz").symlink_to(app)
    done = subprocess.run([PYTHON, "-c", code], cwd=tmp_path, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (
        1,
        "intact: ../app.pyz: no absolute path leads to it: No such file or directory\n",
    )


def test_an_altered_member_is_refused_when_it_is_read(app, tmp_path):
    broken = altered(app, tmp_path / "app.pyz", b"hello {name}")  # the source; its bytecode stands as it was
    assert run(broken, "a", "b c").stdout == SAYS
    done = run(
        broken,
        "-c",
        "import importlib.util as u; u.find_spec('helper').loader.get_source('helper')",
        env=INTERPRETER,
        flags=(),
    )
    assert done.returncode == 1 and "helper.py" in done.stderr and "CRC-32" in done.stderr
    verified = making.intact("verify", broken)
    assert verified.returncode == 1 and "helper.py" in verified.stdout


def test_verify_reads_the_outer_zip_too(app, tmp_path):
    assert making.intact("verify", app).returncode == 0
    done = making.intact("verify", altered(app, tmp_path / "app.pyz", b"The engine of intact."))
    assert done.returncode == 1 and "engine/_engine" in done.stdout


def test_verify_tells_of_a_method_that_nobody_knows(app, tmp_path):
    content = bytearray(app.read_bytes())
    entry = (
        content.rindex(b"engine/boot.py") - 46
    )  # in the outer directory, whose entries have 46 bytes before the name
    content[entry + 10] = 97
    (tmp_path / "app.pyz").write_bytes(content)
    done = making.intact("verify", tmp_path / "app.pyz")
    assert done.returncode == 1 and "engine/boot.py: " in done.stdout and not done.stderr


def test_an_app_cut_short_is_refused(app, tmp_path):
    (tmp_path / "app.pyz").write_bytes(app.read_bytes()[:-100])
    started = run(tmp_path / "app.pyz")  # to python it is a text: this is all that can be said
    assert started.returncode == 1 and "encoding problem: this-app-was-cut-short" in started.stderr
    done = making.intact("verify", tmp_path / "app.pyz")
    assert done.returncode == 1 and "app.pyz" in done.stderr and done.stderr.count("\n") == 1


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


def names(app):
    with zipfile.ZipFile(app) as outer, outer.open("intact-payload.zip") as payload, zipfile.ZipFile(payload) as inner:
        return {info.filename: info for info in inner.infolist()}


def test_no_source_keeps_bytecode_and_what_does_not_compile(wheels, tmp_path):
    template = making.wheel(tmp_path, "template", {"template/__init__.py": "n = 1\n", "template/in.py": "{% if %}\n"})
    done = pack(tmp_path / "app.pyz", "--no-source", "--entry", "prog.cli:main", template, *wheels)
    assert "without their sources" in done.stderr
    assert run(tmp_path / "app.pyz", "a", "b c").stdout == SAYS.replace(".py\n", ".pyc\n")
    found = names(tmp_path / "app.pyz")
    assert "prog/cli.pyc" in found and "prog/cli.py" not in found and "template/in.py" in found


def test_bytecode_in_its_sources_place_belongs_to_the_distribution(app, wheels, tmp_path):
    pack(tmp_path / "app.pyz", "--no-source", *wheels)
    told = [json.loads(making.intact("info", "--json", each).stdout) for each in (app, tmp_path / "app.pyz")]
    [with_source, without] = [{each["name"]: each["files"] for each in facts["distributions"]} for facts in told]
    assert without == {"prog": with_source["prog"] - 3, "helper": with_source["helper"] - 1}


def test_files_can_be_left_out(wheels, tmp_path):
    tests = {
        "pkg/__init__.py": "",
        "pkg/tests/test_x.py": "",
        "pkg/testing.py": "",
        "tests/kept.py": "",
        "pkg/big.bin": "x",
    }
    wheel = making.wheel(tmp_path, "pkg", tests)
    pack(tmp_path / "app.pyz", "--strip-tests", "--exclude", "*.bin", wheel)
    found = {
        name
        for name in names(tmp_path / "app.pyz")
        if name.endswith((".py", ".bin")) and not name.startswith("intact/")
    }
    assert found == {"pkg/__init__.py", "pkg/testing.py", "tests/kept.py"}
    code = "import importlib.metadata as m; print(sorted(map(str, m.files('pkg'))))"
    assert "tests/test_x.py" not in run(tmp_path / "app.pyz", "-c", code).stdout


@pytest.mark.parametrize(
    "options", [("--compress", "deflate"), ("--compress", "zstd"), ("--compress", "zstd", "--small")]
)
def test_compressed_apps_are_smaller_and_run(options, app, wheels, tmp_path):
    pack(tmp_path / "app.pyz", *options, "--entry", "prog.cli:main", *wheels)
    assert run(tmp_path / "app.pyz", "a", "b c").stdout == SAYS
    whole, packed = (sum(info.compress_size for info in names(path).values()) for path in (app, tmp_path / "app.pyz"))
    assert packed < whole / 2


def test_a_full_disk_leaves_nothing(wheels, tmp_path):
    import resource

    def limit():
        resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, 300_000))

    done = making.intact("pack", "-o", tmp_path / "app.pyz", *wheels, preexec_fn=limit)
    assert done.returncode == 1 and "File too large" in done.stderr and list(tmp_path.iterdir()) == []


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


def test_an_engine_that_is_not_what_was_packed_is_not_left_in_the_directory(app, tmp_path):
    broken, directory = altered(app, tmp_path / "app.pyz", b"The engine of intact."), tmp_path / "engines"
    directory.mkdir()
    done = run(broken, flags=(), env={**os.environ, "INTACT_EXTRACT": str(directory)})
    assert "is not what was packed" in done.stderr and list(directory.iterdir()) == []


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
    done = run(app, flags=(), cwd="/", env={})
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
