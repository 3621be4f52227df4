"""intact doctor: each reason why something cannot run is provoked for real, and told with its remedy."""

import functools
import json
import mmap
import os
import re
import subprocess
import sys

import building
import pytest
from support import sandbox

EXTENSION = building.stdlib_extension("_testmultiphase")
MODULE = f"_testmultiphase{building.SUFFIX}"
needs_extension = pytest.mark.skipif(EXTENSION is None, reason="this interpreter has its test extensions built in")
needs_seccomp = pytest.mark.skipif(bool(building.SANITIZED), reason="a sanitizer's runtime makes memory files itself")
needs_noexec_setting = pytest.mark.skipif(
    os.geteuid() != 0 or not os.path.exists("/proc/sys/vm/memfd_noexec"), reason="root sets it, since Linux 6.3"
)


def doctor(*arguments, whole=False, **options):
    done = building.python("-m", "intact", "doctor", "--json", *map(str, arguments), **options)
    facts = json.loads(done.stdout)
    assert done.returncode == (0 if facts["can_run"] else 1), done.stderr
    return facts["can_run"], facts["findings"] if whole else {each["check"]: each for each in facts["findings"]}


def library(directory, name, *needs, source="int answer(void) { return 42; }\n"):
    """Builds a shared object that needs others."""
    (directory / "source.c").write_text(source)
    target = directory / name
    command = ["gcc", "-shared", "-fPIC", "-o", target, directory / "source.c", f"-Wl,-soname,{name}", "-Wl,--no-as-needed"]
    subprocess.run([*command, *needs], check=True)
    return target


def test_here_everything_can_run():
    can_run, findings = doctor()
    assert can_run and {each["status"] for each in findings.values()} == {"ok"}, findings


def test_text_says_the_same_as_json():
    done = building.python("-m", "intact", "doctor")
    assert done.returncode == 0
    assert [line.split(":")[0].split(None, 1)[1] for line in done.stdout.splitlines()] == list(doctor()[1])


@needs_seccomp
@pytest.mark.parametrize(
    ("action", "word"), [(sandbox.REFUSE, "Operation not permitted"), (sandbox.KILL, "killed (SIGSYS)")]
)
def test_a_seccomp_filter_that_refuses_memory_is_told(action, word):
    can_run, findings = doctor(preexec_fn=functools.partial(sandbox.deny_memory_files, action))
    assert not can_run
    for check in ("files in memory", "executable memory"):
        assert findings[check]["status"] == "fail" and word in findings[check]["what"]
        assert "seccomp" in findings[check]["why"]
    assert "extract=DIR" in findings["executable memory"]["remedy"]


@needs_seccomp
@needs_extension
def test_the_directory_that_the_remedy_names_lets_shared_objects_run(tmp_path):
    archive = building.write_zip(tmp_path / "app.zip", {MODULE: EXTENSION})
    _, findings = doctor("--extract", tmp_path / "out", preexec_fn=sandbox.deny_memory_files)
    assert findings["executable memory"]["status"] == "warn" and findings["extract"]["status"] == "ok"
    run = ("-m", "intact", "run", archive, "-c", "import _testmultiphase")
    assert building.python(*run, preexec_fn=sandbox.deny_memory_files).returncode == 1
    with_directory = (*run[:3], "--extract", str(tmp_path / "out"), *run[3:])
    assert building.python(*with_directory, preexec_fn=sandbox.deny_memory_files).returncode == 0


@needs_extension
@needs_noexec_setting
def test_memfd_noexec_forbids_nothing_that_loading_needs(tmp_path):
    """With 2 the kernel refuses MFD_EXEC, which the image loader asked for; what it gives without can be mapped all the same."""
    archive = building.write_zip(tmp_path / "app.zip", {MODULE: EXTENSION})
    command = f"""echo 2 > /proc/sys/vm/memfd_noexec && {sys.executable} -m intact doctor --json {archive} > {tmp_path}/facts &&
        {sys.executable} -m intact run {archive} -c 'import _testmultiphase as m; print(m.__file__)'"""
    done = subprocess.run(["unshare", "--pid", "--fork", "--mount-proc", "sh", "-c", command], capture_output=True, text=True)
    assert done.stdout == f"{archive}/{MODULE}\n", done.stderr
    facts = json.loads((tmp_path / "facts").read_text())
    assert facts["can_run"] and any("vm.memfd_noexec is 2" in each["what"] for each in facts["findings"])


