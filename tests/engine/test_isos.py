"""iso9660 volumes as programs write them, with what Rock Ridge and Joliet have for what ECMA-119 has no room for. The control is the filesystem."""

import os
from pathlib import Path

import intact
import pytest
from support import formats

GENISOIMAGE = ("genisoimage", "-quiet")
XORRISO = ("xorriso", "-as", "mkisofs", "-quiet")
ROCK_RIDGE = {
    "genisoimage": (*GENISOIMAGE, "-R"),
    "genisoimage-with-joliet": (*GENISOIMAGE, "-R", "-J"),
    "genisoimage-not-relocated": (*GENISOIMAGE, "-R", "-D"),
    "genisoimage-of-owners": (*GENISOIMAGE, "-r", "-iso-level", "3"),
    "xorriso": (*XORRISO, "-R"),
    "xorriso-with-joliet": (*XORRISO, "-R", "-J"),
}
JOLIET = {"genisoimage": (*GENISOIMAGE, "-J"), "genisoimage-long": (*GENISOIMAGE, "-J", "-joliet-long"), "xorriso": (*XORRISO, "-J")}


def write(directory, tree):
    for path, text in tree.items():
        target = directory / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text)
    return directory


def read_back(command, directory, tmp_path):
    """What the volume that a program writes of the directory has, and what the filesystem has, by paths."""
    formats.run(*command, "-o", tmp_path / "a.iso", directory)
    mounted = intact.mount(tmp_path / "a.iso")
    found = (Path(root, name) for root, _, names in os.walk(directory) for name in names if os.path.exists(f"{root}/{name}"))
    return {name: mounted.read(name) for name in mounted}, {str(path.relative_to(directory)): path.read_bytes() for path in found}


def levels(count):
    """A file in each of so many directories in one another, and in one beside the next."""
    names = [f"level{number}" for number in range(count)]
    return {"/".join([*names[:depth], *side, "file"]): f"{depth}" for depth in range(count + 1) for side in ([], ["side"])}


@pytest.mark.parametrize("command", ROCK_RIDGE.values(), ids=ROCK_RIDGE)
def test_directories_deeper_than_eight_levels_are_where_they_were(command, tmp_path):
    """genisoimage puts each ninth one elsewhere, with something that stands for it (CL, RE)."""
    volume, there = read_back(command, write(tmp_path / "in", levels(30)), tmp_path)
    assert volume == there


def test_directories_that_xorriso_relocates_are_where_they_were(tmp_path):
    """It marks the directory that they are in as if that was relocated. libarchive reads no more than one such step."""
    volume, there = read_back((*XORRISO, "-R", "-rr_reloc_dir", "/rr_moved"), write(tmp_path / "in", levels(10)), tmp_path)
    assert volume == there


@pytest.mark.parametrize("command", ROCK_RIDGE.values(), ids=ROCK_RIDGE)
def test_names_of_250_characters_are_whole(command, tmp_path):
    """They do not fit into a record, and go on elsewhere (CE)."""
    tree = {f"{number:03}" + "n" * 247: f"{number}" for number in range(40)}
    tree["/".join(letter * 250 for letter in "abcdef") + "/file"] = "deep"
    volume, there = read_back(command, write(tmp_path / "in", tree), tmp_path)
    assert volume == there


@pytest.mark.parametrize("command", ROCK_RIDGE.values(), ids=ROCK_RIDGE)
def test_links_lead_to_what_they_name(command, tmp_path):
    """One of 240 characters. Of one that takes more than one entry (SL) libarchive reads another target; the others are there."""
    name, long = "n" * 230, "/".join(letter * 120 for letter in "abcdef")
    control = write(tmp_path / "in", {f"d/{name}": "far", "near": "near"})
    (control / "link").symlink_to(f"d/{name}")
    (control / "long").symlink_to(f"{long}/file")
    os.link(control / "near", control / "hard")
    volume, there = read_back(command, control, tmp_path)
    assert volume == there == {f"d/{name}": b"far", "near": b"near", "hard": b"near", "link": b"far"}


@pytest.mark.parametrize("command", JOLIET.values(), ids=JOLIET)
def test_joliet_names_alone(command, tmp_path):
    tree = {"short.txt": "a", "d/\u00fcber " + "n" * 50 + ".text": "b", "a/b/c/d/e/f/g": "c"}
    volume, there = read_back(command, write(tmp_path / "in", tree), tmp_path)
    assert volume == there


def test_files_that_are_packed_by_themselves(tmp_path):
    """zisofs (ZF), whose contents libarchive unpacks."""
    control = write(tmp_path / "in", {"zeros": "0" * 200_000, "d/few": "few"})
    formats.run("xorriso", "-outdev", tmp_path / "a.iso", "-map", control, "/", "-set_filter_r", "--zisofs", "/", "--")
    assert (tmp_path / "a.iso").read_bytes().count(b"0" * 1000) == 0
    with intact.mount(tmp_path / "a.iso") as mounted:
        assert mounted.read("zeros") == b"0" * 200_000 and mounted.read("d/few") == b"few"
