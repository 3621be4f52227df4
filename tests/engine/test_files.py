"""Modules on disk that intact's finder answers for are found as by PathFinder, of which it spares the Python."""

import importlib
import importlib.machinery
import importlib.util
import os
import pkgutil
import shutil
import sys

import building
import hypothesis
import intact._engine
import pytest
from building import SUFFIX, cached
from disk import PathFinder, fields, listed, same
from hypothesis import strategies
from test_bytecode import PYC, SOURCE
from test_finder import BELOW, TREE, control


def standard_library():
    """(name, __path__ of its parent) of the modules of the standard library that lie in files, packages' included."""
    places = [entry for entry in sys.path if entry.startswith(sys.base_prefix) and "site-packages" not in entry]
    names = [module.name for module in pkgutil.iter_modules(places) if module.name in sys.stdlib_module_names]
    for name in names:
        yield name, None
        spec = PathFinder.find_spec(name, places)
        if spec.submodule_search_locations and name not in ("test", "idlelib", "lib2to3", "turtledemo"):
            for module in pkgutil.iter_modules(spec.submodule_search_locations):
                yield f"{name}.{module.name}", list(spec.submodule_search_locations)


def test_the_standard_library_is_found_as_path_finder_finds_it(finder):
    answered = 0
    for name, path in standard_library():
        expected, found = PathFinder.find_spec(name, path), finder.find_spec(name, path)
        if type(getattr(found, "loader", None)).__module__ == "intact._patching":
            continue
        if name in sys.builtin_module_names or name == "site" or importlib.machinery.FrozenImporter.find_spec(name):
            assert found is None  # in the interpreter itself, which comes first
        else:
            same(found, expected)
            answered += 1
    assert answered > 300


@pytest.mark.parametrize("name", sorted({path.partition("/")[0].partition(".")[0] for path in TREE} | {"missing"}))
def test_what_stands_in_a_directory_is_found_as_path_finder_finds_it(finder, on_path, name):
    on_path(TREE)
    expected = PathFinder.find_spec(name)
    found = finder.find_spec(name, sys.path)
    if expected is not None and expected.loader is None:
        assert found is None  # a namespace package is PathFinder's
    else:
        same(found, expected)


@pytest.mark.parametrize(("directory", "name"), BELOW)
def test_submodules_are_found_as_path_finder_finds_them(finder, on_path, directory, name):
    place = listed(f"{on_path(TREE)}/{directory}")
    fullname = f"{directory.replace('/', '.')}.{name}"
    expected, found = control(place, fullname), finder.find_spec(fullname, [place])
    if expected is not None and expected.loader is None:
        assert found is None  # a namespace package is PathFinder's
    else:
        same(found, expected)


FILES = ["m.py", "m.pyc", f"m{SUFFIX}", "m/__init__.py", "m/__init__.pyc", "m/inner.py", "m"]


@hypothesis.given(strategies.lists(strategies.sets(strategies.sampled_from(FILES)), min_size=1, max_size=3))
def test_any_directories_on_sys_path_answer_as_to_path_finder(tmp_path_factory, trees):
    before = list(sys.path)
    with intact.mount(building.zip_bytes({"mounted.py": ""})):
        finder = next(finder for finder in sys.meta_path if isinstance(finder, intact._engine.Finder))
        try:
            for files in trees:
                kept = {file: "" for file in files if file != "m" or not any(f.startswith("m/") for f in files)}
                if "m" in kept:
                    kept["m"] = None
                sys.path.insert(0, listed(building.write_files(tmp_path_factory.mktemp("any"), kept)))
            expected, found = PathFinder.find_spec("m"), finder.find_spec("m", sys.path)
            if found is not None:
                same(found, expected)
            elif expected is not None:
                # Left to PathFinder where a directory without __init__ comes first.
                assert any("m" in os.listdir(entry) for entry in sys.path[: len(trees)])
        finally:
            sys.path[:] = before


