"""A Python that a process with mounts starts has the same mounts. The control is plain python, on the files of the archive.

test_children_starting.py has the ways to start one.
"""

import concurrent.futures
import multiprocessing
import os
import signal
import subprocess
import sys
from pathlib import Path

import building
import intact
import pytest
from support import strace
from support.children import ABOUT, TREE, open_files

SEES = "import pkg; print(pkg.__file__)"


@pytest.fixture
def place(tmp_path):
    building.write_zip(tmp_path / "app.zip", TREE)
    building.write_files(tmp_path / "files", TREE)
    (tmp_path / "script.py").write_text(ABOUT)
    building.write_files(tmp_path / "program", {"__main__.py": ABOUT})
    building.write_zip(tmp_path / "program.pyz", {"__main__.py": ABOUT})
    building.write_zip(tmp_path / "files.pyz", {"module.py": ABOUT})
    (tmp_path / "compiled.pyc").write_bytes(building.timestamp_pyc(ABOUT))
    return tmp_path


def told(place, done):
    """How a process ended and what it printed; the archive and the directory count as one place."""
    texts = (text.replace(str(place / "files"), str(place / "app.zip")) for text in (done.stdout, done.stderr))
    return done.returncode, *texts


def same(place, *arguments, path=True, **options):
    """Both end alike and print the same: python on the files, and the child of a process that has mounted the archive."""
    files = [argument.replace("ROOT", str(place / "files")) for argument in arguments]
    control = building.python(*files, cwd=place, env={"PYTHONPATH": str(place / "files")} if path else {}, **options)
    with intact.mount(place / "app.zip"):
        child = building.python(
            *(argument.replace("ROOT", str(place / "app.zip")) for argument in arguments), cwd=place, **options
        )
    assert told(place, child) == told(place, control)
    return child


PROGRAMS = {
    "module": ["-m", "pkg", "a", "-b", ""],
    "module, glued": ["-mpkg.tool", "-m"],
    "module of the standard library": ["-m", "calendar", "2024", "1"],
    "module that is missing": ["-m", "there_is_none"],
    "command": ["-c", ABOUT, "-c", "a"],
    "command, glued": ["-c" + ABOUT, "a"],
    "script": ["script.py", "a", "-c"],
    "script after --": ["--", "script.py", "-m", "a"],
    "script below the root": ["ROOT/pkg/tool.py", "a"],
    "script that is missing": ["missing.py"],
    "directory": ["program", "a"],
    "archive": ["program.pyz", "a"],
    "bytecode": ["compiled.pyc", "a"],
    "archive without a program": ["files.pyz"],
    "stdin": [],
    "stdin, named": ["-", "a", "-c"],
}


@pytest.mark.parametrize("arguments", PROGRAMS.values(), ids=PROGRAMS.keys())
def test_program_is_run_as_python_runs_it(place, arguments):
    same(place, *arguments, stdin=ABOUT)


OPTIONS = [
    ["-I"],
    ["-S", "-E"],
    ["-P"],
    ["-OO", "-B"],
    ["-W", "error", "-Wignore::UserWarning"],
    ["-X", "utf8", "-Xdev"],
]
OPTIONS += [["-bbqsu"], ["--check-hash-based-pycs", "never"], ["-Isb", "-Wd"]]


@pytest.mark.parametrize("options", OPTIONS, ids=" ".join)
@pytest.mark.parametrize("program", [["-c", ABOUT], ["script.py"]], ids=["command", "script"])
def test_options_of_python_stay(place, options, program):
    same(place, *options, *program, path=False)


def test_option_that_is_glued_to_a_command_stays(place):
    same(place, "-IBc", ABOUT, "a", path=False)


@pytest.mark.parametrize("options", [["-I"], ["-S"], ["-E"], ["-P"], ["-X", "importtime"], ["-OO"]], ids=" ".join)
def test_mounts_are_there_whatever_the_options(mount, options):
    root = mount(TREE).root
    done = building.python(*options, "-c", SEES)
    assert (done.returncode, done.stdout) == (0, f"{root}/pkg/__init__.py\n"), done.stderr


