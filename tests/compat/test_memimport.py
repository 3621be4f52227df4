"""intact.compat.memimport: functions that make an extension module of bytes. The original is for Windows, so there is no control."""

import importlib.machinery
import sys

import pytest
from intact.compat import memimport as compat
from intact.compat.memimport import memimport, memimport_from_data, memimport_from_loader, memimport_from_spec


class Loader:
    """As programs write one: files in a dict."""

    def __init__(self, files, package=False):
        self.files, self.package = files, package
        self.get_data = files.__getitem__

    def get_filename(self, fullname):
        return next(iter(self.files))

    def is_package(self, fullname):
        return self.package


def test_its_example(multi):
    """The session in its documentation. A spec without a location shows in brackets."""
    module = memimport(data=multi, fullname="multi")
    assert module.ask() == 42 and "multi" not in sys.modules
    assert module.__file__ == "<unknown>" and repr(module) == "<module 'multi' (<unknown>)>"
    assert type(module.__loader__).__name__ == "MemExtensionFileLoader" and module.__package__ == ""


@pytest.mark.parametrize("name", ["multi", "single"])
def test_both_kinds_of_initialisation(request, name):
    module = memimport_from_data(f"pkg.{name}", request.getfixturevalue(name))
    assert module.ask() == 42 and module.__name__ == f"pkg.{name}" and module.__package__ == "pkg"


def test_a_loader_says_what_the_file_is(multi):
    loader = Loader({"/some/lib.zip/multi.so": multi})
    module = memimport_from_loader("multi", loader)
    assert module.ask() == 42 and module.__loader__ is module.__spec__.loader is loader
    assert module.__file__ == "/some/lib.zip/multi.so" and repr(module) == "<module 'multi' from '/some/lib.zip/multi.so'>"
    assert not hasattr(module, "__path__")


def test_a_package_has_the_directory_of_its_file_as_path(multi):
    for module in (
        memimport_from_loader("multi", Loader({"/lib.zip/multi/__init__.so": multi}, package=True)),
        memimport_from_loader("multi", Loader({"/lib.zip/multi/__init__.so": multi}), is_package=True),
    ):
        assert module.__path__ == ["/lib.zip/multi"] and module.__package__ == "multi"


def test_a_spec_is_taken_as_it_is(multi):
    spec = importlib.machinery.ModuleSpec("multi", Loader({"/lib.zip/multi.so": multi}), origin="/lib.zip/multi.so")
    module = memimport_from_spec(spec)
    assert module.__spec__ is spec and spec.has_location and module.ask() == 42


def test_a_file_is_read_where_there_is_no_loader(multi, tmp_path):
    (tmp_path / "multi.so").write_bytes(multi)
    assert memimport(fullname="multi", origin=str(tmp_path / "multi.so")).ask() == 42


def test_a_function_gives_libraries_too(build):
    library = build.library("libseven.so.1", 7, "-Wl,-soname,libseven.so.1")
    content = {"seven": build("seven", "-DLIBRARY", f"-L{build.directory}", "-l:libseven.so.1"), "libseven.so.1": library}
    assert memimport(data=content.__getitem__, fullname="seven").ask() == 7


def test_too_little_is_an_error(tmp_path):
    nowhere = {"fullname": "multi", "origin": str(tmp_path / "multi.so")}
    for arguments in ({}, {"data": b""}, {"fullname": "multi"}, {"fullname": "multi", "loader": object()}, nowhere):
        with pytest.raises(ValueError, match=r"^memimport\(\) needs"):
            memimport(**arguments)


def test_what_is_no_shared_object_is_an_error():
    with pytest.raises(ImportError, match="^MemoryLoadLibrary failed loading text: "):
        memimport(data=b"text", fullname="text")


def test_it_tells_when_it_is_asked_to(multi, capsys):
    compat.set_verbose()
    memimport_from_data("multi", multi)
    compat.set_verbose(0)
    memimport_from_data("multi", multi)
    assert capsys.readouterr().err == "import multi # loaded from <unknown>\n"
