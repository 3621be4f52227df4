"""intact.compat.zipextimporter: extension modules in a zip on sys.path. py2exe's is for Windows, so there is no control but
zipimport, for everything that is no extension module."""

import importlib
import importlib.machinery
import importlib.util
import os
import re
import subprocess
import sys
import zipimport
from pathlib import Path

import intact
import pytest
from intact.compat import zipextimporter
from intact.compat.zipextimporter import ZipExtensionImporter, get_verbose_flag, import_module, install
from packing import packed

SUFFIX = importlib.machinery.EXTENSION_SUFFIXES[0]


@pytest.fixture(autouse=True)
def apart(monkeypatch, tmp_path):
    """lib.zip in the working directory is all that a test adds to sys.path."""
    monkeypatch.chdir(tmp_path)
    path, hooks, modules = list(sys.path), list(sys.path_hooks), set(sys.modules)
    yield
    sys.path[:], sys.path_hooks[:] = path, hooks
    sys.path_importer_cache.clear()
    zipimport._zip_directory_cache.clear()  # its keys are paths as they are given, so relative ones here
    for name in set(sys.modules) - modules:
        del sys.modules[name]


def installed(tree, entry="lib.zip"):
    Path("lib.zip").write_bytes(packed(tree))
    install()
    sys.path.insert(0, entry)


def test_its_example(build, multi):
    """The session in its documentation, with a module of ours for _socket.pyd."""
    program = "import intact.compat\nintact.compat.enable('zipextimporter')\n"
    program += "import zipextimporter\nzipextimporter.install()\nimport sys\nsys.path.insert(0, 'lib.zip')\n"
    program += "import multi\nprint(multi)\nprint(repr(multi.__file__))\nprint(multi.__loader__)\n"
    program += "from importlib import reload\nprint(multi is reload(multi))\n"
    Path("lib.zip").write_bytes(packed({"multi.so": multi}))
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.stdout.splitlines() == [
        "<module 'multi' from 'lib.zip/multi.so'>",
        "'lib.zip/multi.so'",
        "<ZipExtensionImporter object 'lib.zip'>",
        "True",
    ], done.stderr


@pytest.mark.parametrize("suffix", importlib.machinery.EXTENSION_SUFFIXES)
def test_every_suffix_of_the_interpreter_is_found(multi, suffix):
    installed({f"multi{suffix}": multi})
    module = importlib.import_module("multi")
    assert module.__file__ == f"lib.zip/multi{suffix}" and module.ask() == 42


@pytest.mark.parametrize("name", ["multi", "single"])
def test_attributes_of_the_module(request, name):
    installed({f"{name}.so": request.getfixturevalue(name)})
    module = importlib.import_module(name)
    assert module.ask() == 42 and module.__memimported__ is True
    assert module.__name__ == name and module.__file__ == module.__spec__.origin == f"lib.zip/{name}.so"
    assert isinstance(module.__loader__, ZipExtensionImporter)
    assert sys.modules[name] is module


@pytest.mark.parametrize("name", ["multi", "single"])
def test_reloading_gives_the_loaded_module(request, name):
    installed({f"{name}.so": request.getfixturevalue(name)})
    module = importlib.import_module(name)
    module.mark = 1
    assert importlib.reload(module) is module and module.mark == 1
    assert module.__loader__.load_module(name) is module


def test_code_of_a_module_sees_itself_imported(multi):
    installed({"multi.so": multi})
    assert importlib.import_module("multi").in_sys_modules == 1


def test_extension_in_a_package(multi):
    installed({"pkg/__init__.py": "", f"pkg/multi{SUFFIX}": multi, "pkg/user.py": "from .multi import ask"})
    assert importlib.import_module("pkg.user").ask() == 42
    module = sys.modules["pkg.multi"]
    assert module.__name__ == "pkg.multi" and module.__file__ == f"lib.zip/pkg/multi{SUFFIX}"


