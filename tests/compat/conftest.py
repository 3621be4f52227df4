"""Ours and the originals, so far as the index has them for this interpreter; and archives for both."""

import importlib
import os
import sys
import zipfile

import pytest
from support import wheels
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
