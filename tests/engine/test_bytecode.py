"""Bytecode in archives is used exactly when it is valid (PEP 3147, 488, 552); else the source is compiled.

Each archive holds a source that says "source" and bytecode that says "bytecode": what a module says tells which was used.
Sizes are equal, so that they do not give the difference away.
"""

import importlib
import importlib.util
import sys
import zipfile
from pathlib import Path

import building
import intact
import pytest
from building import cached

SOURCE = "which = 'source'   \n"
PYC_SOURCE = "which = 'bytecode' \n"
PYC = building.timestamp_pyc(PYC_SOURCE)
assert len(SOURCE) == len(PYC_SOURCE)


def which(mount, pyc, kind="path", **members):
    mount({"mod.py": SOURCE, cached("mod.py"): pyc, **members}, kind)
    return importlib.import_module("mod").which


@pytest.mark.parametrize("kind", ["path", "bytes", "directory"])
def test_bytecode_of_the_sources_time_and_size_is_used(mount, kind):
    assert which(mount, PYC, kind) == "bytecode"


@pytest.mark.parametrize("kind", ["path", "bytes", "directory"])
@pytest.mark.parametrize(
    "stale", [{"mtime": building.NOON_SECONDS - 10}, {"mtime": building.NOON_SECONDS + 10}, {"size": 1}]
)
def test_bytecode_of_another_time_or_size_is_not_used(mount, kind, stale):
    assert which(mount, building.timestamp_pyc(PYC_SOURCE, **stale), kind) == "source"


def test_odd_seconds_that_a_zip_cannot_keep_do_not_make_bytecode_stale(mount):
    """A zip keeps times to two seconds; the bytecode has the time of the file that was archived."""
    assert which(mount, building.timestamp_pyc(PYC_SOURCE, mtime=building.NOON_SECONDS + 1)) == "bytecode"


def test_checked_hash_that_fits_is_used(mount):
    assert which(mount, building.hash_pyc(PYC_SOURCE, hashed=SOURCE)) == "bytecode"


def test_checked_hash_that_does_not_fit_is_not_used(mount):
    assert which(mount, building.hash_pyc(PYC_SOURCE)) == "source"


def test_unchecked_hash_is_used_without_a_look_at_the_source(mount):
    assert which(mount, building.hash_pyc(PYC_SOURCE, checked=False)) == "bytecode"


CHECKS = [
    # --check-hash-based-pycs, flag of the bytecode, does the hash fit, what is used
    ("always", False, False, "source"),
    ("always", False, True, "bytecode"),
    ("never", True, False, "bytecode"),
    ("default", True, False, "source"),
    ("default", False, False, "bytecode"),
]


@pytest.mark.parametrize(("setting", "checked", "fits", "used"), CHECKS)
def test_check_hash_based_pycs_is_obeyed(tmp_path, setting, checked, fits, used):
    pyc = building.hash_pyc(PYC_SOURCE, hashed=SOURCE if fits else PYC_SOURCE, checked=checked)
    archive = building.write_zip(tmp_path / "a.zip", {"mod.py": SOURCE, cached("mod.py"): pyc})
    program = "import sys, intact; intact.mount(sys.argv[1]); import mod; print(mod.which)"
    assert building.output_of("-c", program, archive, flags=("--check-hash-based-pycs", setting)) == f"{used}\n"


FOREIGN = {
    "empty": b"",
    "cut in its header": PYC[:15],
    "wrong magic": b"\0\0\r\n" + PYC[4:],
    "flags unknown": PYC[:4] + b"\x04\0\0\0" + PYC[8:],
    "another Python's": (3400).to_bytes(2, "little") + PYC[2:],
}
BROKEN = {
    "header only": PYC[:16],
    "marshal cut": PYC[:-7],
    "marshal of no code": PYC[:16] + b"N",
    "garbage": PYC[:16] + b"\xff" * 50,
}
EVERY = [
    *(pytest.param(FOREIGN[name], False, id=f"{name}, alone") for name in FOREIGN),
    *(pytest.param(pyc, source, id=name + ", alone" * (not source)) for name, pyc in BROKEN.items() for source in (0, 1)),
]


@pytest.mark.parametrize("pyc", FOREIGN.values(), ids=FOREIGN.keys())
def test_bytecode_that_is_not_this_interpreters_is_passed_over(mount, pyc):
    assert which(mount, pyc) == "source"


@pytest.mark.parametrize(("pyc", "source"), EVERY)
def test_broken_bytecode_is_the_error_that_it_is_on_disk(mount, tmp_path, pyc, source):
    """It was an ImportError whatever was wrong with it, and passed over where there was a source."""
    tree = {"alone.py": SOURCE, cached("alone.py"): pyc} if source else {"alone.pyc": pyc}
    mounted = mount(tree)
    disk = building.write_files(tmp_path / "disk", tree)
    said = []
    for root, loader in (
        (mounted.root, importlib.util.find_spec("alone").loader),
        (disk, building.file_finder(disk).find_spec("alone").loader),
    ):
        with pytest.raises(Exception) as caught:
            loader.get_code("alone")
        names = (getattr(caught.value, "name", None), str(getattr(caught.value, "path", None)).removeprefix(root))
        said.append((type(caught.value), str(caught.value).replace(root, "ROOT"), *names))
    assert said[0] == said[1]


