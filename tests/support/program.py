"""The program that the tests of apps pack, and how they pack and start it.

The interpreter of these tests is the plain one, without intact and without packages; `-I -S` unless a test is about that.
"""

import os
import subprocess
import sys

from support import making

PYTHON = sys._base_executable
INTERPRETER = {**os.environ, "INTACT_INTERPRETER": "1"}
PROGRAM = {
    "prog/__init__.py": "",
    "prog/cli.py": """
import sys
from importlib.resources import files
import helper
def main():
    print(helper.greet(files("prog").joinpath("w.txt").read_text()), sys.argv[1:], __file__.rpartition("app.pyz")[2])
def fails():
    raise ValueError("on purpose")
def interrupted():
    import os, signal
    os.kill(os.getpid(), signal.SIGINT)
def code():
    return int(sys.argv[1])
class Commands:
    @staticmethod
    def inner():
        print("inner")
""",
    "prog/__main__.py": "import sys\nprint(__name__, __spec__.name, sys.argv[1:], sys.path[0].rpartition('/')[2])\n",
    "prog/w.txt": "word",
    "prog-1.0.dist-info/entry_points.txt": "[console_scripts]\nprog-it = prog.cli:main\n",
}
HELPER = {"helper.py": "def greet(name): return f'hello {name}'\n"}
# What it prints for the arguments "a" and "b c".
SAYS = "hello word ['a', 'b c'] /prog/cli.py\n"


def pack(target, *arguments, **options):
    """What a packing that has to succeed printed, and how it ended."""
    done = making.intact("pack", "-o", target, *arguments, **options)
    assert done.returncode == 0, done.stderr
    return done


def run(app, *arguments, flags=("-I", "-S"), python=PYTHON, **options):
    """Starts an app; what it printed and how it ended."""
    command = [python, *flags, str(app), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, **options)
