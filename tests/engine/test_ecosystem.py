"""What the standard library builds on files and finders works on mounts as it comes: metadata, resources, time zones, SQL."""

import importlib
import importlib.metadata
import importlib.resources
import pathlib
import subprocess
import sys
import zipfile

import building
import intact
import pytest

METADATA = "Metadata-Version: 2.1\nName: Thing.Some\nVersion: {}\nRequires-Dist: other>=1\n\nLong description.\n"
RECORD = "thing_some/__init__.py,,\nthing_some/words.txt,,\nthing_some-1.0.dist-info/METADATA,,\nthing_some-1.0.dist-info/RECORD,,\n"
TREE = {
    "thing_some/__init__.py": "def main(): return 'ran'\n",
    "thing_some/words.txt": "words\n",
    "thing_some/deep/__init__.py": "",
    "thing_some/deep/data.bin": bytes(range(256)),
    "thing_some/plain/more.txt": "more\n",
    "thing_some-1.0.dist-info/METADATA": METADATA.format("1.0"),
    "thing_some-1.0.dist-info/RECORD": RECORD,
    "thing_some-1.0.dist-info/WHEEL": "Wheel-Version: 1.0\nTag: py3-none-any\n",
    "thing_some-1.0.dist-info/entry_points.txt": "[console_scripts]\nthing = thing_some:main\n[plugins]\nx = thing_some:main\n",
    "thing_some-1.0.dist-info/top_level.txt": "thing_some\n",
}


@pytest.fixture(params=["path", "bytes", "directory"])
def thing(request, mount):
    return mount(TREE, request.param)


# ---- metadata


@pytest.mark.parametrize("name", ["thing_some", "Thing.Some", "thing-some"])
def test_version_by_any_spelling_of_the_name(thing, name):
    assert importlib.metadata.version(name) == "1.0"


def test_distribution_tells_files_requirements_and_modules(thing):
    distribution = importlib.metadata.distribution("thing-some")
    assert [str(path) for path in distribution.files] == [line.partition(",")[0] for line in RECORD.splitlines()]
    assert distribution.requires == ["other>=1"]
    words = next(path for path in distribution.files if path.name == "words.txt")
    assert words.read_text() == "words\n"
    assert str(words.locate()) == f"{thing.root}/thing_some/words.txt"
    assert importlib.metadata.packages_distributions()["thing_some"] == ["Thing.Some"]


def test_entry_points_load(thing):
    (entry,) = importlib.metadata.entry_points(group="plugins")
    assert entry.load()() == "ran"


def test_distributions_lists_each_once(thing):
    assert [d.version for d in importlib.metadata.distributions() if d.metadata["Name"] == "Thing.Some"] == ["1.0"]


def test_metadata_is_gone_after_unmounting():
    with intact.mount(building.zip_bytes(TREE), name="thing"):
        assert importlib.metadata.version("thing-some") == "1.0"
    with pytest.raises(importlib.metadata.PackageNotFoundError):
        importlib.metadata.version("thing-some")


def test_metadata_of_another_archive_under_the_same_name_is_the_new_ones():
    """importlib.metadata keeps directory listings by path and time of change."""
    for version in ("1.0", "2.0"):
        tree = {f"thing_some-{version}.dist-info/METADATA": METADATA.format(version)}
        with intact.mount(building.zip_bytes(tree), name="thing"):
            assert importlib.metadata.version("thing-some") == version


def test_metadata_of_a_second_mount_under_the_same_root_is_found():
    intact.mount(building.zip_bytes({"a.py": ""}), name="thing")
    with pytest.raises(importlib.metadata.PackageNotFoundError):
        importlib.metadata.version("thing-some")
    intact.mount(building.zip_bytes(TREE), name="thing")
    assert importlib.metadata.version("thing-some") == "1.0"


def test_newest_mount_wins_where_distributions_clash(mount):
    """As its modules do: what is imported is what the version says."""
    for version in ("1.0", "2.0"):
        mount(
            {
                f"thing_some-{version}.dist-info/METADATA": METADATA.format(version),
                "thing_some.py": f"__version__ = {version!r}",
            }
        )
    assert importlib.metadata.version("thing-some") == importlib.import_module("thing_some").__version__ == "2.0"


# ---- resources


def test_resources_are_paths(thing):
    files = importlib.resources.files("thing_some")
    assert isinstance(files, pathlib.Path)
    assert files.joinpath("words.txt").read_text() == "words\n"
    assert sorted(path.name for path in files.iterdir()) == ["__init__.py", "deep", "plain", "words.txt"]
    assert (files / "deep" / "data.bin").read_bytes() == bytes(range(256))
    assert (files / "plain").is_dir() and (files / "words.txt").is_file() and not (files / "missing").exists()


def test_as_file_gives_the_member_itself_and_copies_nothing(thing):
    with importlib.resources.as_file(importlib.resources.files("thing_some") / "words.txt") as path:
        assert str(path) == f"{thing.root}/thing_some/words.txt"
        assert path.read_text() == "words\n"
    assert path.exists()


