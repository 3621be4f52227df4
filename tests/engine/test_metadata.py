"""importlib.metadata on mounts: what it tells is what it tells of the same files on disk, and nothing is opened for it."""

import importlib.metadata
import os
import subprocess
import sys

import building
import intact
import pytest

TREE = {
    "one/__init__.py": "",
    "one-1.0.dist-info/METADATA": "Metadata-Version: 2.1\r\nName: one\r\nVersion: 1.0\r\nRequires-Dist: two\r\n\r\nNaïve.\n",
    "one-1.0.dist-info/entry_points.txt": "[console_scripts]\none = one:main\n[things]\na = one:a\n",
    "one-1.0.dist-info/RECORD": "one/__init__.py,,\none-1.0.dist-info/RECORD,,\n",
    "one-1.0.dist-info/top_level.txt": "one\n",
    "two.egg-info/PKG-INFO": "Metadata-Version: 2.1\nName: two\nVersion: 2.0\n",
}


def told():
    one = importlib.metadata.distribution("one")
    return (
        importlib.metadata.version("two"),
        dict(one.metadata.items()),
        one.metadata.get_payload(),
        one.requires,
        [str(path) for path in one.files],
        one.read_text("absent"),
        sorted(entry.value for entry in one.entry_points),
        [entry.name for entry in importlib.metadata.entry_points(group="things")],
        importlib.metadata.packages_distributions()["one"],
    )


@pytest.mark.parametrize("kind", ["path", "bytes"])
def test_metadata_of_a_mount_is_that_of_the_files(kind, mount, tmp_path, monkeypatch):
    mount(TREE, kind)
    ours = told()
    for each in list(sys.path):
        if each.startswith(("/intact/", str(tmp_path))):
            sys.path.remove(each)
    monkeypatch.syspath_prepend(str(building.write_files(tmp_path / "control", TREE)))
    assert ours == told()


def test_metadata_of_an_archive_in_a_mount_is_read_by_importlib(mount, monkeypatch):
    """zipfile.Path is what importlib has for it, and below the root there is no directory of that name: it had no metadata."""
    mounted = mount({"inner.zip": building.zip_bytes(TREE)})
    monkeypatch.syspath_prepend(f"{mounted.root}/inner.zip")
    assert importlib.metadata.version("one") == "1.0"
    assert [entry.name for entry in importlib.metadata.entry_points(group="things")] == ["a"]


def test_metadata_is_read_without_opening_it(tmp_path):
    archive = building.write_zip(tmp_path / "app.zip", TREE)
    code = f"""
import importlib.metadata, sys
intact.mount({str(archive)!r})
importlib.metadata.version("one")
opened = []
sys.addaudithook(lambda event, values: opened.append(values[0]) if event == "open" else None)
assert importlib.metadata.version("one") == "1.0"
assert [e.name for e in importlib.metadata.entry_points(group="things")] == ["a"]
print([path for path in opened if str(path).startswith({str(archive)!r})])
"""
    assert run(code) == "[]\n"


def test_what_is_patched_when_it_is_loaded_can_be_looked_at_before(mount):
    """Whoever asks for the loader of a module that is not loaded is given what that can do."""
    code = """
import importlib.util, pkgutil, sys
assert "importlib.metadata" not in sys.modules
loader = importlib.util.find_spec("importlib.metadata").loader
assert loader.is_package("importlib.metadata") and loader.get_code("importlib.metadata")
print(b"def version(" in pkgutil.get_data("importlib.metadata", "__init__.py"))
"""
    assert run(code) == "True\n"


def test_a_directory_by_the_name_of_what_is_patched_is_a_namespace(tmp_path):
    archive = building.write_zip(tmp_path / "app.zip", {"pkg_resources/data.txt": ""})
    code = f"""
import sys
sys.path.remove({os.path.dirname(os.path.dirname(intact.__file__))!r})  # a regular package may lie there
intact.mount({str(archive)!r})
import pkg_resources
print(pkg_resources.__file__)
"""
    assert run(code) == "None\n"


def run(code):
    environment = {**os.environ, "PYTHONPATH": os.path.dirname(os.path.dirname(intact.__file__))}
    done = subprocess.run(
        [sys.executable, "-S", "-c", f"import intact\n{code}"], env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return done.stdout
