"""One app for several interpreters: what they have alike is there once, and each sees its own of the rest."""

import _imp
import subprocess
import sys
import zipfile

import pytest
from intact import _engine
from intact._pack import app, bytecode
from support import making

PYTHON = sys._base_executable
HERE = "%d.%d" % sys.version_info[:2]
SUFFIX = _imp.extension_suffixes()[0]
OTHER = ".cpython-399-x86_64-linux-gnu.so"


def build(python, suffix, wheels):
    with open(_engine.__file__, "rb") as file:
        return app.Build(
            python, suffix, file.read(), [str(wheel) for wheel in wheels], bytecode.compile_all, lambda wheel: None
        )


@pytest.fixture(params=[True, False], ids=["source", "no source"])
def packed(request, tmp_path):
    """For this interpreter and for one that is still to come; the wheels of a distribution differ in a module and a file."""
    builds = []
    for python, suffix, word in (HERE, SUFFIX, "here"), ("3.99", OTHER, "there"):
        (tmp_path / word).mkdir()
        files = {
            "pkg/__init__.py": "n = 1\n",
            "pkg/own.py": f"word = {word!r}\n",
            "pkg/own.txt": word,
            "pkg/alike.txt": "alike",
        }
        own = making.wheel(tmp_path / word, "pkg", files)
        pure = making.wheel(tmp_path / word, "pure", {"pure.py": "n = 2\n"})
        builds.append(build(python, suffix, [own, pure]))
    target = tmp_path / "app.pyz"
    summary = app.pack(builds, str(target), app.Choices(source=request.param))
    return target, summary, request.param


def test_each_interpreter_sees_its_own(packed):
    target, summary, _ = packed
    code = """
import importlib.metadata, os, pkg, pkg.own, pure
path = os.path.dirname(pkg.__file__)
print(pkg.own.word, open(path + "/own.txt").read(), open(path + "/alike.txt").read(), pure.n, importlib.metadata.version("pkg"))
"""
    done = subprocess.run([PYTHON, "-I", "-S", target, "-c", code], capture_output=True, text=True)
    assert done.stdout == "here here alike 2 1.0\n", done.stderr
    assert summary.targets == [f"CPython {HERE} ({SUFFIX[1:-3]})", f"CPython 3.99 ({OTHER[1:-3]})"]
    assert summary.distributions == {"pkg": "1.0", "pure": "1.0"}


def test_what_all_have_alike_is_there_once(packed):
    target, _, source = packed
    with zipfile.ZipFile(target) as outer, outer.open("intact-payload.zip") as file, zipfile.ZipFile(file) as payload:
        names = payload.namelist()
    assert len(names) == len(set(names))
    tops = [".intact/" + suffix[1:-3] for suffix in (SUFFIX, OTHER)]
    own = {name.partition("/pkg/")[0] for name in names if name.endswith("/pkg/own.txt")}
    assert own == set(tops) and "pkg/own.txt" not in names
    assert [name for name in names if name.endswith("alike.txt")] == ["pkg/alike.txt"]
    if source:
        assert [name for name in names if name.endswith("pure.py")] == ["pure.py"]
        tags = {name.split(".")[1] for name in names if name.startswith("__pycache__/pure.")}
        assert tags == {sys.implementation.cache_tag, "cpython-399"}
    else:  # bytecode takes the source's place, and is each one's own
        assert {f"{top}/pure.pyc" for top in tops} <= set(names) and "pure.pyc" not in names


def test_info_counts_what_is_another_targets(packed):
    target, _, _ = packed
    shown = making.intact("info", target).stdout
    assert f"for CPython {HERE}" in shown and "for CPython 3.99" in shown
    assert "for other targets" in shown and "CPython 3.99 (cpython-399" in shown
