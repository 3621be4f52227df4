"""Tracebacks out of archives read as those from files: the same frames, the same lines, none of importlib's own."""

import importlib
import re
import sys
import traceback

import building
import pytest

TREE = {
    "raises/__init__.py": "from . import deeper\n",
    "raises/deeper.py": "def fail():\n    raise ValueError('deep')\n\nfail()\n",
    "syntax.py": "x = 1\ny = (\n",
    "syntax_importer.py": "import syntax\n",
    "null.py": b"x = 1\0\n",
    "undecodable.py": b"x = '\xff'\n",
    "missing.py": "import there_is_no_such_module\n",
    "from_missing.py": "from json import there_is_no_such_name\n",
    "indent.py": "if 1:\nx = 2\n",
    "chained.py": "try:\n    1/0\nexcept ZeroDivisionError as error:\n    raise KeyError('k') from error\n",
    "group.py": "raise ExceptionGroup('g', [ValueError(1), TypeError(2)])\n",
    "exits.py": "import sys\nsys.exit(3)\n",
    "badpyc.pyc": b"garbage that is long enough to be a header",
    "badmarshal.pyc": importlib.util.MAGIC_NUMBER + bytes(12) + b"\xe3garbage",
}

PROGRAM = """
import sys
where, name = sys.argv[1:]
if where.endswith(".zip"):
    import intact
    intact.mount(where)
else:
    sys.path.insert(0, where)
import importlib
def user():
    __import__(name)
user()
"""


FAILING = [
    "raises",
    "syntax",
    "syntax_importer",
    "null",
    "undecodable",
    "missing",
    "from_missing",
    "indent",
    "chained",
    "group",
    "exits",
]


@pytest.mark.parametrize("name", FAILING)
def test_traceback_of_a_failing_import_reads_as_from_disk(tmp_path, name):
    archive = building.write_zip(tmp_path / "tree.zip", TREE)
    files = building.write_files(tmp_path / "tree", TREE)
    ours, expected = (building.python("-c", PROGRAM, where, name) for where in (archive, files))
    assert ours.stderr.replace(archive, "ROOT") == expected.stderr.replace(files, "ROOT")
    assert ours.returncode == expected.returncode


def test_bytecode_of_another_python_is_an_import_error_that_names_module_and_member(mount):
    mounted = mount(TREE)
    with pytest.raises(ImportError) as caught:
        importlib.import_module("badpyc")
    assert (caught.value.name, caught.value.path) == ("badpyc", f"{mounted.root}/badpyc.pyc")


def test_bytecode_that_is_cut_short_is_what_marshal_says(mount):
    """Without a source, and as from disk (test_bytecode.py)."""
    mount(TREE)
    with pytest.raises(EOFError):
        importlib.import_module("badmarshal")


@pytest.mark.parametrize("name", ["syntax", "indent"])
def test_syntax_error_says_where(mount, tmp_path, name):
    def place():
        with pytest.raises(SyntaxError) as caught:
            importlib.import_module(name)
        return caught.value

    mounted = mount(TREE)
    ours = place()
    assert ours.filename == f"{mounted.root}/{name}.py"
    mounted.unmount()
    sys.path.insert(0, building.write_files(tmp_path / "disk", TREE))
    expected = place()
    assert (ours.lineno, ours.offset, ours.text, ours.msg) == (
        expected.lineno,
        expected.offset,
        expected.text,
        expected.msg,
    )


def test_traceback_shows_lines_of_a_function_called_after_unmounting(mount):
    mounted = mount({"later.py": "def fail():\n    raise ValueError('unmistakable')\n"})
    later = importlib.import_module("later")
    mounted.unmount()
    with pytest.raises(ValueError) as caught:
        later.fail()
    assert "    raise ValueError('unmistakable')" in "".join(traceback.format_exception(caught.value))


def test_traceback_printed_by_the_interpreter_shows_lines_where_file_functions_are_left_alone(tmp_path):
    archive = building.write_zip(tmp_path / "tree.zip", TREE)
    done = building.python("-c", PROGRAM, archive, "raises", env={"INTACT_FILES": "0"})
    assert f'File "{archive}/raises/deeper.py", line 2, in fail' in done.stderr


def test_warnings_show_the_line(tmp_path):
    archive = building.write_zip(tmp_path / "tree.zip", {"warns.py": "import warnings\nwarnings.warn('careful')\n"})
    done = building.python("-c", PROGRAM, archive, "warns")
    assert re.fullmatch(
        rf"{re.escape(archive)}/warns.py:2: UserWarning: careful\n  warnings.warn\('careful'\)\n", done.stderr
    )


def test_debugger_lists_source(tmp_path):
    archive = building.write_zip(tmp_path / "tree.zip", {"stops.py": "x = 'before'\nbreakpoint()\ny = 'after'\n"})
    done = building.python("-c", PROGRAM, archive, "stops", stdin="list\nwhere\nquit\n")
    assert "y = 'after'" in done.stdout
    assert f"> {archive}/stops.py(" in done.stdout


def test_faulthandler_names_the_member(tmp_path):
    archive = building.write_zip(
        tmp_path / "tree.zip", {"dumps.py": "import faulthandler\nfaulthandler.dump_traceback()\n"}
    )
    done = building.python("-c", PROGRAM, archive, "dumps")
    assert f'File "{archive}/dumps.py", line 2 in <module>' in done.stderr