def test_an_import_goes_this_way(finder, on_path):
    """Neither found nor read by importlib's Python."""
    on_path({"tabnanny.py": SOURCE, cached("tabnanny.py"): PYC})
    called = set()

    def hear(frame, event, _):
        if event == "call" and frame.f_code.co_filename == "<frozen importlib._bootstrap_external>":
            called.add(frame.f_code.co_name)

    sys.setprofile(hear)
    try:
        import tabnanny
    finally:
        sys.setprofile(None)
    assert called == {"__init__", "create_module", "exec_module"}  # of its loader
    assert tabnanny.which == "bytecode" and type(tabnanny.__loader__) is importlib.machinery.SourceFileLoader
    assert tabnanny.__loader__.get_source("tabnanny") == SOURCE
    assert importlib.reload(tabnanny).which == "bytecode"


def test_of_top_level_names_only_the_standard_librarys_are_looked_for(finder, on_path):
    """The others are mostly nowhere: PathFinder would look for them once more."""
    on_path({"tabnanny.py": "", "other.py": ""})
    assert finder.find_spec("tabnanny") and not finder.find_spec("other") and PathFinder.find_spec("other")


def test_specs_and_loaders_are_equal_to_those_of_path_finder(finder, on_path):
    on_path({"tabnanny.py": "", "other.py": ""})
    ours, theirs = finder.find_spec("tabnanny"), PathFinder.find_spec("tabnanny")
    assert ours == theirs and theirs == ours and hash(ours.loader) == hash(theirs.loader)
    assert ours == finder.find_spec("tabnanny") and ours.loader != PathFinder.find_spec("other").loader
    assert ours.loader != building.file_finder("/nowhere") and not ours.loader == None  # noqa: E711


def test_a_directory_that_changed_is_left_to_path_finder_until_it_has_read_it(finder, on_path):
    directory = on_path({})
    assert finder.find_spec("late", sys.path) is None and PathFinder.find_spec("late") is None
    building.write_files(directory, {"late.py": "here = True"})
    os.utime(directory, (1, 1))
    assert finder.find_spec("late", sys.path) is None
    assert importlib.import_module("late").here
    expected = PathFinder.find_spec("late")  # which reads the directory again, for it has a __pycache__ now
    same(finder.find_spec("late", sys.path), expected)


def test_invalidate_caches_is_obeyed(finder, on_path):
    directory = on_path({})
    status = os.stat(directory)
    building.write_files(directory, {"late.py": ""})
    os.utime(directory, ns=(status.st_atime_ns, status.st_mtime_ns))  # within what the file system tells apart
    importlib.invalidate_caches()
    assert importlib.import_module("late").__file__ == f"{directory}/late.py"


def test_a_listed_file_that_has_gone_is_not_found(finder, on_path):
    directory = on_path({"gone.py": "", "pkg/__init__.py": ""})
    status = os.stat(directory)
    os.unlink(f"{directory}/gone.py")
    shutil.rmtree(f"{directory}/pkg")
    os.utime(directory, ns=(status.st_atime_ns, status.st_mtime_ns))
    for name in ("gone", "pkg"):
        assert finder.find_spec(name, sys.path) is None and PathFinder.find_spec(name) is None


@pytest.mark.parametrize("name", ["pkg/inner", "/tabnanny", "pkg//inner", "pkg/../tabnanny", "./tabnanny"])
def test_a_name_with_a_slash_is_no_way_to_a_file(finder, on_path, name):
    on_path({"tabnanny.py": "", "inner.py": "", "pkg/__init__.py": "", "pkg/inner.py": ""})
    assert finder.find_spec(name, sys.path) is None and PathFinder.find_spec(name) is None


@pytest.mark.parametrize("name", ["\udcff", "pkg.\ud800", "null\0byte"])
def test_a_name_that_no_file_can_have_is_not_found(finder, on_path, name):
    on_path({"pkg/__init__.py": ""})
    with pytest.raises(ModuleNotFoundError):
        importlib.import_module(name)


@pytest.mark.parametrize("end", ["/", "///"])
def test_slashes_at_the_end_of_an_entry_are_not_doubled(finder, on_path, end):
    sys.path.insert(0, on_path({"tabnanny.py": "", "pkg/__init__.py": ""}) + end)
    listed(sys.path[0])
    for name in ("tabnanny", "pkg"):
        same(finder.find_spec(name, sys.path), PathFinder.find_spec(name))


