"""What import statements do with mounts: who wins, namespaces over several places, and what programs do with sys.path."""

import importlib
import importlib.util
import sys

import building
import intact
import pytest


def test_import_takes_a_package_from_a_mounted_archive(mount):
    mounted = mount({"pkg/__init__.py": "from . import inner", "pkg/inner.py": "value = 7"})
    import pkg

    assert (pkg.inner.value, pkg.__file__) == (7, f"{mounted.root}/pkg/__init__.py")


def test_newest_mount_wins_where_modules_clash(mount):
    mount({"clash.py": "which = 'older'"})
    mount({"clash.py": "which = 'newer'"})
    assert importlib.import_module("clash").which == "newer"


def test_older_mount_shows_again_when_the_newer_is_unmounted(mount):
    mount({"clash.py": "which = 'older'"})
    mount({"clash.py": "which = 'newer'"}).unmount()
    assert importlib.import_module("clash").which == "older"


def test_regular_package_wins_over_a_newer_namespace_portion(mount):
    mount({"clash/__init__.py": "which = 'regular'"})
    mount({"clash/leaf.py": ""})
    assert importlib.import_module("clash").which == "regular"


def test_submodules_come_from_the_mount_that_has_their_package(mount):
    """As on sys.path: two distributions that install the same package do not mix."""
    mount({"pkg/__init__.py": "", "pkg/only_older.py": ""})
    mount({"pkg/__init__.py": ""})
    with pytest.raises(ModuleNotFoundError):
        importlib.import_module("pkg.only_older")


# ---- the standard library


def test_standard_library_is_not_shadowed(mount):
    mounted = mount({"colorsys.py": "shadow = True"})
    sys.modules.pop("colorsys", None)
    assert not importlib.import_module("colorsys").__file__.startswith(mounted.root)


def test_standard_library_is_shadowed_by_a_mount_that_says_first(mount):
    mounted = mount({"colorsys.py": "shadow = True"}, first=True)
    kept = sys.modules.pop("colorsys", None)
    try:
        assert importlib.import_module("colorsys").__file__.startswith(mounted.root)
    finally:
        sys.modules.pop("colorsys", None)
        if kept:
            sys.modules["colorsys"] = kept


def test_builtin_and_frozen_modules_are_never_shadowed(mount):
    mount({"time.py": "shadow = True", "posixpath.py": "shadow = True"}, first=True)
    finder = next(f for f in sys.meta_path if isinstance(f, intact._engine.Finder))
    assert finder.find_spec("time") is None and finder.find_spec("posixpath") is None


@pytest.mark.parametrize("name", sorted({*sys.builtin_module_names, "__hello__"} - sys.stdlib_module_names))
@pytest.mark.parametrize("first", [False, True])
def test_module_of_the_interpreter_is_never_shadowed(mount, name, first):
    """Built in or frozen (__hello__) and not the standard library's, as are those that a program with Python inside adds."""
    mount({f"{name}.py": "shadow = True"}, first=first)
    sys.modules.pop(name, None)
    assert not hasattr(importlib.import_module(name), "shadow")
    del sys.modules[name]


def test_submodule_named_like_the_standard_library_is_the_packages_own(mount):
    mount({"pkg/__init__.py": "", "pkg/json.py": "own = True", "pkg/user.py": "from . import json"})
    assert importlib.import_module("pkg.user").json.own


def test_archive_put_first_on_sys_path_shadows_the_standard_library_as_a_directory_would(mount):
    mounted = mount({"vendor/colorsys.py": "shadow = True"})
    sys.path.insert(0, f"{mounted.root}/vendor")
    kept = sys.modules.pop("colorsys", None)
    try:
        assert importlib.import_module("colorsys").shadow
    finally:
        sys.modules.pop("colorsys", None)
        if kept:
            sys.modules["colorsys"] = kept


# ---- namespace packages


def test_namespace_package_has_portions_in_every_mount_and_on_sys_path(mount, tmp_path):
    mount({"space/one.py": "n = 1"})
    mount({"space/two.py": "n = 2"}, "bytes")
    sys.path.insert(0, building.write_files(tmp_path / "disk", {"space/three.py": "n = 3"}))
    names = ("one", "two", "three")
    assert [importlib.import_module(f"space.{name}").n for name in names] == [1, 2, 3]


