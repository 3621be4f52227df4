"""What Python promises of an importer beyond finding and loading: hooks that hear of imports, lazy loading, looking without touching, pickling.

Each program runs twice, on the same tree: in a directory on sys.path, which is the control, and in a mounted archive.
"""

import copy
import importlib
import importlib.machinery
import importlib.util
import os
import pickle
import subprocess
import sys
import zipimport

import building
import intact
import pytest
from building import SUFFIX, cached, timestamp_pyc

SOURCE, PYC_SOURCE = "which = 'source'   \n", "which = 'bytecode' \n"
TREE = {
    "pkg/__init__.py": "from . import first\nimport pkg.inner.deep\n",
    "pkg/first.py": "from pkg import second\nclass C:\n    pass\ndef f():\n    return C()\n",
    "pkg/second.py": SOURCE,
    cached("pkg/second.py"): timestamp_pyc(PYC_SOURCE),
    "pkg/third.py": SOURCE,
    cached("pkg/third.py"): timestamp_pyc(PYC_SOURCE, size=1),
    "pkg/inner/__init__.py": "",
    "pkg/inner/deep.py": "import space.mod\nfrom ..third import which\n",
    "space/mod.py": "n = [i for i in range(3)]\n",
    "alone.pyc": timestamp_pyc("n = 1"),
    "hashed.py": SOURCE,
    cached("hashed.py"): building.hash_pyc(PYC_SOURCE, hashed=SOURCE),
    "fails.py": "import pkg.first\nraise KeyError('mine')\n",
    "syntax.py": "1 +\n",
}
EXTENSION = next(name for name in ("_bisect", "_heapq", "_struct", "_json") if building.stdlib_extension(name))
TREE["pkg/" + EXTENSION + SUFFIX] = building.stdlib_extension(EXTENSION)
NAMES = ("pkg", "alone", "hashed", "pkg." + EXTENSION, "space.mod")


def both(directory, body, flags=(), tree=TREE):
    """What becomes of a program with ROOT on sys.path, and with ROOT mounted; `root` is where it is."""
    archive, disk = building.write_zip(directory / "a.zip", tree), building.write_files(directory / "disk", tree)
    control = building.python("-c", f"import sys; root = {disk!r}; sys.path.append(root)\n{body}", flags=flags)
    ours = building.python("-c", f"import sys, intact; root = intact.mount({archive!r}).root\n{body}", flags=flags)
    assert control.returncode == ours.returncode, ours.stderr
    return ours, control


def same(directory, body, **options):
    """What both print, without where they are."""
    ours, control = both(directory, body, **options)
    assert ours.stdout == control.stdout and ours.returncode == 0, ours.stderr + ours.stdout + control.stdout
    return control.stdout


HEAR = """
import importlib, re
def shown(what):
    return re.sub(" at 0x[0-9a-f]+", "", repr(what)).replace(root, "ROOT")
KINDS = {"import", "open", "compile", "exec", "marshal.loads", "code.__new__"}
heard = None
def hear(event, arguments):
    if heard is not None and event in KINDS:
        heard.append((event, shown(arguments[:2] if event == "import" else arguments)))
        judge(event, arguments)
judge = lambda event, arguments: None
sys.addaudithook(hear)
importlib.import_module("importlib.util").find_spec("pkg")
"""


@pytest.mark.parametrize("name", [*NAMES, "fails", "syntax", "missing", "pkg.missing"])
def test_audit_events_are_those_of_files(tmp_path, name):
    """Each with its arguments, in one sequence; the listing of directories (os.listdir) is left out, for there are none."""
    body = f"""{HEAR}
heard = []
try:
    import {name}
except BaseException as error:
    heard.append(repr(error).replace(root, "ROOT"))
heard, told = None, heard
print(*told, sep="\\n")
"""
    assert same(tmp_path, body).startswith(f"('import', \"('{name}', None)\")\n")


