"""What the tests of child processes mount and start."""

import gc
import os

ABOUT = """
import sys
main = sys.modules["__main__"]
print(sys.argv, sys.orig_argv, sys.flags, sys.warnoptions, sys._xoptions, sys.path[0], main.__dict__ is globals())
print(__name__, __package__, __doc__, __spec__ and __spec__.name, globals().get("__file__"), sorted(
    name for name in globals() if name.startswith("__")))
"""
TREE = {
    "pkg/__init__.py": "word = 'found'\n",
    "pkg/__main__.py": ABOUT + "from pkg import word\nprint(word)\n",
    "pkg/tool.py": ABOUT,
    "pkg/work.py": "import os\ndef square(n): return n * n\ndef where(_): return __file__, os.getpid()\n",
    "pkg/data.txt": "text\n",
}


def open_files():
    """What this process has open: descriptor to file."""
    gc.collect()
    return {
        name: os.readlink(f"/proc/self/fd/{name}")
        for name in os.listdir("/proc/self/fd")
        if os.path.lexists(f"/proc/self/fd/{name}")
    }
