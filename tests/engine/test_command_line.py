"""A command line of python is read as python reads it."""

import pytest
from intact._command_line import read_command_line

LINES = {
    "": ([], 1, "-", -1, 0),
    "-": ([], 1, "-", 0, 0),
    "-i -": (["-i"], 2, "-", 0, 0),
    "s.py -c x": ([], 1, "--", 0, 0),
    "-- -c": ([], 1, "--", 1, 0),
    "-I -- s.py": (["-I"], 2, "--", 1, 0),
    "-c x y": ([], 1, "-c", 1, 0),
    "-cx y": ([], 1, "-c", 0, 2),
    "-mm y": ([], 1, "-m", 0, 2),
    "-Sm mod": (["-S"], 1, "-m", 1, 0),
    "-BIcx": (["-BI"], 1, "-c", 0, 4),
    "-W error s.py": (["-W", "error"], 3, "--", 0, 0),
    "-BWerror s.py": (["-BWerror"], 2, "--", 0, 0),
    "-X -m -m mod": (["-X", "-m"], 3, "-m", 1, 0),
    "--check-hash-based-pycs never -c x": (["--check-hash-based-pycs", "never"], 3, "-c", 1, 0),
    "-V": None,
    "-bh": None,
    "--help-all": None,
    "-x s.py": None,
    "-m": None,
    "-Bc": None,
    "-W": None,
    "-@": None,
}


@pytest.mark.parametrize("line", LINES)
def test_command_line_is_read_as_python_reads_it(line):
    assert read_command_line(["python", *line.split()]) == LINES[line]
