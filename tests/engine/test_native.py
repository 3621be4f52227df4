"""Extension modules out of archives: the interpreter's own test extensions, and what is no extension at all.

What native code does with an image once it is loaded is tested in core/elf and with real packages in tests/packages.
"""

import importlib
import importlib.machinery
import importlib.util
import os
import re
import shutil
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import building
import intact
import pytest
from building import SUFFIX

MULTI_PHASE, SINGLE_PHASE = (building.stdlib_extension(name) for name in ("_testmultiphase", "_testimportmultiple"))
pytestmark = pytest.mark.skipif(
    not MULTI_PHASE or not SINGLE_PHASE, reason="this interpreter came without its test extensions"
)



def _needy_extension():
    """An extension that needs a library besides the C library's: its name, the library's, its bytes; or None."""
    for name in ("_ctypes", "zlib", "_ssl", "_sqlite3", "_lzma", "_bz2", "readline"):
        content = building.stdlib_extension(name)
        library = re.search(rb"\0(lib[a-z0-9]+\.so\.[0-9]+)\0", content or b"")
        if library:
            return name, library[1], content
    return None


NEEDY = _needy_extension()
TREE = {
    f"native/_testmultiphase{SUFFIX}": MULTI_PHASE,
    f"native/_testimportmultiple{SUFFIX}": SINGLE_PHASE,
    "native/__init__.py": "",
}


@pytest.fixture(params=["path", "stored", "bytes", "directory"])
def native(request, mount):
    compression = zipfile.ZIP_STORED if request.param == "stored" else zipfile.ZIP_DEFLATED
    return mount(TREE, "path" if request.param == "stored" else request.param, compression)


@pytest.mark.parametrize("name", ["native._testmultiphase", "native._testimportmultiple"])
def test_extension_is_loaded_from_the_archive(native, name):
    module = importlib.import_module(name)
    assert module.__file__ == f"{native.root}/{name.replace('.', '/')}{SUFFIX}"
    assert module.__spec__.origin == module.__file__


def test_multi_phase_module_works(native):
    module = importlib.import_module("native._testmultiphase")
    assert module.foo(1, 2) == 3
    assert module.Str("x") == "x"


def test_multi_phase_module_imported_anew_is_another_module(native):
    first = importlib.import_module("native._testmultiphase")
    del sys.modules["native._testmultiphase"]
    second = importlib.import_module("native._testmultiphase")
    assert first is not second and first.Example is not second.Example


def test_image_is_listed_once_however_many_modules_ask(native):
    for _ in range(2):
        importlib.import_module("native._testmultiphase")
        del sys.modules["native._testmultiphase"]
    paths = [image[0] for image in intact.images()]
    assert paths.count(f"{native.root}/native/_testmultiphase{SUFFIX}") == 1


def test_module_of_another_name_in_the_same_file(native):
    """PyInit_foo in bar.so: asked for by a spec of that name, as test suites of CPython do."""
    path = f"{native.root}/native/_testimportmultiple{SUFFIX}"
    loader = importlib.machinery.ExtensionFileLoader("_testimportmultiple_foo", path)
    spec = importlib.util.spec_from_loader("_testimportmultiple_foo", loader)
    assert importlib.util.module_from_spec(spec).__name__ == "_testimportmultiple_foo"


def test_reload_of_an_extension(native):
    module = importlib.import_module("native._testmultiphase")
    assert importlib.reload(module) is module


def test_shared_object_without_the_initialiser_is_cpythons_own_import_error(mount):
    mount({f"misnamed{SUFFIX}": MULTI_PHASE})
    with pytest.raises(
        ImportError, match="dynamic module does not define module export function .PyInit_misnamed."
    ) as caught:
        importlib.import_module("misnamed")
    assert caught.value.name == "misnamed"


