"""A wheel is mounted exactly where pip would install it; else the error names its tags and what is accepted.

The control is what this interpreter's pip says that it supports.
"""

import importlib.util
import itertools
import os
import sys

import building
import intact
import pytest
from pip._internal.utils.compatibility_tags import get_supported

HERE = f"cp{sys.version_info[0]}{sys.version_info[1]}"
MINOR = sys.version_info[1]
SUPPORTED = {str(tag) for tag in get_supported()}
MACHINE = os.uname().machine

PYTHONS = [
    "py2",
    "py3",
    "py30",
    f"py3{MINOR}",
    f"py3{MINOR + 1}",
    f"py3{MINOR - 1}",
    "cp27",
    "cp2",
    "cp3",
    "cp31",
    "cp32",
    "cp36",
    f"cp3{MINOR - 1}",
    HERE,
    f"cp3{MINOR + 1}",
    "pp310",
    "ip27",
    "cp",
    "py",
    "xx3",
]
ABIS = ["none", "abi3", HERE, f"{HERE}t", f"{HERE}d", "cp36m", f"cp3{MINOR - 1}", f"cp3{MINOR + 1}"]
PLATFORMS = [
    "any", f"linux_{MACHINE}", f"manylinux1_{MACHINE}", f"manylinux2010_{MACHINE}", f"manylinux2014_{MACHINE}", f"manylinux_2_5_{MACHINE}",
    f"manylinux_2_17_{MACHINE}", f"manylinux_2_28_{MACHINE}", f"manylinux_2_99_{MACHINE}", f"manylinux_3_1_{MACHINE}", f"musllinux_1_2_{MACHINE}",
    "manylinux_2_17_riscv64", "linux_riscv64", "macosx_11_0_arm64", "win_amd64",
]  # fmt: skip


@pytest.mark.parametrize("python", PYTHONS)
def test_tag_is_accepted_where_pip_accepts_it(tmp_path, python):
    wrong = []
    archive = building.zip_bytes({"m.py": ""})
    for abi, platform in itertools.product(ABIS, PLATFORMS):
        tag = f"{python}-{abi}-{platform}"
        wheel = tmp_path / f"thing-1.0-{tag}.whl"
        wheel.write_bytes(archive)
        try:
            intact.mount(wheel).unmount()
            accepted = True
        except intact.TagError:
            accepted = False
        if accepted != (tag in SUPPORTED):
            wrong.append((tag, accepted))
    assert wrong == []


def refused(tmp_path, name, tree=None):
    with pytest.raises(intact.TagError) as caught:
        intact.mount(building.write_zip(tmp_path / name, tree or {"refused_module.py": ""}))
    return caught.value


def test_refusal_names_the_tag_and_what_is_accepted(tmp_path):
    message = str(refused(tmp_path, "thing-1.0-cp38-cp38-win_amd64.whl"))
    assert "thing-1.0-cp38-cp38-win_amd64.whl" in message
    assert "the wheel is for cp38-cp38-win_amd64" in message
    assert HERE in message.partition("accepts")[2]
    assert MACHINE in message.partition("accepts")[2]


def test_refusal_leaves_nothing_behind(tmp_path):
    error = refused(tmp_path, "thing-1.0-cp38-cp38-win_amd64.whl")
    assert isinstance(error, ImportError)
    assert intact.mounts() == ()
    assert importlib.util.find_spec("refused_module") is None
    assert not any(path.endswith(".whl") for path in sys.path)


def test_one_of_several_compressed_tags_is_enough(tmp_path):
    name = f"thing-1.0-cp38.{HERE}-none.{HERE}-win_amd64.manylinux_2_17_{MACHINE}.manylinux2014_{MACHINE}.whl"
    intact.mount(building.write_zip(tmp_path / name, {"m.py": ""}))


def test_build_number_is_no_tag(tmp_path):
    intact.mount(building.write_zip(tmp_path / "thing-1.0-1-py3-none-any.whl", {"m.py": ""}))
    assert "cp38-cp38-win_amd64" in str(refused(tmp_path, "thing-1.0-1-cp38-cp38-win_amd64.whl"))


WHEEL = "Wheel-Version: 1.0\nRoot-Is-Purelib: false\nTag: {}\n"


@pytest.mark.parametrize("line_end", ["\n", "\r\n"])
def test_wheel_under_another_name_is_asked_for_its_metadata(tmp_path, line_end):
    tree = {
        "refused_module.py": "",
        "thing-1.0.dist-info/WHEEL": WHEEL.format("cp38-cp38-win_amd64").replace("\n", line_end),
    }
    assert "cp38-cp38-win_amd64" in str(refused(tmp_path, "renamed.zip", tree))


def test_wheel_in_memory_is_asked_for_its_metadata():
    with pytest.raises(intact.TagError, match="cp38-cp38-win_amd64"):
        intact.mount(building.zip_bytes({"thing-1.0.dist-info/WHEEL": WHEEL.format("cp38-cp38-win_amd64")}))


def test_name_given_by_the_user_does_not_hide_the_tag(tmp_path):
    wheel = building.write_zip(tmp_path / "thing-1.0-cp38-cp38-win_amd64.whl", {"m.py": ""})
    with pytest.raises(intact.TagError):
        intact.mount(wheel, name="thing")


def test_archive_of_several_wheels_is_not_asked(tmp_path):
    tree = {f"{name}-1.0.dist-info/WHEEL": WHEEL.format("cp38-cp38-win_amd64") for name in ("a", "b")}
    assert len(intact.mount(building.write_zip(tmp_path / "all.zip", tree))) == 2


def test_broken_metadata_does_not_hinder_mounting(mount):
    mount({"thing-1.0.dist-info/WHEEL": b"\xff\xfe", "m.py": ""})


def test_wheel_of_a_directory_name_is_no_wheel(tmp_path):
    building.write_files(tmp_path / "thing-1.0-cp38-cp38-win_amd64.whl", {"in_directory.py": ""})
    intact.mount(tmp_path / "thing-1.0-cp38-cp38-win_amd64.whl")
