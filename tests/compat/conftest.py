"""Ours and the originals, so far as the index has them for this interpreter; and extension modules."""

import importlib
import os
import subprocess
import sys
import sysconfig
import zipfile

import pytest
from support import wheels
from support.environment import unsanitized
from support.packages import BUILD

TAG = f"cp{sys.version_info[0]}{sys.version_info[1]}"


@pytest.fixture(scope="session")
def original_wheel():
    """The wheel of physfs.py for this interpreter. memory-importer has none on the index; its physfs is this one."""
    return wheels.fetch([wheels.PHYSFS], BUILD / "wheels" / TAG, sys.executable)[0]


@pytest.fixture(scope="session")
def original(original_wheel, tmp_path_factory):
    """The module physfs of that wheel."""
    if "san.so" in os.environ.get("LD_PRELOAD", ""):
        pytest.skip("a sanitizer would judge the original")
    directory = tmp_path_factory.mktemp("physfs")
    with zipfile.ZipFile(original_wheel) as archive:
        archive.extractall(directory)
    sys.path.insert(0, str(directory))
    try:
        return importlib.import_module("physfs")
    finally:
        sys.path.remove(str(directory))
        sys.modules.pop("physfs", None)


@pytest.fixture(params=["ours", "original"])
def physfs(request, monkeypatch, tmp_path):
    """physfs, initialised, ours and the original; the working directory is empty."""
    monkeypatch.chdir(tmp_path)
    module = request.getfixturevalue("original") if request.param == "original" else _ours()
    module.init()
    yield module
    try:
        module.deinit()
    except module.PhysfsUninitialedError:
        pass


def _ours():
    from intact.compat import physfs

    return physfs


# A module with a number of its own, which with LIBRARY it asks of a library.
SOURCE = r"""
#include <Python.h>
#ifdef LIBRARY
int answer(void);
#else
static int answer(void) { return 42; }
#endif
static PyObject* ask(PyObject* self, PyObject* args) { return PyLong_FromLong(answer()); }
static PyMethodDef methods[] = {{"ask", ask, METH_NOARGS, 0}, {0, 0, 0, 0}};
#ifdef SINGLE
static PyModuleDef def = {PyModuleDef_HEAD_INIT, NAME, 0, -1, methods};
PyMODINIT_FUNC INIT(void) { return PyModule_Create(&def); }
#else
static int run(PyObject* module) {  /* sees itself in sys.modules, as code does that an import runs */
  PyObject* name = PyModule_GetNameObject(module);
  PyObject* found = name ? PyImport_GetModule(name) : 0;
  int there = found == module;
  Py_XDECREF(name);
  Py_XDECREF(found);
  return PyModule_AddIntConstant(module, "in_sys_modules", there);
}
static PyModuleDef_Slot slots[] = {{Py_mod_exec, run}, {0, 0}};
static PyModuleDef def = {PyModuleDef_HEAD_INIT, NAME, 0, 0, methods, slots};
PyMODINIT_FUNC INIT(void) { return PyModuleDef_Init(&def); }
#endif
"""


def gcc(*arguments):
    subprocess.run(["gcc", "-shared", "-fPIC", *arguments], check=True, env=unsanitized())


@pytest.fixture(scope="session")
def build(tmp_path_factory):
    """Compiles a shared object and gives its bytes."""
    directory = tmp_path_factory.mktemp("compiled")
    include = sysconfig.get_path("include")

    def extension(name, *options):
        target = directory / f"{name}.so"
        source = directory / f"{name}.c"
        source.write_text(SOURCE)
        defines = [f'-DNAME="{name}"', f"-DINIT=PyInit_{name}", f"-I{include}"]
        gcc(*defines, source, "-o", target, *options)
        return target.read_bytes()

    def library(file, answer, *options):
        source = directory / f"{file}.c"
        source.write_text(f"int answer(void) {{ return {answer}; }}\n")
        gcc(source, "-o", directory / file, *options)
        return (directory / file).read_bytes()

    extension.library, extension.directory = library, directory
    return extension


@pytest.fixture(scope="session")
def multi(build):
    return build("multi")


@pytest.fixture(scope="session")
def single(build):
    return build("single", "-DSINGLE")
