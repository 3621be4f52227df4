"""What import statements do with mounts: who wins, namespaces over several places, and what programs do with sys.path."""

import importlib
import importlib.util
import os
import pkgutil
import subprocess
import sys
import textwrap

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


@pytest.mark.skipif(building.SANITIZED, reason="a sanitizer's runtime wants some of that room itself")
def test_intact_is_imported_where_libraries_have_taken_all_room_for_static_tls(tmp_path):
    """There are some 1.7 KB for all objects that are loaded after the start; OpenMP runtimes and allocators want some."""
    source = tmp_path / "takes.c"
    source.write_text('__attribute__((tls_model("initial-exec"))) __thread char block[16]; char* get(void) { return block; }')
    subprocess.run(["cc", "-shared", "-fPIC", "-o", tmp_path / "takes.so", source], check=True)
    program = """
        import ctypes, shutil, sys
        library = sys.argv[1]
        try:
            for n in range(10_000):
                ctypes.CDLL(shutil.copy(library, f"{library}.{n}"))
        except OSError as error:
            print("static TLS" in str(error), n > 0)
        import intact
        with intact.mount(sys.argv[2]):
            import pkg
            print(open(pkg.__file__).read(), end="")
    """
    archive = building.write_zip(tmp_path / "a.zip", {"pkg.py": "n = 5\n"})
    done = building.output_of("-c", textwrap.dedent(program), tmp_path / "takes.so", archive)
    assert done == "True True\nn = 5\n"


@pytest.mark.skipif(not building.WITHOUT_GIL, reason="this interpreter has a GIL")
def test_an_interpreter_without_a_gil_goes_on_without_one(tmp_path):
    """It would switch one on, with a warning, for an extension that does not say that it needs none."""
    archive = building.write_zip(tmp_path / "a.zip", {"pkg.py": ""})
    program = "import sys, intact; intact.mount(sys.argv[1]); import pkg; print(sys._is_gil_enabled())"
    assert building.output_of("-c", program, archive, flags=("-W", "error")) == "False\n"
