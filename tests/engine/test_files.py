"""Modules on disk that intact's finder answers for are found and loaded as by PathFinder, of which it spares the Python."""

import importlib
import importlib.machinery
import importlib.util
import itertools
import os
import pkgutil
import shutil
import sys

import building
import hypothesis
import intact._engine
import pytest
from building import SUFFIX, cached
from hypothesis import strategies
from test_bytecode import BROKEN, CHECKS, PYC, PYC_SOURCE, SOURCE
from test_finder import BELOW, TREE, control, fields

PathFinder = importlib.machinery.PathFinder
MARKER = "a_module_that_is_there.py"


@pytest.fixture
def finder(mount):
    mount({"mounted.py": ""})
    return next(finder for finder in sys.meta_path if isinstance(finder, intact._engine.Finder))


@pytest.fixture
def on_path(tmp_path):
    """Writes a tree to a directory, which stands first on sys.path, and lets PathFinder list it."""
    count = itertools.count()

    def make(tree):
        directory = building.write_files(tmp_path / f"files{next(count)}", {**tree, MARKER: ""})
        sys.path.insert(0, directory)
        listed(directory)
        return directory

    return make


def listed(directory):
    """Has PathFinder read the directory, as it does when something is first looked for there."""
    PathFinder.find_spec("no_such_module", [directory])
    return directory


def same(found, expected):
    """Whether two specs differ only in that the loader is our kind of SourceFileLoader."""
    assert fields(found, "/no/root") == fields(expected, "/no/root")
    if found is not None:
        ours, theirs = type(found.loader), type(expected.loader)
        assert ours is (intact._engine.FileLoader if theirs is importlib.machinery.SourceFileLoader else theirs)
        assert found.submodule_search_locations == expected.submodule_search_locations


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
    on_path({"tabnanny.py": "number = 1"})
    module = importlib.import_module("tabnanny")
    assert module.number == 1 and type(module.__loader__) is intact._engine.FileLoader
    assert isinstance(module.__loader__, importlib.machinery.SourceFileLoader)
    assert module.__loader__.get_source("tabnanny") == "number = 1"
    assert importlib.reload(module).number == 1


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


# ---- code


def programs(directory, tree, body, flags=()):
    """What becomes of a program that imports from a directory: once with a mount, and once, the control, without."""
    files = building.write_files(directory / "files", {**tree, MARKER: ""})
    archive = building.write_zip(directory / "mounted.zip", {"mounted.py": ""})
    first = f"import sys; sys.path.insert(0, {files!r}); import {MARKER[:-3]}\n"
    mount = f"import intact; intact.mount({archive!r})\n"
    # Importing intact is enough to have its finder: the control must not.
    return tuple(building.python("-c", text + first + body, flags=flags) for text in (mount, "pass\n"))


def which(directory, pyc, setting=None):
    """What is used of a source and this bytecode: "source" or "bytecode"; or the error that both end with."""
    tree = {"tabnanny.py": SOURCE, cached("tabnanny.py"): pyc}
    flags = ["--check-hash-based-pycs", setting] if setting else []
    ours, control = programs(
        directory, tree, "import tabnanny; print(type(tabnanny.__loader__).__name__, tabnanny.which)", flags
    )
    assert (ours.returncode, ours.stderr.splitlines()[-1:]) == (control.returncode, control.stderr.splitlines()[-1:])
    if ours.returncode:
        return ours.stderr.splitlines()[-1]
    (kind, used), (control_kind, expected) = ours.stdout.split(), control.stdout.split()
    assert (kind, control_kind) == ("FileLoader", "SourceFileLoader") and used == expected
    return used


def test_bytecode_of_the_sources_time_and_size_is_used(tmp_path):
    assert which(tmp_path, PYC) == "bytecode"


@pytest.mark.parametrize(
    "stale", [{"mtime": building.NOON_SECONDS - 1}, {"mtime": building.NOON_SECONDS + 1}, {"size": 1}]
)
def test_bytecode_of_another_time_or_size_is_not_used(tmp_path, stale):
    assert which(tmp_path, building.timestamp_pyc(PYC_SOURCE, **stale)) == "source"


@pytest.mark.parametrize(("setting", "checked", "fits", "used"), CHECKS)
def test_check_hash_based_pycs_is_obeyed(tmp_path, setting, checked, fits, used):
    pyc = building.hash_pyc(PYC_SOURCE, hashed=SOURCE if fits else PYC_SOURCE, checked=checked)
    assert which(tmp_path, pyc, setting) == used


@pytest.mark.parametrize("pyc", BROKEN.values(), ids=BROKEN.keys())
def test_broken_bytecode_ends_as_it_does_with_path_finder(tmp_path, pyc):
    which(tmp_path, pyc)


