"""Every example in the documentation runs: what a reader copies works.

In README.md and docs/, a ```python block is executed, all blocks of a file in one process and in their order; of a
```console block each line after `$ ` is run by the shell, and where lines follow it the output has to be those (`...` stands for
anything). Blocks marked ```text are not examples. They run in a directory with a small application, as a wheel, a zip and
a directory, and nothing else; the `intact` they meet is the installed one.
"""

import os
import re
import subprocess
import sys
import textwrap
import zipfile
from pathlib import Path

import pytest
from support import archives, wheels

ROOT = Path(__file__).resolve().parents[1]
DOCUMENTS = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
_BLOCK = re.compile(r"^```(python|console)\n(.*?)^```", re.M | re.S)

# The application of the examples: a package with a data file and metadata, as `greet-1.0-py3-none-any.whl`.
APPLICATION = {
    "greet/__init__.py": "from importlib.resources import files\n\n\ndef hello(name):\n"
    "    return files(__name__).joinpath('words.txt').read_text().strip() + ', ' + name\n",
    "greet/__main__.py": "import sys\n\nimport greet\n\nprint(greet.hello(*sys.argv[1:2] or ['world']))\n",
    "greet/words.txt": "Hello\n",
    "greet-1.0.dist-info/METADATA": "Metadata-Version: 2.1\nName: greet\nVersion: 1.0\n",
    "greet-1.0.dist-info/WHEEL": "Wheel-Version: 1.0\nGenerator: hand\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
}
APPLICATION["greet-1.0.dist-info/RECORD"] = "".join(
    f"{line}\n"
    for line in [wheels.record_line(path, text.encode()) for path, text in APPLICATION.items()]
    + ["greet-1.0.dist-info/RECORD,,"]
)


def blocks(document, language):
    return [code for found, code in _BLOCK.findall(document.read_text()) if found == language]


def commands(document):
    """(command, expected output) of each `$` line of the console blocks."""
    for block in blocks(document, "console"):
        for part in re.split(r"^\$ ", block, flags=re.M)[1:]:
            command, _, output = part.partition("\n")
            yield command, output


@pytest.fixture
def surroundings(tmp_path):
    """The working directory of the examples, and an environment in which `intact` and `python` are the installed ones."""
    for name in ("greet-1.0-py3-none-any.whl", "app.zip"):
        with zipfile.ZipFile(tmp_path / name, "w") as archive:
            for member, text in APPLICATION.items():
                archives.add(archive, member, text.encode())
    for member, text in APPLICATION.items():
        path = tmp_path / "dist" / member
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    (tmp_path / "script.py").write_text("import sys\n\nimport greet\n\nprint(greet.hello(sys.argv[1]))\n")
    path = os.path.dirname(sys.executable) + os.pathsep + os.environ["PATH"]
    return tmp_path, {**os.environ, "PATH": path, "PYTHONSAFEPATH": "1"}


@pytest.mark.parametrize("document", DOCUMENTS, ids=[str(d.relative_to(ROOT)) for d in DOCUMENTS])
def test_python_examples_run(document, surroundings):
    directory, environment = surroundings
    program = "\n".join(textwrap.dedent(code) for code in blocks(document, "python"))
    done = subprocess.run([sys.executable, "-c", program], cwd=directory, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("document", DOCUMENTS, ids=[str(d.relative_to(ROOT)) for d in DOCUMENTS])
def test_console_examples_print_what_they_show(document, surroundings):
    directory, environment = surroundings
    for command, expected in commands(document):
        done = subprocess.run(command, shell=True, cwd=directory, env=environment, capture_output=True, text=True)
        assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"
        pattern = re.escape(expected.strip()).replace(r"\.\.\.", ".*")
        if expected.strip():
            assert re.fullmatch(pattern, done.stdout.strip(), re.S), f"{command}\n{done.stdout}"


def test_readme_has_examples_of_both_kinds():
    """The tests above would pass on a README without examples."""
    assert blocks(ROOT / "README.md", "python")
    assert [command for command, _ in commands(ROOT / "README.md") if "intact" in command]