def test_resources_of_a_namespace_package(thing):
    resource = importlib.resources.files("thing_some.plain") / "more.txt"
    assert resource.read_text() == "more\n"


def test_resources_of_a_namespace_package_over_several_mounts(mount):
    mount({"space/one.txt": "1"})
    mount({"space/two.txt": "2"})
    files = importlib.resources.files("space")
    assert sorted(path.name for path in files.iterdir()) == ["one.txt", "two.txt"]
    assert (files / "two.txt").read_text() == "2"


def test_resources_of_a_namespace_package_in_a_program_that_has_loaded_nothing(tmp_path):
    with zipfile.ZipFile(tmp_path / "app.zip", "w") as archive:
        archive.writestr("space/more.txt", "more")
    code = f"""
import sys; sys.path.append({str(pathlib.Path(intact.__file__).parents[1])!r})
import intact; intact.mount({str(tmp_path / "app.zip")!r})
assert "importlib.resources" not in sys.modules
import importlib.resources; print((importlib.resources.files("space") / "more.txt").read_text())
"""
    done = subprocess.run([sys.executable, "-I", "-S", "-c", code], capture_output=True, text=True)
    assert done.stdout == "more\n", done.stderr


def test_glob_and_walk_below_a_root(thing):
    root = pathlib.Path(thing.root, "thing_some")
    assert sorted(str(p.relative_to(root)) for p in root.rglob("*.txt")) == ["plain/more.txt", "words.txt"]
    assert sorted(p.name for p in root.glob("*/*.bin")) == ["data.bin"]


# ---- the rest


def test_data_base_is_opened_by_sqlite(mount, tmp_path):
    sqlite3 = pytest.importorskip("sqlite3")
    with sqlite3.connect(tmp_path / "data.db") as connection:
        connection.execute("create table t (n)")
        connection.executemany("insert into t values (?)", [(n,) for n in range(1000)])
    connection.close()
    mounted = mount({"data.db": (tmp_path / "data.db").read_bytes()})
    connection = sqlite3.connect(f"file:{mounted.root}/data.db?mode=ro", uri=True)
    assert connection.execute("select sum(n) from t").fetchone() == (499500,)
    connection.close()


def test_time_zones_are_read_from_an_archive(mount):
    import datetime
    import zoneinfo

    source = pathlib.Path("/usr/share/zoneinfo/Europe/Berlin")
    if not source.exists():
        pytest.skip("no time zone data here to put into an archive")
    mounted = mount({"zoneinfo/Test/Berlin": source.read_bytes()})
    zoneinfo.reset_tzpath([f"{mounted.root}/zoneinfo"])
    try:
        moment = datetime.datetime(2024, 7, 1, tzinfo=zoneinfo.ZoneInfo("Test/Berlin"))
        assert moment.utcoffset() == datetime.timedelta(hours=2)
        assert "Test/Berlin" in zoneinfo.available_timezones()
    finally:
        zoneinfo.reset_tzpath()


def test_doctest_runs_a_modules_examples(mount):
    import doctest

    mount({"examples.py": '"""\n>>> 1 + 1\n2\n"""\n'})
    assert doctest.testmod(importlib.import_module("examples")) == (0, 1)


def test_unittest_discovers_in_an_archive(mount):
    import unittest

    mounted = mount(
        {
            "suite/__init__.py": "",
            "suite/test_it.py": "import unittest\nclass T(unittest.TestCase):\n    def test_it(self): pass\n",
        }
    )
    suite = unittest.defaultTestLoader.discover(f"{mounted.root}/suite", top_level_dir=mounted.root)
    assert suite.countTestCases() == 1
    assert unittest.TestResult() is not None and suite.run(unittest.TestResult()).wasSuccessful()


def test_logging_configuration_names_an_archives_class(mount):
    import logging.config

    mount({"handlers_of_mine.py": "import logging\nclass Mine(logging.NullHandler): pass\n"})
    logging.config.dictConfig(
        {"version": 1, "disable_existing_loggers": False, "handlers": {"h": {"class": "handlers_of_mine.Mine"}}}
    )
    assert "handlers_of_mine" in sys.modules


def test_compileall_and_py_compile_do_not_write_below_a_root(mount, tmp_path):
    import py_compile

    mounted = mount({"mod.py": "n = 1"})
    with pytest.raises(OSError):
        py_compile.compile(f"{mounted.root}/mod.py", doraise=True)
    py_compile.compile(f"{mounted.root}/mod.py", cfile=str(tmp_path / "mod.pyc"), doraise=True)
    assert (tmp_path / "mod.pyc").exists()


def test_children_are_started_with_a_program_outside(mount):
    """Mounting does not hinder starting programs."""
    mount(TREE)
    assert building.output_of("-c", "print('child')") == "child\n"
