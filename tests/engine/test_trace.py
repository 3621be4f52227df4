"""intact.trace(): what is recorded, against what import did. test_trace_command.py has the command."""

import ctypes
import importlib
import importlib.util
import json
import os
import re
import subprocess
import sys
import sysconfig
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