BROKEN = {
    "empty": b"",
    "garbage": b"not an object at all",
    "header cut": (MULTI_PHASE or b"")[:40],
    "body cut": (MULTI_PHASE or b"")[:5000],
    "another machine": (MULTI_PHASE or b"")[:18] + b"\xf3\0" + (MULTI_PHASE or b"")[20:],
    "32 bits": (MULTI_PHASE or b"")[:4] + b"\1" + (MULTI_PHASE or b"")[5:],
}


@pytest.mark.parametrize("content", BROKEN.values(), ids=BROKEN.keys())
def test_broken_shared_object_is_an_image_error_that_names_archive_and_member(mount, content):
    mounted = mount({f"broken{SUFFIX}": content})
    with pytest.raises(intact.ImageError) as caught:
        importlib.import_module("broken")
    assert (caught.value.archive, caught.value.member) == (mounted.root, f"broken{SUFFIX}")
    assert caught.value.reason
    assert "broken" not in sys.modules


@pytest.mark.skipif(not NEEDY, reason="no extension of this interpreter needs a library of its own")
@pytest.mark.parametrize("kind", ["path", "bytes"])
def test_library_that_nobody_has_is_an_image_error_that_names_it(mount, kind):
    name, library, content = NEEDY
    absent = b"lxb" + library[3:]
    mounted = mount({f"needy/{name}{SUFFIX}": content.replace(library, absent), "needy/__init__.py": ""}, kind)
    with pytest.raises(intact.ImageError, match=f"needs {absent.decode()}, which neither") as caught:
        importlib.import_module(f"needy.{name}")
    assert (caught.value.archive, caught.value.member) == (mounted.root if kind == "path" else mounted.name, f"needy/{name}{SUFFIX}")
    assert f"needy.{name}" not in sys.modules
    assert not any(path.startswith(mounted.root) for path, *_ in intact.images())


def test_image_error_has_the_name_and_path_of_an_import_error(mount):
    """What handlers of ImportError ask for: which module, from where."""
    mounted = mount({f"broken{SUFFIX}": b"no object"})
    with pytest.raises(ImportError) as caught:
        importlib.import_module("broken")
    assert (caught.value.name, caught.value.path) == ("broken", f"{mounted.root}/broken{SUFFIX}")


def test_damaged_member_is_a_member_error(tmp_path):
    data = bytearray(building.zip_bytes({f"damaged{SUFFIX}": MULTI_PHASE}, zipfile.ZIP_STORED))
    data[5000] ^= 1
    intact.mount(data)
    with pytest.raises(intact.MemberError, match="CRC"):
        importlib.import_module("damaged")


def test_extension_stays_usable_after_unmounting(native):
    module = importlib.import_module("native._testmultiphase")
    native.unmount()
    assert module.foo(2, 2) == 4


def test_same_extension_from_two_archives_is_two_modules(mount):
    one = mount({f"one/_testmultiphase{SUFFIX}": MULTI_PHASE})
    two = mount({f"two/_testmultiphase{SUFFIX}": MULTI_PHASE})
    modules = [importlib.import_module(f"{name}._testmultiphase") for name in ("one", "two")]
    assert [module.__file__ for module in modules] == [
        f"{one.root}/one/_testmultiphase{SUFFIX}",
        f"{two.root}/two/_testmultiphase{SUFFIX}",
    ]
    assert [module.foo(1, 1) for module in modules] == [2, 2]


def test_archive_of_another_content_under_the_same_name_gives_its_own_extension():
    """glibc remembers images by path; the second archive's must not be taken for the first's."""
    for name in ("_testmultiphase", "_testimportmultiple"):
        content = {"_testmultiphase": MULTI_PHASE, "_testimportmultiple": SINGLE_PHASE}[name]
        with intact.mount(
            building.zip_bytes({f"swap/{name}{SUFFIX}": content, "swap/which.py": f"name = {name!r}"}), name="swapped"
        ):
            assert importlib.import_module(f"swap.{name}").__name__ == f"swap.{name}"
            for module in [m for m in sys.modules if m.partition(".")[0] == "swap"]:
                del sys.modules[module]