@needs_seccomp
@needs_noexec_setting
def test_memfd_noexec_is_among_the_reasons_where_memory_cannot_be_executed():
    """It forbids nothing by itself (above); who lifts the filter should know of it all the same."""
    command = f"echo 2 > /proc/sys/vm/memfd_noexec && {sys.executable} -m intact doctor --json"
    unshared = ["unshare", "--pid", "--fork", "--mount-proc", "sh", "-c", command]
    done = subprocess.run(unshared, capture_output=True, text=True, preexec_fn=sandbox.deny_memory_files)
    findings = {each["check"]: each for each in json.loads(done.stdout)["findings"]}
    for check in ("files in memory", "executable memory"):
        assert findings[check]["status"] == "fail" and "vm.memfd_noexec is 2; a seccomp filter" in findings[check]["why"]
        assert "sysctl vm.memfd_noexec=0" in findings[check]["remedy"]


@pytest.mark.skipif(bool(building.SANITIZED), reason="a sanitizer's runtime asks for the version, too")
@pytest.mark.parametrize(("version", "status"), [("glibc 2.27", "warn"), ("glibc 2.28", "ok")])
def test_a_c_library_older_than_the_engine_is_made_for_is_a_warning(tmp_path, version, status):
    """As a library says that stands before the real one: where it was true, the engine would hardly have been loaded."""
    source = f"""#include <string.h>
        #include <unistd.h>
        size_t confstr(int name, char *to, size_t size) {{
          if (name != _CS_GNU_LIBC_VERSION) return 0;
          if (size > sizeof "{version}") strcpy(to, "{version}");
          return sizeof "{version}";
        }}"""
    preloaded = library(tmp_path, "libversion.so", source=source)
    can_run, findings = doctor(env={"LD_PRELOAD": str(preloaded)})
    assert can_run and findings["glibc"]["status"] == status and findings["glibc"]["what"] == version
    assert ("glibc 2.28 and newer" in findings["glibc"]["why"]) == (status == "warn")


@needs_extension
def test_an_archive_on_a_file_system_without_execution_is_copied_a_directory_cannot_run(tmp_path):
    (tmp_path / "fs").mkdir()
    archive = building.write_zip(tmp_path / "fs" / "app.zip", {MODULE: EXTENSION})
    noexec = functools.partial(sandbox.mount_noexec, str(tmp_path / "fs"))
    can_run, findings = doctor(archive, preexec_fn=noexec)
    assert can_run and findings["shared objects"]["status"] == "warn"
    os.unlink(archive)
    building.write_files(tmp_path / "fs", {MODULE: EXTENSION})
    can_run, findings = doctor(tmp_path / "fs", preexec_fn=noexec)
    assert not can_run and "noexec" in findings["shared objects"]["what"]


def test_a_wheel_for_another_python_is_told_with_what_this_one_accepts(tmp_path):
    wheel = building.write_zip(tmp_path / "x-1.0-cp39-cp39-manylinux_2_17_x86_64.whl", {"x.py": ""})
    can_run, findings = doctor(wheel)
    assert not can_run and "cp39" in findings["tags"]["what"] and "pip download" in findings["tags"]["remedy"]


def test_an_archive_of_several_wheels_names_the_one_for_another_python(tmp_path):
    tags = {"right": "py3-none-any", "wrong": "cp39-cp39-linux_x86_64", "odd": "py3"}
    tree = {f"{name}-1.0.dist-info/WHEEL": f"Wheel-Version: 1.0\nTag: {tag}\n" for name, tag in tags.items()}
    can_run, findings = doctor(building.write_zip(tmp_path / "merged.zip", tree))
    assert not can_run and findings["tags"]["what"] == "wrong is for cp39-cp39-linux_x86_64"


def test_a_wheel_for_a_newer_glibc_is_told(tmp_path):
    tag = f"py3-none-manylinux_2_99_{os.uname().machine}"
    can_run, findings = doctor(building.write_zip(tmp_path / f"x-1.0-{tag}.whl", {"x.py": ""}))
    assert not can_run and "manylinux_2_99" in findings["tags"]["what"]


