"""The scripts in fuzz/ write the inputs that the tests and fuzzers are given, each of them and no others.

Names are compared: what zlib packs differs from one version of it to the next.
"""

import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
FOLDERS = ("fuzz/corpus", "tests/rejected")


def names(root):
    return {str(path.relative_to(root)) for folder in FOLDERS for path in (root / folder).rglob("*") if path.is_file()}


def test_the_scripts_write_what_is_there(tmp_path):
    for folder in ("fuzz", "tests/support"):
        shutil.copytree(ROOT / folder, tmp_path / folder, ignore=shutil.ignore_patterns("corpus", "__pycache__"))
    for script in sorted((tmp_path / "fuzz").glob("make_*.py")):
        done = subprocess.run([sys.executable, script], capture_output=True, text=True)
        assert (done.returncode, done.stderr) == (0, ""), script.name
    assert names(tmp_path) == names(ROOT)
