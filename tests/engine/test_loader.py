"""Loaders keep the promises of CPython's: source and its encodings, data, resources, reload, and what builds on them."""

import importlib
import importlib.util
import inspect
import io
import linecache
import os
import runpy
import sys
import textwrap
import tokenize
import types

import building
import pytest

SOURCES = {
    "utf8": "n = 'grün'\n".encode(),
    "latin1": "# -*- coding: latin-1 -*-\nn = 'grün'\n".encode("latin-1"),
    "cookie_in_second_line": "#!/usr/bin/python\n# vim: set fileencoding=cp1252 :\nn = 'grün'\n".encode("cp1252"),
    "bom": "\ufeffn = 'grün'\n".encode(),
    "crlf": b"n = 'gr\\u00fcn'\r\nm = '''a\r\nb'''\r\n",
    "cr": b"n = 'gr\\u00fcn'\rm = 1\r",
    "no_newline_at_the_end": "n = 'grün'".encode(),
    "form_feed": "\x0c\nn = 'grün'\n".encode(),
}


@pytest.fixture(params=["path", "bytes", "directory"])
def package(request, mount):
    return mount(
        {
            "pkg/__init__.py": "",
            "pkg/mod.py": "def f():\n    return 'line two'\n",
            "pkg/data.bin": bytes(range(256)),
            "other.txt": "other",
        },
        request.param,
    )


@pytest.mark.parametrize("name", SOURCES)
def test_get_source_decodes_as_cpython_does(mount, tmp_path, name):
    files = {f"{name}.py": SOURCES[name]}
    mount(files)
    expected = building.file_finder(building.write_files(tmp_path / "disk", files)).find_spec(name).loader
    loader = importlib.util.find_spec(name).loader
    assert loader.get_source(name) == expected.get_source(name)


@pytest.mark.parametrize("name", SOURCES)
def test_source_of_any_encoding_runs(mount, name):
    mount({f"{name}.py": SOURCES[name]})
    assert importlib.import_module(name).n == "grün"


def test_source_in_an_unknown_encoding_is_a_syntax_error_that_names_it(mount):
    mount({"alien.py": b"# coding: klingon\n"})
    with pytest.raises(SyntaxError, match="klingon"):
        importlib.import_module("alien")
    with pytest.raises(SyntaxError, match="klingon"):
        importlib.util.find_spec("alien").loader.get_source("alien")


def test_get_code_names_the_member(package):
    loader = importlib.util.find_spec("pkg.mod").loader
    assert loader.get_code("pkg.mod").co_filename == f"{package.root}/pkg/mod.py"


def test_get_code_of_functions_names_the_member_when_bytecode_was_compiled_elsewhere(mount):
    source = "def f(): pass\n"
    mounted = mount(
        {"mod.py": source, building.cached("mod.py"): building.timestamp_pyc(source, path="/build/host/mod.py")}
    )
    assert importlib.import_module("mod").f.__code__.co_filename == f"{mounted.root}/mod.py"


def test_get_data_reads_members_by_absolute_path(package):
    loader = importlib.util.find_spec("pkg.mod").loader
    assert loader.get_data(f"{package.root}/pkg/data.bin") == bytes(range(256))
    assert loader.get_data(os.path.join(os.path.dirname(loader.path), "..", "other.txt")) == b"other"


def test_get_data_reads_files_outside_the_archive(package, tmp_path):
    (tmp_path / "outside").write_bytes(b"out")
    assert importlib.util.find_spec("pkg.mod").loader.get_data(str(tmp_path / "outside")) == b"out"


def test_get_data_of_what_is_not_there_is_an_oserror(package):
    with pytest.raises(OSError):
        importlib.util.find_spec("pkg.mod").loader.get_data(f"{package.root}/pkg/missing")


def test_get_data_of_a_directory_is_an_oserror(package):
    with pytest.raises(OSError):
        importlib.util.find_spec("pkg.mod").loader.get_data(f"{package.root}/pkg")


def test_pkgutil_get_data(package):
    import pkgutil

    assert pkgutil.get_data("pkg", "data.bin") == bytes(range(256))


def test_get_filename_and_is_package(package):
    package_loader, module_loader = (importlib.util.find_spec(name).loader for name in ("pkg", "pkg.mod"))
    assert package_loader.get_filename("pkg") == f"{package.root}/pkg/__init__.py"
    assert (package_loader.is_package("pkg"), module_loader.is_package("pkg.mod")) == (True, False)


@pytest.mark.parametrize("method", ["get_filename", "get_code", "get_source"])
def test_loader_refuses_another_modules_name_as_cpythons_does(package, method):
    with pytest.raises(ImportError):
        getattr(importlib.util.find_spec("pkg.mod").loader, method)("pkg")


