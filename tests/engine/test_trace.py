"""intact.trace(): what is recorded, against what import did, and the command that traces a program."""

import ctypes
import importlib
import importlib.util
import json
import os
import re
import signal
import subprocess
import sys
import sysconfig
import tarfile
import threading
import traceback

import building
import intact
import pytest
from support.environment import unsanitized

TREE = {
    "outer/__init__.py": "from outer import inner\nimport leaf\n",
    "outer/inner.py": "import compiled\n",
    "leaf.py": "value = 1\n",
    "compiled.py": "import time\ntime.sleep(0.02)\n",
    building.cached("compiled.py"): building.hash_pyc("import time\ntime.sleep(0.02)\n", checked=False),
    "space/portion.py": "",
}
EXTENSION = building.stdlib_extension("_testmultiphase")


def by_name(trace):
    return {module.name: module for module in trace.modules}


@pytest.fixture
def traced(mount):
    mount(TREE)
    with intact.trace() as trace:
        importlib.import_module("outer")
    return trace


def test_modules_come_in_the_order_in_which_their_import_began(traced):
    assert [each.name for each in traced.modules if each.place == "archive"] == ["outer", "outer.inner", "compiled", "leaf"]


def test_each_module_names_its_importer_and_the_line(traced):
    names = by_name(traced)
    assert (names["outer.inner"].importer, names["outer.inner"].line) == ("outer", 1)
    assert (names["leaf"].importer, names["leaf"].line) == ("outer", 2)
    assert names["compiled"].importer == "outer.inner"
    assert names["outer"].importer == __name__


def test_nested_imports_stand_below_the_import_they_are_part_of(traced):
    names = by_name(traced)
    parents = {name: traced.modules[each.parent].name for name, each in names.items() if each.parent is not None}
    assert parents["outer.inner"] == "outer" and parents["compiled"] == "outer.inner" and parents["leaf"] == "outer"
    assert names["outer"].depth == 0 and names["compiled"].depth == 2


def test_kind_place_path_and_archive_are_what_was_loaded(traced):
    names, root = by_name(traced), intact.mounts()[0].root
    assert (names["leaf"].kind, names["compiled"].kind) == ("source", "bytecode")
    assert names["leaf"].path == f"{root}/leaf.py" and names["leaf"].archive == root


def test_bytes_are_the_size_of_what_was_read(traced):
    names = by_name(traced)
    assert names["leaf"].bytes == len(TREE["leaf.py"])
    assert names["compiled"].bytes == len(TREE[building.cached("compiled.py")])


def test_own_times_add_up_to_the_time_of_the_outermost_import(traced):
    inside = [module for module in traced.modules if module.depth or module.name == "outer"]
    assert sum(module.own for module in inside) == pytest.approx(by_name(traced)["outer"].total)
    for module in traced.modules:
        assert 0 <= module.found + module.decoded + module.executed <= module.own * 1.000001 + 1e-9


def test_time_is_charged_to_the_phase_and_module_that_took_it(traced):
    names = by_name(traced)
    assert names["compiled"].executed >= 0.02
    assert names["outer"].executed < 0.02 <= names["outer"].total
    assert traced.slow()[0][0].name == "compiled" and traced.slow()[0][1] == "running its code"


def test_modules_that_others_load_are_there_too(on_path):
    on_path({"on_disk.py": "import _testbuiltin_none\n", "ns/portion.py": ""})
    sys.modules.pop("__phello__", None)
    sys.modules.pop("_symtable", None)
    with intact.trace() as trace:
        import __phello__  # noqa: F401
        import _symtable  # noqa: F401
        import ns.portion  # noqa: F401

        with pytest.raises(ModuleNotFoundError):
            import on_disk  # noqa: F401
    names = by_name(trace)
    assert names["__phello__"].kind == "frozen" and names["_symtable"].kind == "built-in"
    assert names["ns"].kind == "namespace" and names["ns.portion"].place == "disk"
    assert names["on_disk"].failed and names["on_disk"].kind == "source"
    assert names["_testbuiltin_none"].failed and names["_testbuiltin_none"].kind == "missing"


