"""intact.compat.memory_importer: PhysfsImporter as its package documents it and as its code was read to behave.

That package (github.com/shabbywu/python-memory-importer, 0.2.0) has no files on the index and no license, so that it cannot be a
control here and its tests are told anew; with a clone of it, --memory-importer runs those that it has. physfs, which it is built
on, is a control in test_physfs.py.
"""

import importlib
import importlib.util
import marshal
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from intact.compat import memory_importer, physfs
from intact.compat.memory_importer import PhysfsImporter
from packing import packed

# The shape of the archive that its tests import from.
TREE = {
    "Readme.md": "# text",
    "single.py": "def flag():\n    return 'single'\n",
    "module/__init__.py": "from . import part1\n",
    "module/part1.py": "def flag():\n    return 'part1'\n",
    "module/part2.py": "def flag():\n    return 'part2'\n",
    "module/namespace/part3.py": "def flag():\n    return 'part3'\n",
}


@pytest.fixture(autouse=True)
def apart(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    finders, modules, path = list(sys.meta_path), set(sys.modules), list(sys.path)
    yield
    sys.meta_path[:], sys.path[:] = finders, path
    for name in set(sys.modules) - modules:
        del sys.modules[name]
    try:
        physfs.deinit()
    except physfs.PhysfsUninitialedError:
        pass


@pytest.fixture
def importer():
    """Finds what `mount` mounts; placed as its tests place it."""
    physfs.init()
    found = PhysfsImporter()
    sys.meta_path.insert(3, found)
    return found


def mount(tree, name="py.zip", *arguments):
    physfs.mount_memory(packed(tree), name, *arguments)


def pyc(source, header=b"\0" * 16):
    return header + marshal.dumps(compile(source, "elsewhere.py", "exec"))


@pytest.fixture
def clone(request):
    """Its repository at version 0.2.0."""
    directory = request.config.getoption("--memory-importer")
    if directory is None:
        pytest.skip("no --memory-importer")
    return Path(directory)


def run_as_theirs(program, directory):
    program = "import intact.compat\nintact.compat.enable('memory_importer')\n" + program
    done = subprocess.run([sys.executable, "-B", "-c", program], cwd=directory, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_its_own_tests_pass_unchanged(clone):
    options = ["-c", os.devnull, "-p", "no:cacheprovider", "--rootdir=tests", "tests"]
    run_as_theirs(f"import pytest\nraise SystemExit(pytest.main({options}))", clone)


def test_the_examples_of_its_readme_run_word_for_word(clone):
    examples = re.findall(r"^```python\n(.*?)^```", (clone / "README.md").read_text(), re.M | re.S)
    assert len(examples) == 2
    for example in examples:
        run_as_theirs(example, clone)


# What its README shows.


@pytest.fixture
def assets(tmp_path):
    """A directory with the archive, as in its repository."""
    (tmp_path / "tests" / "assets").mkdir(parents=True)
    (tmp_path / "tests" / "assets" / "py.zip").write_bytes(packed(TREE))
    return tmp_path


SINGLE = """
import single
assert str(single) == "<module 'single' (physfs://single.py)>"
assert single.flag() == "single"
"""


def test_import_from_an_archive_on_disk(assets):
    program = "import sys\nfrom memory_importer import PhysfsImporter\ni = PhysfsImporter('tests/assets/py.zip')\n"
    run_as_theirs(program + "sys.meta_path.insert(0, i)\n" + SINGLE, assets)


def test_import_from_an_archive_in_memory(assets):
    program = "import sys\nfrom memory_importer import PhysfsImporter, physfs\nphysfs.init()\n"
    program += "with open('tests/assets/py.zip', mode='rb') as fh:\n    archive = fh.read()\n"
    program += "physfs.mount_memory(archive, 'py.zip', '/')\ni = PhysfsImporter()\nsys.meta_path.insert(0, i)\n"
    run_as_theirs(program + SINGLE, assets)


# What its tests show.


def test_what_is_no_module_is_not_found(importer):
    mount(TREE)
    assert importer.find_spec("Readme", None, None) is None
    assert importer.find_spec("missing") is None


def test_submodules_are_imported_when_asked_for(importer):
    mount(TREE)
    import module

    assert module.part1.flag() == "part1"
    assert not hasattr(module, "part2") and not hasattr(module, "namespace")
    from module import part2

    assert module.part2 is part2 and part2.flag() == "part2"


def test_namespace_packages(importer):
    mount(TREE)
    from module import namespace

    assert not hasattr(namespace, "part3")
    from module.namespace import part3

    assert namespace.part3 is part3 and part3.flag() == "part3"


def test_a_directory_of_a_newer_mount_runs_nothing(importer):
    """Not the file of its name that an older one has, though cat() gives that."""
    mount({"over": "value = 'run'"}, "older")
    mount({"over/part.py": "value = 1"}, "newer")
    import over

    assert not hasattr(over, "value") and importlib.import_module("over.part").value == 1


def test_no_name_is_no_module(importer):
    mount(TREE)
    assert importer.find_spec("") is None


# Making one.


def test_an_archive_is_mounted_at_the_root_in_front(tmp_path):
    (tmp_path / "a.zip").write_bytes(packed({"name.py": "which = 'a'"}))
    (tmp_path / "b.zip").write_bytes(packed({"name.py": "which = 'b'"}))
    PhysfsImporter("a.zip")
    sys.meta_path.insert(0, PhysfsImporter("b.zip"))
    assert importlib.import_module("name").which == "b"


def test_an_archive_that_cannot_be_mounted_is_an_error():
    with pytest.raises(physfs.PhysfsRuntimeError, match="not found"):
        PhysfsImporter("missing.zip")


def test_the_archive_goes_by_position():
    for arguments, keywords in (((None,), {}), ((), {"archive": "a.zip"}), (("a.zip", "b.zip"), {})):
        with pytest.raises(TypeError):
            PhysfsImporter(*arguments, **keywords)


def test_without_init_nothing_is_found():
    assert PhysfsImporter().find_spec("single") is None


def test_importers_share_the_mounts(importer):
    mount(TREE)
    assert PhysfsImporter().find_spec("single").origin == "physfs://single.py"


def test_debug_prints_what_is_asked_for(importer, capsys):
    assert importer.debug is False
    importer.debug = True
    importer.find_spec("absent", None)
    importer.find_spec("absent.child", ["absent"], None)
    said = "find_spec(fullname='absent')\nException: not a module in physfs\n"
    said += "find_spec(fullname='absent.child', path=['absent'])\nException: not a module in physfs\n"
    assert capsys.readouterr().out == said


def test_names_of_the_package():
    assert memory_importer.physfs is physfs and memory_importer.__all__ == ["PhysfsImporter", "physfs"]


# Finding.


@pytest.mark.parametrize(
    ("tree", "origin"),
    [
        ({"x/a.py": "", "x.pyc": pyc(""), "x.py": ""}, "x"),  # a bare directory comes before x.py
        ({"x": "", "x.pyc": pyc(""), "x.py": ""}, "x"),
        ({"x.pyc": pyc(""), "x.py": ""}, "x.pyc"),
        ({"x.py": ""}, "x.py"),
        ({"x/__init__.pyc": pyc(""), "x/__init__.py": "", "x.py": ""}, "x/__init__.pyc"),
        ({"x/__init__.py": "", "x.py": ""}, "x/__init__.py"),
    ],
)
def test_precedence(importer, tree, origin):
    mount(tree)
    spec = importer.find_spec("x")
    assert spec.origin == "physfs://" + origin and spec.loader is importer
    assert (spec.submodule_search_locations is None) == (origin in ("x.py", "x.pyc"))


def test_a_file_without_suffix_is_a_package(importer):
    mount({"plain": "value = __name__"})
    plain = importlib.import_module("plain")
    assert plain.value == "plain" and list(plain.__path__) == ["plain"]


def test_dots_are_directories_and_paths_do_not_count(importer):
    mount(TREE)
    assert importer.find_spec("module.part1", ["/elsewhere"], None).origin == "physfs://module/part1.py"
    assert importer.find_spec(fullname="module.part1", path=None, target=None).origin == "physfs://module/part1.py"


@pytest.mark.parametrize("name", ["a:b", "a\\b", "module\0"])
def test_errors_of_physfs_are_no_module(importer, name):
    mount(TREE)
    assert importer.find_spec(name) is None


def test_modules_say_where_they_are_from(importer):
    mount(TREE)
    shown = {
        name: repr(importlib.import_module(name)) for name in ("single", "module", "module.part1", "module.namespace")
    }
    assert shown == {
        "single": "<module 'single' (physfs://single.py)>",
        "module": "<module 'module' (physfs://module/__init__.py)>",
        "module.part1": "<module 'module.part1' (physfs://module/part1.py)>",
        "module.namespace": "<module 'module.namespace' (physfs://module/namespace)>",
    }


def test_modules_have_no_file(importer):
    mount(TREE)
    for name in ("single", "module", "module.namespace"):
        module = importlib.import_module(name)
        assert not hasattr(module, "__file__") and not hasattr(module, "__cached__")
        assert not module.__spec__.has_location and module.__loader__ is importer


def test_paths_of_packages(importer):
    mount(TREE)
    module, namespace = importlib.import_module("module"), importlib.import_module("module.namespace")
    assert module.__path__ == ("module",)
    assert type(namespace.__path__).__name__ == "_NamespacePath" and list(namespace.__path__) == ["module/namespace"]


# Loading.


def test_a_module_is_made_by_the_import_system(importer):
    mount(TREE)
    assert importer.create_module(importer.find_spec("single")) is None
    module = importlib.util.module_from_spec(importer.find_spec("single"))
    importer.exec_module(module)
    assert module.flag() == "single"


@pytest.mark.parametrize("header", [b"\0" * 16, importlib.util.MAGIC_NUMBER + b"\1" * 12])
def test_bytecode_is_run_whatever_its_header_says(importer, header):
    mount({"compiled.pyc": pyc("value = 1", header)})
    assert importlib.import_module("compiled").value == 1


def test_tracebacks_say_string(importer):
    mount({"failing.py": "def fail():\n    raise KeyError\n"})
    with pytest.raises(KeyError) as raised:
        importlib.import_module("failing").fail()
    assert raised.traceback[-1].frame.code.raw.co_filename == "<string>"


def test_source_is_compiled_on_its_own(importer):
    """The future statements of whoever runs it are not inherited."""
    mount({"annotated.py": "# -*- coding: latin-1 -*-\ndef f(x: int): ...\nname = 'ä'\n".encode("latin-1")})
    module = importlib.import_module("annotated")
    assert module.f.__annotations__ == {"x": int} and module.name == "ä"


def test_errors_in_a_module_pass_through(importer):
    mount({"broken.py": "1 +", "raising.py": "raise KeyError('mine')"})
    with pytest.raises(SyntaxError):
        importlib.import_module("broken")
    with pytest.raises(KeyError, match="mine"):
        importlib.import_module("raising")
    assert "raising" not in sys.modules


@pytest.mark.parametrize("order", [1, -1])
def test_a_namespace_package_is_imported_whatever_other_mounts_have(importer, order):
    """A mount without the directory that is searched after the one with it made the import PhysfsNotFound."""
    for name, tree in [("other.zip", {"other.py": ""}), ("py.zip", TREE | {"ns/part3.py": "flag = 3"})][::order]:
        mount(tree, name)
    assert importlib.import_module("ns.part3").flag == 3
    program = {}
    exec("from module import namespace", program)
    assert list(program["namespace"].__path__) == ["module/namespace"]


def test_a_module_that_is_unmounted_before_it_runs_is_not_found(importer):
    mount({"gone.py": ""})
    spec = importer.find_spec("gone")
    physfs.unmount("py.zip")
    mount({"other.py": ""}, "other.zip")
    with pytest.raises(physfs.PhysfsNotFound):
        importer.exec_module(importlib.util.module_from_spec(spec))


def test_a_module_that_is_unmounted_while_it_is_read_is_what_is_mounted_then(importer, monkeypatch):
    """It was told to be corrupted."""
    mount({"moving.py": "value = 1"}, "old.zip")
    mount({"moving.py": "value = 2"}, "new.zip")
    spec, find = importer.find_spec("moving"), physfs._find

    def unmounted(*arguments):
        monkeypatch.setattr(physfs, "_find", find)
        found = find(*arguments)
        physfs.unmount("new.zip")
        return found

    monkeypatch.setattr(physfs, "_find", unmounted)
    module = importlib.util.module_from_spec(spec)
    importer.exec_module(module)
    assert module.value == 1


def test_reload(importer):
    mount({"reloaded.py": "value = 1"}, "old.zip")
    module = importlib.import_module("reloaded")
    mount({"reloaded.py": "value = 2"}, "new.zip")
    assert importlib.reload(module) is module and module.value == 2


def test_modules_below_a_mount_point(importer):
    mount(TREE, "py.zip", "/vendored")
    assert importlib.import_module("vendored.module.part1").flag() == "part1"


def test_modules_in_a_directory(importer):
    os.makedirs("disk/inner")
    with open("disk/inner/mod.py", "w") as file:
        file.write("value = 'disk'")
    physfs.mount("disk")
    assert importlib.import_module("inner.mod").value == "disk"


# What ours does otherwise: docs/compat.md.


def test_the_path_of_a_namespace_package_may_be_asked_anew(importer):
    """The original calls its finder without self and raises TypeError."""
    mount({"space/inner/mod.py": "value = 1"})
    space = importlib.import_module("space")
    sys.path.append("/elsewhere")
    assert list(space.__path__) == ["space"]
    importlib.invalidate_caches()
    assert list(space.__path__) == ["space"]
    assert importlib.import_module("space.inner.mod").value == 1