@pytest.mark.parametrize("error", ["RuntimeError", "OSError", "KeyboardInterrupt"])
@pytest.mark.parametrize(
    ("event", "where"),
    [("import", "second"), ("open", "second.cpython"), ("open", "first.cpython"), ("open", "first.py")]
    + [("marshal.loads", "bytecode"), ("compile", "first.py"), ("exec", "second.py")],
)
def test_audit_hook_that_raises_ends_the_import_as_from_files(tmp_path, event, where, error):
    """An OSError for cached bytecode means that there is none; where it ended, importing once more succeeds."""
    body = f"""{HEAR}
def judge(event, arguments):
    if event == {event!r} and {where!r} in repr(arguments[:2] if event == "import" else arguments):
        raise {error}("not that")
def attempt():
    try:
        import pkg.second
        return pkg.second.which
    except BaseException as error:
        return repr(error)
heard = []
print(attempt(), sorted(name for name in sys.modules if name.startswith(("pkg", "space"))))
heard = None
for name in [name for name in sys.modules if name.startswith("pkg")]: del sys.modules[name]
print(attempt())
"""
    said = same(tmp_path, body)
    read_on = error == "OSError" and ".cpython" in where
    assert said.endswith("\nbytecode\n") and said.startswith(error + "('not that')") != read_on


def test_import_time_names_modules_as_from_files(tmp_path):
    """Who imported whom is told by the indentation."""
    body = "import pkg, alone, hashed\nimport space.mod\n"
    told = []
    for done in both(tmp_path, body, flags=["-X", "importtime"]):
        names = [line.rpartition("|")[2] for line in done.stderr.splitlines() if line.startswith("import time:")]
        told.append([name for name in names if name.strip().partition(".")[0] in ("pkg", "alone", "hashed", "space")])
    assert told[0] == told[1] and [name for name in told[1] if "second" in name or name == " pkg"] == ["     pkg.second", " pkg"]


@pytest.mark.parametrize("flags", [["-W", "error::ImportWarning"], ["-W", "error"], ["-W", "error", "-X", "dev"]])
def test_imports_warn_of_nothing(tmp_path, flags):
    body = f"import importlib\nfor name in {NAMES!r}: print(importlib.import_module(name))\nprint(sys.warnoptions)"
    ours, control = both(tmp_path, body, flags=flags)
    assert (ours.returncode, ours.stderr, ours.stdout.count("<module")) == (0, "", len(NAMES)), ours.stderr
    assert control.stdout.splitlines()[-1] == ours.stdout.splitlines()[-1]


@pytest.mark.parametrize("name", [*NAMES, "fails", "syntax", "missing", "pkg.missing", "space", "space.missing", "pkg.inner.deep"])
def test_find_spec_touches_nothing(tmp_path, name):
    """It imports the parent of a submodule, and runs none of the module."""
    body = f"""
import gc, importlib.util, threading
importlib.util.find_spec("missing_too")
def state():
    kept = sys.path, sys.meta_path, sys.path_hooks, gc.get_threshold(), threading.enumerate(), gc.get_freeze_count()
    return [repr(item) for item in kept]
before, modules = state(), set(sys.modules)
spec = importlib.util.find_spec({name!r})
print(state() == before, sorted(set(sys.modules) - modules), spec and (spec.name, bool(spec.loader), spec.parent))
"""
    assert same(tmp_path, body).startswith("True")


LAZY = """
import importlib.machinery
import importlib.util
import os
def lazily(name):
    spec = importlib.util.find_spec(name)
    spec.loader = importlib.util.LazyLoader(spec.loader)
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module
"""


@pytest.mark.parametrize("name", ["pkg", "pkg.second", "alone", "hashed", "fails", "space.mod"])
def test_lazy_loader_loads_when_an_attribute_is_asked_for(tmp_path, name):
    body = f"""{LAZY}
module = lazily({name!r})
print(type(module).__name__, sorted(name for name in sys.modules if name.startswith(("pkg", "space"))))
try:
    print(sorted(name for name in vars(module) if name[0] != "_" or name in ("__file__", "__path__")))
    print(sorted(set(dir(module)) - {{"__cached__"}}))
except KeyError as error:
    print(repr(error))
print(type(module).__name__, sorted(name for name in sys.modules if name.startswith(("pkg", "space"))))
"""
    assert "_LazyModule" in same(tmp_path, body)


def test_lazy_loader_of_an_extension_module(tmp_path):
    body = f"{LAZY}\nmodule = lazily('pkg.{EXTENSION}')\nprint(type(module).__name__, dir(module), module.__name__)\n"
    same(tmp_path, body)


