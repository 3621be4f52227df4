"""The finder's specs are FileFinder's, field by field, for the same files on disk; so is what a module then knows of itself."""

import importlib
import importlib.machinery
import importlib.util
import itertools
import sys

import building
import hypothesis
import intact._engine
import pytest
from building import SUFFIX, cached, timestamp_pyc
from disk import fields
from hypothesis import strategies

PYC = timestamp_pyc("here = __file__")
EXTENSION = building.stdlib_extension("xxlimited") or b"\x7fELF"
ABI3 = ".abi3.so"

TREE = {
    "alone.py": "",
    "compiled.pyc": PYC,
    f"native{SUFFIX}": EXTENSION,
    f"stable{ABI3}": EXTENSION,
    "plain.so": EXTENSION,
    "pkg/__init__.py": "",
    "pkg/inner.py": "",
    cached("pkg/inner.py"): PYC,
    "pkg/deep/__init__.py": "",
    "pkg/deep/er.py": "",
    "pkg/data/words.txt": "",
    "pkg_pyc/__init__.pyc": PYC,
    f"pkg_native/__init__{SUFFIX}": EXTENSION,
    "space/leaf.py": "",
    "space/under/leaf.py": "",
    "empty": None,
    "both.py": "",
    "both/__init__.py": "",
    "both/only_in_package.py": "",
    f"ranked{SUFFIX}": EXTENSION,
    "ranked.py": "",
    "ranked.pyc": PYC,
    "source_first.py": "",
    "source_first.pyc": PYC,
    "module_over_space.py": "",
    "module_over_space/leaf.py": "",
    "not-an-identifier.py": "",
    "text.txt": "",
    "cp.cpython-30-x86_64-linux-gnu.so": EXTENSION,
    "dotted.name.py": "",
    "grün.py": "",
    "日本/__init__.py": "",
    "日本/語.py": "",
}

TOP = sorted({path.partition("/")[0].partition(".")[0] for path in TREE} | {"missing", "__init__", "dotted.name"})
BELOW = [
    ("pkg", "inner"), ("pkg", "deep"), ("pkg", "data"), ("pkg", "missing"), ("pkg", "__init__"), ("pkg/deep", "er"),
    ("both", "only_in_package"), ("space", "leaf"), ("space", "under"), ("日本", "語"), ("module_over_space", "leaf"),
]  # fmt: skip


def control(directory, name):
    return building.file_finder(directory).find_spec(name)


@pytest.fixture(params=["path", "bytes", "directory"])
def trees(request, mount, tmp_path):
    """A mount of TREE and the same files on disk."""
    return mount(TREE, request.param), building.write_files(tmp_path / "control", TREE)


@pytest.mark.parametrize("name", TOP)
def test_entry_finder_gives_the_specs_of_file_finder(trees, name):
    mounted, directory = trees
    found = intact._engine.EntryFinder(mounted.root).find_spec(name)
    assert fields(found, mounted.root) == fields(control(directory, name), directory)


@pytest.mark.parametrize(("directory", "name"), BELOW)
def test_entry_finder_of_a_package_gives_the_specs_of_file_finder(trees, directory, name):
    mounted, files = trees
    fullname = f"{directory.replace('/', '.')}.{name}"
    found = intact._engine.EntryFinder(f"{mounted.root}/{directory}").find_spec(fullname)
    assert fields(found, mounted.root) == fields(control(f"{files}/{directory}", fullname), files)


@pytest.mark.parametrize("name", TOP)
def test_import_system_finds_what_it_finds_on_disk(trees, name):
    mounted, files = trees
    if name in sys.modules or "." in name:
        pytest.skip("the tests' own, or no single name")
    found = importlib.util.find_spec(name)
    expected = importlib.machinery.PathFinder.find_spec(name, [files])
    assert fields(found, mounted.root) == fields(expected, files)


@pytest.mark.parametrize(
    "name",
    ["pkg.inner", "pkg.deep", "pkg.deep.er", "both.only_in_package", "space.leaf", "space.under.leaf", "pkg.data"],
)
def test_submodules_are_found_as_on_disk(trees, name):
    mounted, files = trees
    found = importlib.util.find_spec(name)
    expected = control(f"{files}/{'/'.join(name.split('.')[:-1])}", name)
    assert fields(found, mounted.root) == fields(expected, files)


@pytest.mark.parametrize(
    ("name", "kind"),
    [("alone", "SourceFileLoader"), ("compiled", "SourcelessFileLoader"), ("native", "ExtensionFileLoader")],
)
def test_loader_is_an_instance_of_the_one_file_finder_uses(mount, name, kind):
    mount(TREE)
    assert isinstance(importlib.util.find_spec(name).loader, getattr(importlib.machinery, kind))


