"""Symbolic links in archives: they are what they lead to, within the archive alone. The control is the kernel, on the same tree."""

import importlib
import io
import os
import stat
import tarfile
import zipfile

import building
import intact
import pytest
from support import formats

# path: text, or ("link", target)
TREE = {
    "pkg/__init__.py": "",
    "pkg/real.py": "word = 'linked'\n",
    "pkg/file.py": ("link", "real.py"),
    "pkg/chain.py": ("link", "file.py"),
    "pkg/up.py": ("link", "../pkg/sub/../real.py"),
    "pkg/dotted.py": ("link", "././/real.py"),
    "pkg/sub/__init__.py": "from pkg import real\n",
    "pkg/sub/deep/data.txt": "data",
    "alias": ("link", "pkg"),
    "again": ("link", "alias"),
    "short": ("link", "pkg/sub/deep"),
    "through.txt": ("link", "again/sub/deep/data.txt"),
    "pkg/sub/deep/back.py": ("link", "../../real.py"),
}
CIRCLES = {
    "self": ("link", "self"),
    "a": ("link", "b"),
    "b": ("link", "a"),
    "d/loop": ("link", "../d"),
    "d/file.txt": "d",
    "e/to_f": ("link", "../f"),
    "f/to_e": ("link", "../e"),
    "e/e.txt": "e",
    "f/f.txt": "f",
    "top": ("link", "."),
}
NOWHERE = {
    "absolute": ("link", "/etc/passwd"),
    "escaping": ("link", "../outside"),
    "deeper/escaping": ("link", "../../outside"),
    "dangling": ("link", "missing"),
    "below_a_file": ("link", "good.txt/x"),
    "long": ("link", "x/" * 2500 + "y"),
    "empty": ("link", ""),
    "good.txt": "good",
}


def packed(tree, kind):
    if kind == "tar":
        return formats.tar_of(*((path, formats.link(c[1]) if isinstance(c, tuple) else c) for path, c in tree.items()))
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for path, content in tree.items():
            info = zipfile.ZipInfo(path, building.NOON)
            info.create_system = 3
            link = isinstance(content, tuple)
            info.external_attr = (stat.S_IFLNK | 0o777 if link else stat.S_IFREG | 0o644) << 16
            archive.writestr(info, content[1] if link else content)
    return buffer.getvalue()


def on_disk(directory, tree):
    for path, content in tree.items():
        target = directory / path
        target.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(content, tuple):
            target.symlink_to(content[1])
        else:
            target.write_text(content)
    return directory


def contents_below(top):
    return {
        os.path.relpath(os.path.join(place, name), top): open(os.path.join(place, name), "rb").read()
        for place, _, names in os.walk(top, followlinks=True)
        for name in names
    }


@pytest.mark.parametrize("kind", ["tar", "zip"])
def test_links_show_what_the_kernel_shows(kind, tmp_path):
    control = contents_below(on_disk(tmp_path / "control", TREE))
    mounted = intact.mount(packed(TREE, kind))
    assert {name: mounted.read(name) for name in mounted} == control == contents_below(mounted.root)
    assert mounted._unreachable == 0


@pytest.mark.parametrize("make", [("tar", "-cf", "-"), ("bsdtar", "-cf", "-", "--format", "cpio"), ("bsdtar", "-cf", "-", "--format", "xar")])
def test_links_of_other_writers_are_read(make, tmp_path):
    control = contents_below(on_disk(tmp_path / "control", TREE))
    packed = formats.run(*make, *os.listdir(tmp_path / "control"), cwd=tmp_path / "control")
    mounted = intact.mount(packed)
    assert {name: mounted.read(name) for name in mounted} == control


@pytest.mark.parametrize("kind", ["zip", "7z", "iso"])
def test_links_in_archives_that_are_no_streams_are_read(kind, tmp_path):
    control = contents_below(on_disk(tmp_path / "control", TREE))
    if kind == "zip":
        formats.run("zip", "-q", "-r", "-y", tmp_path / "a.zip", ".", cwd=tmp_path / "control")
    elif kind == "7z":
        formats.run("7zz", "a", "-bd", "-snl", tmp_path / "a.7z", ".", cwd=tmp_path / "control")
    else:
        formats.make(kind, tmp_path / "control", tmp_path / "a.iso")
    mounted = intact.mount(tmp_path / f"a.{kind}")
    assert {name: mounted.read(name) for name in mounted} == control


