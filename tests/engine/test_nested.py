"""Archives in archives: `mount(parent.open("x.whl"))`, and what `Mount.open` gives as a file."""

import importlib
import io
import json
import tarfile
import zipfile
from pathlib import Path

import building
import intact
import pytest
from support import formats, making, wheels

# Of a plain tar and a stored zip the wheel's own end is near theirs.
PARENTS = ["tar", "tar.gz", "tar.xz", "7z", "zip stored", "zip deflated", "directory"]
HELLO = {"hello/__init__.py": "from pathlib import Path\nword = Path(__file__).with_name('w.txt').read_text()\n", "hello/w.txt": "inner"}


def parent(kind, place, inner):
    """The path of an archive with the file `inner` in it, as lib/NAME."""
    tree = building.write_files(place / "outer", {f"lib/{inner.name}": inner.read_bytes(), "README": "outer"})
    if kind == "directory":
        return tree
    if kind.startswith("zip"):
        method = zipfile.ZIP_STORED if kind.endswith("stored") else zipfile.ZIP_DEFLATED
        return building.write_zip(place / "outer.zip", {f"lib/{inner.name}": inner.read_bytes(), "README": "outer"}, method)
    return formats.make(kind, tree, place / f"outer.{kind}")


@pytest.mark.parametrize("how", ["path", "bytes"])
@pytest.mark.parametrize("kind", PARENTS)
def test_wheel_in_any_archive_is_mounted_below_its_root(kind, how, tmp_path):
    wheel = making.wheel(tmp_path, "hello", HELLO)
    path = parent(kind, tmp_path, wheel)
    outer = intact.mount(path if how == "path" or kind == "directory" else Path(path).read_bytes())
    inner = intact.mount(outer.open(f"lib/{wheel.name}"))
    assert inner.root == f"{outer.root}/lib/{wheel.name}" and inner.name == inner.root and inner.format == "zip"
    with zipfile.ZipFile(wheel) as control:
        assert {name: inner.read(name) for name in inner} == {name: control.read(name) for name in control.namelist()}
    hello = importlib.import_module("hello")
    assert hello.word == "inner" and hello.__file__ == f"{inner.root}/hello/__init__.py"
    assert importlib.metadata.version("hello") == "1.0"


@pytest.mark.parametrize("kind", ["tar.xz", "zip stored", "zip deflated"])
def test_parent_may_be_unmounted_first(kind, tmp_path):
    outer = intact.mount(parent(kind, tmp_path, making.wheel(tmp_path, "hello", HELLO)))
    inner = intact.mount(outer.open("lib/hello-1.0-py3-none-any.whl"))
    outer.unmount()
    assert importlib.import_module("hello").word == "inner"
    assert open(f"{inner.root}/hello/w.txt").read() == "inner"
    with pytest.raises(OSError):
        open(f"{outer.root}/README")


def test_what_was_opened_before_the_parent_was_unmounted_cannot_be_mounted(tmp_path):
    outer = intact.mount(parent("tar.xz", tmp_path, making.wheel(tmp_path, "hello", HELLO)))
    file = outer.open("lib/hello-1.0-py3-none-any.whl")
    outer.unmount()
    with pytest.raises(ValueError, match="unmounted"):
        intact.mount(file)


def test_archives_are_nested_three_deep():
    innermost = building.zip_bytes({"deep.py": "n = 3\n"})
    tar = formats.run("xz", "-c", input=formats.tar_of(("third.zip", innermost), ("two.txt", "2")))
    mounts = [intact.mount(building.zip_bytes({"second.tar.xz": tar, "one.txt": "1"}), name="first")]
    for name in ("second.tar.xz", "third.zip"):
        mounts.append(intact.mount(mounts[-1].open(name)))
    assert mounts[2].root == "/intact/first/second.tar.xz/third.zip"
    deep = importlib.import_module("deep")
    assert deep.n == 3 and deep.__file__ == "/intact/first/second.tar.xz/third.zip/deep.py"
    assert open("/intact/first/second.tar.xz/two.txt").read() == "2" and open("/intact/first/one.txt").read() == "1"


def test_nested_wheel_for_another_python_is_a_tag_error(tmp_path):
    wheel = making.wheel(tmp_path, "hello", HELLO, tag="cp36-cp36m-manylinux1_x86_64")
    outer = intact.mount(parent("tar.xz", tmp_path, wheel))
    with pytest.raises(intact.TagError, match="cp36"):
        intact.mount(outer.open(f"lib/{wheel.name}"))
    assert intact.mounts() == (outer,)


def test_nested_archive_that_is_none_names_it_by_its_root():
    outer = intact.mount(building.zip_bytes({"a/no.whl": "text"}), name="outer")
    with pytest.raises(intact.ArchiveError, match="no known archive format") as caught:
        intact.mount(outer.open("a/no.whl"))
    assert caught.value.archive == "/intact/outer/a/no.whl"


