"""intact.zipimporter against zipimport's own, on the same archive; and what is ours: sharing, mounts, errors, resources."""

import importlib
import importlib.resources
import importlib.util
import io
import os
import pkgutil
import sys
import warnings
import zipfile
import zipimport
from importlib.resources import abc

import building
import hypothesis
import intact
import pytest
from building import NOON_SECONDS, hash_pyc, timestamp_pyc
from hypothesis import strategies

SOURCE = "n = 1\n"
TREE = {
    "both.py": SOURCE,
    "both.pyc": timestamp_pyc(SOURCE),
    "stale.py": SOURCE,
    "stale.pyc": timestamp_pyc("n = 2\n", mtime=NOON_SECONDS - 60),
    "hashed.py": SOURCE,
    "hashed.pyc": hash_pyc("n = 3\n", checked=False),
    "changed.py": SOURCE,
    "changed.pyc": hash_pyc("n = 4\n"),
    "bytecode.pyc": timestamp_pyc("n = 5\n"),
    "damaged.pyc": b"no bytecode at all",
    "dos.py": "class C:\r\n    'in lines of DOS'\r\n",
    "pkg": None,
    "pkg/__init__.py": "from . import inner",
    "pkg/inner.py": "where = __file__\n",
    "pkg/data.txt": "data",
    "pkg.py": "beside the package",
    "portion": None,
    "portion/module.py": SOURCE,
    "loose.txt": "no module",
}
NAMES = [*dict.fromkeys(path.partition("/")[0].partition(".")[0] for path in TREE), "missing", "pkg.inner", "pkg/inner"]
COMPRESSIONS = [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED]


@pytest.fixture
def archive(tmp_path):
    return building.write_zip(tmp_path / "app.zip", TREE)


def outcome(function, *arguments):
    """What it gives, or the kind of its exception."""
    try:
        given = function(*arguments)
    except Exception as error:
        kinds = (zipimport.ZipImportError, ImportError, OSError)
        return next((kind for kind in kinds if isinstance(error, kind)), type(error))
    if isinstance(given, str):
        return given.replace("\r\n", "\n")  # sources have lines as everywhere in importlib, with us
    if hasattr(given, "co_consts"):
        return given.co_consts, given.co_filename
    if hasattr(given, "submodule_search_locations"):
        return (
            given.name,
            given.origin,
            given.submodule_search_locations,
            given.has_location,
            given.cached,
            given.parent,
        )
    return given


@pytest.mark.parametrize("compression", COMPRESSIONS)
@pytest.mark.parametrize("where", ["", "/pkg", "/pkg/", "/portion", "/nowhere"])
def test_every_method_answers_as_zipimports(tmp_path, compression, where):
    path = building.write_zip(tmp_path / "app.zip", TREE, compression) + where
    ours, theirs = intact.zipimporter(path), zipimport.zipimporter(path)
    assert (ours.archive, ours.prefix, repr(ours)) == (theirs.archive, theirs.prefix, repr(theirs))
    for name in [*NAMES, "inner", "module", "__init__", "", ".", "pkg."]:
        for method in ("find_spec", "get_code", "get_filename", "get_source", "is_package"):
            assert outcome(getattr(ours, method), name) == outcome(getattr(theirs, method), name), (method, name)
    for data in ("pkg/data.txt", f"{theirs.archive}/pkg/data.txt", "nowhere.txt", "/pkg/data.txt"):
        assert outcome(ours.get_data, data) == outcome(theirs.get_data, data), data


SUFFIXED = ["__init__.py", "__init__.pyc", "__main__.py", "a.py", "a.pyc", "é.py", "pkg.py", "a", "pkg.txt"]
PLACES = strategies.lists(strategies.sampled_from(["pkg", "a", "é"]), max_size=2).map(tuple)
MEMBERS = strategies.dictionaries(strategies.tuples(PLACES, strategies.sampled_from(SUFFIXED)), strategies.booleans(), min_size=1)


