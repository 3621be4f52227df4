"""`intact info`, `diff` and `extract`: what is in an archive, what two differ in, and getting it out."""

import importlib.util
import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from support import making

EXTENSION = importlib.util.find_spec("_testmultiphase")


@pytest.fixture
def archive(pair, tmp_path):
    making.merged(tmp_path / "app.zip", *pair)
    return tmp_path / "app.zip"


def facts(archive):
    done = making.intact("info", "--json", archive)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_info_tells_distributions_apart(archive):
    found = facts(archive)
    first, second = found["distributions"]
    assert (first["name"], first["version"], second["name"], second["version"]) == ("first", "1.0", "second", "2.0")
    assert first["entry_points"] == {"console_scripts": {"first": "shared.one:main"}}
    assert first["tags"] == ["py3-none-any"]
    assert found["other"] == {"files": 0, "size": 0}
    assert found["bytecode"] == [sys.implementation.cache_tag]
    with zipfile.ZipFile(archive) as control:
        assert found["files"] == len(control.namelist()) == first["files"] + second["files"]
        assert found["size"] == sum(info.file_size for info in control.infolist())
    shown = making.intact("info", archive).stdout
    assert "first 1.0" in shown and "first = shared.one:main" in shown and sys.implementation.cache_tag in shown


def test_info_of_a_wheel_as_it_came(pair):
    [first] = facts(pair[0])["distributions"]
    assert first["files"] == 8 and facts(pair[0])["other"]["files"] == 0


@pytest.mark.skipif(EXTENSION is None, reason="this interpreter came without its test extensions")
def test_info_tells_what_is_mapped_from_what_is_copied(tmp_path):
    extension = Path(EXTENSION.origin)
    files = {f"pkg/{extension.name}": extension.read_bytes()}
    python = f"cp{sys.version_info[0]}{sys.version_info[1]}"
    wheel = making.wheel(tmp_path, "native", files, tag=f"{python}-{python}-linux_x86_64", purelib=False)
    making.merged(tmp_path / "app.zip", wheel)
    assert facts(wheel)["shared_objects"] == {"mapped": 0, "copied": 1}
    assert facts(tmp_path / "app.zip")["shared_objects"] == {"mapped": 1, "copied": 0}


def test_diff(archive, pair, tmp_path):
    newer = making.wheel(tmp_path, "second", {"shared/two.py": "n = 22\n", "more.txt": ""}, version="2.1")
    making.merged(tmp_path / "new.zip", "--no-bytecode", pair[0], newer)
    done = making.intact("diff", "--json", archive, tmp_path / "new.zip")
    found = json.loads(done.stdout)
    assert done.returncode == 1
    assert found["distributions"] == {"second": ["2.0", "2.1"]}
    assert found["changed"] == ["shared/two.py"]
    assert {"more.txt", "second-2.1.dist-info/RECORD"} <= set(found["added"])
    assert {"template.py", "second-2.0.dist-info/RECORD"} <= set(found["removed"])
    shown = making.intact("diff", archive, tmp_path / "new.zip").stdout.splitlines()
    assert {"second: 2.0 -> 2.1", "+ more.txt", "- template.py", "! shared/two.py"} <= set(shown)
    same = making.intact("diff", archive, archive)
    assert (same.returncode, same.stdout) == (0, "")


def test_extract_gives_what_a_zip_tool_gives(archive, tmp_path):
    done = making.intact("extract", archive, tmp_path / "out")
    assert done.returncode == 0, done.stderr
    with zipfile.ZipFile(archive) as control:
        control.extractall(tmp_path / "control")
    diff = subprocess.run(["diff", "-r", tmp_path / "out", tmp_path / "control"], capture_output=True, text=True)
    assert diff.stdout == ""
    again = making.intact("extract", archive, tmp_path / "out")
    assert again.returncode == 1 and "exists already" in again.stderr


def test_extract_keeps_the_permission_to_execute_and_the_time(tmp_path):
    with zipfile.ZipFile(tmp_path / "app.zip", "w") as archive:
        info = zipfile.ZipInfo("run.sh", (2020, 2, 2, 2, 2, 2))
        info.external_attr = 0o100755 << 16
        archive.writestr(info, "#!/bin/sh\n")
    assert making.intact("extract", tmp_path / "app.zip", tmp_path / "out").returncode == 0
    status = os.stat(tmp_path / "out/run.sh")
    stated = json.loads(making.intact("stat", "--json", tmp_path / "app.zip", "run.sh").stdout)
    assert status.st_mode & 0o777 == 0o755 and status.st_mtime == stated["mtime"]


def test_extracting_what_is_broken_leaves_nothing(archive, tmp_path):
    data = bytearray(archive.read_bytes())
    data[data.index(b"word")] ^= 1  # in the source
    (tmp_path / "broken.zip").write_bytes(data)
    done = making.intact("extract", tmp_path / "broken.zip", tmp_path / "out")
    assert done.returncode == 1 and "shared/one/__init__.py" in done.stderr and "CRC-32" in done.stderr
    assert sorted(path.name for path in tmp_path.iterdir() if path.suffix not in (".whl", ".zip")) == []


NOTED = {"intact": "1", "targets": [], "entry": None, "isolated": True, "pth_skipped": {}, "wheels": {}}
NO_NOTES = {
    "no JSON": "{",
    "nested": "[" * 100_000,
    "no object": "[]",
    "nothing": "{}",
    "no list": json.dumps(NOTED | {"targets": 5}),
    "no targets": json.dumps(NOTED | {"targets": [{"python": "3.11", "abi": None, "glibc": "2.28"}]}),
    "no lines": json.dumps(NOTED | {"pth_skipped": {"a.pth": 1}}),
    "no names": json.dumps(NOTED | {"wheels": ["a"]}),
    "no text": json.dumps(NOTED | {"entry": 1}),
}


def info_of_app(tmp_path, notes):
    """It is an app by its outer zip alone."""
    with zipfile.ZipFile(tmp_path / "payload.zip", "w") as payload:
        payload.writestr(".intact/app.json", notes)
    with zipfile.ZipFile(tmp_path / "app.pyz", "w") as outer:
        outer.write(tmp_path / "payload.zip", "intact-payload.zip")
    return making.intact("info", tmp_path / "app.pyz")


def test_what_an_app_says_of_itself_is_shown(tmp_path):
    assert "entry point: none, an interpreter\n" in info_of_app(tmp_path, json.dumps(NOTED)).stdout


@pytest.mark.parametrize("notes", NO_NOTES.values(), ids=NO_NOTES.keys())
def test_app_that_says_nonsense_of_itself_is_one_clear_error(notes, tmp_path):
    done = info_of_app(tmp_path, notes)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (1, "", 1), done.stderr
    assert done.stderr.startswith(f"intact: {tmp_path}/app.pyz: .intact/app.json: it is no"), done.stderr


@pytest.mark.parametrize(
    ("path", "text"),
    [("entry_points.txt", "nothing\n"), ("entry_points.txt", "[a\nb"), ("RECORD", f'"{"a" * 200_000}",,\n')],
)
def test_broken_metadata_is_one_clear_error(path, text, tmp_path):
    with zipfile.ZipFile(tmp_path / "app.zip", "w") as archive:
        archive.writestr(f"one-1.0.dist-info/{path}", text)
    done = making.intact("info", tmp_path / "app.zip")
    assert (done.returncode, done.stderr.count("\n")) == (1, 1), done.stderr
    assert done.stderr.startswith(f"intact: {tmp_path}/app.zip: one-1.0.dist-info/{path}: "), done.stderr
