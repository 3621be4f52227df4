"""Starts a Jupyter kernel out of the wheels in the folder beside this file, which is where a notebook imports from, too."""

import sys
from pathlib import Path

import intact

here = Path(__file__).parent
for wheel in sorted(here.glob("wheels/*.whl")):
    intact.mount(wheel)
sys.path[:] = [path for path in sys.path if path != str(here)]  # the notebook's own directory comes first

from ipykernel import kernelapp  # noqa: E402

kernelapp.launch_new_instance()