def test_what_is_in_sys_modules_already_is_not_imported_again(mount):
    mount(TREE)
    importlib.import_module("leaf")
    with intact.trace() as trace:
        importlib.import_module("leaf")
    assert trace.modules == []


@pytest.mark.skipif(EXTENSION is None, reason="this interpreter has its test extensions built in")
def test_shared_objects_are_told_with_how_they_were_loaded_and_their_relocations(mount, tmp_path):
    mount({f"_testmultiphase{building.SUFFIX}": EXTENSION})
    sys.modules.pop("_testmultiphase", None)
    with intact.trace() as trace:
        importlib.import_module("_testmultiphase")
    (image,) = trace.images
    assert (image.path, image.how, *intact.images()[-1][2:]) == (
        f"{intact.mounts()[0].root}/_testmultiphase{building.SUFFIX}",
        "copy",
        image.copied,
        image.mapped,
    )
    (tmp_path / "object").write_bytes(EXTENSION)
    listed = subprocess.run(["readelf", "-rW", tmp_path / "object"], check=True, capture_output=True, text=True).stdout
    counted = [line.split(" contains ")[1].split()[0] for line in listed.splitlines() if " contains " in line]
    assert image.relocations == sum(map(int, counted)) > 0
    assert image.module == "_testmultiphase" and by_name(trace)["_testmultiphase"].kind == "extension"


def test_relocations_that_are_packed_as_bits_are_counted_one_by_one(mount, tmp_path):
    """DT_RELR: readelf tells its words as entries, and what they stand for as offsets."""
    source = f"static int hidden;\nint *table[100] = {{{'&hidden,' * 100}}};\nint *first(void) {{ return table[0]; }}\n"
    (tmp_path / "source.c").write_text(source)
    target = tmp_path / "libpacked.so"
    command = ["gcc", "-shared", "-fPIC", "-Wl,-z,pack-relative-relocs", "-o", target, tmp_path / "source.c"]
    subprocess.run(command, check=True)
    listed = subprocess.run(["readelf", "-rW", target], check=True, capture_output=True, text=True).stdout
    (entries,) = re.findall(r"'\.rela\.dyn' .* contains (\d+) entries", listed)
    (offsets,) = re.findall(r"^ +(\d+) offsets$", listed, re.M)
    assert int(offsets) > 100
    mounted = mount({"libpacked.so": target.read_bytes()})
    with intact.trace() as trace:
        ctypes.CDLL(f"{mounted.root}/libpacked.so")
    assert trace.images[0].relocations == int(entries) + int(offsets)


def test_importing_in_threads_is_told_by_thread(mount):
    mount({"first.py": "import leaf_a", "second.py": "import leaf_b", "leaf_a.py": "", "leaf_b.py": ""})
    with intact.trace() as trace:
        importlib.import_module("first")
        thread = threading.Thread(target=importlib.import_module, args=("second",))
        thread.start()
        thread.join()
    names = by_name(trace)
    assert names["first"].thread == names["leaf_a"].thread == 1
    assert names["second"].thread == names["leaf_b"].thread == 2 and names["leaf_b"].depth == 1


def test_a_module_that_is_reloaded_is_executed_again(mount):
    mount(TREE)
    leaf = importlib.import_module("leaf")
    with intact.trace() as trace:
        importlib.reload(leaf)
    assert [module.name for module in trace.modules] == ["leaf"]


