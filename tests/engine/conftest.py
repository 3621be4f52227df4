"""Keeps tests apart: what one mounts, imports or puts on sys.path is gone before the next."""

import importlib
import itertools
import sys
import zipfile

import building
import disk
import intact
import intact._engine
import pytest


def _comes_from(module, prefixes):
    spec = getattr(module, "__spec__", None)
    try:
        places = [getattr(spec, "origin", None), *(getattr(spec, "submodule_search_locations", None) or ())]
    except KeyError:  # a namespace package whose parent is gone
        return True
    return any(isinstance(place, str) and place.startswith(prefixes) for place in places)


def _forget_modules(prefixes):
    for name in [name for name, module in list(sys.modules.items()) if _comes_from(module, prefixes)]:
        del sys.modules[name]


@pytest.fixture(autouse=True)
def apart(tmp_path_factory):
    path, hooks, finders = list(sys.path), list(sys.path_hooks), list(sys.meta_path)
    yield
    for mount in intact.mounts():
        mount.unmount()
    _forget_modules((str(tmp_path_factory.getbasetemp()), "/intact/"))
    sys.path[:], sys.path_hooks[:], sys.meta_path[:] = path, hooks, finders
    sys.path_importer_cache.clear()
    importlib.invalidate_caches()


@pytest.fixture
def mount(tmp_path):
    """Mounts a tree; keyword arguments go to intact.mount. `kind` is path, bytes or directory."""
    count = iter(range(1000))

    def make(tree, kind="path", compression=zipfile.ZIP_DEFLATED, **options):
        number = next(count)
        if kind == "bytes":
            return intact.mount(building.zip_bytes(tree, compression), **options)
        if kind == "directory":
            return intact.mount(building.write_files(tmp_path / f"mounted{number}", tree), **options)
        return intact.mount(building.write_zip(tmp_path / f"mounted{number}.zip", tree, compression), **options)

    return make


@pytest.fixture
def finder(mount):
    mount({"mounted.py": ""})
    return next(finder for finder in sys.meta_path if isinstance(finder, intact._engine.Finder))


@pytest.fixture
def on_path(tmp_path):
    """Writes a tree to a directory, which stands first on sys.path, and lets PathFinder list it."""
    count = itertools.count()

    def make(tree):
        directory = building.write_files(tmp_path / f"files{next(count)}", {**tree, disk.MARKER: ""})
        sys.path.insert(0, directory)
        disk.listed(directory)
        return directory

    return make
