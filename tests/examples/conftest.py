"""Where the examples are, and the surroundings that their programs start in."""

import os
import sys
from pathlib import Path

import pytest
from support import packages
from support import wheels as fetching

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"


@pytest.fixture(scope="session")
def examples():
    return EXAMPLES


@pytest.fixture(scope="session")
def environment():
    """Without what steers pip, uv and Python; nothing is compiled into the source tree."""
    steering = ("PIP_", "UV_", "PYTHON", "INTACT_")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(steering)}
    return {**kept, "PYTHONDONTWRITEBYTECODE": "1"}


@pytest.fixture(scope="session")
def wheels(interpreter):
    """Gives the paths of published wheels, which are downloaded once, into one directory."""

    def get(*requirements):
        return fetching.fetch(requirements, packages.BUILD / "wheels" / interpreter.tag, sys.executable)

    return get
