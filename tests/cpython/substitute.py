"""Puts `intact.zipimporter` in the place of zipimport's, as the interpreter starts, and counts the calls that reach it.

Run by a line in a .pth file of the interpreter that the suites run on (run.py), so that it holds in the programs that tests
start, too. MODE is "zipimporter", or "bytes": then each archive is read into memory and the engine never sees a file.

What tests know by zipimport's private name `_zip_directory_cache` is the dict that does the same for us.
"""

import atexit
import os
import sys
import zipimport

import intact
from intact import _archives, _engine

# Not __init__: as a path hook it is asked for every directory on sys.path, and refuses.
COUNTED = ("find_spec", "get_code", "get_filename", "get_source", "get_data", "is_package", "iter_modules")
calls = 0


def counting(function):
    def counted(*arguments, **options):
        global calls
        calls += 1
        return function(*arguments, **options)

    counted.__name__, counted.__doc__ = function.__name__, function.__doc__
    return counted


def opened_in_memory(path):
    """As _archives._open, but for a mount of bytes."""
    with open(path, "rb") as file:
        return _engine.Mount(file.read(), path, path, ())


def write_calls():
    """What each process counted, a line each: a test may start others."""
    log = os.environ.get("INTACT_CALLS")
    if log and calls:
        with open(log, "a") as file:
            file.write(f"{calls}\n")


def substitute(mode):
    original = zipimport.zipimporter
    for name in COUNTED:
        setattr(intact.zipimporter, name, counting(getattr(intact.zipimporter, name)))
    if mode == "bytes":
        _archives._open = opened_in_memory
    zipimport.zipimporter = intact.zipimporter
    zipimport._zip_directory_cache = _archives._shared
    sys.path_hooks[:] = [intact.zipimporter if hook is original else hook for hook in sys.path_hooks]
    sys.path_importer_cache.clear()
    atexit.register(write_calls)


substitute(MODE)  # noqa: F821  # the .pth file's
