"""The end of interpreters, in any order, with images pinned: each has one outcome, which is no crash and no hang."""

import os
import subprocess
import sysconfig
import textwrap

import building
import pytest
from building import SUFFIX
from interpreters import with_interpreters

MULTI_PHASE = building.stdlib_extension("_testmultiphase")
needs_extension = pytest.mark.skipif(not MULTI_PHASE, reason="this interpreter came without its test extensions")


@pytest.fixture
def archive(tmp_path):
    tree = {
        "pkg/__init__.py": "",
        "pkg/leaf.py": "n = 5",
        "pkg/data.txt": "data",
        **{f"many/m{n}.py": "" for n in range(300)},
        f"nat/_testmultiphase{SUFFIX}": MULTI_PHASE or b"",
    }
    return building.write_zip(tmp_path / "a.zip", tree)


def outcome(program, *arguments):
    return building.output_of("-c", textwrap.dedent(program), *arguments)


def test_a_mount_is_used_by_what_runs_last(archive):
    """atexit first, then finalisers of objects in modules: reading, opening, importing what is loaded, and unmounting."""
    program = """
        import atexit, sys, intact
        mounted = intact.mount(sys.argv[1])
        import pkg.leaf
        class Last:
            def __del__(self, mounted=mounted, open=open, pkg=pkg, print=print):
                print("finaliser", mounted.read("pkg/data.txt"), open(mounted.root + "/pkg/data.txt").read(), pkg.leaf.n)
                print(mounted.unmount(), mounted.unmount())
        last = Last()
        def leave():
            import many.m1
            print("atexit", mounted.mounted, many.m1.__file__ == mounted.root + "/many/m1.py")
        atexit.register(leave)
    """
    assert outcome(program, archive).splitlines() == ["atexit True True", "finaliser b'data' data 5", "True False"]


@needs_extension
@pytest.mark.parametrize("order", ["unmount, forget", "forget, unmount", "unmount", "forget", ""])
def test_extensions_and_their_mount_end_in_any_order(archive, order):
    program = """
        import gc, sys, intact
        kept = mounted = intact.mount(sys.argv[1])
        import nat._testmultiphase as module
        kept_object = module.Example()
        for step in sys.argv[2].split(", "):
            if step == "unmount":
                mounted.unmount()
            if step == "forget":
                del sys.modules["nat._testmultiphase"], sys.modules["nat"], module, kept_object
                gc.collect()
        print("end")
    """
    assert outcome(program, archive, order) == "end\n"


def test_a_destructor_of_a_library_reads_below_a_root_at_exit(tmp_path):
    """Exit handlers of the C library run after the interpreter is no more; the tree and the images are still there."""
    source = tmp_path / "reads.c"
    source.write_text(
        textwrap.dedent("""
            #include <stdio.h>
            #include <stdlib.h>
            char path[4096];
            static void __attribute__((destructor)) last(void) {
              char text[16] = "";
              FILE* file = path[0] ? fopen(path, "r") : 0;
              if (file && fgets(text, sizeof text, file)) { printf("destructor %s\\n", text); fflush(stdout); }
            }
        """)
    )
    subprocess.run(["cc", "-shared", "-fPIC", "-o", tmp_path / "reads.so", source], check=True)
    tree = {"pkg/reads.so": (tmp_path / "reads.so").read_bytes(), "pkg/data.txt": "data"}
    archive = building.write_zip(tmp_path / "a.zip", tree)
    program = """
        import ctypes, sys, intact
        root = intact.mount(sys.argv[1]).root
        library = ctypes.CDLL(root + "/pkg/reads.so")
        (ctypes.c_char * 4096).in_dll(library, "path").value = (root + "/pkg/data.txt").encode()
    """
    assert outcome(program, archive) == "destructor data\n"