def test_a_source_without_bytecode_is_compiled_and_cached(finder, on_path, monkeypatch):
    monkeypatch.setattr(sys, "dont_write_bytecode", False)
    directory = on_path({"tabnanny.py": "number = 1"})
    assert importlib.import_module("tabnanny").number == 1
    assert os.path.exists(importlib.util.cache_from_source(f"{directory}/tabnanny.py"))
    del sys.modules["tabnanny"]
    assert importlib.import_module("tabnanny").number == 1


def test_an_edited_source_is_compiled_again(finder, on_path):
    directory = on_path({"tabnanny.py": SOURCE, cached("tabnanny.py"): PYC})
    assert importlib.import_module("tabnanny").which == "bytecode"
    building.write_files(directory, {"tabnanny.py": SOURCE + "# edited"})
    assert importlib.reload(sys.modules["tabnanny"]).which == "source"


def test_another_modules_code_is_not_given(finder, on_path):
    on_path({"tabnanny.py": SOURCE, cached("tabnanny.py"): PYC})
    loader = finder.find_spec("tabnanny").loader
    assert loader.get_code("tabnanny") == loader.get_code(None) == loader.get_code(fullname="tabnanny")
    with pytest.raises(ImportError, match="loader for tabnanny cannot handle other"):
        loader.get_code("other")


# ---- what programs change


PATCH = """
import importlib._bootstrap_external as importlib, {MARKER}
def patch(owner, name, kind=lambda function: function):
    original = getattr(owner, name)
    if isinstance(owner, type): original = getattr(original, "__func__", original)
    def patched(*arguments, **more):
        called.append(name)
        return original(*arguments, **more)
    setattr(owner, name, kind(patched))
called = []
finder = sys.path_importer_cache[sys.path[0]]
""".replace("{MARKER}", MARKER[:-3])


@pytest.mark.parametrize(
    "patched",
    [
        *(
            f"importlib.PathFinder, {name!r}, classmethod"
            for name in ("find_spec", "_get_spec", "_path_importer_cache")
        ),
        *(f"importlib.FileFinder, {name!r}" for name in ("find_spec", "_get_spec")),
        "finder, 'find_spec'",
        *(f"importlib.SourceFileLoader, {name!r}" for name in ("get_code", "get_data", "path_stats", "get_filename")),
        "importlib.SourceLoader, 'get_code'",
        "importlib.FileLoader, 'get_data'",
        "importlib, 'cache_from_source'",
    ],
)
@pytest.mark.parametrize("when", ["before intact", "after intact"])
def test_what_a_program_replaces_of_importlib_is_called(tmp_path, patched, when):
    """As import hooks, profilers and tests of programs do it."""
    tree = {"tabnanny.py": SOURCE, cached("tabnanny.py"): PYC}
    patch = f"{PATCH}patch({patched})\n"
    use = "del called[:]\nimport tabnanny; print(sorted(set(called)), tabnanny.which, tabnanny.__cached__)"
    if when == "before intact":
        files = building.write_files(tmp_path / "files", {**tree, MARKER: ""})
        archive = building.write_zip(tmp_path / "mounted.zip", {"mounted.py": ""})
        first = f"import sys; sys.path.insert(0, {files!r}); import {MARKER[:-3]}\n{patch}"
        mount = f"import intact; intact.mount({archive!r})\n"
        ours, control = (building.python("-c", first + text + use) for text in (mount, "pass\n"))
    else:
        ours, control = programs(tmp_path, tree, patch + use)
    assert control.stdout.startswith("['") and (ours.stdout, ours.stderr) == (control.stdout, control.stderr)


def test_what_a_program_has_put_back_is_spared_again(finder, on_path, monkeypatch):
    on_path({"tabnanny.py": ""})
    with monkeypatch.context() as patch:
        patch.setattr(importlib.machinery.FileFinder, "find_spec", lambda *arguments: None)
        assert finder.find_spec("tabnanny") is None
    with monkeypatch.context() as patch:
        patch.setattr(importlib.machinery.SourceFileLoader, "get_data", lambda *arguments: b"")
        assert type(finder.find_spec("tabnanny").loader) is importlib.machinery.SourceFileLoader
    same(finder.find_spec("tabnanny"), PathFinder.find_spec("tabnanny"))


