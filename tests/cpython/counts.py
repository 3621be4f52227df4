"""How often the tests reached us: counted in each process of a run, and written to the file that INTACT_CALLS names, a line each.

Imported as Python starts (run.py), so in the programs that tests start, too. What a process did before its tests began, such as
loading a suite that is mounted, does not count: session.py says when they begin.
"""

import atexit
import os
import sys

calls = None  # of what stands in CPython's place, which makes it a number: substitute.py, packed.py
_before = 0


def _reached():
    """The calls; where nobody counts them, modules that were found in mounts and calls of file functions that mounts answered."""
    intact = sys.modules.get("intact")
    if calls is not None or intact is None:
        return calls or 0
    return intact.stats()["modules_found"] + intact.stats()["redirect_hits"]


def begin():
    global _before
    _before = _reached()


def end():
    """Writes what came since the beginning; what comes later does not count."""
    log = os.environ.pop("INTACT_CALLS", None)
    if log and _reached() > _before:
        with open(log, "a") as file:
            file.write(f"{_reached() - _before}\n")


atexit.register(end)