def test_daemon_threads_that_mount_and_read_do_not_keep_a_process_from_ending(archive):
    """Not ones that import: CPython itself crashes now and then when those go on while it ends."""
    program = """
        import sys, threading, intact
        mounted = intact.mount(sys.argv[1])
        started = threading.Barrier(5)
        def work():
            started.wait()
            while True:
                intact.mount(sys.argv[1]).unmount()
                mounted.read("pkg/data.txt")
        for _ in range(4):
            threading.Thread(target=work, daemon=True).start()
        started.wait()
        print("end", flush=True)
    """
    for _ in range(5):
        assert outcome(program, archive) == "end\n"


@needs_extension
@pytest.mark.parametrize("own_gil", [False, True])
@pytest.mark.parametrize("shared", [False, True])
def test_sub_interpreters_may_be_left_to_the_end_or_end_first(archive, own_gil, shared):
    program = f"""
        import intact
        code = f'''if True:
            import intact
            mounted = intact.mount({{sys.argv[1]!r}}, shared={shared})
            import pkg.leaf, nat._testmultiphase
            kept = nat._testmultiphase.Example()
            class Last:
                def __del__(self):
                    mounted.unmount()
            last = Last()
        '''
        made = [create({own_gil}) for _ in range(4)]
        for interpreter in made:
            run(interpreter, code)
        intact.mount(sys.argv[1])
        import nat._testmultiphase
        for interpreter in made[:2]:
            interpreters.destroy(interpreter)
        print(nat._testmultiphase.foo(1, 2))
    """
    assert with_interpreters(program, archive) == "3\n"


EMBEDDING = """
    #include <Python.h>
    int main(int argc, char** argv) {
      int failed = argc < 2;
      for (int round = 0; round < 3 && !failed; ++round) {
        PyConfig config;
        PyConfig_InitPythonConfig(&config);
        PyConfig_SetBytesString(&config, &config.program_name, argv[1]);
        PyStatus status = Py_InitializeFromConfig(&config);
        PyConfig_Clear(&config);
        failed = PyStatus_Exception(status) || PyRun_SimpleString(argv[2]) != 0;
        failed |= Py_FinalizeEx() != 0;
      }
      return failed;
    }
"""


def libpython():
    """How the C compiler links an embedding program, or None where the interpreter has no library for that."""
    variables = sysconfig.get_config_vars()
    name = variables.get("INSTSONAME") if variables.get("Py_ENABLE_SHARED") else None
    places = [os.path.join(variables[key] or "", variables["LDLIBRARY"]) for key in ("LIBDIR", "LIBPL")]
    library = next((place for place in places if os.path.exists(place)), None)
    if name is None and library is None:
        return None
    return [library, f"-Wl,-rpath,{variables['LIBDIR']}", *variables["LIBS"].split(), *variables["SYSLIBS"].split(), "-rdynamic"]


@needs_extension
@pytest.mark.skipif(libpython() is None, reason="this interpreter cannot be embedded")
@pytest.mark.skipif(building.SANITIZED, reason="a sanitizer's runtime is loaded into Python alone")
def test_a_program_initialises_and_finalises_python_again_and_again(archive, tmp_path):
    """What is shared stays mounted from one life of the interpreter to the next, what is its own ends with it."""
    source = tmp_path / "embedding.c"
    source.write_text(textwrap.dedent(EMBEDDING))
    program = tmp_path / "embedding"
    include = f"-I{sysconfig.get_path('include')}"
    subprocess.run(["cc", include, "-o", program, source, *libpython()], check=True)
    import sys

    import intact

    place = os.path.dirname(os.path.dirname(intact.__file__))
    code = f"""if True:
        import sys
        sys.path.insert(0, {place!r})
        import intact, os
        print(sorted(os.path.basename(root) for root in intact._engine._roots()), os.path.exists("/intact/own"), flush=True)
        data = open({archive!r}, "rb").read()
        if not intact._engine._roots():
            intact.mount({archive!r})
        intact.mount(data, name="own", shared=False)
        import pkg.leaf, nat._testmultiphase
        assert (pkg.leaf.n, nat._testmultiphase.foo(1, 2)) == (5, 3)
        """
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("PYTHON", "INTACT"))}
    done = subprocess.run(
        [program, sys.executable, code], env=environment, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == ["[] False", "['a.zip'] False", "['a.zip'] False"]
