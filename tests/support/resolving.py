"""Resolving as the tests of it do: into a directory of its own, which holds what was found and nothing else."""

import os
import sys
from pathlib import Path

import pytest
from intact._pack.errors import PackError
from intact._pack.resolve import Target, resolve

HERE = f"3.{sys.version_info[1]}"
OTHER = "3.12" if HERE != "3.12" else "3.13"
ELSEWHERE = Target(OTHER, "manylinux_2_28_aarch64")


def packed(tmp_path, *requirements, target=None, **options):
    """What was resolved, and nothing else is in the directory."""
    directory = tmp_path / f"out{len(list(tmp_path.glob('out*')))}"
    wheels = resolve([*map(str, requirements)], str(directory), target=target or Target.here(), **options)
    assert sorted(os.listdir(directory)) == sorted(
        os.path.basename(path) for path in wheels if Path(path).parent == directory
    )
    return wheels


def names(wheels):
    return [os.path.basename(path).partition("-")[0] for path in wheels]


def refused(tmp_path, *requirements, target=None, **options):
    """The one line that says why, and the directory is empty."""
    directory = tmp_path / "refused"
    with pytest.raises(PackError) as error:
        resolve([*map(str, requirements)], str(directory), target=target or Target.here(), **options)
    assert not directory.exists() or os.listdir(directory) == []
    assert "\n" not in str(error.value)
    return str(error.value)