def test_directory_of_the_archive_on_the_path(multi, single):
    """Its own directory, and as in the original the archive's top."""
    installed({"sub/multi.so": multi, "single.so": single}, "lib.zip/sub")
    assert importlib.import_module("multi").__file__ == "lib.zip/sub/multi.so"
    assert importlib.import_module("single").__file__ == "lib.zip/single.so"


@pytest.mark.parametrize("python", ["multi.py", "multi.pyc", "multi/__init__.py"])
def test_python_modules_come_before_extensions(multi, python):
    code = importlib._bootstrap_external._code_to_hash_pyc(compile("here = 1", "x", "exec"), bytes(8), False)
    installed({"multi.so": multi, python: bytes(code) if python.endswith("c") else "here = 1"})
    assert importlib.import_module("multi").here == 1


def test_extensions_come_before_namespace_packages(multi):
    installed({"multi.so": multi, "multi/data.txt": ""})
    assert importlib.import_module("multi").ask() == 42


def test_there_are_no_extension_packages(multi):
    installed({"pkg/__init__.so": multi})
    assert ZipExtensionImporter("lib.zip").find_module("pkg") is None


def test_loading_again_gives_what_is_loaded(multi):
    installed({"plain.py": "value = object()", f"multi{SUFFIX}": multi})
    importer = ZipExtensionImporter("lib.zip")
    for name in ("plain", "multi"):
        assert importer.find_spec(name=name, path=None).name == name
        assert importer.load_module(name) is importer.load_module(name)


def test_python_modules_are_zipimports():
    installed({"plain.py": "value = 1", "pkg/__init__.py": "", "pkg/inner.py": "", "space/": "", "space/inner.py": ""})
    theirs = zipimport.zipimporter("lib.zip")
    for name in ("plain", "pkg", "absent"):
        ours, expected = ZipExtensionImporter("lib.zip").find_spec(name), theirs.find_spec(name)
        assert (ours is None) == (expected is None)
        if expected is not None:
            assert (ours.origin, ours.submodule_search_locations) == (
                expected.origin,
                expected.submodule_search_locations,
            )
    for name in ("plain", "pkg.inner", "space.inner"):
        module = importlib.import_module(name)
        assert not hasattr(module, "__memimported__") and isinstance(module.__loader__, ZipExtensionImporter)


def test_installing_comes_first_and_forgets_importers():
    sys.path_importer_cache["lib.zip"] = None
    install()
    assert sys.path_hooks[0] is ZipExtensionImporter and not sys.path_importer_cache
    assert issubclass(ZipExtensionImporter, zipimport.zipimporter)


def test_the_methods_of_old(multi):
    installed({"multi.so": multi, "plain.py": "", "space/": "", "space/inner.py": ""})
    importer = ZipExtensionImporter("lib.zip")
    for name in ("multi", "plain"):
        assert importer.find_module(name) is importer and importer.find_loader(name) == (importer, [])
        assert importer.find_module(name, None) is importer and importer.find_loader(name, None) == (importer, [])
    assert importer.find_module("absent") is None and importer.find_loader("absent") == (None, [])
    assert importer.find_loader("space") == (None, ["lib.zip/space"])
    assert importer.load_module("multi").ask() == 42 and importer.load_module("plain").__name__ == "plain"
    with pytest.raises(zipimport.ZipImportError, match="^can't find module absent$"):
        importer.load_module("absent")


# Libraries.


@pytest.fixture(scope="session")
def needing(build):
    """(extension, library) where the library has a SONAME, and where it has none."""
    made = {}
    for kind, options in (("soname", ["-Wl,-soname,libanswer.so.1"]), ("nameless", [])):
        file = "libanswer.so.1" if options else "libnameless.so"
        library = build.library(file, 7 if options else 8, *options)
        name = f"needs_{kind}"
        link = ["-DLIBRARY", f"-L{build.directory}", f"-l:{file}", "-Wl,--no-as-needed", "-lm"]
        made[kind] = name, build(name, *link), file, library
    return made


@pytest.mark.parametrize(("kind", "answer"), [("soname", 7), ("nameless", 8)])
def test_libraries_are_taken_from_the_top_of_the_archive(needing, kind, answer):
    name, extension, file, library = needing[kind]
    installed({"pkg/__init__.py": "", f"pkg/{name}.so": extension, file: library})
    assert importlib.import_module(f"pkg.{name}").ask() == answer