@pytest.mark.parametrize("kind", PARENTS)
def test_native_code_of_a_nested_wheel_is_loaded(kind, tmp_path, interpreter):
    (wheel,) = wheels.fetch(["PyYAML==6.0.3"], Path(__file__).parents[2] / "build/wheels" / interpreter.tag, interpreter.executable)
    program = """
import json, sys, intact
outer = intact.mount(sys.argv[1])
inner = intact.mount(outer.open(sys.argv[2]))
outer.unmount()
import yaml
print(json.dumps([yaml.load("[1]", Loader=yaml.CSafeLoader), yaml._yaml.__file__.startswith(inner.root)]))
"""
    path = parent(kind, tmp_path, Path(wheel))
    assert json.loads(building.output_of("-c", program, path, f"lib/{Path(wheel).name}")) == [[1], True]


def test_children_have_nested_mounts(tmp_path):
    path = parent("tar.xz", tmp_path, making.wheel(tmp_path, "hello", HELLO))
    program = """
import subprocess, sys, intact
outer = intact.mount(sys.argv[1])
inner = intact.mount(outer.open("lib/hello-1.0-py3-none-any.whl"))
print(subprocess.run([sys.executable, "-c", "import hello; print(hello.word, hello.__file__)"], capture_output=True, text=True))
outer.unmount()
print(subprocess.run([sys.executable, "-c", "import hello; print(hello.word, hello.__file__)"], capture_output=True, text=True))
"""
    said = building.output_of("-c", program, path)
    assert said.count(f"inner {path}/lib/hello-1.0-py3-none-any.whl/hello/__init__.py") == 2, said


# ---- the file


@pytest.fixture(params=["tar.xz", "zip"])
def outer(request):
    lines = b"one\ntwo\n\nfour without an end"
    if request.param == "zip":
        return intact.mount(building.zip_bytes({"d/lines.txt": lines, "empty": b""}))
    return intact.mount(formats.run("xz", "-c", input=formats.tar_of(("d/lines.txt", lines), ("empty", b""))))


def test_member_is_read_as_any_binary_file(outer):
    control = io.BytesIO(outer.read("d/lines.txt"))
    with outer.open("d/lines.txt") as file:
        assert isinstance(file, io.BufferedIOBase) and file.name == f"{outer.root}/d/lines.txt"
        assert file.readable() and file.seekable() and not file.writable()
        for step in (
            lambda f: f.read(2), lambda f: f.tell(), lambda f: f.readline(), lambda f: f.seek(-5, 2), lambda f: f.read(),
            lambda f: f.read(), lambda f: f.seek(1), lambda f: f.seek(2, 1), lambda f: list(f), lambda f: f.seek(1000), lambda f: f.read(1),
            lambda f: f.seek(0), lambda f: f.readinto(bytearray(7)), lambda f: f.readlines(), lambda f: f.closed,
        ):
            assert step(file) == step(control)
    assert file.closed
    with pytest.raises(ValueError, match="closed"):
        file.read()
    with pytest.raises(ValueError, match="closed"):
        file.seek(0)


def test_member_file_refuses_what_files_refuse(outer):
    file = outer.open("d/lines.txt")
    with pytest.raises(io.UnsupportedOperation):
        file.write(b"x")
    with pytest.raises(io.UnsupportedOperation):
        file.fileno()
    with pytest.raises(OSError):
        file.seek(-1)
    with pytest.raises(ValueError):
        file.seek(0, 7)


def test_empty_member_reads_as_nothing(outer):
    assert outer.open("empty").read() == b""


def test_missing_member_and_directory_are_told_with_their_path(outer):
    with pytest.raises(FileNotFoundError) as caught:
        outer.open("d/missing")
    assert caught.value.filename == f"{outer.root}/d/missing"
    with pytest.raises(IsADirectoryError) as caught:
        outer.open("d")
    assert caught.value.filename == f"{outer.root}/d"


def test_broken_member_is_a_member_error_when_it_is_read():
    data = bytearray(building.zip_bytes({"a.txt": "content"}, zipfile.ZIP_STORED))
    data[data.index(b"content")] ^= 1
    file = intact.mount(bytes(data)).open("a.txt")
    with pytest.raises(intact.MemberError, match="CRC-32"):
        file.read()


def test_zipfile_and_tarfile_read_nested_archives(tmp_path):
    inner = building.zip_bytes({"a.txt": "a"})
    mounted = intact.mount(building.zip_bytes({"in.zip": inner, "in.tar": formats.tar_of(("b.txt", "b"))}))
    with zipfile.ZipFile(mounted.open("in.zip")) as archive:
        assert archive.read("a.txt") == b"a"
    with tarfile.open(fileobj=mounted.open("in.tar")) as archive:
        assert archive.extractfile("b.txt").read() == b"b"
