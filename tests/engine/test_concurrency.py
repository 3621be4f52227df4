"""Threads and forks: importing works in all of them at once."""

import importlib
import os
import pkgutil
import sys
import textwrap
import threading

import building
import intact
import pytest
from building import SUFFIX

THREADS = 8
MULTI_PHASE, SINGLE_PHASE = (building.stdlib_extension(name) for name in ("_testmultiphase", "_testimportmultiple"))


def in_threads(work, count=THREADS):
    """Runs work(number) in `count` threads that start together; the results in order."""
    start, results, errors = threading.Barrier(count), [None] * count, []

    def run(number):
        try:
            start.wait()
            results[number] = work(number)
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=run, args=(number,), daemon=True) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
        assert not thread.is_alive(), "a thread hangs"
    assert errors == []
    return results


def test_eight_threads_import_the_same_module_once(mount):
    mount(
        {
            "counted/__init__.py": "import counted.leaf, sys\nsys.times_run = getattr(sys, 'times_run', 0) + 1",
            "counted/leaf.py": "import time; time.sleep(0.01)",
        }
    )
    modules = in_threads(lambda number: importlib.import_module("counted.leaf"))
    assert len(set(map(id, modules))) == 1
    assert sys.times_run == 1
    del sys.times_run


def test_eight_threads_import_different_modules(mount):
    mount(
        {
            "many/__init__.py": "",
            **{f"many/m{n}.py": f"from many import s{n % 3}\nn = {n}" for n in range(200)},
            **{f"many/s{n}.py": "" for n in range(3)},
        }
    )
    results = in_threads(lambda number: [importlib.import_module(f"many.m{n}").n for n in range(number, 200, THREADS)])
    assert [sorted(sum(results, []))] == [list(range(200))]


def test_eight_threads_import_from_archives_of_their_own(mount):
    for number in range(THREADS):
        mount(
            {f"own{number}/__init__.py": "", f"own{number}/leaf.py": f"n = {number}"},
            ["path", "bytes", "directory"][number % 3],
        )
    assert in_threads(lambda number: importlib.import_module(f"own{number}.leaf").n) == list(range(THREADS))


@pytest.mark.skipif(not MULTI_PHASE, reason="this interpreter came without its test extensions")
def test_eight_threads_import_the_same_extension(mount):
    mount({f"natives/m{number}/_testmultiphase{SUFFIX}": MULTI_PHASE for number in range(3)})
    results = in_threads(
        lambda number: importlib.import_module(f"natives.m{number % 3}._testmultiphase").foo(number, 1)
    )
    assert results == [number + 1 for number in range(THREADS)]


def test_mounting_and_unmounting_while_others_import(mount):
    """Readers keep the state of the tree that they began with."""
    mount({"steady/__init__.py": "", **{f"steady/m{n}.py": "" for n in range(200)}, "steady/data.txt": "data"})
    root = intact.mounts()[0].root
    archive = building.zip_bytes({"fleeting/__init__.py": "", "fleeting/leaf.py": ""})

    def work(number):
        if number < 2:
            for _ in range(100):
                intact.mount(archive, name=f"churn{number}").unmount()
            return
        for n in range(number - 2, 200, THREADS - 2):
            importlib.import_module(f"steady.m{n}")
            with open(f"{root}/steady/data.txt") as file:
                assert file.read() == "data"

    in_threads(work)
    assert [m.root for m in intact.mounts()] == [root]
    assert not any("churn" in path for path in sys.path)


def test_unmounting_one_mount_in_eight_threads_happens_once(mount):
    for _ in range(20):
        mounted = mount({"once.py": ""})
        assert sorted(in_threads(lambda number, m=mounted: m.unmount())) == [False] * (THREADS - 1) + [True]


def test_reading_members_in_eight_threads(mount):
    content = {f"f{n}": os.urandom(5000) for n in range(50)}
    mounted = mount(content)
    assert all(in_threads(lambda number: {path: mounted.read(path) for path in mounted} == content))


FORK = """
    import importlib, os, signal, sys, threading, intact  # all of it: CPython's module locks do not survive a fork
    intact.mount(sys.argv[1])
    import first
    stop = threading.Event()
    def churn():
        while not stop.is_set():
            m = intact.mount(data, name='churn')
            open('/intact/churn/first.py').read()
            m.unmount()
    data = open(sys.argv[1], 'rb').read()
    threads = [threading.Thread(target=churn, daemon=True) for _ in range(3)]
    for thread in threads:
        thread.start()
    for n in range(20):
        child = os.fork()
        if child == 0:
            signal.alarm(40)
            importlib.import_module(f'pkg.m{n}')
            assert open(sys.argv[1] + '/pkg/data.txt').read() == 'data'
            with intact.mount(data, name='in child'):
                assert os.listdir('/intact/in child')
            os._exit(7)
        status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        assert status == 7, status
    stop.set()
    for thread in threads:
        thread.join()
    print('all came back')
"""