@hypothesis.given(MEMBERS, strategies.sampled_from(["", "/pkg", "/a/pkg", "//a", "/nowhere"]), strategies.sampled_from(COMPRESSIONS))
@hypothesis.settings(max_examples=200, deadline=None)
def test_generated_archives_are_read_as_by_zipimport(tmp_path_factory, members, where, compression):
    """With bytecode that is stale or not; but for a file that has a directory's name."""
    tree = {"/".join(places[:length]): None for places, _ in members for length in range(1, len(places) + 1)}
    for (places, name), stale in members.items():
        content = timestamp_pyc(SOURCE, mtime=NOON_SECONDS - 60 * stale) if name.endswith(".pyc") else SOURCE
        tree.setdefault("/".join((*places, name)), content)
    path = building.write_zip(tmp_path_factory.mktemp("generated") / "app.zip", tree, compression) + where
    ours, theirs = intact.zipimporter(path), zipimport.zipimporter(path)
    for name in ("a", "pkg", "é", "__init__", "__main__", "pkg.a", "a.", ""):
        for method in ("find_spec", "get_code", "get_filename", "get_source", "is_package"):
            assert outcome(getattr(ours, method), name) == outcome(getattr(theirs, method), name), (method, name)
    for data in [*(name for name, content in tree.items() if content is not None), "nowhere"]:
        assert outcome(ours.get_data, data) == outcome(theirs.get_data, data), data


def test_it_has_the_surface_of_this_pythons_zipimport(archive):
    public = {name for name in dir(zipimport.zipimporter) if not name.startswith("_")}
    assert public - set(dir(intact.zipimporter)) == set()
    assert isinstance(intact.zipimporter(archive), zipimport.zipimporter)


@pytest.mark.parametrize("name", ["both", "pkg", "portion", "missing"])
def test_what_zipimport_deprecates_warns_and_answers_as_zipimports(archive, name):
    """find_module and find_loader are gone in 3.12."""
    told = []
    for kind in (zipimport.zipimporter, intact.zipimporter):
        importer = kind(archive)
        for method in ("find_module", "find_loader", "load_module"):
            with warnings.catch_warnings(record=True) as warned:
                warnings.simplefilter("always")
                given = outcome(getattr(importer, method, lambda name: None), name)
            given = "itself" if given is importer else ("itself", []) if given == (importer, []) else given
            given = given.__name__ if method == "load_module" and hasattr(given, "__loader__") else given
            told.append((method, given, [(each.category, "deprecated" in str(each.message)) for each in warned]))
            sys.modules.pop(name, None)
    assert told[:3] == told[3:] and told[2][2] == [(DeprecationWarning, True)]


def test_where_it_differs_on_purpose_is_where_docs_importer_says(tmp_path):
    archive = building.write_zip(tmp_path / "app.zip", {"syntax.py": "1 +\n", "pkg": None, "pkg/__init__.py": ""})
    told = []
    for kind in (zipimport.zipimporter, intact.zipimporter):
        importer = kind(archive)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            module = importer.load_module("pkg")
        del sys.modules["pkg"]
        told.append([outcome(importer.get_data, "pkg/"), module.__package__, bool(module.__cached__)])
        told[-1] += [outcome(getattr(importer, each), "syntax") is SyntaxError for each in ("find_spec", "get_filename", "get_code")]
    assert told == [[b"", None, False, True, True, True], [OSError, "pkg", True, False, False, True]]


def test_load_module_runs_a_module_again(archive):
    ours = intact.zipimporter(archive)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        module = ours.load_module("both")
        assert module.n == 1 and module.__loader__ is ours and sys.modules.pop("both") is module
        with pytest.raises(zipimport.ZipImportError):
            ours.load_module("missing")