@pytest.mark.parametrize("question", [["--version"], ["-V"], ["--no-such-option"], ["-c"], ["-Z"]], ids=" ".join)
def test_questions_and_mistakes_are_left_to_python(place, question):
    same(place, *question)


ENDINGS = {
    "exit 3": "import sys; sys.exit(3)",
    "exit text": "import sys; sys.exit('farewell')",
    "uncaught": "def f(): raise ValueError('mine')\nf()",
    "uncaught in a string": "import sys; exec('\\n' * 2 + 'raise ValueError(1)')",
    "syntax error": "x = (",
    "cause": "try:\n    1/0\nexcept ZeroDivisionError as error:\n    raise KeyError('k') from error",
    "hook": "import sys\nsys.excepthook = lambda *e: print('hook', e[0].__name__)\n1/0",
    "interrupted": "def f(): raise KeyboardInterrupt\nf()",
    "killed": "import os, signal; os.kill(os.getpid(), signal.SIGTERM)",
    "at exit": "import atexit, sys; atexit.register(lambda: print(sys.modules['__main__'].mine)); mine = 1",
    "thread": "import threading\ndef late():\n    threading.main_thread().join(); print(mine)\nthreading.Thread(target=late).start(); mine = 'mine'",
}


@pytest.mark.parametrize("code", ENDINGS.values(), ids=ENDINGS.keys())
@pytest.mark.parametrize("way", ["-c", "-m", "script", "archive", "stdin", "-i"])
def test_child_ends_as_under_python(place, way, code):
    (place / "ending.py").write_text(code)
    building.write_zip(place / "ending.pyz", {"__main__.py": code})
    ways = {
        "-c": ["-c", code],
        "-m": ["-m", "ending"],
        "script": ["ending.py"],
        "archive": ["ending.pyz"],
        "stdin": ["-"],
    }
    ways["-i"] = ["-i", "-c", code]
    same(place, *ways[way], stdin=code if way == "stdin" else "import sys\nprint(hasattr(sys, 'last_value'))\n1/0\n")


def test_child_that_is_interrupted_dies_of_the_signal(mount):
    mount(TREE)
    done = building.python("-c", "raise KeyboardInterrupt")
    assert done.returncode == -signal.SIGINT
    assert [line for line in done.stderr.splitlines() if "File" in line] == ['  File "<string>", line 1, in <module>']


# ---- what is handed over


@pytest.mark.parametrize("kind", ["path", "bytes", "directory"])
def test_child_has_the_root_files_and_options_of_the_mount(mount, kind):
    made = mount({f"src/{path}": text for path, text in TREE.items()}, kind, name="mine", prefixes=("src",), first=True)
    code = (
        "import intact, pkg; m, = intact.mounts()\n"
        "print((m.root, m.name, m.first, m.files, m.format, pkg.word, m.read('pkg/data.txt')))"
    )
    expected = (made.root, made.name, made.first, made.files, made.format, "found", b"text\n")
    assert building.output_of("-c", code) == f"{expected}\n"


def test_files_below_a_root_are_read_in_the_child(mount):
    root = mount(TREE, "bytes").root
    assert building.output_of("-c", f"print(open({root!r} + '/pkg/data.txt').read(), end='')") == "text\n"


def test_mounts_come_in_their_order(mount):
    mount({"pkg/__init__.py": "word = 'old'"})
    mount({"pkg/__init__.py": "word = 'new'"}, "bytes", name="b")
    roots = [m.root for m in intact.mounts()]
    code = (
        "import intact, pkg, sys; print(pkg.word, [m.root for m in intact.mounts()], [p for p in sys.path if p in {r}])"
    )
    assert building.output_of("-c", code.replace("{r}", repr(roots))) == f"new {roots} {roots}\n"