@pytest.mark.skipif(
    sys.version_info < (3, 14) and building.WITHOUT_GIL,
    reason="a child of CPython 3.13 without a GIL waits for ever for a dict or file that another thread had locked",
)
def test_child_forked_from_a_threaded_process_imports_and_mounts(tmp_path):
    tree = {"first.py": "", "pkg/__init__.py": "", "pkg/data.txt": "data", **{f"pkg/m{n}.py": "" for n in range(20)}}
    archive = building.write_zip(tmp_path / "a.zip", tree)
    assert building.output_of("-c", textwrap.dedent(FORK), archive, flags=("-W", "ignore")) == "all came back\n"


IN_AN_IMPORT = """
    import gc, importlib, os, sys, threading, intact
    before = gc.get_threshold()
    intact.mount(sys.argv[1])
    sys.inside, sys.go_on = threading.Event(), threading.Event()
    other = threading.Thread(target=importlib.import_module, args=("waits",))
    other.start()
    sys.inside.wait()
    paused = gc.get_threshold()
    child = os.fork()
    if child == 0:
        import quick
        os._exit(20 if gc.get_threshold() == before else 21)
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    print(status, paused[0], gc.get_threshold() == paused)
    sys.go_on.set()
    other.join()
    print(gc.get_threshold() == before)
"""


def test_child_forked_beside_an_import_is_not_in_that_import(tmp_path):
    """The pause of the garbage collector ends with the last import, and a child has only the one thread's."""
    archive = building.write_zip(
        tmp_path / "a.zip", {"waits.py": "import sys; sys.inside.set(); sys.go_on.wait()", "quick.py": ""}
    )
    printed = building.output_of("-c", textwrap.dedent(IN_AN_IMPORT), archive, flags=("-W", "ignore"))
    assert printed == "20 100003 True\nTrue\n"


def test_mounting_importing_and_forking_in_threads_wait_for_nobody(tmp_path):
    """An import followed a mount under a lock that a fork held, which waited for import's own."""
    archives = [building.write_zip(tmp_path / f"{n}.zip", {f"m{n}_{i}.py": "" for i in range(40)}) for n in range(3)]
    program = """
        import importlib, os, sys, threading, time
        import intact
        sys.setswitchinterval(1e-5)
        os.register_at_fork(before=lambda: time.sleep(0.002))
        def work(number):
            for i in range(40):
                with intact.mount(sys.argv[1 + number], name=f"{number}.{i}"):
                    importlib.import_module(f"m{number}_{i}")
        threads = [threading.Thread(target=work, args=(number,)) for number in range(3)]
        for thread in threads: thread.start()
        while any(thread.is_alive() for thread in threads):
            child = os.fork()
            if not child: os._exit(0)
            os.waitpid(child, 0)
        print("done")
    """
    assert building.output_of("-c", textwrap.dedent(program), *archives, flags=("-W", "ignore")) == "done\n"


def test_a_module_that_forks_while_it_is_imported_is_imported_in_both(tmp_path):
    body = """
        import gc, os, sys, deep.leaf
        child = os.fork()
        paused = gc.get_threshold()[0]
        if child:
            status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        import deep.other
    """
    tree = {"forks.py": textwrap.dedent(body), "deep/__init__.py": "", "deep/leaf.py": "", "deep/other.py": "n = 3"}
    program = (
        "import gc, os, sys, intact; before = gc.get_threshold(); intact.mount(sys.argv[1]); import forks\n"
        "good = gc.get_threshold() == before and forks.paused == 100_003 and forks.deep.other.n == 3\n"
        "if not forks.child: os._exit(30 + good)\n"
        "print(forks.status, good)"
    )
    archive = building.write_zip(tmp_path / "a.zip", tree)
    assert building.output_of("-c", program, archive) == "31 True\n"


