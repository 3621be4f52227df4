"""Mounts of one interpreter alone (`shared=False`): who sees them, and what becomes of them."""

import sys

import building
import intact
import pytest
from interpreters import with_interpreters

GILS = pytest.mark.parametrize("own_gil", [False, True])


@pytest.fixture
def archives(tmp_path):
    """Three archives that have the same names in them."""
    return [
        building.write_zip(
            tmp_path / f"{name}.zip",
            {
                "pkg/__init__.py": "",
                "pkg/leaf.py": f"name = {name!r}",
                "space/leaf.py": f"name = {name!r}",
                "pkg/data.txt": name,
                f"{name}_only.py": "",
                f"pkg-1.{index}.dist-info/METADATA": f"Metadata-Version: 2.1\nName: pkg\nVersion: 1.{index}\n",
            },
        )
        for index, name in enumerate(["one", "two", "three"])
    ]


def test_a_mount_is_shared_unless_it_says_otherwise(mount):
    assert mount({"shared.py": ""}).shared
    assert not mount({"alone.py": ""}, shared=False).shared
    import alone
    import shared

    assert (alone.__file__, shared.__file__) == tuple(f"{m.root}/{n}.py" for m, n in zip(intact.mounts(), ("alone", "shared")))


@GILS
def test_what_one_interpreter_has_alone_no_other_finds(archives, own_gil):
    """Neither by import, nor through sys.path, the path hook, pkgutil or importlib.metadata."""
    program = f"""
        import intact
        intact.mount(sys.argv[1], shared=False)
        import pkg.leaf
        run(create({own_gil}), f'''if True:
            import importlib.metadata, importlib.util, intact, pkgutil, sys
            names = [importlib.util.find_spec(name) for name in ("pkg", "space", "one_only")]
            hook = [hook for hook in sys.path_hooks if hook is intact._engine.EntryFinder]
            try:
                hook[0]({{sys.argv[1]!r}})
            except ImportError as error:
                print(error)
            print(names, {{sys.argv[1]!r}} in sys.path, intact.mounts(), intact._engine._roots())
            print(any(m.name == "pkg" for m in pkgutil.iter_modules()), [d.name for d in importlib.metadata.distributions(name="pkg")])
            print(open({{sys.argv[1]!r}} + "/pkg/data.txt").read(), flush=True)
        ''')
        print(pkg.leaf.name, [m.root for m in intact.mounts()] == [sys.argv[1]])
    """
    assert with_interpreters(program, archives[0]).splitlines() == [
        "not a directory of a mounted archive",
        "[None, None, None] False () []",
        "False []",
        "one",
        "one True",
    ]


@GILS
def test_what_all_share_those_that_run_already_follow(archives, own_gil):
    """Mounted and unmounted by one interpreter after another has imported intact: sys.path follows there with the next import.

    The main interpreter uses importlib.metadata first, for the reason below.
    """
    program = f"""
        import importlib.metadata, importlib.util, intact
        other = create({own_gil})
        run(other, "import importlib.metadata, importlib.util, intact, pkgutil, sys")
        def look():
            run(other, f'''if True:
                found = importlib.util.find_spec("one_only") is not None, importlib.util.find_spec("space") is not None
                listed = any(m.name == "pkg" for m in pkgutil.iter_modules())
                print(*found, listed, len(list(importlib.metadata.distributions(name="pkg"))), {{sys.argv[1]!r}} in sys.path, flush=True)
            ''')
        look()
        mounted = intact.mount(sys.argv[1])
        look()
        mounted.unmount()
        look()
        run(other, f"mounted = intact.mount({{sys.argv[1]!r}})")
        import space.leaf
        print(space.leaf.name, importlib.metadata.version("pkg"), sys.argv[1] in sys.path, flush=True)
        run(other, "mounted.unmount()")
        print(importlib.util.find_spec("one_only"), sys.argv[1] in sys.path)
    """
    assert with_interpreters(program, archives[0]).splitlines() == [
        "False False False 0 False",
        "True True True 1 True",
        "False False False 0 False",
        "one 1.0 True",
        "None False",
    ]


def test_an_entry_that_a_program_takes_off_the_path_stays_off(mount):
    first = mount({"one.py": ""})
    sys.path.remove(first.root)
    mount({"two.py": ""})
    import two  # noqa: F401

    assert first.root not in sys.path


@GILS
def test_each_interpreter_imports_from_its_own_archive(archives, own_gil):
    """Modules, namespace packages and metadata under the same names; what is shared comes after what is newer and its own.

    The main interpreter uses importlib.metadata first: where interpreters with GILs of their own have, CPython 3.12 crashes if it
    has not loaded the module _datetime, which that imports, and 3.13.0 if it asks for a version afterwards, without intact too.
    """
    program = f"""
        import importlib.metadata, intact
        code = '''if True:
            import importlib.metadata, intact
            mounted = intact.mount(%r, shared=False)
            import pkg.leaf, space.leaf, one_only
            with open(pkg.__path__[0] + "/data.txt") as data:
                print(pkg.leaf.name, space.leaf.name, data.read(), importlib.metadata.version("pkg"), list(space.__path__), flush=True)
        '''
        intact.mount(sys.argv[1])
        version = importlib.metadata.version("pkg")
        run(create({own_gil}), code % sys.argv[2])
        run(create({own_gil}), code % sys.argv[3])
        import pkg.leaf
        print(pkg.leaf.name, version)
    """
    one, two, three = archives
    assert with_interpreters(program, *archives).splitlines() == [
        f"two two two 1.1 {[f'{two}/space', f'{one}/space']}",
        f"three three three 1.2 {[f'{three}/space', f'{one}/space']}",
        "one 1.0",
    ]