def test_a_library_that_an_extension_needs_and_nobody_has_is_told_by_its_soname(tmp_path):
    library(tmp_path, "libnowhere.so.7")
    extension = library(tmp_path, f"needy{building.SUFFIX}", tmp_path / "libnowhere.so.7")
    archive = building.write_zip(tmp_path / "app.zip", {extension.name: extension.read_bytes()})
    can_run, findings = doctor(archive)
    assert not can_run and findings["libraries"]["status"] == "fail"
    assert "libnowhere.so.7" in findings["libraries"]["what"] and extension.name in findings["libraries"]["what"]
    assert "libnowhere.so.7" in findings["libraries"]["remedy"]
    done = building.python("-m", "intact", "run", archive, "-c", "import needy")
    assert done.returncode == 1 and "libnowhere.so.7" in done.stderr


def test_a_library_that_the_archive_has_is_not_missing(tmp_path):
    bundled = library(tmp_path, "libnowhere.so.7")
    extension = library(tmp_path, f"needy{building.SUFFIX}", bundled)
    tree = {extension.name: extension.read_bytes(), "x.libs/libnowhere.so.7": bundled.read_bytes()}
    can_run, findings = doctor(building.write_zip(tmp_path / "app.zip", tree))
    assert can_run and findings["libraries"]["status"] == "ok"


def test_what_only_a_plug_in_needs_is_a_warning(tmp_path):
    library(tmp_path, "libnowhere.so.7")
    plugin = library(tmp_path, "libplugin.so", tmp_path / "libnowhere.so.7")
    can_run, findings = doctor(building.write_zip(tmp_path / "app.zip", {"plugins/libplugin.so": plugin.read_bytes()}))
    assert can_run and findings["libraries"]["status"] == "warn"


def elf_hash(name):
    """Of a version's name, by which the dynamic linker compares."""
    number = 0
    for byte in name:
        number = (number << 4) + byte
        number = (number ^ (number & 0xF0000000) >> 24) & 0x0FFFFFFF
    return number.to_bytes(4, "little")


def for_a_newer_glibc(path):
    """The shared object with the need of one version of libc replaced by that of one that is not there yet."""
    source = "int printf(const char*, ...); int PyInit_new(void) { return printf(\"\"); }\n"
    data = library(path, "new.so", source=source).read_bytes()
    old = re.search(rb"\0(GLIBC_2\.[0-9.]+)\0", data)[1]
    new = b"GLIBC_2.".ljust(len(old), b"9")
    return data.replace(b"\0%b\0" % old, b"\0%b\0" % new).replace(elf_hash(old), elf_hash(new)), new.decode()


@pytest.mark.parametrize(("name", "status"), [(f"new{building.SUFFIX}", "fail"), ("plugins/libnew.so", "warn")])
def test_a_version_that_a_library_here_does_not_have_is_told(tmp_path, name, status):
    """All was well, and the dynamic linker refused the object."""
    content, version = for_a_newer_glibc(tmp_path)
    archive = building.write_zip(tmp_path / "app.zip", {name: content})
    can_run, findings = doctor(archive)
    assert can_run == (status == "warn") and findings["libraries"]["status"] == status
    assert f"libc.so.6 has no {version}" in findings["libraries"]["what"] and name in findings["libraries"]["what"]
    load = f"import intact, ctypes; ctypes.CDLL(intact.mount({str(archive)!r}).root + '/{name}')"
    assert f"`{version}' not found" in building.python("-c", load).stderr


def machine(number):
    return lambda data: data[:18] + number.to_bytes(2, "little") + data[20:]


WRONG = {
    "other machine": (machine(62 if os.uname().machine == "aarch64" else 183), "this is " + os.uname().machine),
    "unknown machine": (machine(9), "machine"),
    "32 bit": (lambda data: data[:4] + b"\1" + data[5:], "32-bit"),
    "no object": (lambda data: b"text" * 100, "not an ELF file"),
}


@pytest.mark.parametrize(("change", "word"), WRONG.values(), ids=WRONG.keys())
@pytest.mark.parametrize(("name", "fails"), [(f"wrong{building.SUFFIX}", True), ("wrong.so", False), ("libwrong.so.1", False)])
def test_an_extension_module_that_cannot_be_loaded_fails(tmp_path, change, word, name, fails):
    """It was a warning, and nothing for another machine. Other objects may never be loaded, as those of a tool for several machines."""
    content = change(library(tmp_path, "wrong.so").read_bytes())
    can_run, findings = doctor(building.write_zip(tmp_path / "app.zip", {name: content}))
    assert can_run != fails and findings["shared objects"]["status"] == ("fail" if fails else "warn")
    assert name in findings["shared objects"]["what"] and word in findings["shared objects"]["what"]
    assert findings["libraries"]["status"] == "ok"


