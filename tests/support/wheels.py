"""Gets the wheels that tests, benches and the demo run on, exactly as the index serves them.

pip downloads into a directory that is kept (build/wheels/TAG), and a wheel that is there is not asked for again, so
that only the first run needs a network. Wheels are for the interpreter whose pip is called.
"""

import base64
import contextlib
import fcntl
import hashlib
import re
import subprocess
import sys
from pathlib import Path

# What intact.compat.physfs takes the place of, and its tests' and bench's control. From Python 3.13 on there is only the next.
PHYSFS = "physfs.py==0.2.0" if sys.version_info < (3, 13) else "physfs.py==0.3.0"


def canonical(name):
    """The name of a distribution as the index compares it (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()


def find(directory, requirement):
    """The wheel in `directory` that `requirement` ("name==version" or "name") names, or None."""
    name, _, version = requirement.partition("==")
    for wheel in sorted(Path(directory).glob("*.whl")):
        have, have_version = wheel.name.split("-")[:2]
        if canonical(have) == canonical(name) and version in ("", have_version):
            return wheel
    return None


@contextlib.contextmanager
def alone(directory):
    """Lets one process at a time make what `directory` keeps, which is made here: several suites may run side by side."""
    Path(directory).mkdir(parents=True, exist_ok=True)
    with open(Path(directory, ".lock"), "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def fetch(requirements, directory, python, dependencies=False):
    """Paths of the wheels for `requirements`, in their order; downloads what `directory` lacks.

    With `dependencies`, requirements are resolved by pip and every wheel in `directory` is returned:
    such a directory belongs to one caller.
    """
    directory = Path(directory)
    with alone(directory):
        missing = [r for r in requirements if find(directory, r) is None]
        if missing:
            command = [python, "-m", "pip", "--disable-pip-version-check", "download", "-q", "-d", str(directory)]
            command += ["--only-binary=:all:"] + ([] if dependencies else ["--no-deps"])
            subprocess.run(command + missing, check=True)
    if dependencies:
        return sorted(directory.glob("*.whl"))
    return [find(directory, r) for r in requirements]


def record_line(path, data):
    """A file's line in RECORD (PEP 376, PEP 427)."""
    digest = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).decode().rstrip("=")
    return f"{path},sha256={digest},{len(data)}"
