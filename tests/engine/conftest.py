"""Keeps tests apart: what one mounts, imports or puts on sys.path is gone before the next."""

import importlib
import sys
import zipfile

import building
import hypothesis
import intact
import pytest

hypothesis.settings.register_profile(
    "engine",
    derandomize=True,
    deadline=None,
    database=None,
    suppress_health_check=[hypothesis.HealthCheck.function_scoped_fixture, hypothesis.HealthCheck.too_slow],
)
hypothesis.settings.load_profile("engine")


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