def load_lazily(name):
    spec = importlib.util.find_spec(name)
    spec.loader = importlib.util.LazyLoader(spec.loader)
    module = sys.modules[name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("importer", ["", "importer"], ids=["at the top", "by a module"])
@pytest.mark.parametrize("way", ["reload", "lazily"])
def test_what_is_reloaded_or_lazily_loaded_was_compiled_where_it_was(mount, way, importer):
    """It was bytecode of no bytes that took no time, for which its importer was compiled."""
    source = "".join(f"def f{n}(a, b=[1, {n}]):\n    return [x * {n} for x in a if x in b]\n" for n in range(300))
    touch = "import importlib, sys; importlib.reload(sys.modules['slow'])" if way == "reload" else "import slow; slow.f0"
    mount({"slow.py": source, "importer.py": touch, building.cached("importer.py"): building.timestamp_pyc(touch)})
    module = importlib.import_module("slow") if way == "reload" else load_lazily("slow")
    with intact.trace() as trace:
        if importer:
            importlib.import_module("importer")
        elif way == "reload":
            importlib.reload(module)
        else:
            module.f0
    names = by_name(trace)
    slow = names["slow"]
    assert (slow.kind, slow.bytes) == ("source", len(source)) and slow.decoded > slow.executed > 0
    assert abs(slow.own - slow.found - slow.decoded - slow.executed) < slow.own / 2
    assert [phase for phase, *_ in slow.phases] == ["decoded", "executed"]
    if importer:
        assert (slow.importer, names["importer"].kind) == ("importer", "bytecode")
        assert names["importer"].executed < slow.total


INITIALISED = """
#include <Python.h>
static int run(PyObject* module) {
  PyObject* imported = PyImport_ImportModule("beside.part");
  Py_XDECREF(imported);
  return imported ? 0 : -1;
}
static PyModuleDef_Slot slots[] = {{Py_mod_exec, run}, {0, 0}};
static PyModuleDef def = {PyModuleDef_HEAD_INIT, "initialised", 0, 0, 0, slots};
PyMODINIT_FUNC PyInit_initialised(void) { return PyModuleDef_Init(&def); }
"""


def test_what_an_extension_imports_while_it_is_initialised_is_its_own(mount, tmp_path):
    """The module that imported the extension was told, and its line."""
    (tmp_path / "initialised.c").write_text(INITIALISED)
    target = tmp_path / f"initialised{building.SUFFIX}"
    include = sysconfig.get_path("include")
    command = ["gcc", "-shared", "-fPIC", f"-I{include}", tmp_path / "initialised.c", "-o", target]
    subprocess.run(command, check=True, env=unsanitized())
    tree = {target.name: target.read_bytes(), "beside/__init__.py": "import leaf\n", "beside/part.py": "", "leaf.py": ""}
    mount({**tree, "asks.py": "\nimport initialised\n"})
    with intact.trace() as trace:
        importlib.import_module("asks")
    asked = {name: (module.importer, module.line, module.by) for name, module in by_name(trace).items()}
    assert asked["initialised"] == ("asks", 2, "asks:2")
    assert asked["beside"] == asked["beside.part"] == ("initialised", 0, "initialised")
    assert asked["leaf"] == ("beside", 1, "beside:1")


def test_nested_traces_each_have_what_was_imported_while_they_ran(mount):
    mount(TREE)
    with intact.trace() as outside:
        importlib.import_module("leaf")
        with intact.trace() as inside:
            importlib.import_module("compiled")
        importlib.import_module("space.portion")
    assert [each.name for each in inside.modules] == ["compiled"]
    assert [each.name for each in outside.modules if each.place == "archive"] == ["leaf", "compiled", "space.portion", "space"]


def test_overlapping_traces_may_end_in_any_order(mount):
    mount(TREE)
    first, second = intact.trace(), intact.trace()
    first.__enter__()
    importlib.import_module("leaf")
    second.__enter__()
    importlib.import_module("compiled")
    first.__exit__()
    importlib.import_module("space.portion")
    second.__exit__()
    assert [each.name for each in first.modules] == ["leaf", "compiled"]
    assert "space.portion" in by_name(second) and "leaf" not in by_name(second)


def test_a_trace_is_used_once_and_has_nothing_before_it_ended():
    trace = intact.trace()
    with trace, pytest.raises(RuntimeError, match="has not ended"):
        trace.modules
    with pytest.raises(RuntimeError, match="used once"), trace:
        pass


@pytest.mark.parametrize("name", ["_frozen_importlib", "zipimport"])
def test_importlib_and_zipimport_are_as_they_were_after_a_trace(name):
    module = importlib.import_module(name)
    before = dict(vars(module))
    with intact.trace():
        assert dict(vars(module)) != before
    assert dict(vars(module)) == before


def test_a_function_that_a_program_puts_around_ours_stays_and_the_next_trace_is_whole(mount):
    import _frozen_importlib

    mount(TREE)
    original = _frozen_importlib._find_and_load
    try:
        with intact.trace():
            ours = _frozen_importlib._find_and_load
            _frozen_importlib._find_and_load = theirs = lambda *arguments: ours(*arguments)
        assert _frozen_importlib._find_and_load is theirs
        with intact.trace() as trace:
            importlib.import_module("leaf")
        assert [module.name for module in trace.modules] == ["leaf"]
    finally:
        _frozen_importlib._find_and_load = original


def test_tracebacks_are_those_without_a_trace(mount):
    mount({"broken.py": "def fail():\n    raise ValueError\nfail()\n", "above.py": "import broken\n"})

    def frames():
        try:
            importlib.import_module("above")
        except ValueError as error:
            return [(frame.name, frame.filename) for frame in traceback.extract_tb(error.__traceback__)]

    plain = frames()
    with intact.trace():
        assert frames() == plain


def test_text_has_a_line_for_each_module_and_no_control_characters(traced):
    traced.modules[0].name = "evil\x1b[2J"
    lines = traced.text().splitlines()
    assert "\x1b" not in traced.text()
    assert sum(line.endswith("    compiled") for line in lines) == 1


def test_chrome_events_nest_within_their_thread(traced):
    events = json.loads(json.dumps(traced.chrome()))["traceEvents"]
    spans = {event["name"]: event for event in events if event["ph"] == "X" and event["cat"].startswith("import")}
    assert {"outer", "outer.inner", "leaf", "compiled"} <= set(spans)
    outer, leaf = spans["outer"], spans["leaf"]
    assert outer["ts"] <= leaf["ts"] and leaf["ts"] + leaf["dur"] <= outer["ts"] + outer["dur"] + 0.01
    assert leaf["args"]["imported by"] == "outer:2"


def test_the_suffix_decides_what_is_written(traced, tmp_path):
    for suffix, start in ((".html", "<!DOCTYPE html>"), (".json", '{"traceEvents"'), (".txt", f"{len(traced.modules)} ")):
        traced.write(tmp_path / f"trace{suffix}")
        assert (tmp_path / f"trace{suffix}").read_text().startswith(start)
    with pytest.raises(ValueError, match="suffix"):
        traced.write(tmp_path / "trace.svg")
    assert sorted(os.listdir(tmp_path))[-3:] == ["trace.html", "trace.json", "trace.txt"]


# ---- the command


def trace(*arguments, **options):
    return building.python("-m", "intact", "trace", *arguments, **options)


@pytest.fixture
def archive(tmp_path):
    return building.write_zip(tmp_path / "app.zip", TREE)


def traced_names(path):
    return {event["name"] for event in json.loads(path.read_text())["traceEvents"]}


@pytest.mark.parametrize(
    ("ending", "status"),
    [("", 0), ("raise SystemExit(7)", 7), ("1 / 0", 1), ("import sys; sys.exit('why')", 1)],
)
def test_the_trace_is_written_however_the_program_ends_and_the_exit_code_is_its_own(archive, tmp_path, ending, status):
    target = tmp_path / "trace.json"
    done = trace(archive, "-o", str(target), "-c", f"import outer, json\n{ending}")
    assert done.returncode == status, done.stderr
    assert {"outer", "compiled", "json", "json.decoder"} <= traced_names(target)


def test_without_a_file_text_goes_to_stderr_and_stdout_is_the_programs(archive):
    done = trace(archive, "-c", "import outer; print('out')")
    assert done.stdout == "out\n" and "  outer.inner" in done.stderr


def test_scripts_and_modules_run_as_with_intact_run(archive, tmp_path):
    script = tmp_path / "script.py"
    script.write_text("import sys, leaf\nprint(sys.argv[1:], __name__, sys.path[0])\n")
    done = trace(archive, "--", str(script), "a", "b")
    assert done.stdout == f"['a', 'b'] __main__ {tmp_path}\n" and " leaf\n" in done.stderr
    assert trace(archive, "-m", "leaf").returncode == 0


def test_a_zip_with_a_main_runs_as_python_runs_it_with_its_arguments(tmp_path):
    app = building.write_zip(tmp_path / "app.pyz", {"__main__.py": "import sys, part\nprint(sys.argv)\n", "part.py": ""})
    target = tmp_path / "trace.json"
    assert trace(app, "-o", str(target), "--", "x").stdout == f"{[app, 'x']}\n"
    assert "part" in traced_names(target)


ZIPAPP = {
    "__main__.py": "import slow_to_compile, sleeper, compiled, portions.leaf, absent_or_not\n",
    "slow_to_compile.py": "".join(f"def function_{n}(x): return [x, {n}]\n" for n in range(3000)),
    "sleeper.py": "import time\ntime.sleep(0.02)\n",
    "compiled.pyc": building.timestamp_pyc("value = 1\n"),
    "portions": None,
    "portions/leaf.py": "value = 2\n",
    "absent_or_not.py": "try: import _absent\nexcept ImportError: pass\n",
    f"_absent{building.SUFFIX}": b"what python does not load out of a zip",
}


@pytest.fixture(params=[False, True], ids=["stored", "deflated"])
def zipapp_events(request, tmp_path):
    """What the trace of a zipapp, which python itself imports from, has of each name: import events, and those of its phases."""
    building.write_files(tmp_path / "app", ZIPAPP)
    options = ["--compress"] if request.param else []
    building.output_of("-m", "zipapp", "app", "-o", "app.pyz", *options, cwd=tmp_path)
    done = trace("app.pyz", "-o", "trace.json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    events = [e for e in json.loads((tmp_path / "trace.json").read_text())["traceEvents"] if e["ph"] == "X"]
    return {e["name"]: e for e in events if "module" not in e["args"]}, [e for e in events if "module" in e["args"]]


def test_a_zipapps_modules_have_kind_place_and_bytes(zipapp_events):
    """Bytes were 0, kinds other, places disk."""
    imports, _ = zipapp_events
    told = {name: (e["cat"], e["args"]["from"], e["args"]["bytes"]) for name, e in imports.items()}
    expected = {
        "slow_to_compile": ("import,source", "app.pyz", len(ZIPAPP["slow_to_compile.py"])),
        "compiled": ("import,bytecode", "app.pyz", len(ZIPAPP["compiled.pyc"])),
        "portions": ("import,namespace", "app.pyz", 0),
        "portions.leaf": ("import,source", "app.pyz", len(ZIPAPP["portions/leaf.py"])),
        "_absent": ("import,missing", "", 0),
    }
    assert {name: told[name] for name in expected} == expected


def test_what_zipimport_compiles_when_it_finds_a_module_is_decoding(zipapp_events):
    imports, phases = zipapp_events

    def of(module):
        return sorted((e["ts"], e["name"], e["dur"]) for e in phases if e["args"]["module"] == module)

    def spent(module, phase):
        return sum(duration for _, name, duration in of(module) if name == phase)

    assert [name for _, name, _ in of("slow_to_compile")] == ["found", "decoded", "found", "decoded", "executed"]
    assert spent("slow_to_compile", "decoded") > spent("slow_to_compile", "found")
    assert imports["sleeper"]["dur"] > spent("sleeper", "executed") > 20_000


def test_the_times_of_a_module_out_of_a_zip_on_the_path_add_up(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(building.write_zip(tmp_path / "path.zip", ZIPAPP))
    with intact.trace() as trace:
        importlib.import_module("slow_to_compile")
        importlib.import_module("portions.leaf")
    slow = by_name(trace)["slow_to_compile"]
    assert slow.archive == by_name(trace)["portions"].archive == str(tmp_path / "path.zip")
    assert slow.decoded > slow.found > 0 and slow.kind == "source"
    for module in trace.modules:
        assert 0 <= module.found + module.decoded + module.executed <= module.own * 1.000001 + 1e-9


def tar(path, tree):
    building.write_files(path.with_suffix(".in"), tree)
    with tarfile.open(path, "w:gz") as archive:
        archive.add(path.with_suffix(".in"), "")


def sevenzip(*options):
    def write(path, tree):
        building.write_files(path.with_suffix(".in"), tree)
        command = ["7zz", "a", "-bd", "-psesame", *options, path, "."]
        subprocess.run(command, cwd=path.with_suffix(".in"), check=True, stdout=subprocess.DEVNULL)

    return write


@pytest.mark.parametrize(
    ("name", "write"),
    [("app.tar.gz", tar), ("app.zip", sevenzip("-mem=ZipCrypto")), ("app.7z", sevenzip()), ("hidden.7z", sevenzip("-mhe=on"))],
)
def test_what_python_itself_does_not_run_is_mounted_as_with_intact_run(tmp_path, name, write):
    """Of an encrypted zip the password was dropped and what it hides was compiled."""
    write(tmp_path / name, {"__main__.py": "raise SystemExit('ran')", "part.py": "value = 42\n"})
    (tmp_path / "password").write_text("sesame")
    arguments = [str(tmp_path / name), "--password-file", str(tmp_path / "password")]
    typed = "import part; print(part.value)\n"
    run = building.python("-m", "intact", "run", *arguments, stdin=typed)
    done = trace(*arguments, stdin=typed)
    assert (done.returncode, done.stdout) == (run.returncode, run.stdout) and "42" in run.stdout, done.stderr
    assert " part\n" in done.stderr and "ran" not in done.stderr


def test_a_programs_own_strings_show_no_lines_of_ours_in_tracebacks(tmp_path):
    """On 3.13 they showed those of the command that the trace runs by."""
    (tmp_path / "script.py").write_text("exec('raise ValueError(1)')\n")
    done = trace("-o", "trace.txt", "--", "script.py", cwd=tmp_path)
    control = building.python("script.py", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (1, control.stderr) and "<string>" in done.stderr


def test_a_program_that_clears_sys_modules_is_traced(archive, tmp_path):
    """There was an exception at exit, and no trace."""
    done = trace(archive, "-o", "trace.json", "-c", "import leaf, sys; sys.modules.clear()", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "") and "leaf" in traced_names(tmp_path / "trace.json")


def test_a_child_that_a_fork_made_writes_no_trace(archive, tmp_path):
    target = tmp_path / "trace.json"
    program = "import os, sys\nchild = os.fork()\nif child: os.waitpid(child, 0); import leaf\nelse: sys.exit(0)\n"
    assert trace(archive, "-o", str(target), "-c", program).returncode == 0
    assert "leaf" in traced_names(target)


def test_an_interrupted_program_leaves_a_whole_trace_and_dies_of_the_signal(archive, tmp_path):
    target = tmp_path / "trace.json"
    program = "import os, signal, leaf\nos.kill(os.getpid(), signal.SIGINT)\nimport time; time.sleep(60)"
    assert trace(archive, "-o", str(target), "-c", program).returncode == -signal.SIGINT
    assert "leaf" in traced_names(target)
    assert sorted(os.listdir(tmp_path)) == ["app.zip", "trace.json"]


@pytest.mark.parametrize(("output", "status"), [("trace.svg", 2), ("nowhere/trace.html", 1)])
def test_a_file_that_cannot_be_written_is_told_before_the_program_runs(archive, tmp_path, output, status):
    done = trace(archive, "-o", output, "-c", "print('ran')", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (status, "") and output in done.stderr


def test_an_archive_that_is_none_is_told(tmp_path):
    done = trace(str(tmp_path / "absent.zip"), str(tmp_path / "absent.zip"), "-c", "print('ran')")
    assert (done.returncode, done.stdout) == (1, "") and "absent.zip" in done.stderr


def test_import_intact_does_not_load_what_traces():
    loaded = building.output_of("-c", "import intact, sys; print([n for n in sys.modules if '_trace' in n])")
    assert loaded == "[]\n"