def test_exec_module_refuses_another_modules_name_as_cpythons_does(package, tmp_path):
    """It ran the module's code in whatever it was given; found by CPython's test_file_loader."""
    disk = building.file_finder(building.write_files(tmp_path / "disk", {"mod.py": ""}))
    for loader in (importlib.util.find_spec("pkg.mod").loader, disk.find_spec("pkg.mod").loader):
        with pytest.raises(ImportError, match="loader for pkg.mod cannot handle other") as caught:
            loader.exec_module(types.ModuleType("other"))
        assert caught.value.name == "other"


def test_exec_module_takes_its_argument_by_name(package):
    spec = importlib.util.find_spec("pkg.mod")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module=module)
    assert module.f() == "line two"


def test_path_stats_gives_time_and_size(package):
    loader = importlib.util.find_spec("pkg.mod").loader
    stats = loader.path_stats(loader.path)
    assert (int(stats["mtime"]), stats["size"]) == (building.NOON_SECONDS, 31)


def test_path_stats_where_file_functions_are_left_alone(mount):
    mounted = mount({"mod.py": "n = 1"}, files=False)
    loader = importlib.util.find_spec("mod").loader
    assert loader.path_stats(f"{mounted.root}/mod.py")["size"] == 5


def test_resource_reader_lists_and_opens(package):
    reader = importlib.util.find_spec("pkg").loader.get_resource_reader("pkg")
    assert sorted(reader.contents()) == ["__init__.py", "data.bin", "mod.py"]
    assert reader.open_resource("data.bin").read() == bytes(range(256))
    assert reader.is_resource("data.bin")


def test_bytecode_loader_has_no_source(mount):
    mount({"compiled.pyc": building.timestamp_pyc("n = 1")})
    loader = importlib.util.find_spec("compiled").loader
    assert loader.get_source("compiled") is None
    assert loader.get_code("compiled").co_names == ("n",)


def test_extension_loader_has_neither_code_nor_source(mount):
    mount({f"native{building.SUFFIX}": b""})
    loader = importlib.util.find_spec("native").loader
    assert (loader.get_code("native"), loader.get_source("native"), loader.is_package("native")) == (None, None, False)


# ---- what builds on loaders


def test_reload_runs_the_module_again_in_the_same_namespace(package):
    module = importlib.import_module("pkg.mod")
    module.kept, module.f = 1, None
    again = importlib.reload(module)
    assert (again is module, module.kept, module.f()) == (True, 1, "line two")


def test_reload_after_a_newer_mount_takes_the_newer(mount):
    mount({"mod.py": "n = 1"})
    module = importlib.import_module("mod")
    newer = mount({"mod.py": "n = 2"})
    importlib.reload(module)
    assert (module.n, module.__file__) == (2, f"{newer.root}/mod.py")


def test_lazy_loader_runs_the_module_at_the_first_attribute(mount):
    mount({"lazy.py": "import sys; sys.lazy_has_run = True; n = 3"})
    spec = importlib.util.find_spec("lazy")
    spec.loader = importlib.util.LazyLoader(spec.loader)
    module = importlib.util.module_from_spec(spec)
    sys.modules["lazy"] = module
    spec.loader.exec_module(module)
    assert not hasattr(sys, "lazy_has_run")
    assert module.n == 3
    del sys.lazy_has_run, sys.modules["lazy"]


def test_module_made_by_hand_from_a_spec(package):
    spec = importlib.util.find_spec("pkg.mod")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    assert module.f() == "line two"
    assert "pkg.mod" not in sys.modules


def test_deprecated_load_module_still_works(package):
    with pytest.warns(DeprecationWarning):
        assert importlib.util.find_spec("pkg.mod").loader.load_module("pkg.mod").f() == "line two"