def test_limits_are_handed_over(mount):
    mount({"small.py": "", "large.txt": "x" * 5000}, max_member_size=1000)
    code = "import intact; m, = intact.mounts(); m.read('small.py')\ntry: m.read('large.txt')\nexcept intact.MemberError: print('refused')"
    assert building.output_of("-c", code) == "refused\n"


def test_what_is_not_mounted_is_not_seen(mount):
    mount(TREE).unmount()
    mount({"other.py": ""})
    done = building.python("-c", SEES)
    assert done.returncode == 1 and "No module named 'pkg'" in done.stderr


def test_without_mounts_the_command_line_is_untouched():
    code = "print(open('/proc/self/cmdline').read().count('\\0'), 'intact' in __import__('sys').modules)"
    assert building.output_of("-c", code) == "3 False\n"


@pytest.mark.parametrize("change", ["deleted", "replaced"])
def test_archive_deleted_or_replaced_is_handed_over_as_it_was(mount, change):
    path = Path(mount(TREE).root)
    if change == "deleted":
        path.unlink()
    else:
        building.write_zip(path.with_suffix(".new"), {"pkg/__init__.py": "word = 'another'"})
        os.replace(path.with_suffix(".new"), path)
    assert building.output_of("-c", "import pkg; print(pkg.word)") == "found\n"


def test_archive_that_became_unreadable_is_one_line_and_exit_1(mount):
    root = mount(TREE).root
    os.truncate(root, 10)
    done = building.python("-c", "print('ran')")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith(f"intact: {root} was not handed over: ") and done.stderr.count("\n") == 1


def test_descriptor_that_does_not_arrive_is_one_line_and_exit_1(mount):
    root = mount(TREE).root
    done = building.python("-c", "print('ran')", preexec_fn=lambda: os.closerange(100, 200))
    assert (done.returncode, done.stdout) == (1, "")
    assert root in done.stderr and done.stderr.count("\n") == 1


@pytest.mark.parametrize("kind", ["path", "bytes", "directory"])
def test_grandchildren_have_the_mounts_too(mount, kind):
    mount(TREE, kind)
    code = "import subprocess, sys, pkg; print(pkg.__file__, flush=True); sys.exit(subprocess.call([sys.executable, '-c', {}]))"
    lines = building.output_of("-c", code.format(repr(code.format(repr(SEES))))).splitlines()
    assert len(lines) == 3 and len(set(lines)) == 1


def test_bytes_are_handed_over_sealed_and_once(mount):
    made = mount(TREE, "bytes", name="sealed")
    code = "import fcntl, os, intact; m, = intact.mounts(); d, _ = m._duplicate(3); print(os.fstat(d).st_ino, fcntl.fcntl(d, fcntl.F_GET_SEALS))"
    first, second = building.output_of("-c", code), building.output_of("-c", code)
    assert first == second and first.split()[1] == "15"
    assert made.read("pkg/data.txt") == b"text\n"


def test_nothing_stays_open(mount):
    before = open_files()
    made = mount(TREE, "bytes"), mount(TREE)
    for _ in range(3):
        building.output_of("-c", SEES)
    assert len(open_files()) == len(before) + 2  # the file, and the bytes' copy
    for each in made:
        each.unmount()
    assert open_files() == before


def test_child_passes_no_descriptor_on_to_other_programs(mount):
    mount(TREE, "bytes"), mount(TREE)
    code = "import os; print([f for f in os.listdir('/proc/self/fd') if int(f) > 2 and os.path.exists(f'/proc/self/fd/{f}') and os.get_inheritable(int(f))])"
    assert building.output_of("-c", code) == "[]\n"


# ---- multiprocessing

CONTEXTS = ["fork", "spawn", "forkserver"]