def test_a_library_that_nobody_has_is_an_error(build):
    build.library("libgone.so.1", 9, "-Wl,-soname,libgone.so.1")
    extension = build("needs_gone", "-DLIBRARY", f"-L{build.directory}", "-l:libgone.so.1")
    installed({"needs_gone.so": extension})
    with pytest.raises(
        ImportError, match=r"^MemoryLoadLibrary failed loading lib.zip/needs_gone.so: .*libgone.* \(\d+\)"
    ):
        importlib.import_module("needs_gone")
    assert "needs_gone" not in sys.modules


def test_what_is_no_shared_object_is_an_error():
    installed({"broken.so": "no ELF"})
    with pytest.raises(
        ImportError, match=r"^MemoryLoadLibrary failed loading lib.zip/broken.so: not an ELF file \(0\)$"
    ):
        importlib.import_module("broken")


# _memimporter.


def spec_of(name):
    return importlib.machinery.ModuleSpec(name, None)


def test_import_module_asks_the_finder_for_bare_names(needing):
    name, extension, file, library = needing["soname"]
    asked, content = [], {"/somewhere/x.so": extension, file: library}

    def finder(path):
        asked.append(path)
        return content[path]

    module = import_module(name, "/somewhere/x.so", f"PyInit_{name}", finder, spec_of(name))
    assert module.ask() == 7 and asked[:2] == ["/somewhere/x.so", file]
    assert "libm.so.6" in asked  # KeyError: the system's


def test_a_finder_may_answer_none(multi):
    module = import_module("multi", "x.so", "PyInit_multi", {"x.so": multi}.get, spec_of("multi"))
    assert module.ask() == 42 and module.in_sys_modules == 0


def test_import_module_calls_the_function_it_is_told(multi):
    module = import_module("pkg.other", "y.so", "PyInit_multi", {"y.so": multi}.get, spec_of("pkg.other"))
    assert module.__name__ == "pkg.other" and module.ask() == 42


def test_import_module_without_the_function_is_an_error(multi):
    with pytest.raises(ImportError, match="PyInit_absent"):
        import_module("absent", "z.so", "PyInit_absent", {"z.so": multi}.get, spec_of("absent"))


@pytest.mark.parametrize("finder", [{}.get, {}.__getitem__], ids=["None", "KeyError"])
def test_import_module_without_the_module_is_an_error(finder):
    with pytest.raises(ImportError, match="^MemoryLoadLibrary failed loading missing.so: "):
        import_module("missing", "missing.so", "PyInit_missing", finder, spec_of("missing"))


def test_nothing_is_written_and_nothing_published(multi):
    installed({"multi.so": multi})
    before = set(os.listdir("."))
    importlib.import_module("multi")
    assert set(os.listdir(".")) == before and not any("lib.zip" in mount.root for mount in intact.mounts())
    [image] = [image for image in intact.images() if image[0] == os.path.abspath("lib.zip/multi.so")]
    assert image[1] == "copy"


@pytest.mark.parametrize(("flags", "shown"), [((), ""), (("-v",), "import multi # loaded from zipfile lib.zip")])
def test_verbose(multi, flags, shown):
    Path("lib.zip").write_bytes(packed({"multi.so": multi}))
    program = (
        "import sys, intact.compat.zipextimporter as z; z.install(); sys.path.insert(0, 'lib.zip'); import multi; "
    )
    done = subprocess.run(
        [sys.executable, *flags, "-c", program + "print(z.get_verbose_flag())"], capture_output=True, text=True
    )
    assert done.stdout == f"{len(flags)}\n" and (shown in done.stderr)
    assert bool(re.search("loaded from zipfile", done.stderr)) == bool(flags)


def test_verbose_flag_is_the_interpreters():
    assert get_verbose_flag() == sys.flags.verbose
    assert zipextimporter.__all__ == ["ZipExtensionImporter", "install"]