WATCH = {
    "sys.setprofile": """
def watch(frame, event, argument):
    if frame.f_code.co_filename.startswith(root): note(event, frame.f_code, frame.f_lineno)
sys.setprofile(watch)
""",
    "sys.settrace": """
def watch(frame, event, argument):
    if frame.f_code.co_filename.startswith(root):
        note(event, frame.f_code, frame.f_lineno)
        return watch
sys.settrace(watch)
""",
    "sys.monitoring": """
events = sys.monitoring.events
sys.monitoring.use_tool_id(3, "test")
def on(kind):
    def hear(code, *arguments):
        if code.co_filename.startswith(root): note(kind, code, arguments[0])
    return hear
for kind in ("PY_START", "PY_RETURN", "LINE"):
    sys.monitoring.register_callback(3, getattr(events, kind), on(kind))
sys.monitoring.set_events(3, events.PY_START | events.PY_RETURN | events.LINE)
""",
}


@pytest.mark.parametrize("how", WATCH)
def test_profilers_tracers_and_monitors_see_what_they_see_from_files(tmp_path, how):
    if how == "sys.monitoring" and sys.version_info < (3, 12):
        pytest.skip("Python 3.12 has the first sys.monitoring")
    body = f"""
seen = []
def note(event, code, line):
    seen.append((event, code.co_filename.removeprefix(root), code.co_qualname, line))
{WATCH[how]}
import pkg
try:
    import fails
except KeyError:
    pass
sys.setprofile(None); sys.settrace(None)
count = len(seen)
pkg.first.f()
print(*seen[:count], sep="\\n")
"""
    assert "/pkg/inner/deep.py" in same(tmp_path, body)


@pytest.mark.parametrize("how", ["setprofile", "settrace"])
def test_profiler_that_raises_ends_the_import_as_from_files(tmp_path, how):
    body = f"""
def watch(frame, event, argument):
    if frame.f_code.co_filename == root + "/pkg/second.py": raise RuntimeError("enough")
sys.{how}(watch)
try:
    import pkg
except RuntimeError as error:
    print(error, sys.get{how[3:]}() is None, sorted(name for name in sys.modules if name.startswith("pkg")))
sys.{how}(None)
import pkg.second
print(pkg.second.which)
"""
    assert "enough" in same(tmp_path, body)


def test_functions_and_classes_are_pickled_by_reference(tmp_path):
    body = """
import copy, pickle, pkg.first as m, pkg
for value in (m.f, m.C, m.f(), [m.C, m.f]):
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        print(pickle.dumps(value, protocol))
assert pickle.loads(pickle.dumps(m.C)) is m.C and copy.deepcopy(m.f) is m.f
del sys.modules["pkg.first"], m
print(pickle.loads(b"cpkg.first\\nf\\n.").__module__)
"""
    assert "pkg.first" in same(tmp_path, body)


# What stands for something in this process: specs and loaders of mounts, and mounts.


@pytest.mark.parametrize("name", ["pkg", "pkg.first", "alone", "pkg." + EXTENSION])
def test_specs_and_loaders_are_copied_as_those_of_files(mount, name):
    """copy.deepcopy of a spec was a TypeError."""
    mount(TREE)
    spec = importlib.util.find_spec(name)
    for made in (copy.copy(spec), copy.deepcopy(spec)):
        assert made == spec and made is not spec and type(made.loader) is type(spec.loader)
        assert importlib.util.module_from_spec(made).__file__ == spec.origin
    assert copy.deepcopy(spec.loader) == spec.loader and copy.copy(spec.loader) == spec.loader


def test_specs_loaders_and_mounts_are_not_pickled(mount):
    mounted = mount(TREE)
    spec = importlib.util.find_spec("pkg")
    for value in (spec, spec.loader, spec.loader._found):
        with pytest.raises(TypeError, match="what was found in a mount of this process cannot be pickled"):
            pickle.dumps(value)
    with pytest.raises(TypeError, match="cannot pickle 'Mount' object"):
        pickle.dumps(mounted)
    with pytest.raises(TypeError, match="cannot pickle 'Mount' object"):
        copy.copy(mounted)