def test_the_current_directory_is_the_current_one(finder, tmp_path, monkeypatch):
    for name in ("one", "two"):
        building.write_files(tmp_path / name, {"tabnanny.py": ""})
    monkeypatch.chdir(tmp_path / "one")
    pkgutil.get_importer("").find_spec("no_such_module")  # which keeps a FileFinder for ""
    sys.path.insert(0, "")
    try:
        monkeypatch.chdir(tmp_path / "two")
        assert importlib.import_module("tabnanny").__file__ == f"{tmp_path}/two/tabnanny.py"
    finally:
        del sys.path_importer_cache[""]


def test_suffixes_of_the_program_are_cached_as_importlib_does(finder, on_path):
    directory = on_path({"script": "", "dotted.x.py": "", "tabnanny.py": ""})
    sources = (importlib.machinery.SourceFileLoader, [".x.py", ".py", ""])
    sys.path_hooks.insert(0, importlib.machinery.FileFinder.path_hook(sources))
    sys.path_importer_cache.pop(directory)
    listed(directory)
    for name in ("script", "dotted", "tabnanny"):
        assert fields(finder.find_spec(name, sys.path), "/no/root") == fields(PathFinder.find_spec(name), "/no/root")


def test_a_path_that_can_be_read_once_is_left_to_path_finder(finder, on_path):
    directory = on_path({"tabnanny.py": ""})
    entries = iter([directory])
    assert finder.find_spec("tabnanny", entries) is None and list(entries) == [directory]
    same(finder.find_spec("tabnanny", (directory,)), PathFinder.find_spec("tabnanny"))
    assert finder.find_spec("tabnanny", 5) is None  # import says what PathFinder says of it


@pytest.mark.parametrize("name", ["_symtable", "__hello__"])
def test_what_is_in_the_interpreter_comes_before_a_mounted_directory_on_sys_path(mount, finder, name):
    sys.path.insert(0, mount({f"sub/{name}.py": ""}).root + "/sub")
    assert finder.find_spec(name) is None and importlib.util.find_spec(name).origin in ("built-in", "frozen")


def test_a_finder_between_ours_and_path_finder_is_asked_first(finder, on_path):
    on_path({"tabnanny.py": ""})

    class Between:
        @staticmethod
        def find_spec(name, path=None, target=None):
            return importlib.util.spec_from_loader(name, loader=None, origin="between") if name == "tabnanny" else None

    sys.meta_path.insert(sys.meta_path.index(PathFinder), Between)
    assert finder.find_spec("tabnanny") is None and importlib.util.find_spec("tabnanny").origin == "between"


def test_without_path_finder_nothing_on_disk_is_found(finder, on_path):
    on_path({"tabnanny.py": ""})
    sys.meta_path.remove(PathFinder)
    assert finder.find_spec("tabnanny") is None


def test_a_path_hook_of_the_program_has_its_say(finder, on_path):
    """A loader of one's own for sources, the way import hooks for type checks and coverage install it."""
    directory = on_path({"tabnanny.py": "number = 1"})

    class Loader(importlib.machinery.SourceFileLoader):
        pass

    sys.path_hooks.insert(0, importlib.machinery.FileFinder.path_hook((Loader, [".py"])))
    sys.path_importer_cache.clear()
    listed(directory)
    assert type(finder.find_spec("tabnanny").loader) is Loader
    assert type(importlib.import_module("tabnanny").__loader__) is Loader


def test_a_path_entry_finder_of_the_program_is_asked(finder, on_path):
    directory = on_path({"tabnanny.py": ""})
    sys.path_importer_cache[directory] = intact._engine.EntryFinder(intact.mounts()[0].root)
    assert finder.find_spec("tabnanny") is None


def test_a_mount_before_a_directory_comes_first_and_one_behind_it_last(mount, finder, on_path):
    files = listed(building.write_files(on_path({}), {"spread/__init__.py": "", "spread/both.py": ""}) + "/spread")
    root = mount({"spread/__init__.py": "", "spread/both.py": "", "spread/mine.py": ""}).root + "/spread"
    assert finder.find_spec("spread.both", [files, root]).origin == f"{files}/both.py"
    assert finder.find_spec("spread.both", [root, files]).origin == f"{root}/both.py"
    assert finder.find_spec("spread.mine", [files, root]).origin == f"{root}/mine.py"
