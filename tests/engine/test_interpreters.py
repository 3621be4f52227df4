"""Sub-interpreters, with the GIL of all or one of their own, and interpreters that are short of something or have no GIL."""

import subprocess
import sys
import textwrap

import building
import pytest
from building import SUFFIX
from interpreters import with_interpreters

MULTI_PHASE, SINGLE_PHASE = (building.stdlib_extension(name) for name in ("_testmultiphase", "_testimportmultiple"))


@pytest.fixture
def archive(tmp_path):
    tree = {
        "pkg/__init__.py": "",
        "pkg/leaf.py": "n = 5",
        "space/leaf.py": "n = 6",
        "pkg/data.txt": "data",
        f"nat/_testmultiphase{SUFFIX}": MULTI_PHASE or b"",
    }
    return building.write_zip(tmp_path / "a.zip", tree)


@pytest.mark.parametrize("own_gil", [False, True])
def test_sub_interpreter_imports_from_what_the_main_one_mounted(archive, own_gil):
    program = f"""
        import intact
        root = intact.mount(sys.argv[1]).root
        interpreter = create({own_gil})
        run(interpreter, '''if True:
            import intact, sys
            import pkg.leaf, space.leaf
            print(pkg.leaf.n, space.leaf.n, pkg.__file__, flush=True)
            print(type(pkg.__loader__).__module__, intact.mounts(), open(pkg.__path__[0] + "/data.txt").read(), flush=True)
        ''')
        interpreters.destroy(interpreter)
        import pkg
        print(intact.stats()["modules_found"] > 0)
    """
    assert with_interpreters(program, archive).split("\n") == [
        f"5 6 {archive}/pkg/__init__.py",
        "intact._engine () data",
        "True",
        "",
    ]


@pytest.mark.parametrize("own_gil", [False, True])
def test_what_a_sub_interpreter_mounts_outlives_it(archive, own_gil):
    program = f"""
        import intact
        interpreter = create({own_gil})
        run(interpreter, '''if True:
            import intact
            intact.mount({archive!r})
            intact.mount(open({archive!r}, "rb").read(), name="sub")
            import pkg.leaf
        ''')
        interpreters.destroy(interpreter)
        import gc; gc.collect()
        import pkg.leaf
        print(pkg.leaf.n, open("/intact/sub/pkg/data.txt").read())
    """
    assert with_interpreters(program, archive) == "5 data\n"


@pytest.mark.parametrize("own_gil", [False, True])
def test_many_sub_interpreters_come_and_go(archive, own_gil):
    program = f"""
        import intact
        intact.mount(sys.argv[1])
        for _ in range(5):
            interpreter = create({own_gil})
            run(interpreter, "import intact, pkg.leaf; intact.mount({archive!r}).unmount()")
            interpreters.destroy(interpreter)
        print('done')
    """
    assert with_interpreters(program, archive) == "done\n"


def test_sub_interpreters_leave_no_memory_behind(archive):
    """The module's state and its types hold each other: what nobody shows to the collector stays for ever, 100 KB each time.

    CPython 3.12 and later leave something of every interpreter, so one that does nothing is the control.
    """
    program = """
        import intact
        intact.mount(sys.argv[1])
        def blocks_after(rounds, code):
            for _ in range(rounds):
                interpreter = create(False)
                run(interpreter, code)
                interpreters.destroy(interpreter)
            return sys.getallocatedblocks()
        def blocks_left(code):
            before = blocks_after(3, code)
            return (blocks_after(10, code) - before) / 10
        more = blocks_left("import intact") - blocks_left("import gc")
        print('done' if more < 300 else more)
    """
    assert with_interpreters(program, archive) == "done\n"


@pytest.mark.skipif(sys.version_info < (3, 12), reason="interpreters share one GIL before 3.12")
def test_sub_interpreters_with_their_own_gil_import_at_the_same_time(tmp_path):
    tree = {"many/__init__.py": "", **{f"many/m{n}.py": "" for n in range(100)}}
    archive = building.write_zip(tmp_path / "a.zip", tree)
    program = """
        import intact, threading
        intact.mount(sys.argv[1])
        code = 'import intact, importlib\\nfor n in range(100): importlib.import_module(f"many.m{n}")\\nwith intact.mount(%r): pass' % sys.argv[1]
        interpreters_made = [create(True) for _ in range(4)]
        threads = [threading.Thread(target=run, args=(interpreter, code)) for interpreter in interpreters_made]
        for thread in threads: thread.start()
        for thread in threads: thread.join()
        for interpreter in interpreters_made: interpreters.destroy(interpreter)
        print('done')
    """
    assert with_interpreters(program, archive) == "done\n"