@pytest.mark.parametrize("kind", ["tar", "zip"])
def test_modules_are_imported_through_links(kind):
    mounted = intact.mount(packed(TREE, kind))
    for name in ("pkg.file", "pkg.chain", "pkg.up", "alias.real", "again.sub", "alias.sub.deep.back"):
        module = importlib.import_module(name)
        assert module.__file__.startswith(f"{mounted.root}/{name.split('.')[0]}/")
    assert importlib.import_module("alias.real").word == "linked"
    assert importlib.import_module("alias.real") is not importlib.import_module("pkg.real")  # as from files


@pytest.mark.parametrize("kind", ["tar", "zip"])
def test_lstat_shows_no_links(kind):
    mounted = intact.mount(packed(TREE, kind))
    assert stat.S_ISREG(os.lstat(f"{mounted.root}/pkg/file.py").st_mode)
    assert stat.S_ISDIR(os.lstat(f"{mounted.root}/alias").st_mode)
    assert not os.path.islink(f"{mounted.root}/through.txt")
    assert os.path.realpath(f"{mounted.root}/pkg/chain.py") == f"{mounted.root}/pkg/chain.py"


@pytest.mark.parametrize("kind", ["tar", "zip"])
def test_circles_are_left_out_and_counted(kind):
    mounted = intact.mount(packed(CIRCLES, kind))
    found = set(mounted)
    assert {"d/file.txt", "e/e.txt", "f/f.txt", "e/to_f/f.txt", "f/to_e/e.txt"} == found
    # self, a, b, d/loop, top; f/to_e below e/to_f, e/to_f below f/to_e
    assert mounted._unreachable == 7


@pytest.mark.parametrize("kind", ["tar", "zip"])
def test_links_that_lead_nowhere_are_left_out_and_verify_tells(kind, tmp_path):
    (tmp_path / "a").write_bytes(packed(NOWHERE, kind))
    mounted = intact.mount(tmp_path / "a")
    assert list(mounted) == ["good.txt"] and mounted._unreachable == len(NOWHERE) - 1
    said = building.python("-m", "intact", "verify", str(tmp_path / "a"))
    assert f"{len(NOWHERE) - 1}" in said.stdout + said.stderr


@pytest.mark.parametrize("kind", ["tar", "zip"])
def test_target_with_a_nul_is_left_out(kind):
    if kind == "tar":
        content = formats.tar_of(("link", formats.link("goodXtxt")), ("good", "g"), format=tarfile.USTAR_FORMAT)
        at = content.index(b"goodXtxt")
        info = tarfile.TarInfo.frombuf(content[:512], "ascii", "strict")
        info.linkname = "good\0txt"
        content = info.tobuf(tarfile.USTAR_FORMAT) + content[512:]
        assert at
        assert sorted(intact.mount(content)) == ["good", "link"]  # a tar's field ends there
    else:
        mounted = intact.mount(packed({"link": ("link", "good\0txt"), "good": "g"}, kind))
        assert list(mounted) == ["good"] and mounted._unreachable == 1


def test_targets_are_no_links_to_mount_as_files():
    """A link of more than one step to the root is the archive's own matter, not the file system's."""
    mounted = intact.mount(packed({"x": ("link", "../../../../../../etc/passwd"), "y": "y"}, "tar"), name="apart")
    assert not os.path.exists("/intact/apart/x") and list(mounted) == ["y"]


@pytest.mark.parametrize("kind", ["tar", "zip"])
def test_links_that_multiply_are_refused(kind):
    """Directory n has ten links to directory n + 1: 10 ** 9 files from some kilobytes."""
    tree = {f"d{n}/l{i}": ("link", f"../d{n + 1}") for n in range(9) for i in range(10)} | {"d9/file": "x"}
    with pytest.raises(intact.ArchiveError, match="symbolic links that make more members"):
        intact.mount(packed(tree, kind))


def test_links_that_make_more_members_than_the_cap_are_refused():
    tree = {"d/file": "x", "d/other": "y"} | {f"l{n}": ("link", "d") for n in range(10)}
    assert len(intact.mount(packed(tree, "tar"), max_members=22)) == 22
    with pytest.raises(intact.ArchiveError, match="more members"):
        intact.mount(packed(tree, "tar"), max_members=21)


def test_target_over_the_cap_of_a_member_is_left_out():
    mounted = intact.mount(packed({"link": ("link", "directory/file"), "directory/file": "abc"}, "tar"), max_member_size=5)
    assert list(mounted) == ["directory/file"] and mounted._unreachable == 1


def test_chain_of_links_is_followed_as_far_as_linux_does(tmp_path):
    tree = {f"l{n}": ("link", f"l{n + 1}") for n in range(60)} | {"l60": "end"}
    directory = on_disk(tmp_path / "control", tree)
    control = {name for name in os.listdir(directory) if os.path.exists(directory / name)}
    assert set(intact.mount(packed(tree, "tar"))) == control
