"""Puts `intact.zipimporter` in the place of zipimport's, as the interpreter starts, and counts the calls that reach it.

Run by a line in a .pth file of the interpreter that the suites run on (run.py), so that it holds in the programs that tests
start, too. MODE is "zipimporter", or "bytes": then each archive is read into memory and the engine never sees a file.

What tests know by zipimport's private name `_zip_directory_cache` is the dict that does the same for us.
"""

import mmap
import os
import sys
import zipimport

import counts
import intact
from intact import _archives, _engine

# Not __init__: as a path hook it is asked for every directory on sys.path, and refuses.
COUNTED = ("find_spec", "get_code", "get_filename", "get_source", "get_data", "is_package", "iter_modules")
LARGE = 1 << 30  # bytes


def counting(function):
    def counted(*arguments, **options):
        counts.calls += 1
        return function(*arguments, **options)

    counted.__name__, counted.__doc__ = function.__name__, function.__doc__
    return counted


def opened_in_memory(path):
    """As _archives._open, but for a mount of bytes. Those of the archive of gigabytes, which is mostly a hole, are mapped."""
    with open(path, "rb") as file:
        large = os.fstat(file.fileno()).st_size > LARGE
        data = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) if large else file.read()
    return _engine.Mount(data, path, path, ())


def substitute(mode):
    counts.calls = 0
    original = zipimport.zipimporter
    for name in COUNTED:
        setattr(intact.zipimporter, name, counting(getattr(intact.zipimporter, name)))
    if mode == "bytes":
        _archives._open = opened_in_memory
    zipimport.zipimporter = intact.zipimporter
    zipimport._zip_directory_cache = _archives._shared
    sys.path_hooks[:] = [intact.zipimporter if hook is original else hook for hook in sys.path_hooks]
    sys.path_importer_cache.clear()


substitute(MODE)  # noqa: F821  # the .pth file's
