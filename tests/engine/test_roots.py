"""What counts as the root of an archive, and what walks it."""

import importlib
import importlib.util
import os
import pkgutil
import sys

import building
import intact
import pytest


# ---- what counts as the root


@pytest.mark.parametrize("scheme", ["purelib", "platlib"])
def test_purelib_and_platlib_of_a_wheel_count_as_the_root(mount, scheme):
    mounted = mount({f"thing-1.0.data/{scheme}/thing/__init__.py": "n = 1"})
    assert importlib.import_module("thing").__file__ == f"{mounted.root}/thing/__init__.py"
    assert mounted.read("thing/__init__.py") == b"n = 1"


@pytest.mark.parametrize("scheme", ["scripts", "data", "headers"])
def test_other_data_of_a_wheel_stays_where_it_is(mount, scheme):
    mounted = mount({f"thing-1.0.data/{scheme}/thing_{scheme}.py": ""})
    assert importlib.util.find_spec(f"thing_{scheme}") is None
    assert list(mounted) == [f"thing-1.0.data/{scheme}/thing_{scheme}.py"]


@pytest.mark.parametrize("prefix", ["src", "src/"])
def test_prefixes_count_as_the_root(mount, prefix):
    mounted = mount({"src/pkg/__init__.py": "n = 1", "tests/other.py": ""}, prefixes=(prefix,))
    assert importlib.import_module("pkg").__file__ == f"{mounted.root}/pkg/__init__.py"


def test_several_prefixes(mount):
    mount({"one/a_mod.py": "", "two/deep/b_mod.py": ""}, prefixes=("one", "two/deep"))
    importlib.import_module("a_mod")
    importlib.import_module("b_mod")


def test_prefixes_that_are_no_text_are_refused(mount):
    with pytest.raises(TypeError):
        mount({}, prefixes=(1,))


def test_one_string_for_prefixes_is_refused_or_means_that_prefix(mount):
    """Its letters, each a prefix, are never what was meant."""
    try:
        mount({"src/pkg_of_src.py": "n = 1"}, prefixes="src")
    except TypeError:
        return
    assert importlib.import_module("pkg_of_src").n == 1


# ---- walking


def test_iter_modules_lists_what_it_lists_on_disk(mount, tmp_path):
    files = {
        "a.py": "", "b.pyc": b"", f"c{building.SUFFIX}": b"", "pkg/__init__.py": "", "pkg/inner.py": "", "space/x.py": "",
        "a-b.py": "", "notes.txt": "", "__init__.py": "", "d.other.py": "", "thing-1.0.dist-info/METADATA": "", "ä.py": "",
        "package_pyc/__init__.pyc": b"",
    }  # fmt: skip
    root = mount(files).root
    disk = building.write_files(tmp_path / "disk", files)

    def listed(path):
        return [(name, package) for _, name, package in pkgutil.iter_modules([path], "p.")]

    assert sorted(listed(root)) == sorted(listed(disk))


def test_walk_packages_goes_through_every_package(mount):
    mount({"pkg/__init__.py": "", "pkg/a.py": "", "pkg/sub/__init__.py": "", "pkg/sub/b.py": "", "pkg/plain/c.py": ""})
    package = importlib.import_module("pkg")
    assert [m.name for m in pkgutil.walk_packages(package.__path__, "pkg.")] == ["pkg.a", "pkg.sub", "pkg.sub.b"]


def test_iter_modules_without_a_path_meets_the_mounts(mount):
    mount({"only_in_a_mount.py": ""})
    assert "only_in_a_mount" in [module.name for module in pkgutil.iter_modules()]


def test_import_counts_in_stats(mount):
    mount({"counted.py": ""})
    before = intact.stats()["modules_found"]
    importlib.import_module("counted")
    assert intact.stats()["modules_found"] == before + 1


def test_a_mount_behind_a_link_is_imported_from_by_its_real_path(tmp_path, monkeypatch):
    """A package may put the realpath of its own directory on sys.path, and import what is beside it."""
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    tree = {
        "pkg/__init__.py": "import os, sys\nsys.path.insert(0, os.path.dirname(os.path.realpath(__file__)))\nimport beside_pkg\n",
        "pkg/beside_pkg.py": "n = 5\n",
    }
    archive = building.write_zip(tmp_path / "link" / "app.zip", tree)
    monkeypatch.setattr(sys, "path", list(sys.path))
    with intact.mount(archive):
        import pkg

        assert pkg.beside_pkg.n == 5
        assert os.listdir(os.path.dirname(os.path.realpath(pkg.__file__))) == os.listdir(os.path.dirname(pkg.__file__))