def test_an_extension_module_without_a_tag_is_known_by_its_function(tmp_path):
    data = library(tmp_path, "plain.so", source="int PyInit_plain(void) { return 0; }\n").read_bytes()
    can_run, findings = doctor(building.write_zip(tmp_path / "app.zip", {"plain.so": WRONG["32 bit"][0](data)}))
    assert not can_run and findings["shared objects"]["status"] == "fail"


def test_what_an_app_has_for_another_python_is_not_looked_at(tmp_path):
    tree = {".intact/cpython-39-x86_64-linux-gnu/wrong.abi3.so": b"no object"}
    can_run, findings = doctor(building.write_zip(tmp_path / "app.zip", tree))
    assert can_run and findings["shared objects"]["what"] == "none"


def test_an_archive_smaller_than_a_page_can_be_mapped(tmp_path):
    """Of a shared object in one it was said that it could not."""
    archive = building.write_zip(tmp_path / "app.zip", {"small.so": b"no object"})
    assert os.stat(archive).st_size < mmap.PAGESIZE
    _, findings = doctor(archive, whole=True)
    assert [each["status"] for each in findings if each["check"] == "shared objects"] == ["ok", "warn"]


@pytest.mark.parametrize(("name", "status"), [("__main__.py", "fail"), ("data.txt", "warn")])
def test_what_is_encrypted_needs_a_password_that_opens_it(tmp_path, name, status):
    """Nothing was said of it, and that it can run, where the entry point itself is encrypted."""
    (tmp_path / name).write_text("secret = 1\n")
    command = ["7zz", "a", "-bd", "-tzip", "-psesame", "-mem=AES256", "app.zip", name]
    subprocess.run(command, cwd=tmp_path, check=True, stdout=subprocess.DEVNULL)
    can_run, findings = doctor(tmp_path / "app.zip")
    assert can_run == (status != "fail") and findings["encryption"]["status"] == status
    assert name in findings["encryption"]["what"] and "INTACT_PASSWORD" in findings["encryption"]["remedy"]
    can_run, findings = doctor(tmp_path / "app.zip", env={"INTACT_PASSWORD": "wrong"})
    assert not can_run and "INTACT_PASSWORD" in findings["archive"]["remedy"]
    can_run, findings = doctor(tmp_path / "app.zip", env={"INTACT_PASSWORD": "sesame"})
    assert can_run and findings["encryption"]["status"] == "ok"
    (tmp_path / "password").write_text("sesame\n")
    assert doctor(tmp_path / "app.zip", "--password-file", tmp_path / "password")[1]["encryption"]["status"] == "ok"


@pytest.mark.parametrize("damage", [lambda data: data[:40], lambda data: b"no archive"])
def test_a_broken_archive_is_told(tmp_path, damage):
    archive = tmp_path / "app.zip"
    archive.write_bytes(damage(building.zip_bytes({"x.py": ""})))
    can_run, findings = doctor(archive)
    assert not can_run and str(archive) in findings["archive"]["what"] and findings["archive"]["remedy"]


def test_an_archive_that_is_not_there_is_told(tmp_path):
    can_run, findings = doctor(tmp_path / "absent.zip")
    assert not can_run and "absent.zip" in findings["archive"]["what"]


def test_files_that_are_switched_off_are_told():
    can_run, findings = doctor(env={"INTACT_FILES": "0"})
    assert can_run and findings["INTACT_FILES"]["status"] == "warn"


def test_a_directory_for_shared_objects_that_is_not_there_is_tried_and_leaves_nothing(tmp_path):
    """It stayed, with those above it."""
    (tmp_path / "kept").mkdir()
    for path in (tmp_path / "kept", tmp_path / "kept" / "a" / "b", tmp_path / "c"):
        _, findings = doctor("--extract", path)
        assert findings["extract"]["status"] == "ok"
        assert ("would be made" in findings["extract"]["what"]) == (path.name != "kept")
    _, findings = doctor("--extract", "d//e/../f", cwd=tmp_path)
    assert findings["extract"]["status"] == "ok"
    assert [str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*")] == ["kept"]


def test_a_directory_for_shared_objects_that_cannot_be_written_is_told(tmp_path):
    (tmp_path / "file").write_text("")
    can_run, findings = doctor("--extract", tmp_path / "file" / "below")
    assert not can_run and findings["extract"]["status"] == "fail"