@pytest.mark.parametrize("first", ["importlib.abc", "intact"])
def test_importlib_abc_knows_ours_as_it_knows_importlibs(first):
    program = f"""
import {first}, importlib.abc, importlib.machinery as theirs, intact._engine as ours, intact, zipimport
names = "MetaPathFinder PathEntryFinder Loader ResourceLoader InspectLoader ExecutionLoader FileLoader SourceLoader"
def known(kind):
    return [name for name in names.split() if issubclass(kind, getattr(importlib.abc, name))]
for one, other in ((ours.Finder, theirs.PathFinder), (ours.EntryFinder, theirs.FileFinder),
                   (ours.SourceLoader, theirs.SourceFileLoader), (ours.BytecodeLoader, theirs.SourcelessFileLoader),
                   (ours.ExtensionLoader, theirs.ExtensionFileLoader), (intact.zipimporter, zipimport.zipimporter)):
    print(known(one) == known(other) or (one, known(one), known(other)))
"""
    assert building.output_of("-c", program) == "True\n" * 6


def test_finding_twice_gives_equal_specs(mount):
    root = mount(TREE).root
    finder = intact._engine.EntryFinder(root)
    assert finder.find_spec("alone") == finder.find_spec("alone")


@pytest.mark.parametrize("arguments", [{"fullname": "alone"}, {"fullname": "alone", "path": None, "target": None}])
def test_find_spec_takes_its_arguments_by_name(mount, arguments):
    mount(TREE)
    finder = next(f for f in sys.meta_path if isinstance(f, intact._engine.Finder))
    assert finder.find_spec(**arguments).name == "alone"


def test_find_spec_on_a_path_hook_takes_its_argument_by_name(mount):
    assert intact._engine.EntryFinder(mount(TREE).root).find_spec(fullname="alone").name == "alone"


ATTRIBUTES = ("__name__", "__file__", "__path__", "__package__", "__cached__", "__doc__")


@pytest.mark.parametrize(
    "name", ["alone", "compiled", "pkg", "pkg.inner", "pkg.deep.er", "pkg_pyc", "both", "日本.語", "grün"]
)
def test_a_module_knows_of_itself_what_it_knows_when_loaded_from_disk(mount, tmp_path, name):
    files = building.write_files(tmp_path / "control", TREE)
    mounted = mount(TREE)

    def known(root):
        module = importlib.import_module(name)
        for imported in [m for m in sys.modules if m.partition(".")[0] == name.partition(".")[0]]:
            del sys.modules[imported]
        return {key: str(getattr(module, key, "absent")).replace(root, "ROOT") for key in ATTRIBUTES} | {
            "loader": module.__loader__ is module.__spec__.loader,
            "here": str(getattr(module, "here", "")).replace(root, "ROOT"),
        }

    from_archive = known(mounted.root)
    mounted.unmount()
    sys.path.insert(0, files)
    assert from_archive == known(files)


SEGMENTS = ["a", "b", "__init__"]
ENDINGS = [".py", ".pyc", SUFFIX, ABI3, ".so", ".txt", "", ".other.py"]
PATHS = strategies.lists(
    strategies.tuples(
        strategies.lists(strategies.sampled_from(["a", "b"]), max_size=2),
        strategies.sampled_from(SEGMENTS),
        strategies.sampled_from(ENDINGS),
    ).map(lambda parts: "/".join([*parts[0], parts[1] + parts[2]])),
    max_size=8,
    unique=True,
)


@hypothesis.given(PATHS)
@hypothesis.settings(max_examples=150)
def test_any_arrangement_of_files_is_found_as_on_disk(tmp_path_factory, paths):
    """Every mixture of packages, modules of each kind, namespaces and plain files, three directories deep."""
    directories = {"/".join(path.split("/")[:depth]) for path in paths for depth in range(1, path.count("/") + 1)}
    tree = {path: b"" for path in paths if path not in directories}
    files = building.write_files(tmp_path_factory.mktemp("files"), tree)
    with intact.mount(building.zip_bytes(tree)) as mounted:
        for inside, name in itertools.product(["", "/a", "/b", "/a/a", "/a/b"], SEGMENTS):
            expected = control(files + inside, name) if inside == "" or inside[1:] in directories else None
            try:
                found = intact._engine.EntryFinder(mounted.root + inside).find_spec(name)
            except ImportError:
                found = None  # no such directory
            assert fields(found, mounted.root) == fields(expected, files), (inside, name, paths)
