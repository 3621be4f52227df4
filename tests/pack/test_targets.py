"""One app for several interpreters: what they have alike is there once, and each sees its own of the rest."""

import _imp
import json
import os
import re
import struct
import subprocess
import sys
import zipfile

import intact
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


# ---- another machine; that such an app runs there is tests/cross's

MACHINE = os.uname().machine
ELSEWHERE, NUMBER = ("x86_64", 62) if MACHINE == "aarch64" else ("aarch64", 183)
TAG = HERE.replace(".", "")


def engine_wheel(directory, files, machine=ELSEWHERE):
    """A wheel of intact that is for `machine`, by its name."""
    return making.wheel(
        directory, "intact", files, version=intact.__version__, tag=f"cp{TAG}-cp{TAG}-linux_{machine}", purelib=False
    )


def engine_member(machine=ELSEWHERE, tag=TAG):
    return f"intact/_engine.cpython-{tag}-{machine}-linux-gnu.so"


def elf(number, rest=b""):
    """The head of a shared object, as far as the packer reads it."""
    return b"\x7fELF\x02\x01".ljust(18, b"\0") + number.to_bytes(2, "little") + rest


def pack_for(directory, platform, *arguments):
    app = directory / "app.pyz"
    program = making.wheel(directory, "prog", {"prog.py": "def main(): print('here')\n"})
    options = ["-o", app, "--for", HERE, "--platform", platform, "--entry", "prog:main", *arguments]
    return app, making.intact("pack", *options, program)


def test_an_app_for_another_machine_says_so_here_and_names_what_packs_it_for_this_one(tmp_path):
    wheel = engine_wheel(tmp_path, {engine_member(): elf(NUMBER)})
    app, done = pack_for(tmp_path, f"manylinux_2_28_{ELSEWHERE}", "--engine", wheel)
    assert done.returncode == 0, done.stderr
    done = subprocess.run([PYTHON, "-I", "-S", app], capture_output=True, text=True)
    assert done.returncode == 1 and done.stdout == "" and done.stderr.count("\n") == 1
    assert f"is for CPython {HERE} (cpython-{TAG}-{ELSEWHERE}-linux-gnu), and this is cpython" in done.stderr
    told = (
        f"pack it for this one with: intact pack --for {HERE} -o {app} --entry prog:main ./prog-1.0-py3-none-any.whl\n"
    )
    assert done.stderr.endswith(told)


def test_bytecode_for_another_machine_is_this_interpreters(tmp_path):
    wheel = engine_wheel(tmp_path, {engine_member(): elf(NUMBER)})
    app, _ = pack_for(tmp_path, f"linux_{ELSEWHERE}", "--engine", wheel)
    with zipfile.ZipFile(app) as outer, outer.open("intact-payload.zip") as file, zipfile.ZipFile(file) as payload:
        assert f"__pycache__/prog.{sys.implementation.cache_tag}.pyc" in payload.namelist()


def test_an_engine_that_needs_a_newer_glibc_than_the_platform_has_is_told(tmp_path):
    wheel = engine_wheel(tmp_path, {engine_member(): elf(NUMBER, b"\0GLIBC_2.17\0GLIBC_2.35\0")})
    _, done = pack_for(tmp_path, f"manylinux_2_28_{ELSEWHERE}", "--engine", wheel)
    assert done.returncode == 0
    assert f"its engine needs glibc 2.35, and manylinux_2_28_{ELSEWHERE} says 2.28" in done.stderr
    for platform in f"manylinux_2_35_{ELSEWHERE}", f"linux_{ELSEWHERE}":
        _, done = pack_for(tmp_path, platform, "--engine", wheel)
        assert done.returncode == 0 and "glibc" not in done.stderr


