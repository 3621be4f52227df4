"""The process that the demo watches: mounts what it is given, runs analysis.py, prints the figures.

Started as `python -I -S -B program.py SITE ARCHIVE...`: SITE holds intact and nothing else, so numpy and pandas can
only come from the archives.
"""

import os
import runpy
import sys
import time

start = time.perf_counter()
sys.path.insert(0, sys.argv[1])
import intact  # noqa: E402

mounts = [intact.mount(source) for source in sys.argv[2:]]
mounted = time.perf_counter()

runpy.run_path(os.path.join(os.path.dirname(os.path.abspath(__file__)), "analysis.py"), run_name="__main__")
done = time.perf_counter()

origins = [getattr(module, "__file__", None) or "" for module in list(sys.modules.values())]
modules = sum(any(origin.startswith(mount.root + "/") for mount in mounts) for origin in origins)
numpy = sys.modules["numpy"].__file__

stats = intact.stats()
[home] = [mount.root for mount in mounts if numpy.startswith(mount.root + "/")]
print(f"numpy is {numpy[len(os.path.dirname(home)) + 1:]}")
print(
    f"modules imported from the mounts {modules}, native images {stats['images']}"
    f" ({stats['images_grafted']} grafted), bytes copied {stats['bytes_copied'] / 1e6:.1f} M,"
    f" bytes mapped from the archive {stats['bytes_mapped'] / 1e6:.1f} M"
)
print(f"time: importing intact and mounting {1e3 * (mounted - start):.1f} ms, the program {1e3 * (done - mounted):.0f} ms")
