"""The distributions, and the app, that most tests of packing begin with."""

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
