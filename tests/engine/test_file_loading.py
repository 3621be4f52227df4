"""What is on disk is loaded as by SourceFileLoader: which code is used, what programs change, what hooks are told."""

import importlib
import importlib.machinery
import importlib.util
import os
import sys

import building
import pytest
from building import cached
from disk import MARKER, PathFinder, same
from test_bytecode import BROKEN, CHECKS, FOREIGN, PYC, PYC_SOURCE, SOURCE


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
    ours, control = programs(directory, tree, "import tabnanny; print(tabnanny.which)", flags)
    assert (ours.returncode, ours.stderr.splitlines()[-1:]) == (control.returncode, control.stderr.splitlines()[-1:])
    if ours.returncode:
        return ours.stderr.splitlines()[-1]
    assert ours.stdout == control.stdout
    return ours.stdout.strip()


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


@pytest.mark.parametrize("pyc", [*FOREIGN.values(), *BROKEN.values()], ids=[*FOREIGN, *BROKEN])
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
        patch.setattr(importlib.machinery.SourceFileLoader, "get_data", lambda *arguments: b"number = 2")
        assert importlib.import_module("tabnanny").number == 2
    assert not hasattr(importlib.reload(sys.modules["tabnanny"]), "which")
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
