"""However a process with mounts starts a Python, that has the same mounts."""

import concurrent.futures
import os
import subprocess
import sys
import threading

import building
import intact
import pytest
from support import environment
from support.children import TREE, open_files


def spawned(process):
    return os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])


def in_a_fork(execute):
    process = os.fork()
    if process == 0:
        try:
            execute()
        finally:
            os._exit(99)
    return spawned(process)


COMMAND = [sys.executable, "-c", "import pkg, sys; sys.exit(40 + len(sys.argv))", "a"]
ON_PATH = [os.path.basename(sys.executable), *COMMAND[1:]]
CLOSEFROM = getattr(os, "POSIX_SPAWN_CLOSEFROM", None)
STARTERS = {
    "subprocess": lambda: subprocess.call(COMMAND),
    "subprocess, bytes": lambda: subprocess.call([os.fsencode(word) for word in COMMAND]),
    "subprocess, all descriptors kept": lambda: subprocess.call(COMMAND, close_fds=False),
    "subprocess, fork": lambda: subprocess.call(COMMAND, preexec_fn=int),
    "subprocess, own environment": lambda: subprocess.call(COMMAND, env=environment.EMPTY),
    "subprocess, executable": lambda: subprocess.call(["name", *COMMAND[1:]], executable=sys.executable),
    "subprocess, on PATH": lambda: subprocess.call(ON_PATH),
    "subprocess, relative": lambda: subprocess.call(
        [f"./{ON_PATH[0]}", *COMMAND[1:]], cwd=os.path.dirname(sys.executable)
    ),
    "subprocess, descriptors passed": lambda: subprocess.call(COMMAND, pass_fds=(0, 1)),
    "posix_spawn": lambda: spawned(os.posix_spawn(sys.executable, COMMAND, os.environ)),
    "posix_spawn, all closed": lambda: spawned(
        os.posix_spawn(sys.executable, COMMAND, os.environ, file_actions=[(CLOSEFROM, 3)])
    ),
    "posix_spawnp": lambda: spawned(os.posix_spawnp(ON_PATH[0], ON_PATH, os.environ)),
    "spawnv": lambda: os.spawnv(os.P_WAIT, sys.executable, COMMAND),
    "spawnlpe": lambda: os.spawnlpe(os.P_WAIT, ON_PATH[0], *ON_PATH, dict(os.environ)),
    "execv": lambda: in_a_fork(lambda: os.execv(sys.executable, COMMAND)),
    "execve": lambda: in_a_fork(lambda: os.execve(path=sys.executable, argv=tuple(COMMAND), env=environment.EMPTY)),
    "execve, descriptor": lambda: in_a_fork(
        lambda: os.execve(os.open(sys.executable, os.O_RDONLY), COMMAND, os.environ)
    ),
    "execlp": lambda: in_a_fork(lambda: os.execlp(ON_PATH[0], *ON_PATH)),
}


@pytest.mark.parametrize("start", STARTERS.values(), ids=STARTERS.keys())
@pytest.mark.parametrize("kind", ["path", "bytes"])
def test_child_has_the_mounts_however_it_is_started(mount, monkeypatch, start, kind):
    if start is STARTERS["posix_spawn, all closed"] and CLOSEFROM is None:
        pytest.skip("os.POSIX_SPAWN_CLOSEFROM came with 3.13")
    monkeypatch.setenv("PATH", os.path.dirname(sys.executable), prepend=os.pathsep)
    mount(TREE, kind)
    mount({"other.py": ""}, kind)
    assert start() == 42


def test_program_that_cannot_be_started_is_the_same_error_and_leaves_nothing_open(mount, tmp_path):
    mount(TREE)
    before = open_files()
    for start in (os.execv, lambda *a: subprocess.call(a[1])):
        with pytest.raises(FileNotFoundError):
            start(str(tmp_path / "none"), [str(tmp_path / "none"), "-c", ""])
    with pytest.raises(TypeError):
        os.execve(sys.executable, [sys.executable], None)
    assert open_files() == before


def test_other_programs_are_started_as_they_are(mount):
    mount(TREE)
    done = subprocess.run(["/bin/sh", "-c", 'echo "$0" "$@"', "-c", "a"], capture_output=True, text=True)
    assert done.stdout == "-c a\n"


def test_redirections_and_descriptors_of_the_caller_work(mount):
    mount(TREE)
    reading, writing = os.pipe()
    subprocess.run(
        [sys.executable, "-c", f"import os, pkg; os.write({writing}, pkg.word.encode())"],
        pass_fds=[writing],
        check=True,
    )
    assert os.read(reading, 10) == b"found"
    os.close(reading), os.close(writing)


def test_wrapped_functions_look_like_those_of_os(mount):
    assert os.execve in os.supports_fd
    assert (os.execv.__name__, os.posix_spawn.__doc__) == ("execv", os.posix_spawn.__wrapped__.__doc__)
    assert os.execv.__text_signature__ == os.execv.__wrapped__.__text_signature__ != ""  # CPython's test_inspect asks for it


def test_children_while_others_mount_and_unmount(mount):
    """A mount that ends while it is handed over is there or not; no other file is in its place."""
    mount(TREE, "bytes")
    archive, stop = building.zip_bytes({"other.py": ""}), threading.Event()

    def come_and_go():
        while not stop.is_set():
            intact.mount(archive, name="other").unmount()

    thread = threading.Thread(target=come_and_go)
    thread.start()
    try:
        assert [subprocess.call(COMMAND) for _ in range(20)] == [42] * 20
    finally:
        stop.set()
        thread.join()


def test_sub_interpreter_hands_over_its_own_mounts_only(mount):
    interpreters = pytest.importorskip("_interpreters" if sys.version_info >= (3, 13) else "_xxsubinterpreters")
    mount(TREE)
    archive = building.zip_bytes({"theirs.py": ""})
    code = f"""if True:
        import intact, os, sys
        intact.mount({archive!r}, name='theirs')
        code = "import intact, sys, theirs; sys.exit(40 + len(intact.mounts()))"
        process = os.posix_spawn(sys.executable, [sys.executable, '-c', code], {{}})
        assert os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]) == 41
        for m in intact.mounts(): m.unmount()
    """
    done = building.python(
        "-c",
        f"import {interpreters.__name__} as i; n = i.create(); r = i.run_string(n, {code!r}); i.destroy(n); assert not r, r",
    )
    assert done.returncode == 0, done.stderr


def test_children_of_several_threads(mount):
    mount(TREE, "bytes"), mount({"other.py": ""})
    before = len(open_files())
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        done = list(pool.map(lambda i: list(STARTERS.values())[i % 3](), range(24)))
    assert done == [42] * 24
    assert len(open_files()) <= before + 1