@pytest.mark.parametrize("how", ["class", "attribute", "derived"])
def test_a_loader_that_a_program_changes_reads_as_it_is_told(finder, on_path, how):
    on_path({"tabnanny.py": SOURCE, cached("tabnanny.py"): PYC})
    loader = finder.find_spec("tabnanny").loader

    def get_data(path):
        if path.endswith(".pyc"):
            raise OSError
        return b"which = 'mine'"

    methods = {"get_data": lambda self, path: get_data(path)}
    if how == "class":
        loader.__class__ = type("Loader", (importlib.machinery.SourceFileLoader,), methods)
    elif how == "attribute":
        loader.get_data = get_data
    else:
        loader = type("Loader", (type(loader),), methods)("tabnanny", loader.path)
    assert "mine" in loader.get_code("tabnanny").co_consts


@pytest.mark.parametrize("tag", [None, "other"])
def test_the_cache_tag_is_obeyed(finder, on_path, monkeypatch, tag):
    on_path({"tabnanny.py": SOURCE, cached("tabnanny.py"): PYC})
    monkeypatch.setattr(sys.implementation, "cache_tag", tag)
    same(finder.find_spec("tabnanny"), PathFinder.find_spec("tabnanny"))
    assert importlib.import_module("tabnanny").which == "source"


def test_verbose_imports_say_what_they_read(tmp_path):
    ours, control = programs(
        tmp_path, {"tabnanny.py": SOURCE, cached("tabnanny.py"): PYC}, "import tabnanny", flags=["-v"]
    )
    said, expected = ([line for line in done.stderr.splitlines() if "tabnanny." in line] for done in (ours, control))
    assert "matches" in expected[0] and [line for line in said if f"{tmp_path}/files/" in line] == expected


def test_pycache_prefix_is_obeyed(finder, on_path, monkeypatch, tmp_path):
    directory = on_path({"tabnanny.py": SOURCE, cached("tabnanny.py"): PYC})
    monkeypatch.setattr(sys, "pycache_prefix", str(tmp_path / "prefix"))
    same(finder.find_spec("tabnanny"), PathFinder.find_spec("tabnanny"))
    assert importlib.import_module("tabnanny").which == "source"
    assert sys.modules["tabnanny"].__cached__.startswith(f"{tmp_path}/prefix{directory}")


@pytest.mark.parametrize(
    "pyc", [PYC, building.timestamp_pyc(PYC_SOURCE, size=1), None], ids=["valid", "stale", "missing"]
)
def test_the_audit_events_are_those_of_path_finder(tmp_path, pyc):
    hook = (
        "def hook(event, arguments):\n"
        "    if event in ('open', 'import', 'compile', 'exec', 'marshal.loads'):\n"
        "        if event == 'import': arguments = arguments[:1]\n"
        "        events.append((event, [str(item).partition(' at 0x')[0] for item in arguments]))\n"
        "events = []\n"
        "sys.addaudithook(hook)\n"
        "import tabnanny\n"
        "print(events)"
    )
    ours, control = programs(tmp_path, {"tabnanny.py": SOURCE, **({cached("tabnanny.py"): pyc} if pyc else {})}, hook)
    assert "'open'" in control.stdout and ours.stdout == control.stdout


def test_bytecode_that_is_a_pipe_is_read_once(tmp_path):
    body = (
        "import os, threading\n"
        f"pipe = os.path.join(sys.path[0], {cached('tabnanny.py')!r})\n"
        "os.mkfifo(pipe); os.utime(sys.path[0], (1, 1))\n"
        "import importlib.machinery; importlib.machinery.PathFinder.find_spec('no_such_module')\n"
        "def write():\n"
        "    with open(pipe, 'wb') as end: end.write(b'no bytecode')\n"
        "thread = threading.Thread(target=write, daemon=True); thread.start()\n"
        "import tabnanny; thread.join(); print(tabnanny.which)"
    )
    for done in programs(tmp_path, {"tabnanny.py": SOURCE, "__pycache__/other": ""}, body + "; os.unlink(pipe)"):
        assert done.stdout == "source\n", done.stderr


def test_a_hook_that_forbids_opening_forbids_the_import(tmp_path):
    hook = (
        "def hook(event, arguments):\n"
        "    if event == 'open' and 'tabnanny.' in str(arguments[0]): raise RuntimeError('not that one')\n"
        "sys.addaudithook(hook)\n"
        "import tabnanny\n"
    )
    for done in programs(tmp_path, {"tabnanny.py": SOURCE, cached("tabnanny.py"): PYC}, hook):
        assert done.stderr.endswith("RuntimeError: not that one\n")


def test_tracebacks_are_those_of_path_finder(tmp_path):
    source = "def f():\n    raise KeyError(1)  # here\nf()\n"
    pyc = building.timestamp_pyc(source, path=str(tmp_path / "built" / "tabnanny.py"))
    ours, control = programs(tmp_path, {"tabnanny.py": source, cached("tabnanny.py"): pyc}, "import tabnanny")
    assert "raise KeyError(1)  # here" in control.stderr and ours.stderr == control.stderr
