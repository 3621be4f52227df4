"""Every format that is read by way of libarchive, on disk and in memory, against the programs that made it or unpack it."""

import importlib
import importlib.resources
import json
import os
import sqlite3
import stat
import zipfile
from pathlib import Path

import building
import intact
import pytest
from support import formats, wheels

LARGE = bytes(range(256)) * 1200  # more than one block of any format
TREE = {
    "pkg": None,
    "pkg/__init__.py": "from pkg.inner.deep import word\n",
    "pkg/inner": None,
    "pkg/inner/__init__.py": "",
    "pkg/inner/deep.py": "word = 'found'\n",
    "pkg/data.txt": "text\n",
    "pkg/empty.bin": b"",
    "pkg/large.bin": LARGE,
    "pkg/" + "long_" * 20 + "name.txt": "long",
    "tool.sh": "#!/bin/sh\n",
    "void": None,
}
EXECUTABLE = "tool.sh"


@pytest.fixture(scope="session")
def made(tmp_path_factory):
    """`made(FORMAT)`: the archive of TREE, and a directory into which another program has unpacked it."""
    place = tmp_path_factory.mktemp("formats")
    packed = Path(building.write_files(place / "packed", TREE))
    (packed / EXECUTABLE).chmod(0o755)
    for directory in ("pkg/inner", "pkg", "void"):
        os.utime(packed / directory, (building.NOON_SECONDS, building.NOON_SECONDS))
    done = {}

    def make(kind):
        if kind not in done:
            archive = formats.make(kind, packed, place / f"{kind}.{formats.suffix(kind)}")
            formats.unpack(kind, archive, place / f"unpacked-{kind}")
            done[kind] = Path(archive), place / f"unpacked-{kind}"
        return done[kind]

    return make


@pytest.fixture(params=["path", "bytes"])
def opened(request, made):
    """Mounts the archive of a format from its path, or from its bytes."""

    def open_as(kind, **options):
        archive = made(kind)[0]
        return intact.mount(archive if request.param == "path" else archive.read_bytes(), **options)

    return open_as


@pytest.mark.parametrize("kind", formats.FORMATS)
def test_listing_sizes_and_contents_are_those_of_the_control(kind, made, opened):
    control, mounted = made(kind)[1], opened(kind)
    files = [name for name in formats.names_in(control) if (control / name).is_file()]
    assert set(TREE) - {name for name, content in TREE.items() if content is None} == set(files)
    assert sorted(mounted) == files
    for name in files:
        expected = (control / name).read_bytes()
        assert mounted.read(name) == expected == Path(mounted.root, name).read_bytes()
        assert os.stat(f"{mounted.root}/{name}").st_size == len(expected)


@pytest.mark.parametrize("kind", [kind for kind in formats.FORMATS if kind not in formats.WITHOUT_DIRECTORIES])
def test_directories_are_those_of_the_control_the_empty_one_among_them(kind, made, opened):
    control, mounted = made(kind)[1], opened(kind)
    expected = {str(path.relative_to(control)) for path in control.rglob("*") if path.is_dir()}
    found = {os.path.relpath(os.path.join(place, name), mounted.root) for place, names, _ in os.walk(mounted.root) for name in names}
    assert found == expected and "void" in found


@pytest.mark.parametrize("kind", formats.FORMATS)
def test_times_are_those_of_the_control(kind, made, opened):
    control, mounted = made(kind)[1], opened(kind)
    for name in mounted:
        assert os.stat(f"{mounted.root}/{name}").st_mtime == int((control / name).stat().st_mtime)
        assert os.stat(f"{mounted.root}/{name}").st_mtime == building.NOON_SECONDS


@pytest.mark.parametrize("kind", [kind for kind in formats.FORMATS if kind not in formats.WITHOUT_MODES])
def test_modes_are_kept_but_for_writing(kind, made, opened):
    mounted = opened(kind)
    assert stat.S_IMODE(os.stat(f"{mounted.root}/{EXECUTABLE}").st_mode) == 0o555
    assert stat.S_IMODE(os.stat(f"{mounted.root}/pkg/data.txt").st_mode) == 0o444


@pytest.mark.parametrize("kind", formats.FORMATS)
def test_format_is_named(kind, opened):
    assert opened(kind).format == formats.NAMES.get(kind, kind)


@pytest.mark.parametrize("kind", formats.FORMATS)
def test_packages_are_imported_and_their_resources_found(kind, opened):
    mounted = opened(kind)
    pkg = importlib.import_module("pkg")
    assert pkg.word == "found" and pkg.__file__ == f"{mounted.root}/pkg/__init__.py"
    assert importlib.resources.files("pkg").joinpath("data.txt").read_text() == "text\n"
    assert importlib.resources.files("pkg").joinpath("large.bin").read_bytes() == LARGE


@pytest.mark.parametrize("kind", formats.FORMATS)
def test_verify_finds_every_member_whole(kind, made):
    files = sum(content is not None for content in TREE.values())
    said = json.loads(building.output_of("-m", "intact", "verify", "--json", str(made(kind)[0])))
    assert (said["members"], said["unreachable"], said["problems"]) == (files, 0, [])


# ---- native code


@pytest.fixture(scope="session")
def native(tmp_path_factory, interpreter):
    """`native(FORMAT)`: a wheel as the index serves it, with an extension module in it, packed anew; and a database."""
    place = tmp_path_factory.mktemp("native")
    (wheel,) = wheels.fetch(["PyYAML==6.0.3"], Path(__file__).parents[2] / "build/wheels" / interpreter.tag, interpreter.executable)
    tree = place / "tree"
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(tree)
    with sqlite3.connect(tree / "yaml/facts.db") as database:
        database.execute("create table facts(word)")
        database.execute("insert into facts values('stored')")
    done = {}

    def make(kind):
        if kind not in done:
            done[kind] = formats.make(kind, tree, place / f"{kind}.{formats.suffix(kind)}")
        return done[kind]

    make.wheel = wheel
    return make


NATIVE = """
import ctypes, importlib.metadata, json, sqlite3, sys
import intact
how, path = sys.argv[1:]
m = intact.mount(path if how == "path" else open(path, "rb").read(), name="native")
import yaml
assert yaml.__with_libyaml__ and yaml.load("a: [1, 2]", Loader=yaml.CSafeLoader) == {"a": [1, 2]}
assert yaml._yaml.__file__.startswith(m.root), yaml._yaml.__file__
assert importlib.metadata.version("PyYAML") == "6.0.3"
facts = sqlite3.connect(f"file:{m.root}/yaml/facts.db?mode=ro&immutable=1", uri=True)
assert facts.execute("select word from facts").fetchone() == ("stored",)
library = ctypes.CDLL(yaml._yaml.__file__)
assert ctypes.cast(library.PyInit__yaml, ctypes.c_void_p).value
print(json.dumps([how for path, how, *_ in intact.images() if "_yaml" in path]))
"""


@pytest.mark.parametrize("how", ["path", "bytes"])
@pytest.mark.parametrize("kind", formats.FORMATS)
def test_extension_modules_databases_and_libraries_are_loaded(kind, how, native):
    """What is compressed lies page-aligned in the spill and is mapped from there; what lies in the archive itself at any
    offset is copied. (What rar stores lies there too, but of a large RAR 5 file libarchive hands out pieces of its own.)"""
    in_archive = kind in (*formats.IN_PLACE, "rar4")
    said = json.loads(building.output_of("-c", NATIVE, how, native(kind)))
    assert said == ["copy" if in_archive else "graft"]