def test_a_package_that_forks_before_it_imports_its_extension_imports_it(tmp_path):
    """The extension is unpacked ahead by then, and the child lives as long as its parent."""
    extension = building.stdlib_extension("_ctypes")
    assert len(extension) > 64 * 1024, "less is not unpacked ahead"
    package = """
        import os, time
        time.sleep(0.05)
        end, held = os.pipe()
        if os.fork() == 0:
            os.close(held)
            os.read(end, 1)
            os._exit(0)
        from . import _ctypes
    """
    archive = building.write_zip(tmp_path / "a.zip", {"pkg/__init__.py": textwrap.dedent(package), "pkg/_ctypes.so": extension})
    program = "import intact, sys; intact.mount(sys.argv[1]); import pkg; print(pkg._ctypes.__file__)"
    assert building.output_of("-c", program, archive) == f"{archive}/pkg/_ctypes.so\n"


def test_what_a_child_unmounts_is_freed_whoever_read_when_it_was_forked(tmp_path):
    """A reader of another thread is no more in the child: the last state of the tree that it read need not be kept for it.

    The reader is in a path hook that the finder asks, and stays there.
    """
    archive = building.write_zip(tmp_path / "a.zip", {"first.py": "", "looked_for.py": ""})
    program = """
        import os, sys, threading, intact
        data = bytearray(open(sys.argv[1], "rb").read())
        mounted = intact.mount(data, name="data")
        inside, go_on = threading.Event(), threading.Event()
        def hook(path):
            if path == "/asked":
                inside.set(), go_on.wait()
            raise ImportError
        sys.path_hooks.insert(0, hook)
        sys.path.insert(0, "/asked")
        finder = next(finder for finder in sys.meta_path if isinstance(finder, intact._engine.Finder))
        reader = threading.Thread(target=finder.find_spec, args=("looked_for",))  # not by import, whose lock fork waits for
        reader.start()
        inside.wait()
        child = os.fork()
        if child == 0:
            mounted.unmount()
            with intact.mount(sys.argv[1]):  # the next change clears up
                pass
            try:
                data.append(0)  # as long as somebody reads it it has its size
            except BufferError:
                os._exit(41)
            os._exit(40)
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
        go_on.set()
        reader.join()
    """
    assert building.output_of("-c", textwrap.dedent(program), archive, flags=("-W", "ignore")) == "40\n"


def test_mounting_unmounting_listing_reading_and_importing_at_once(mount):
    """What every thread sees of sys.path and of the mounts is whole, and afterwards nothing is left."""
    root = mount({"steady/__init__.py": "", **{f"steady/m{n}.py": "" for n in range(60)}}).root
    archive = building.zip_bytes({"fleeting/__init__.py": "", "fleeting/leaf.py": ""})

    def churn(number):
        for _ in range(40):
            with intact.mount(archive, name="same") as one, intact.mount(archive) as other:
                assert {one, other} < set(intact.mounts())
                assert one.root in sys.path and other.root in sys.path
                assert os.listdir(other.root) == ["fleeting"] and one.read("fleeting/leaf.py") == b""

    def look(number):
        for n in range(number, 60, 4):
            importlib.import_module(f"steady.m{n}")
            assert all(m.root for m in intact.mounts())
            assert os.path.exists(f"{root}/steady/m{n}.py")
            list(pkgutil.iter_modules())

    in_threads(lambda number: churn(number) if number % 2 else look(number // 2))
    assert [m.root for m in intact.mounts()] == [root]
    assert [path for path in sys.path if path.startswith("/intact/")] == []
    assert not os.path.exists("/intact/same")


@pytest.mark.skipif(not MULTI_PHASE, reason="this interpreter came without its test extensions")
def test_child_imports_an_extension_after_fork(tmp_path):
    archive = building.write_zip(
        tmp_path / "a.zip",
        {f"nat/_testmultiphase{SUFFIX}": MULTI_PHASE, f"nat/_testimportmultiple{SUFFIX}": SINGLE_PHASE},
    )
    program = (
        "import os, sys, intact; intact.mount(sys.argv[1]); import nat._testmultiphase\n"
        "child = os.fork()\n"
        "if child == 0:\n    import nat._testimportmultiple; os._exit(nat._testmultiphase.foo(3, 4))\n"
        "print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))"
    )
    assert building.output_of("-c", program, archive) == "7\n"


def test_multiprocessing_by_fork_finds_functions_of_an_archive(tmp_path):
    archive = building.write_zip(tmp_path / "a.zip", {"jobs.py": "def double(n): return 2 * n"})
    program = (
        "import sys, intact, multiprocessing; intact.mount(sys.argv[1]); import jobs\n"
        "with multiprocessing.get_context('fork').Pool(2) as pool: print(pool.map(jobs.double, range(4)))"
    )
    assert building.output_of("-c", program, archive) == "[0, 2, 4, 6]\n"