@pytest.mark.parametrize(
    ("files", "reason"),
    [
        ({}, "it has no intact/_engine.cpython-"),
        ({"intact/_engine.so": elf(NUMBER)}, "it has no intact/_engine.cpython-"),
        ({engine_member(tag="399"): elf(NUMBER)}, "it has no intact/_engine.cpython-"),
        ({engine_member(MACHINE): elf(62)}, "it has no intact/_engine.cpython-"),
        ({engine_member(): elf(62 + 183 - NUMBER)}, f"is no shared object for {ELSEWHERE}"),
        ({engine_member(): b""}, f"is no shared object for {ELSEWHERE}"),
    ],
    ids=["none", "no suffix", "another Python's", "another machine's", "another machine's, renamed", "empty"],
)
def test_a_wheel_without_the_engine_that_its_name_promises_is_refused_in_one_line(files, reason, tmp_path):
    app, done = pack_for(tmp_path, f"linux_{ELSEWHERE}", "--engine", engine_wheel(tmp_path, files))
    assert done.returncode == 1 and done.stderr.count("\n") == 1 and reason in done.stderr, done.stderr
    assert not app.exists()


def test_where_no_wheel_with_an_engine_is_for_the_target_those_that_were_given_are_named(tmp_path):
    wheel = engine_wheel(tmp_path, {engine_member(MACHINE): elf(62)}, MACHINE)
    _, done = pack_for(tmp_path, f"linux_{ELSEWHERE}", "--engine", wheel)
    assert done.returncode == 1 and done.stderr.count("\n") == 1
    assert f"{wheel.name} is not for it" in done.stderr
    _, done = pack_for(tmp_path, f"linux_{ELSEWHERE}")
    assert done.returncode == 1 and "name that wheel with --engine" in done.stderr


def test_the_doctor_says_that_an_app_is_for_another_machine_and_how_to_pack_it(tmp_path):
    wheel = engine_wheel(tmp_path, {engine_member(): elf(NUMBER)})
    app, _ = pack_for(tmp_path, f"linux_{ELSEWHERE}", "--engine", wheel)
    done = making.intact("doctor", "--json", app)
    (finding,) = [each for each in json.loads(done.stdout)["findings"] if each["check"] == "target"]
    assert done.returncode == 1 and finding["status"] == "fail"
    assert ELSEWHERE in finding["what"] and MACHINE in finding["why"] and f"--for {HERE}" in finding["remedy"]


def hash_of(version):
    """As the dynamic linker compares the names of versions (gABI, "Hash Table")."""
    value = 0
    for byte in version:
        value = (value << 4) + byte
        value = (value ^ (value & 0xF0000000) >> 24) & 0x0FFFFFFF
    return struct.pack("=I", value)


def needing_glibc(minor, content):
    """A shared object made to need a version of glibc's symbols in the place of the newest that it does need."""
    newest = b"GLIBC_2.%d" % max(int(found) for found in re.findall(rb"\0GLIBC_2\.(\d+)(?=\0)", content))
    wanted = b"GLIBC_2.%d" % minor
    assert len(wanted) == len(newest)
    for before, after in (newest + b"\0", wanted + b"\0"), (hash_of(newest), hash_of(wanted)):
        assert content.count(before) == 1
        content = content.replace(before, after)
    return content


def test_the_doctor_says_that_an_app_needs_a_newer_glibc_which_then_does_not_start_it(tmp_path):
    with open(_engine.__file__, "rb") as file:
        engine = needing_glibc(99, file.read())
    wheel = engine_wheel(tmp_path, {engine_member(MACHINE): engine}, MACHINE)
    app, done = pack_for(tmp_path, f"linux_{MACHINE}", "--engine", wheel)
    assert done.returncode == 0, done.stderr
    done = subprocess.run([PYTHON, "-I", "-S", app], capture_output=True, text=True)
    assert done.returncode == 1 and "GLIBC_2.99" in done.stderr, done.stderr
    done = making.intact("doctor", "--json", app)
    (finding,) = [each for each in json.loads(done.stdout)["findings"] if each["check"] == "target"]
    assert done.returncode == 1 and finding["status"] == "fail" and finding["what"] == "needs glibc 2.99"
    assert os.confstr("CS_GNU_LIBC_VERSION") in finding["why"] and "--platform manylinux_2_N" in finding["remedy"]