def test_importers_of_archives_are_pickled_as_zipimports_are(tmp_path):
    archive = building.write_zip(tmp_path / "a.zip", TREE)
    for kind in (intact.zipimporter, zipimport.zipimporter):
        again = pickle.loads(pickle.dumps(kind(archive + "/pkg")))
        assert (type(again), again.archive, again.prefix) == (kind, archive, "pkg/")
        assert again.get_source("second") == SOURCE


@pytest.mark.parametrize("base", [intact.zipimporter, zipimport.zipimporter])
def test_importer_of_archives_may_be_derived_from(tmp_path, base):
    """As tools do that want a say in what is found, or in what is read."""

    class Upper(base):
        def __init__(self, path, note="none"):
            super().__init__(path)
            self.note = note

        def get_data(self, pathname):
            return super().get_data(pathname).upper()

        def find_spec(self, fullname, target=None):
            return None if fullname == "hashed" else super().find_spec(fullname, target)

    archive = building.write_zip(tmp_path / "a.zip", {"hashed.py": "", "plain.py": "n = 1", "words.txt": "word"})
    sys.path_hooks.insert(0, Upper)
    sys.path.insert(0, archive)
    plain = importlib.import_module("plain")
    assert type(plain.__loader__) is Upper and plain.__loader__.note == "none" and plain.n == 1
    assert importlib.util.find_spec("hashed") is None and plain.__loader__.get_data("words.txt") == b"WORD"


# Entries of sys.path.


def test_relative_entry_is_looked_at_anew_when_its_mount_has_gone(tmp_path, monkeypatch):
    """What sys.path_importer_cache held for it was an EntryFinder, which finds nothing any more."""
    archive = building.write_zip(tmp_path / "n.zip", {"rp.py": "n = 1", "other.py": ""})
    monkeypatch.chdir(tmp_path)
    with intact.mount(archive):
        sys.path.append("n.zip")
        assert importlib.machinery.PathFinder.find_spec("other", ["n.zip"]).origin.endswith("n.zip/other.py")
        assert type(sys.path_importer_cache["n.zip"]) is intact._engine.EntryFinder
    module = importlib.import_module("rp")
    del sys.modules["rp"]
    assert module.n == 1 and type(module.__loader__) is zipimport.zipimporter


def test_a_root_of_bytes_that_is_mounted_while_path_hooks_are_asked_is_no_directory_on_disk(mount):
    """It became a FileFinder's, by which importlib wrote bytecode: below the current directory, where / cannot be written to."""
    tree = {"pkg/__init__.py": "", "pkg/mod.py": "n = 1"}
    mounted = mount(tree, "bytes", name="again")
    path = importlib.import_module("pkg").__path__
    mounted.unmount()

    def mounts_meanwhile(entry):
        mount(tree, "bytes", name="again")
        raise ImportError

    sys.path_hooks.insert(1, mounts_meanwhile)
    importlib.machinery.PathFinder.find_spec("pkg.mod", path)
    assert type(sys.path_importer_cache[path[0]]) is intact._engine.EntryFinder


def test_the_finder_of_a_root_of_bytes_that_is_not_mounted_finds_nothing_until_it_is(mount):
    entry = "/intact/later/pkg"
    assert importlib.machinery.PathFinder.find_spec("pkg.mod", [entry]) is None
    finder = sys.path_importer_cache[entry]
    assert finder.find_spec("pkg.mod") is None and finder.iter_modules() == []
    mount({"pkg/mod.py": ""}, "bytes", name="later")
    assert finder.find_spec("pkg.mod").origin == f"{entry}/mod.py"


@pytest.mark.parametrize("entry", ["/intact", "/intact/", "/intact/../elsewhere", "/intactly/x", "intact/x"])
def test_other_places_are_declined(entry):
    with pytest.raises(ImportError):
        intact._engine.EntryFinder(entry)


def test_a_program_below_a_root_that_is_not_mounted_is_not_there(mount):
    with mount({"a.py": ""}):
        child = building.python("/intact/nowhere/script.py")
    assert (child.returncode, child.stderr) == (2, building.python("/intact/nowhere/script.py").stderr)