def test_sourceless_bytecode_runs_whatever_its_time(mount):
    mount({"alone.pyc": building.timestamp_pyc(PYC_SOURCE, mtime=1)})
    assert importlib.import_module("alone").which == "bytecode"


def test_bytecode_in_pycache_without_a_source_is_not_a_module(mount):
    mount({cached("mod.py"): PYC})
    assert importlib.util.find_spec("mod") is None


def test_damaged_bytecode_member_is_an_error_not_a_reason_to_compile(mount, tmp_path):
    """A CRC-32 that does not fit is the archive's damage, not a stale cache."""
    data = bytearray(building.zip_bytes({"mod.py": SOURCE, cached("mod.py"): PYC}, zipfile.ZIP_STORED))
    data[data.index(PYC) + 20] ^= 1
    intact.mount(data)
    with pytest.raises(intact.MemberError, match="CRC"):
        importlib.import_module("mod")


@pytest.mark.parametrize(("flags", "level"), [((), ""), (("-O",), "1"), (("-OO",), "2")])
def test_bytecode_of_the_optimization_level_is_used(tmp_path, flags, level):
    tree = {"mod.py": SOURCE}
    for other in ("", "1", "2"):
        tree[cached("mod.py", other)] = building.timestamp_pyc(f"which = 'level {other}'", size=len(SOURCE))
    archive = building.write_zip(tmp_path / "a.zip", tree)
    program = (
        "import sys, intact; intact.mount(sys.argv[1]); import mod; print(mod.which, mod.__cached__[len(sys.argv[1]):])"
    )
    expected = f"level {level} /{cached('mod.py', level)}\n"
    assert building.output_of("-c", program, archive, flags=flags) == expected


@pytest.mark.parametrize(("flags", "expected"), [((), "True doc"), (("-O",), "False doc"), (("-OO",), "False None")])
def test_source_is_compiled_at_the_optimization_level(tmp_path, flags, expected):
    archive = building.write_zip(
        tmp_path / "a.zip",
        {"mod.py": "'doc'\nran = False\ndef f():\n    global ran\n    ran = True\n    return True\nassert f()\n"},
    )
    program = "import sys, intact; intact.mount(sys.argv[1]); import mod; print(mod.ran, mod.__doc__)"
    assert building.output_of("-c", program, archive, flags=flags) == f"{expected}\n"


def test_pycache_prefix_moves_cached_as_for_files(mount, tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "pycache_prefix", str(tmp_path / "prefix"))
    mounted = mount({"pkg/__init__.py": "", "pkg/mod.py": SOURCE})
    disk = building.write_files(tmp_path / "disk", {"mod.py": SOURCE})
    expected = building.file_finder(disk).find_spec("mod").cached
    found = importlib.util.find_spec("pkg.mod").cached
    assert found.replace(f"{mounted.root}/pkg", "ROOT") == expected.replace(disk, "ROOT")


def test_nothing_is_written_for_a_source_that_was_compiled(tmp_path):
    """Neither beside the archive nor, as pycache_prefix would have it, elsewhere."""
    archive = building.write_zip(tmp_path / "a.zip", {"mod.py": SOURCE})
    program = (
        "import sys, intact; sys.dont_write_bytecode = False; intact.mount(sys.argv[1]); import mod; print(mod.which)"
    )
    assert building.output_of("-c", program, archive, flags=("-X", f"pycache_prefix={tmp_path}/prefix")) == "source\n"
    assert [path.name for path in tmp_path.rglob("*") if path.name.startswith(("a.", "mod."))] == ["a.zip"]


def test_source_edited_in_a_mounted_directory_is_compiled_again(mount):
    mounted = mount({"mod.py": SOURCE, cached("mod.py"): PYC}, "directory")
    assert importlib.import_module("mod").which == "bytecode"
    Path(mounted.root, "mod.py").write_text("which = 'edited'")
    assert importlib.reload(sys.modules["mod"]).which == "edited"


def test_source_edited_within_a_second_is_told_by_its_size(mount):
    mounted = mount({"mod.py": SOURCE, cached("mod.py"): PYC}, "directory")
    building.write_files(mounted.root, {"mod.py": "which = 'edited'"})
    assert importlib.import_module("mod").which == "edited"


def test_opening_an_archive_is_audited(tmp_path):
    archive = building.write_zip(tmp_path / "a.zip", {})
    program = (
        "import sys, intact; opened = []\n"
        "sys.addaudithook(lambda event, arguments: event == 'open' and opened.append(arguments[:2]))\n"
        "intact.mount(sys.argv[1]); print((sys.argv[1], 'r') in opened)"
    )
    assert building.output_of("-c", program, archive) == "True\n"