@GILS
def test_zipimporter_reads_what_another_interpreter_mounted_for_all_and_nothing_that_is_alone(archives, own_gil):
    """It knew its own interpreter's mounts only: "not a Zip file", of a root that the interpreter imports from."""
    program = f"""
        import intact
        root = intact.mount(open(sys.argv[1], "rb").read(), name="one").root
        alone = intact.mount(open(sys.argv[2], "rb").read(), name="two", shared=False).root
        run(create({own_gil}), f'''if True:
            import intact, one_only
            for path in ({{root!r}}, {{root!r}} + "/pkg", {{alone!r}}):
                try:
                    importer = intact.zipimporter(path)
                    print(importer.get_filename("leaf" if importer.prefix else "one_only"), flush=True)
                except ImportError as error:
                    print(error, flush=True)
            print(intact.zipimporter({{root!r}}).get_data("pkg/data.txt"), flush=True)
        ''')
    """
    assert with_interpreters(program, *archives[:2]).splitlines() == [
        "/intact/one/one_only.py",
        "/intact/one/pkg/leaf.py",
        "not a Zip file",
        "b'one'",
    ]


@GILS
def test_what_an_interpreter_has_alone_ends_with_it(archives, own_gil):
    program = f"""
        import intact, os
        data = open(sys.argv[2], "rb").read()
        interpreter = create({own_gil})
        run(interpreter, f'''if True:
            import intact
            kept = [intact.mount({{sys.argv[1]!r}}, shared=False), intact.mount({{data!r}}, name="bytes", shared=False)]
            shared = intact.mount({{data!r}}, name="everyone")
            import pkg.leaf, one_only
        ''')
        before = [os.path.exists(sys.argv[1] + "/pkg"), os.path.exists("/intact/bytes"), os.path.exists("/intact/everyone")]
        interpreters.destroy(interpreter)
        print(before, [os.path.exists(sys.argv[1] + "/pkg"), os.path.exists("/intact/bytes"), os.path.exists("/intact/everyone")])
    """
    assert with_interpreters(program, *archives[:2]) == "[True, True, True] [False, False, True]\n"


def test_it_ends_also_where_the_interpreter_leaves_our_module_behind(archives):
    """Extension modules that leak keep alive whatever they refer to."""
    program = """
        import intact, os
        interpreter = create(False)
        run(interpreter, f'''if True:
            import ctypes, intact
            mounted = intact.mount({sys.argv[1]!r}, shared=False)
            ctypes.pythonapi.Py_IncRef(ctypes.py_object(intact._engine))
        ''')
        print(os.path.exists(sys.argv[1] + "/pkg"))
        interpreters.destroy(interpreter)
        print(os.path.exists(sys.argv[1] + "/pkg"))
    """
    assert with_interpreters(program, archives[0]) == "True\nFalse\n"


@GILS
def test_unnamed_archives_of_two_interpreters_have_roots_of_their_own(archives, own_gil):
    program = f"""
        import intact
        code = '''if True:
            import intact
            root = intact.mount(%r, shared=False).root
            import pkg
            print(open(root + "/pkg/data.txt").read(), pkg.__path__ == [root + "/pkg"], flush=True)
        '''
        made = [create({own_gil}) for _ in range(2)]
        for interpreter, path in zip(made, sys.argv[1:]):
            run(interpreter, code % open(path, "rb").read())
    """
    assert with_interpreters(program, *archives[:2]) == "one True\ntwo True\n"


@GILS
def test_interpreters_mount_import_and_unmount_at_the_same_time(archives, own_gil):
    """Each its own archive under the same names, over and over; the tree is one, and its readers and writers are many."""
    program = f"""
        import intact, threading
        code = '''if True:
            import importlib, intact, sys
            for _ in range(15):
                with intact.mount(%r, shared=False) as mounted:
                    import pkg.leaf, space.leaf
                    assert pkg.leaf.name == space.leaf.name == %r, pkg.leaf.name
                    assert mounted.root in sys.path and open(mounted.root + "/pkg/data.txt").read() == %r
                assert importlib.util.find_spec("one_only") is None and mounted.root not in sys.path
                for name in ["pkg", "pkg.leaf", "space", "space.leaf"]:
                    del sys.modules[name]
        '''
        code = code.replace("import importlib,", "import importlib.util,")
        def work(path, name):
            interpreter = create({own_gil})
            run(interpreter, code % (path, name, name))
            interpreters.destroy(interpreter)
        threads = [threading.Thread(target=work, args=pair) for pair in zip(sys.argv[1:], ("one", "two", "three"))]
        for thread in threads: thread.start()
        for thread in threads: thread.join()
        print("done", intact._engine._roots())
    """
    assert with_interpreters(program, *archives) == "done []\n"


def test_a_child_process_is_handed_what_its_parent_has_alone(archives):
    program = """
        import intact, subprocess
        intact.mount(sys.argv[1], shared=False)
        code = "import intact, pkg.leaf; print(pkg.leaf.name, intact.mounts()[0].shared)"
        subprocess.run([sys.executable, "-c", code], check=True)
    """
    assert with_interpreters(program, archives[0]) == "one False\n"