def test_spec_from_file_location_of_a_member(package):
    """How plug-in systems load a file they found by path."""
    spec = importlib.util.spec_from_file_location("by_path", f"{package.root}/pkg/mod.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    assert module.f() == "line two"


def test_run_module_runs_a_packages_main(mount, capsys):
    mounted = mount({"app/__init__.py": "", "app/__main__.py": "print(__name__, __file__, __package__, __spec__.name)"})
    runpy.run_module("app", run_name="__main__", alter_sys=True)
    assert capsys.readouterr().out.split() == ["__main__", f"{mounted.root}/app/__main__.py", "app", "app.__main__"]


def test_run_path_runs_the_main_of_an_archive(mount):
    mounted = mount({"__main__.py": "import helper; n = helper.n", "helper.py": "n = 8"})
    assert runpy.run_path(mounted.root)["n"] == 8


def test_run_path_runs_a_member(package):
    assert runpy.run_path(f"{package.root}/pkg/mod.py")["f"]() == "line two"


def test_inspect_shows_source(package):
    module = importlib.import_module("pkg.mod")
    assert inspect.getsource(module.f) == "def f():\n    return 'line two'\n"
    assert inspect.getsourcefile(module.f) == inspect.getfile(module) == f"{package.root}/pkg/mod.py"
    assert inspect.getmodule(module.f) is module


def test_inspect_shows_source_where_file_functions_are_left_alone(mount):
    mount({"mod.py": "def f():\n    return 1\n"}, files=False)
    assert inspect.getsource(importlib.import_module("mod").f) == "def f():\n    return 1\n"


def test_linecache_shows_lines(package):
    assert linecache.getline(f"{package.root}/pkg/mod.py", 2) == "    return 'line two'\n"


def test_tokenize_opens_members(package):
    with tokenize.open(f"{package.root}/pkg/mod.py") as file:
        assert file.readline() == "def f():\n"


def test_classes_of_an_archives_modules_pickle(mount):
    import pickle

    mount({"shapes.py": "class Point:\n    def __init__(self): self.x = 1\n"})
    shapes = importlib.import_module("shapes")
    assert pickle.loads(pickle.dumps(shapes.Point())).x == 1


def test_compiling_warns_with_the_members_place(mount, recwarn):
    mounted = mount({"odd.py": "x = 1\nassert (x, 'always true')\n"})
    importlib.import_module("odd")
    assert [(w.filename, w.lineno, w.category) for w in recwarn] == [(f"{mounted.root}/odd.py", 2, SyntaxWarning)]


def test_future_imports_of_the_importer_are_not_inherited(mount):
    mount({"plain.py": "def f(x: undefined_name = 1): pass\n"})
    namespace = {}
    with pytest.raises(NameError):
        exec("from __future__ import annotations\nimport plain", namespace)


def test_garbage_collection_is_as_it_was_after_an_import(mount):
    import gc

    before = gc.get_threshold()
    sets = {"sets.py": "import gc; gc.set_threshold(123, 4, 5)", "rounds.py": "import gc; gc.set_threshold(100_000, 50)"}
    mount({"fine.py": "", "fails.py": "raise KeyError", **sets})
    importlib.import_module("fine")
    with pytest.raises(KeyError):
        importlib.import_module("fails")
    assert gc.get_threshold() == before
    importlib.import_module("sets")
    assert gc.get_threshold()[:2] == (123, 4)
    importlib.import_module("rounds")
    assert gc.get_threshold()[:2] == (100_000, 50)
    gc.set_threshold(*before)


def test_memory_of_small_objects_comes_and_goes_during_an_import(mount):
    """Arenas taken in an import, freed in it and after it, and taken again outside of one."""
    tree = {
        "outer.py": "objects = [str(i) * 3 for i in range(300_000)]\nimport inner\n",
        "inner.py": "kept = [str(i) for i in range(100_000)]\nfreed = [str(i) * 5 for i in range(300_000)]\ndel freed\n",
    }
    for _ in range(3):
        mounted = mount(tree)
        outer = importlib.import_module("outer")
        del outer.objects[1:]
        assert [len(s) for s in outer.inner.kept] == [len(str(i)) for i in range(100_000)]
        more = [str(i) * 7 for i in range(200_000)]
        assert outer.objects == ["000"] and more[199_999] == "199999" * 7
        del sys.modules["outer"], sys.modules["inner"]
        mounted.unmount()


@pytest.mark.skipif(building.SANITIZED, reason="a sanitizer takes all addresses there are")
def test_import_where_address_space_is_limited(tmp_path):
    building.write_zip(tmp_path / "app.zip", {"app.py": "objects = [str(i) for i in range(300_000)]\n"})
    code = """
        import resource, sys
        pages = int(open("/proc/self/statm").read().split()[0])  # CPython without a GIL begins with a GiB
        room = pages * resource.getpagesize() + (300 << 20)
        resource.setrlimit(resource.RLIMIT_AS, (room, room))
        import intact
        intact.mount(sys.argv[1])
        import app
        print(len(app.objects))
    """
    assert building.output_of("-c", textwrap.dedent(code), tmp_path / "app.zip") == "300000\n"


def test_import_hook_that_wraps_a_loader_sees_its_code(mount):
    """How pytest rewrites assertions and coverage tools instrument: their own loader asks ours for the source."""
    mount({"wrapped.py": "n = 1\n"})

    class Doubling(importlib.machinery.SourceFileLoader):
        def source_to_code(self, data, path, *, _optimize=-1):
            return super().source_to_code(data.replace(b"1", b"2"), path, _optimize=_optimize)

    spec = importlib.util.find_spec("wrapped")
    spec.loader = Doubling(spec.name, spec.origin)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    assert module.n == 2


def test_interactive_help_finds_the_module(package):
    import pydoc

    output = io.StringIO()
    pydoc.Helper(output=output).help("pkg.mod")
    assert f"{package.root}/pkg/mod.py" in output.getvalue()


def test_modules_stay_readable_after_unmounting(package):
    module = importlib.import_module("pkg.mod")
    package.unmount()
    assert module.f() == "line two"
    assert module.__loader__.get_source("pkg.mod").startswith("def f()")
