"""One side of one comparison, in this process: does the work once and prints what it took as JSON.

Started as `python -I -S worker.py SIDE INPUTS` by run.py, so sys.path holds the standard library alone. Only the phase
between the two clock readings counts; whatever intact costs (its own import, mounting) lies between them too.
"""

import json
import os
import sys
import time

# Loaded by this script itself, so before the clock starts on every side.
import resource  # noqa: F401

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import memory  # noqa: E402

del sys.path[0]


def timed(phase):
    cpu, wall = time.process_time(), time.perf_counter()
    phase()
    return {"wall": time.perf_counter() - wall, "cpu": time.process_time() - cpu}


def importer(names):
    import importlib

    def run():
        for name in names:
            importlib.import_module(name)

    return run


def mounter(inputs, sources, **options):
    """Imports intact and mounts: the part of our cost that does not depend on what is imported."""

    def run():
        sys.path.insert(0, inputs["site"])
        import intact

        sys.path.remove(inputs["site"])
        return [intact.mount(source, **options) for source in sources]

    return run


def stdlib_side(inputs, prepare, below):
    """Imports the list of modules after `prepare`; says how many came from below one of `below`."""
    library = inputs["stdlib"]
    importer(library["preload"])()
    import warnings

    warnings.simplefilter("ignore")
    load = importer(library["names"])

    def phase():
        prepare()
        load()

    result = timed(phase)
    origins = [getattr(module, "__file__", None) or "" for module in list(sys.modules.values())]
    return result | {"count": sum(origin.startswith(below + "/") for origin in origins)}


def stdlib_files(inputs):
    files = inputs["stdlib"]["files"]
    return stdlib_side(inputs, lambda: sys.path.insert(0, files), files)


def stdlib_zipimport(kind):
    def side(inputs):
        archive = inputs["stdlib"][kind]
        return stdlib_side(inputs, lambda: sys.path.insert(0, archive), archive)

    return side


def stdlib_intact(kind):
    def side(inputs):
        archive = inputs["stdlib"][kind]
        return stdlib_side(inputs, mounter(inputs, [archive], first=True), archive)

    return side


def packages_side(prepare):
    def side(inputs):
        def phase():
            prepare(inputs)
            import numpy
            import pandas  # noqa: F401

        result = timed(phase)
        return result | {"memory": memory.private(["self"]), "from": sys.modules["numpy"].__file__}

    return side


def installed(title):
    return packages_side(lambda inputs: sys.path.append(inputs["packages"][title]))


def many_intact(inputs):
    import importlib.util

    # The archive's own cost is asked for here, not that of importing intact.
    mounter(inputs, [])()
    mount = mounter(inputs, [inputs["many"]["intact"]])

    def phase():
        mount()
        # Asks for one, so that an index that is built late is built now.
        assert importlib.util.find_spec("package7") is not None

    return timed(phase)


def many_memory(inputs):
    """Bytes of memory that a mounted archive costs a member, beside the members' names, when each was looked up."""
    mounter(inputs, [b"PK\5\6" + bytes(18)])()  # what mounting itself imports
    mount = mounter(inputs, [inputs["many"]["intact"]])
    before = memory.private(["self"])
    [mounted] = mount()
    count = len(mounted)  # looks for each
    cost = memory.private(["self"]) - before
    return {"memory": (cost - sum(map(len, mounted))) / count}


def many_zipimport(inputs):
    import zipimport

    made = []
    result = timed(lambda: made.append(zipimport.zipimporter(inputs["many"]["zipimport"])))
    # zipimport looks for the last part of a name below its prefix; the slash makes it look in the package.
    assert made[0].find_spec("package7/module7") is not None
    return result


def rate(action, count):
    """Seconds an action takes: the least of several blocks, since whatever disturbs a block makes it longer."""
    best = float("inf")
    for _ in range(20):
        start = time.perf_counter()
        action()
        best = min(best, time.perf_counter() - start)
    return {"wall": best / count, "cpu": best / count}


def missing(find):
    names = [f"absent_{i}" for i in range(2000)]
    assert all(find(name) is None for name in names)

    def block():
        for name in names:
            find(name)

    return rate(block, len(names))


def miss_intact(inputs):
    before = set(map(id, sys.meta_path))
    mounter(inputs, inputs["packages"]["wheels"])()
    [finder] = [finder for finder in sys.meta_path if id(finder) not in before]
    return missing(finder.find_spec)


def miss_files(inputs):
    from importlib.machinery import FileFinder
    from importlib._bootstrap_external import _get_supported_file_loaders

    finder = FileFinder(inputs["packages"]["venv"], *_get_supported_file_loaders())
    return missing(finder.find_spec)


def ordinary_files(files):
    def side(inputs):
        mounter(inputs, inputs["packages"]["wheels"], files=files)()
        path = inputs["packages"]["venv"] + "/numpy/__init__.py"
        stat, count = os.stat, 2000

        def block():
            for _ in range(count):
                stat(path)
                open(path, "rb").close()

        return rate(block, count)

    return side


SIDES = {
    "stdlib-files": stdlib_files,
    "stdlib-stored": stdlib_intact("stored"),
    "stdlib-deflated": stdlib_intact("deflated"),
    "stdlib-sourceless": stdlib_intact("sourceless"),
    "stdlib-zipimport": stdlib_zipimport("stored"),
    "stdlib-zipimport-sourceless": stdlib_zipimport("sourceless"),
    "packages-packed": packages_side(lambda inputs: mounter(inputs, [inputs["packages"]["packed"]])()),
    "packages-wheels": packages_side(lambda inputs: mounter(inputs, inputs["packages"]["wheels"])()),
    "packages-venv": installed("venv"),
    "packages-bare": installed("venv-bare"),
    "packages-fresh": installed("fresh"),
    "many-intact": many_intact,
    "many-memory": many_memory,
    "many-zipimport": many_zipimport,
    "miss-intact": miss_intact,
    "miss-files": miss_files,
    "redirect-on": ordinary_files(True),
    "redirect-off": ordinary_files(False),
}

if __name__ == "__main__":
    with open(sys.argv[2]) as file:
        given = json.load(file)
    print(json.dumps(SIDES[sys.argv[1]](given)))
