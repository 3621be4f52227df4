"""The distributions, the app and the index that most tests of packing begin with."""

import os

import index as indexes
import pytest
from support import making, program


@pytest.fixture
def pair(tmp_path):
    """They share a namespace package; one has what stays in its .data directory."""
    first = {
        "shared/one/__init__.py": "from importlib.resources import files\n"
        "n = 1\nword = files(__name__).joinpath('w.txt').read_text()\n",
        "shared/one/w.txt": "word",
        "first-1.0.data/data/share/first.conf": "conf",
        "first-1.0.data/purelib/first_pure.py": "n = 3\n",
        "first-1.0.dist-info/entry_points.txt": "[console_scripts]\nfirst = shared.one:main\n",
    }
    second = {"shared/two.py": "n = 2\n", "template.py": "{% if %}\n"}
    return making.wheel(tmp_path, "first", first), making.wheel(tmp_path, "second", second, version="2.0")


@pytest.fixture(scope="session")
def wheels(tmp_path_factory):
    """Of a program and of what it needs."""
    directory = tmp_path_factory.mktemp("wheels")
    return making.wheel(directory, "prog", program.PROGRAM), making.wheel(directory, "helper", program.HELPER)


@pytest.fixture(scope="session")
def app(wheels, tmp_path_factory):
    """That program, packed."""
    target = tmp_path_factory.mktemp("app") / "app.pyz"
    program.pack(target, "--entry", "prog.cli:main", *wheels)
    return target


@pytest.fixture(params=["uv", "pip"])
def way(request, monkeypatch):
    """Who resolves."""
    if request.param == "pip":
        monkeypatch.setenv("INTACT_UV", "0")
    return request.param


@pytest.fixture
def index(tmp_path, monkeypatch):
    """An index that pip is configured with, by a variable, and nobody else."""
    for name in os.environ:
        if name.startswith(("PIP_", "UV_")):
            monkeypatch.delenv(name)
    (tmp_path / "index").mkdir()
    (tmp_path / "home").mkdir()
    with indexes.serving(tmp_path / "index") as served:
        monkeypatch.setenv("PIP_INDEX_URL", served.url)
        monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
        monkeypatch.setenv("HOME", str(tmp_path / "home"))
        monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)
        monkeypatch.setenv("NO_PROXY", "127.0.0.1")
        monkeypatch.chdir(tmp_path)
        yield served
