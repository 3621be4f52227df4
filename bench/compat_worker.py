"""One side of one comparison of compat.py, in this process, as worker.py is for run.py: prints what it took as JSON.

    python -I -S -B compat_worker.py SIDE INPUTS

The clock runs from before the first import of what is compared, so that what it costs to have it counts.
"""

import json
import os
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from worker import timed  # noqa: E402

del sys.path[0]


def ours(inputs, name):
    sys.path.insert(0, inputs["site"])
    import intact.compat

    sys.path.remove(inputs["site"])
    return intact.compat.enable(name)


def original(inputs, name):
    sys.path.insert(0, inputs["originals"])
    module = __import__(name)
    sys.path.remove(inputs["originals"])
    return module


def reading(kind, get):
    def side(inputs):
        with open(inputs[kind], "rb") as file:
            archive = file.read()
        names, total = inputs["names"], 0

        def phase():
            nonlocal total
            physfs = get(inputs, "physfs")
            physfs.init()
            physfs.mount_memory(archive, "bench.zip")
            cat = physfs.cat
            for name in names:
                total += len(cat(name))

        return timed(phase) | {"count": total}

    return side


def importing(inputs, prepare):
    import importlib

    def phase():
        prepare()
        for name in inputs["modules"]:
            importlib.import_module(name)

    result = timed(phase)
    values = [sys.modules[name].VALUE for name in inputs["modules"]]
    return result | {"count": len(set(values)), "from": sys.modules[inputs["modules"][0]].__spec__.origin}


def modules_ours(kind):
    def side(inputs):
        with open(inputs[kind], "rb") as file:
            archive = file.read()

        def prepare():
            memory_importer = ours(inputs, "memory_importer")
            memory_importer.physfs.init()
            memory_importer.physfs.mount_memory(archive, "bench.zip")
            sys.meta_path.insert(0, memory_importer.PhysfsImporter())

        return importing(inputs, prepare)

    return side


def modules_zipimport(kind):
    return lambda inputs: importing(inputs, lambda: sys.path.insert(0, inputs[kind]))


SIDES = {
    "read-stored-ours": reading("stored", ours),
    "read-stored-physfs": reading("stored", original),
    "read-deflated-ours": reading("deflated", ours),
    "read-deflated-physfs": reading("deflated", original),
    "examples-ours": modules_ours("examples"),
    "examples-zipimport": modules_zipimport("examples"),
    "sources-ours": modules_ours("sources"),
    "sources-zipimport": modules_zipimport("sources"),
    "larger-ours": modules_ours("larger"),
    "larger-zipimport": modules_zipimport("larger"),
}

if __name__ == "__main__":
    with open(sys.argv[2]) as file:
        given = json.load(file)
    print(json.dumps(SIDES[sys.argv[1]](given)))