@pytest.mark.skipif(os.geteuid() != 0, reason="root makes a root directory of its own")
def test_a_real_directory_of_that_name_has_files(tmp_path):
    script = f"""set -e
        cd {tmp_path} && mkdir root && mount -t tmpfs none root && cd root
        for entry in $(ls /); do
          if [ -L /$entry ]; then cp -P /$entry .; elif [ -d /$entry ]; then mkdir $entry && mount --rbind /$entry $entry; fi
        done
        mkdir -p intact/lib && echo 'n = 42' > intact/lib/on_disk.py
        exec chroot . {sys.executable} -c '{{}}'"""
    program = 'import sys, intact; sys.path.append("/intact/lib"); import on_disk; print(on_disk.n, on_disk.__loader__.__class__.__name__)'
    done = subprocess.run(["unshare", "--mount", "sh", "-c", script.format(program)], capture_output=True, text=True)
    assert done.stdout == "42 SourceFileLoader\n", done.stderr


def test_entries_that_are_no_text_stay_in_the_cache_of_importers(mount):
    sys.path_importer_cache[b"bytes"] = None
    mount({"beside.py": "n = 1"}).unmount()
    assert sys.path_importer_cache.pop(b"bytes", 5) is None


def test_mounts_come_and_go_where_the_current_directory_is_gone(tmp_path):
    archive = building.write_zip(tmp_path / "n.zip", {"gone.py": "n = 1"})
    program = (
        "import os, sys, intact; sys.path.insert(0, 'relative'); os.mkdir('here'); os.chdir('here'); import colorsys; os.rmdir('../here')\n"
        "assert 'relative' in sys.path_importer_cache\n"
        "with intact.mount(sys.argv[1]): import gone; print(gone.n)"
    )
    assert building.output_of("-c", program, archive, cwd=tmp_path) == "1\n"


ENTRIES = ["a.zip/pkg", "./a.zip/pkg/", "ROOT/a.zip/pkg", "ROOT/a.zip/pkg/", "link/a.zip/pkg", "ROOT/link/a.zip/pkg/"]


@pytest.mark.parametrize("how", ["sys.path", "PYTHONPATH"])
@pytest.mark.parametrize("entry", ENTRIES)
@pytest.mark.parametrize("given", ["mount", "zipimporter"])
def test_directory_of_an_archive_on_sys_path(tmp_path, how, entry, given):
    """Behind a link a mount's members are files to importlib."""
    building.write_zip(tmp_path / "a.zip", {"pkg/mod.py": "n = 1", "pkg/space/inner.py": "n = 2", "pkg/own/__init__.py": ""})
    (tmp_path / "link").symlink_to(tmp_path)
    entry = entry.replace("ROOT", str(tmp_path))
    ready = {"mount": "intact.mount('a.zip')", "zipimporter": "sys.path_hooks.insert(0, intact.zipimporter)"}
    body = f"import sys, intact; {ready[given]}; sys.path_importer_cache.clear()\n"
    if how == "sys.path":
        body += f"sys.path.append({entry!r})\n"
    body += "import mod, space.inner, own, pkgutil\n"
    body += "print(mod.n, space.inner.n, own.__path__[0].endswith('a.zip/pkg/own'), type(mod.__loader__).__module__)\n"
    env = {"PYTHONPATH": entry} if how == "PYTHONPATH" else {}
    kind = {"mount": "intact._engine", "zipimporter": "intact._zipimporter"}[given]
    if given == "mount" and "link" in entry:
        kind = "_frozen_importlib_external"
    assert building.output_of("-c", body, cwd=tmp_path, env=env) == f"1 2 True {kind}\n"


def test_path_hook_and_meta_path_finder_agree(mount):
    mounted = mount(TREE)
    finder = next(finder for finder in sys.meta_path if isinstance(finder, intact._engine.Finder))
    for name in (*NAMES, "fails", "missing", "pkg.inner.deep", "pkg.missing"):
        parent = name.rpartition(".")[0]
        path = None if not parent else [f"{mounted.root}/{parent.replace('.', '/')}"]
        hooked = importlib.machinery.PathFinder.find_spec(name, path or [mounted.root])
        assert hooked == finder.find_spec(name, path) and (hooked is None) == name.endswith("missing")