@pytest.mark.parametrize("context", CONTEXTS)
@pytest.mark.parametrize("kind", ["path", "bytes"])
def test_multiprocessing_runs_functions_of_a_mount(place, context, kind):
    program = (
        "import intact, multiprocessing, sys\n"
        "from multiprocessing.shared_memory import SharedMemory\n"
        "def main():\n"
        "    from pkg import work\n"
        f"    context = multiprocessing.get_context({context!r})\n"
        "    with context.Pool(2) as pool: print(pool.map(work.square, range(4)), pool.map(work.where, [1])[0][0])\n"
        "    memory = SharedMemory(create=True, size=10); memory.close(); memory.unlink()\n"
        "if __name__ == '__main__':\n"
        f"    m = intact.mount('app.zip' if {kind!r} == 'path' else open('app.zip', 'rb').read(), name='mine'); main()\n"
    )
    (place / "main.py").write_text(program)
    done = building.python("main.py", cwd=place)
    root = place / "app.zip" if kind == "path" else "/intact/mine"
    assert (done.stdout, done.stderr, done.returncode) == (f"[0, 1, 4, 9] {root}/pkg/work.py\n", "", 0)


@pytest.mark.parametrize("context", CONTEXTS[1:])
def test_executor_runs_functions_of_a_mount(mount, context):
    root = mount(TREE, "bytes").root
    from pkg import work

    with concurrent.futures.ProcessPoolExecutor(2, multiprocessing.get_context(context)) as pool:
        assert list(pool.map(work.square, range(4))) == [0, 1, 4, 9]
        file, process = pool.submit(work.where, 0).result()
    assert file == f"{root}/pkg/work.py" and process != os.getpid()


def test_main_module_below_a_root_is_imported_by_spawned_processes(place):
    building.write_zip(
        place / "main.zip",
        {
            "start.py": "import multiprocessing as m\ndef f(n): return n + 1\n"
            "if __name__ == '__main__':\n    with m.get_context('spawn').Pool(1) as p: print(p.map(f, [1, 2]))\n"
        },
    )
    for program in (["-m", "start"], ["--", "main.zip/start.py"]):
        assert building.output_of("-m", "intact", "run", "main.zip", *program, cwd=place) == "[2, 3]\n"


# ---- what it costs


def test_nothing_is_loaded_before_a_child_is_started(place):
    code = (
        "import sys, intact; intact.mount('app.zip'); import pkg\n"
        "print([n for n in ('_posixsubprocess', 'subprocess', 'intact._children', 'intact._patching', 'fcntl') if n in sys.modules])\n"
        "import subprocess; print('intact._children' in sys.modules)"
    )
    assert building.output_of("-c", code, cwd=place) == "[]\nFalse\n"


def test_patched_module_is_as_it_was_loaded():
    code = "import importlib.util as u, _posixsubprocess as m\nprint({0}(m.__loader__).__name__, m.__spec__.loader is m.__loader__, m.fork_exec.__name__)"
    expected = building.output_of("-c", code.format("type"))
    assert building.output_of("-c", "import intact; " + code.format("type")) == expected


def test_subprocess_imported_before_intact(place):
    code = f"import subprocess, sys, intact; intact.mount('app.zip'); sys.exit(subprocess.call([sys.executable, '-c', {SEES!r}]))"
    assert building.output_of("-c", code, cwd=place) == f"{place}/app.zip/pkg/__init__.py\n"


@pytest.mark.parametrize("kind", ["path", "bytes"])
def test_nothing_is_written(place, kind):
    log = place / "log"
    (place / "main.py").write_text(
        "import intact, os, subprocess, sys, multiprocessing\n"
        "if __name__ == '__main__':\n"
        f"    m = intact.mount('app.zip' if {kind!r} == 'path' else open('app.zip', 'rb').read())\n"
        "    subprocess.run([sys.executable, '-m', 'pkg'], check=True)\n"
        "    subprocess.run([sys.executable, m.root + '/pkg/tool.py'], check=True)\n"
        "    from pkg import work\n"
        "    with multiprocessing.get_context('spawn').Pool(1) as pool: assert pool.map(work.square, [2]) == [4]\n"
    )
    environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1"}
    subprocess.run(
        [*strace.command(log), sys.executable, "main.py"],
        cwd=place,
        env=environment,
        check=True,
        stdout=subprocess.DEVNULL,
    )
    assert strace.changes(log) == []