def test_namespace_package_finds_a_portion_that_is_mounted_later(mount):
    mount({"space/one.py": ""})
    importlib.import_module("space.one")
    mount({"space/two.py": "n = 2"})
    assert importlib.import_module("space.two").n == 2


def test_namespace_package_below_a_namespace_package(mount):
    mount({"space/under/one.py": "n = 1"})
    mount({"space/under/two.py": "n = 2"})
    assert [importlib.import_module(f"space.under.{name}").n for name in ("one", "two")] == [1, 2]


def test_newest_mount_wins_where_namespace_portions_clash(mount):
    mount({"space/leaf.py": "which = 'older'"})
    mount({"space/leaf.py": "which = 'newer'"})
    assert importlib.import_module("space.leaf").which == "newer"


def test_regular_package_inside_a_namespace_package(mount):
    mount({"space/pkg/__init__.py": "n = 1", "space/pkg/leaf.py": "n = 2"})
    mount({"space/other.py": ""})
    assert importlib.import_module("space.pkg.leaf").n == 2


def test_regular_package_on_disk_wins_over_a_namespace_portion_in_a_mount(mount, tmp_path):
    mount({"clash/leaf.py": ""})
    sys.path.append(building.write_files(tmp_path / "disk", {"clash/__init__.py": "which = 'regular'"}))
    assert importlib.import_module("clash").which == "regular"


def test_extend_path_finds_the_portions_of_every_mount(mount, tmp_path):
    init = "__path__ = __import__('pkgutil').extend_path(__path__, __name__)"
    mount({"old/__init__.py": init, "old/one.py": "n = 1"})
    mount({"old/__init__.py": init, "old/two.py": "n = 2"})
    sys.path.append(building.write_files(tmp_path / "disk", {"old/__init__.py": init, "old/three.py": "n = 3"}))
    assert [importlib.import_module(f"old.{name}").n for name in ("one", "two", "three")] == [1, 2, 3]


# ---- sys.path and __path__


def test_directory_of_an_archive_on_sys_path_is_searched(mount):
    mounted = mount({"vendor/dep.py": "n = 1"})
    sys.path.append(f"{mounted.root}/vendor")
    assert importlib.import_module("dep").__file__ == f"{mounted.root}/vendor/dep.py"


@pytest.mark.parametrize("spelling", ["vendor/", "./vendor", "lib/../vendor", "//vendor", "vendor/."])
def test_directory_of_an_archive_on_sys_path_may_be_spelled_as_programs_spell_it(mount, spelling):
    mounted = mount({"vendor/dep.py": "n = 1", "lib/x.py": ""})
    sys.path.append(f"{mounted.root}/{spelling}")
    assert importlib.import_module("dep").n == 1


@pytest.mark.parametrize("spelling", ["plugins", "plugins/", "../plugins_of/pkg", "./plugins"])
def test_package_may_extend_its_path(mount, spelling):
    init = f"import os; __path__.append(os.path.join(os.path.dirname(__file__), {spelling!r}))"
    mount({"pkg/__init__.py": init, "pkg/plugins/extra.py": "n = 1", "plugins_of/pkg/extra.py": "n = 1"})
    assert importlib.import_module("pkg.extra").n == 1


def test_path_of_a_package_may_begin_on_disk(mount, tmp_path):
    disk = building.write_files(tmp_path / "disk", {"leaf.py": "which = 'disk'"})
    mount(
        {
            "pkg/__init__.py": f"__path__.insert(0, {disk!r})",
            "pkg/leaf.py": "which = 'archive'",
            "pkg/other.py": "which = 'archive'",
        }
    )
    assert [importlib.import_module(f"pkg.{name}").which for name in ("leaf", "other")] == ["disk", "archive"]


def test_package_may_pop_itself_and_import_its_namesake_from_its_own_directory(mount):
    """OpenCV's wheel does that: the package puts its directory first on sys.path and imports the extension of its name."""
    mounted = mount(
        {
            "twice/__init__.py": "import sys, os, importlib\n"
            "itself = sys.modules.pop('twice')\n"
            "sys.path.insert(0, os.path.dirname(__file__))\n"
            "real = importlib.import_module('twice')\n"
            "sys.path.pop(0)\n"
            "sys.modules['twice'] = itself\n",
            "twice/twice.py": "n = 1",
        }
    )
    assert importlib.import_module("twice").real.__file__ == f"{mounted.root}/twice/twice.py"


