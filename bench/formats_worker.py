"""One archive, in this process, as worker.py is for run.py: prints what it took as JSON.

    python -I -S -B formats_worker.py read|mount|try SITE ARCHIVE

The clock runs from before the first import of intact. `try` mounts from memory too, and imports numpy from there and from disk.
"""

import json
import os
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import memory  # noqa: E402
from worker import timed  # noqa: E402

del sys.path[0]


def mount(site, source):
    sys.path.insert(0, site)
    import intact

    sys.path.remove(site)
    return intact.mount(source)


def read(site, path):
    count = []

    def phase():
        mounted = mount(site, path)
        count[:] = len(mounted), sum(len(mounted.read(name)) for name in mounted)

    return timed(phase) | {"count": count}


def mounting(site, path):
    mount(site, b"PK\5\6" + bytes(18))  # what mounting itself imports is no cost of the archive
    mounted = []
    before = memory.private(["self"])
    result = timed(lambda: mounted.append(mount(site, path)))
    assert "numpy/__init__.py" in mounted[0]  # an index that is made late is made now
    return result | {"memory": memory.private(["self"]) - before}


def attempt(site, path):
    """Whether it can be mounted from disk and from memory, and of numpy's shared objects, from disk, how many are mapped."""
    with open(path, "rb") as file:
        with mount(site, file.read()) as mounted:
            in_memory = mounted.read("numpy/__init__.py")
    mounted = mount(site, path)
    same = mounted.read("numpy/__init__.py") == in_memory
    import intact
    import numpy

    native = float(numpy.arange(4).sum()) == 6 and numpy.__file__.startswith(mounted.root)
    stats = intact.stats()
    result = {"disk": same, "memory": same, "native": native, "images": stats["images"]}
    return result | {"grafted": stats["images_grafted"]}


if __name__ == "__main__":
    action, site, path = sys.argv[1:]
    print(json.dumps({"read": read, "mount": mounting, "try": attempt}[action](site, path)))
