"""intact.compat.enable: programs that import other packages get ours, and nobody pays who did not ask."""

import subprocess
import sys

import pytest


def output_of(program):
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


@pytest.mark.parametrize(
    ("name", "statement", "ours"),
    [
        ("memory_importer", "import memory_importer as m", "memory_importer"),
        ("memory_importer", "from memory_importer import physfs as m", "physfs"),
        ("memory_importer", "import memory_importer.physfs; m = memory_importer.physfs", "physfs"),
        ("memimport", "import memimport as m", "memimport"),
        ("physfs", "import physfs as m", "physfs"),
        ("zipextimporter", "import zipextimporter as m", "zipextimporter"),
        ("zipextimporter", "import _memimporter as m", "zipextimporter"),
    ],
)
def test_the_name_gives_ours(name, statement, ours):
    program = f"import intact.compat; intact.compat.enable({name!r}); {statement}; print(m.__name__)"
    assert output_of(program) == [f"intact.compat.{ours}"]


def test_a_star_import_has_what_the_original_has():
    program = "import intact.compat; intact.compat.enable('memory_importer'); old = set(globals())\n"
    program += "from memory_importer import *; print(*sorted(set(globals()) - old - {'old'}))"
    assert output_of(program) == ["PhysfsImporter", "physfs"]


def test_it_takes_the_place_of_what_is_imported_already():
    program = "import sys, types; sys.modules['physfs'] = types.ModuleType('physfs')\n"
    program += "import intact.compat; m = intact.compat.enable('physfs'); import physfs; print(physfs is m, m.__name__)"
    assert output_of(program) == ["True", "intact.compat.physfs"]


def test_other_names_are_refused():
    import intact.compat

    with pytest.raises(
        ValueError, match="no replacement for 'numpy'; there are memimport, memory_importer, physfs, zipextimporter"
    ):
        intact.compat.enable("numpy")


def test_importing_intact_does_not_import_it():
    assert output_of("import sys, intact; print(*(n for n in sys.modules if 'compat' in n))") == []