def test_exception_of_a_path_hook_passes_through_as_without_us(mount):
    """The first entry of sys.path is asked before a mount is: what its finder raises is not lost."""
    mount({"wanted.py": ""})

    class Finder:
        def __init__(self, path):
            if path != "/raises":
                raise ImportError

        def find_spec(self, name, target=None):
            raise KeyboardInterrupt(name)

    sys.path_hooks.insert(0, Finder)
    sys.path.insert(0, "/raises")
    with pytest.raises(KeyboardInterrupt, match="wanted"):
        importlib.import_module("wanted")


def test_sys_path_entry_of_undecodable_bytes_does_not_hinder_import(mount, tmp_path):
    mount({"archived.py": "n = 1"})
    disk = str(tmp_path / "d\udcff")
    building.write_files(disk, {"on_disk/__init__.py": "", "on_disk/leaf.py": "n = 2"})
    sys.path.insert(0, disk)
    assert importlib.import_module("archived").n == 1
    assert importlib.import_module("on_disk.leaf").n == 2


@pytest.mark.parametrize("name", ["\udc80", "pkg.\udc80", "a\0b", ".", "..", "pkg..inner", "", "pkg/inner"])
def test_impossible_name_fails_as_without_us(mount, tmp_path, name):
    def failure():
        try:
            importlib.import_module(name)
        except Exception as error:
            return type(error)

    files = {"pkg/__init__.py": "", "pkg/inner.py": ""}
    mounted = mount(files)
    ours = failure()
    mounted.unmount()
    sys.modules.pop("pkg", None)
    sys.path.insert(0, building.write_files(tmp_path / "disk", files))
    assert ours is failure()


# ---- the statement


def test_circular_imports_between_modules_of_an_archive(mount):
    mount(
        {
            "pkg/__init__.py": "",
            "pkg/a.py": "from pkg import b\nn = 1",
            "pkg/b.py": "import pkg.a\ndef get(): return pkg.a.n",
        }
    )
    assert importlib.import_module("pkg.a").b.get() == 1


def test_relative_imports_go_up(mount):
    mount(
        {
            "pkg/__init__.py": "n = 1",
            "pkg/x.py": "n = 2",
            "pkg/d/__init__.py": "",
            "pkg/d/e.py": "from .. import n, x\nfrom ..x import n as m",
        }
    )
    module = importlib.import_module("pkg.d.e")
    assert (module.n, module.x.n, module.m) == (1, 2, 2)


def test_import_star_honours_all_and_imports_submodules_named_in_it(mount):
    mount({"pkg/__init__.py": "__all__ = ['sub', 'n']\nn = 1\nhidden = 2", "pkg/sub.py": "m = 3"})
    namespace = {}
    exec("from pkg import *", namespace)
    assert (namespace["sub"].m, namespace["n"], "hidden" in namespace) == (3, 1, False)


def test_submodule_shadows_the_attribute_of_its_name(mount):
    mount({"pkg/__init__.py": "sub = 'attribute'", "pkg/sub.py": ""})
    importlib.import_module("pkg.sub")
    assert sys.modules["pkg"].sub is sys.modules["pkg.sub"]


def test_missing_module_is_reported_as_ever(mount):
    mount({"pkg/__init__.py": ""})
    with pytest.raises(ModuleNotFoundError, match="No module named 'pkg.missing'") as caught:
        importlib.import_module("pkg.missing")
    assert caught.value.name == "pkg.missing"


def test_module_that_fails_is_not_left_behind(mount):
    mount({"broken.py": "raise ZeroDivisionError('its own')"})
    with pytest.raises(ZeroDivisionError, match="its own") as caught:
        importlib.import_module("broken")
    assert "broken" not in sys.modules
    assert caught.value.__cause__ is None


def test_module_may_replace_itself_in_sys_modules(mount):
    mount({"replaced.py": "import sys, types; sys.modules[__name__] = types.SimpleNamespace(n=5)"})
    assert importlib.import_module("replaced").n == 5


def test_names_that_are_not_ascii(mount):
    mount({"größe/__init__.py": "", "größe/日本.py": "n = 1"})
    assert importlib.import_module("größe.日本").n == 1