@pytest.mark.parametrize("path", ["no-such.zip", "", "/", "x\0y", "a" * 33000, "."])
def test_what_is_no_archive_is_refused_as_by_zipimport(path, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for kind in (zipimport.zipimporter, intact.zipimporter):
        with pytest.raises(zipimport.ZipImportError):
            kind(path)


def test_broken_archive_is_an_error_of_both_trees(tmp_path):
    (tmp_path / "broken.zip").write_bytes(b"no zip")
    with pytest.raises(zipimport.ZipImportError) as caught:
        intact.zipimporter(str(tmp_path / "broken.zip"))
    assert isinstance(caught.value, intact.ArchiveError) and caught.value.path == str(tmp_path / "broken.zip")
    assert (
        isinstance(caught.value.__cause__, intact.ArchiveError) and caught.value.reason == caught.value.__cause__.reason
    )


def test_broken_member_is_an_error_of_both_trees(tmp_path):
    data = building.zip_bytes({"m.py": "n = 12345"}, zipfile.ZIP_STORED).replace(b"12345", b"12346")
    (tmp_path / "app.zip").write_bytes(data)
    with pytest.raises(zipimport.ZipImportError, match="CRC-32") as caught:
        intact.zipimporter(str(tmp_path / "app.zip")).get_code("m")
    assert isinstance(caught.value, intact.MemberError) and caught.value.member == "m.py"


def test_it_serves_as_a_path_hook_for_directories_of_an_archive(archive):
    sys.path_hooks.insert(0, intact.zipimporter)
    sys.path.insert(0, f"{archive}/pkg")
    try:
        import inner
    finally:
        sys.modules.pop("inner", None)
    assert inner.where == f"{archive}/pkg/inner.py" and isinstance(inner.__loader__, intact.zipimporter)
    assert isinstance(sys.path_importer_cache[f"{archive}/pkg"], intact.zipimporter)


def test_making_one_makes_nothing_importable(archive):
    before = list(sys.path), intact.mounts()
    intact.zipimporter(archive)
    assert importlib.util.find_spec("both") is None and (list(sys.path), intact.mounts()) == before


def test_invalidating_shows_what_has_changed_to_every_importer(tmp_path):
    path = building.write_zip(tmp_path / "app.zip", {"old.py": ""})
    first, second = intact.zipimporter(path), intact.zipimporter(path)
    building.write_zip(tmp_path / "new.zip", {"new.py": ""})
    os.replace(tmp_path / "new.zip", path)
    assert first.find_spec("old") and first.find_spec("new") is None
    first.invalidate_caches()
    for importer in (first, second):
        assert importer.find_spec("new") and importer.find_spec("old") is None
    os.remove(path)
    first.invalidate_caches()
    assert first.find_spec("new") is None and first.iter_modules() == []
    with pytest.raises(OSError):
        first.get_data("new.py")


def test_a_mount_is_read_below_its_root():
    mounted = intact.mount(building.zip_bytes(TREE), name="tree")
    ours = intact.zipimporter(f"{mounted.root}/pkg")
    assert (ours.archive, ours.prefix, ours.get_data("pkg/data.txt")) == (mounted.root, "pkg/", b"data")
    assert ours.get_filename("inner") == f"{mounted.root}/pkg/inner.py"
    mounted.unmount()
    assert ours.find_spec("inner") is None
    with pytest.raises(zipimport.ZipImportError):
        intact.zipimporter(mounted.root)


def test_nested_archive_in_a_mount_is_an_archive(tmp_path):
    inner = building.zip_bytes({"sub/deep.py": SOURCE})
    mounted = intact.mount(building.zip_bytes({"inner.zip": inner}), name="outer")
    ours = intact.zipimporter(f"{mounted.root}/inner.zip/sub")
    assert (ours.archive, ours.get_source("deep")) == (f"{mounted.root}/inner.zip", SOURCE)


def test_pkgutil_lists_what_it_can_import(archive):
    """CPython's has the file where both are there, though the package is what is imported."""
    ours = intact.zipimporter(archive)
    expected = (
        {("pkg", True)} ^ {("pkg", False)} ^ {(name, package) for _, name, package in pkgutil.iter_modules([archive])}
    )
    assert set(ours.iter_modules()) == set(pkgutil.iter_importer_modules(ours)) == expected
    assert intact.zipimporter(f"{archive}/pkg").iter_modules("pkg.") == [("pkg.inner", False)]


def test_directory_that_only_its_files_imply_is_a_namespace_portion(tmp_path):
    path = building.write_zip(tmp_path / "app.zip", {"space/module.py": ""})
    assert list(intact.zipimporter(path).find_spec("space").submodule_search_locations) == [f"{path}/space"]


def test_sources_may_have_any_encoding(tmp_path):
    source = "# -*- coding: latin-1 -*-\nword = 'ä'\n".encode("latin-1")
    ours = intact.zipimporter(building.write_zip(tmp_path / "app.zip", {"m.py": source, "bad.py": b"\xff"}))
    assert "ä" in ours.get_source("m")
    with pytest.raises(zipimport.ZipImportError):
        ours.get_source("bad")


def told_of_resource(kind, archive, path):
    """What importers of that kind, their readers and resources say of `path` in pkg; the kind of an error where it is one."""
    reader = kind(archive).get_resource_reader("pkg")
    place = reader.files().joinpath(path) if path else reader.files()
    assert isinstance(reader, abc.TraversableResources) and isinstance(reader, abc.ResourceReader)
    assert isinstance(place, abc.Traversable)
    questions = [
        lambda: (place.name, place.is_dir(), place.is_file(), place.exists()),
        lambda: sorted(each.name for each in place.iterdir()),
        lambda: place.open().read(),
        lambda: place.open("rb").read(),
        lambda: place.read_text("ascii"),
        place.read_bytes,
    ]
    if path:
        questions += [lambda: reader.open_resource(path).read(), lambda: reader.is_resource(path)]
        questions += [lambda: reader.resource_path(path), lambda: sorted(reader.contents())]
    for question in questions:
        try:
            yield question()
        except Exception as error:
            yield type(error)


@pytest.mark.parametrize("path", ["", "data.txt", "inner", "nowhere", "data.txt/nowhere", "inner/deep.txt"])
def test_resources_are_what_zipimports_are_and_answer_alike(tmp_path, path):
    archive = building.write_zip(tmp_path / "app.zip", TREE | {"pkg/inner": None, "pkg/inner/deep.txt": "deep"})
    ours, theirs = (list(told_of_resource(kind, archive, path)) for kind in (intact.zipimporter, zipimport.zipimporter))
    assert ours == theirs


@pytest.mark.parametrize("in_memory", [False, True])
def test_resources_are_read_by_the_engine(archive, in_memory):
    place = intact.mount(building.zip_bytes(TREE), name="resources").root if in_memory else archive
    reader = intact.zipimporter(place).get_resource_reader("pkg")
    files = reader.files()
    assert sorted(reader.contents()) == ["__init__.py", "data.txt", "inner.py"]
    assert reader.is_resource("data.txt") and not reader.is_resource("nowhere.txt")
    assert reader.open_resource("data.txt").read() == b"data"
    assert (files / "data.txt").read_text(encoding="ascii") == "data" and files.name == "pkg" and files.is_dir()
    assert (files / "data.txt").read_text("ascii", errors="ignore") == "data"
    with importlib.resources.as_file(files.joinpath("data.txt")) as copy:
        assert copy.read_bytes() == b"data"
    with pytest.raises(FileNotFoundError):
        reader.open_resource("nowhere.txt")
    with pytest.raises(ValueError):
        (files / "data.txt").open("w")


@pytest.mark.parametrize("name", ["pkg", "pkg.inner", "missing", "pkg.missing"])
def test_what_has_no_resources_is_told_as_zipimport_tells_it(archive, name):
    """From 3.13 on that is an error, and was None."""

    def told(kind):
        try:
            return kind(archive).get_resource_reader(name) is None
        except zipimport.ZipImportError as error:
            return str(error), error.name

    assert told(intact.zipimporter) == told(zipimport.zipimporter)


def test_opening_is_audited_as_zipimports_is(tmp_path):
    """An audit hook cannot be taken away, so it is another process's."""
    archive = building.write_zip(tmp_path / "app.zip", TREE)
    program = (
        "import sys, zipimport, intact; intact.zipimporter; events = []\n"
        "sys.addaudithook(lambda event, arguments: events.append((event, arguments)))\n"
        "def opened(kind):\n"
        "    events.clear(); kind(sys.argv[1])\n"
        "    return [e for e in events if e[0] == 'open']\n"
        "print(opened(intact.zipimporter) == opened(zipimport.zipimporter) != [])\n"
        "for kind in (zipimport.zipimporter, intact.zipimporter):\n"
        "    importer = kind(sys.argv[1]); events.clear()\n"
        "    importer.get_data('loose.txt'); importer.get_code('both')\n"
        "    print(sum(e[0] == 'open' for e in events))"
    )
    # zipimport opens the archive for each member, we keep it open.
    assert building.output_of("-c", program, archive).split() == ["True", "2", "0"]


def test_importing_intact_does_not_load_it():
    program = "import sys, intact; print([n for n in sys.modules if n in ('intact._zipimporter', 'importlib.util', 'pkgutil')])"
    assert building.output_of("-I", "-c", program) in ("[]\n", "['importlib.util']\n")


def test_files_are_listed_for_those_who_know_zipimports_private_names(archive):
    theirs = zipimport.zipimporter(archive)
    control = theirs._files if hasattr(theirs, "_files") else theirs._get_files()
    listed = {
        name: entry for name, entry in control.items() if entry is not None
    }  # from 3.13.1 on implied directories, too
    assert intact.zipimporter(archive)._files == listed
    assert io.BytesIO(intact.zipimporter(archive).get_data("loose.txt")).read() == b"no module"