def test_other_extension_at_the_same_path_is_not_taken_for_the_first(tmp_path):
    """The same path, another file: a wheel upgraded in place under a long-running program."""
    archive = tmp_path / "app.zip"
    for content in (MULTI_PHASE, MULTI_PHASE + b"\0another build"):
        building.write_zip(archive, {f"upgraded/_testmultiphase{SUFFIX}": content})
        with intact.mount(archive) as mounted:
            importlib.import_module("upgraded._testmultiphase")
            assert mounted.read(f"upgraded/_testmultiphase{SUFFIX}") == content
            for module in [m for m in sys.modules if m.partition(".")[0] == "upgraded"]:
                del sys.modules[module]


def test_ctypes_loads_a_member_by_its_path(native):
    import ctypes

    assert ctypes.PyDLL(f"{native.root}/native/_testmultiphase{SUFFIX}").PyInit__testmultiphase


def test_importing_an_extension_leaves_no_descriptor_open(mount):
    mount({f"count/_testmultiphase{SUFFIX}": MULTI_PHASE, "count/__init__.py": ""})
    threads = len(os.listdir("/proc/self/task"))

    def descriptors():
        while len(os.listdir("/proc/self/task")) > threads:  # what was being read ahead is dropped when it is through
            time.sleep(0.001)
        return len(os.listdir("/proc/self/fd"))

    importlib.import_module("count")
    before = descriptors()
    importlib.import_module("count._testmultiphase")
    assert descriptors() == before


def test_trace_tells_of_an_extension(tmp_path):
    archive = building.write_zip(tmp_path / "a.zip", TREE)
    program = "import sys, intact; intact.mount(sys.argv[1]); import native._testmultiphase"
    lines = building.python("-c", program, archive, env={"INTACT_TRACE": "1"}).stderr.splitlines()
    assert any(
        f"native._testmultiphase from {archive}/native/_testmultiphase{SUFFIX} (extension, " in line for line in lines
    )


REJECTED = Path(__file__).resolve().parents[1] / "rejected" / "elf"


@pytest.mark.skipif(not REJECTED.is_dir(), reason="the source tree is not here")
def test_rejected_objects_are_image_errors_and_never_loaded():
    """Each file in tests/rejected/elf breaks one rule of the format; the process goes on after every one of them."""
    program = (
        "import sys, os, zipfile, io, importlib, intact\n"
        "for n, name in enumerate(sorted(os.listdir(sys.argv[1]))):\n"
        "    buffer = io.BytesIO()\n"
        "    with zipfile.ZipFile(buffer, 'w') as archive:\n"
        "        archive.write(os.path.join(sys.argv[1], name), f'rejected{n}' + sys.argv[2])\n"
        "    intact.mount(buffer.getvalue(), name=name)\n"
        "    try: importlib.import_module(f'rejected{n}'); print(name, 'loaded')\n"
        "    except intact.ImageError as error: assert error.archive == name and error.reason, name\n"
        "print('all', n + 1)\n"
    )
    assert building.output_of("-c", program, str(REJECTED), SUFFIX) == f"all {len(list(REJECTED.iterdir()))}\n"


@pytest.mark.skipif(building.SANITIZED, reason="the debugger would run with the sanitizer too")
@pytest.mark.skipif(not shutil.which("gdb"), reason="gdb is not installed; make test-all installs it")
def test_debugger_knows_an_image_by_its_member(tmp_path):
    archive = building.write_zip(tmp_path / "app.zip", TREE)
    code = "import intact, os, signal, sys; intact.mount(sys.argv[1]); import native._testmultiphase; os.kill(os.getpid(), signal.SIGTRAP)"
    command = ["gdb", "-nx", "-batch", "-ex", "run", "-ex", "info sharedlibrary", "--args", sys.executable, "-c", code, str(archive)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert f"{archive}/native/_testmultiphase{SUFFIX}" in done.stdout, done.stdout + done.stderr