@pytest.mark.skipif(not MULTI_PHASE, reason="this interpreter came without its test extensions")
def test_sub_interpreter_has_an_extension_module_of_its_own(archive):
    program = """
        import intact
        intact.mount(sys.argv[1])
        import nat._testmultiphase
        interpreter = create(False)
        run(interpreter, 'import intact, nat._testmultiphase as m; m.foo(1, 2); print(m.__file__)')
        interpreters.destroy(interpreter)
        print(nat._testmultiphase.foo(1, 2))
    """
    assert with_interpreters(program, archive).endswith(f"{SUFFIX}\n3\n")


@pytest.mark.skipif(sys.version_info < (3, 12) or not SINGLE_PHASE, reason="a rule of 3.12")
def test_extension_that_cannot_share_a_process_is_refused_by_cpythons_rule(tmp_path):
    archive = building.write_zip(tmp_path / "a.zip", {f"nat/_testimportmultiple{SUFFIX}": SINGLE_PHASE})
    program = """
        import intact
        intact.mount(sys.argv[1])
        run(create(True), '''if True:
            import intact
            try:
                import nat._testimportmultiple
            except ImportError as error:
                print(error)
        ''')
    """
    assert "does not support loading in subinterpreters" in with_interpreters(program, archive)


def test_interpreter_waits_for_threads_that_import_and_ends_cleanly(tmp_path):
    """Not daemon threads: CPython itself crashes now and then when those import while it ends."""
    archive = building.write_zip(
        tmp_path / "a.zip", {"many/__init__.py": "", **{f"many/m{n}.py": "" for n in range(300)}}
    )
    program = (
        "import sys, threading, importlib, intact; intact.mount(sys.argv[1])\n"
        "def work():\n    for n in range(300): importlib.import_module(f'many.m{n}')\n"
        "for _ in range(4): threading.Thread(target=work).start()\n"
    )
    assert building.output_of("-c", program, archive) == ""


@pytest.mark.skipif(building.SANITIZED, reason="a sanitizer's runtime wants some of that room itself")
def test_intact_is_imported_where_libraries_have_taken_all_room_for_static_tls(tmp_path):
    """There are some 1.7 KB for all objects that are loaded after the start; OpenMP runtimes and allocators want some."""
    source = tmp_path / "takes.c"
    source.write_text('__attribute__((tls_model("initial-exec"))) __thread char block[16]; char* get(void) { return block; }')
    subprocess.run(["cc", "-shared", "-fPIC", "-o", tmp_path / "takes.so", source], check=True)
    program = """
        import ctypes, shutil, sys
        library = sys.argv[1]
        try:
            for n in range(10_000):
                ctypes.CDLL(shutil.copy(library, f"{library}.{n}"))
        except OSError as error:
            print("static TLS" in str(error), n > 0)
        import intact
        with intact.mount(sys.argv[2]):
            import pkg
            print(open(pkg.__file__).read(), end="")
    """
    archive = building.write_zip(tmp_path / "a.zip", {"pkg.py": "n = 5\n"})
    done = building.output_of("-c", textwrap.dedent(program), tmp_path / "takes.so", archive)
    assert done == "True True\nn = 5\n"


@pytest.mark.skipif(not building.WITHOUT_GIL, reason="this interpreter has a GIL")
def test_an_interpreter_without_a_gil_goes_on_without_one(tmp_path):
    """It would switch one on, with a warning, for an extension that does not say that it needs none."""
    archive = building.write_zip(tmp_path / "a.zip", {"pkg.py": ""})
    program = "import sys, intact; intact.mount(sys.argv[1]); import pkg; print(sys._is_gil_enabled())"
    assert building.output_of("-c", program, archive, flags=("-W", "error")) == "False\n"
