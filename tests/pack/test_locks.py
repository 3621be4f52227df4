"""What a lock has is taken as it is, a pylock.toml (PEP 751) or requirements with hashes: nothing is resolved."""

import os
import re
from pathlib import Path

import index as indexes
import pytest

from intact._pack import locks
from intact._pack.errors import PackError
from intact._pack.resolve import Target

from support import making
from support.resolving import ELSEWHERE, OTHER, packed, refused


def pylock(path, name, url, digest):
    wheel = f'wheels = [{{ url = "{url}", hashes = {{ sha256 = "{digest}" }} }}]'
    path.write_text(
        f'lock-version = "1.0"\ncreated-by = "hand"\n[[packages]]\nname = "{name}"\nversion = "1.0"\n{wheel}\n'
    )
    return str(path)


def lock_of(kind, tmp_path, index, wheel, digest):
    if kind == "pylock.toml":
        return pylock(tmp_path / kind, "base", f"{index.url}base/{wheel.name}", digest)
    (tmp_path / kind).write_text(f"base==1.0 --hash=sha256:{digest}\n")
    return str(tmp_path / kind)


KINDS = pytest.mark.parametrize("kind", ["pylock.toml", "locked.txt"])


@KINDS
def test_a_lock_is_taken_as_it_is(kind, index, tmp_path):
    wheel = index.add("base")
    index.add("base", version="2.0")
    lock = lock_of(kind, tmp_path, index, wheel, indexes.sha256(wheel))
    project = indexes.project(tmp_path / "mine", "mine", requires="Requires-Dist: base\n")
    for target in (Target.here(), ELSEWHERE):
        wheels = packed(tmp_path, project, lock=lock, target=target)
        assert [os.path.basename(path)[:8] for path in wheels] == ["base-1.0", "mine-1.0"]


@KINDS
def test_every_hash_of_a_lock_counts(kind, index, tmp_path):
    wheel = index.add("base")
    reason = refused(tmp_path, lock=lock_of(kind, tmp_path, index, wheel, "0" * 64))
    assert re.search(f"{kind}: .*HASHES.*base.*Expected sha256 0000", reason)


def test_a_lock_without_hashes_is_refused(index, tmp_path):
    index.add("base")
    (tmp_path / "locked.txt").write_text("base==1.0\n")
    assert "Hashes are required" in refused(tmp_path, lock="locked.txt")


@KINDS
def test_a_lock_has_to_have_what_lies_beside_it_needs(kind, index, tmp_path):
    wheel = index.add("base")
    lock = lock_of(kind, tmp_path, index, wheel, indexes.sha256(wheel))
    project = indexes.project(tmp_path / "mine", "mine", requires="Requires-Dist: base\nRequires-Dist: far>=2\n")
    assert "it lacks far>=2, which mine-1.0-py3-none-any.whl needs" in refused(tmp_path, project, lock=lock)
    assert "nothing is resolved with a lock, so far cannot" in refused(tmp_path, "far", lock=lock)


def test_a_wheel_that_the_lock_has_on_this_machine_is_checked(index, tmp_path):
    wheel = making.wheel(tmp_path, "base", {"base.py": ""})
    lock = pylock(tmp_path / "pylock.toml", "base", wheel.as_uri(), indexes.sha256(wheel))
    assert packed(tmp_path, lock=lock) == [str(wheel)]
    lock = pylock(tmp_path / "pylock.toml", "base", wheel.as_uri(), "0" * 64)
    assert "the lock expects 0000" in refused(tmp_path, lock=lock)


def test_a_lock_made_on_a_later_release_of_the_targets_python_serves(index, tmp_path):
    wheel = making.wheel(tmp_path, "base", {"base.py": ""})
    lock = Path(pylock(tmp_path / "pylock.toml", "base", wheel.as_uri(), indexes.sha256(wheel)))
    lock.write_text(f'requires-python = ">={OTHER}.2"\n' + lock.read_text())
    assert packed(tmp_path, lock=str(lock), target=Target(OTHER)) == [str(wheel)]
    assert "Python version" in refused(tmp_path, lock=str(lock), target=Target("3.10"))


LOCK = f"""
lock-version = "1.0"
created-by = "hand"
requires-python = ">=3.11"
[[packages]]
name = "base"
version = "1.0"
marker = "python_version > '3'"
archive = {{ url = "https://host/a", hashes = {{ sha256 = "{"0" * 64}" }} }}
"""
# What is in it, what stands there instead, and what the error has to say.
ODD = {
    "url": ("https://host/a", "https://host/a\\n--index-url=https://host/", "neither a URL nor a path"),
    "end of a line that is none of text": ("https://host/a", "https://host/\\u2028a", "neither a URL nor a path"),
    "url with a space": ("https://host/a", "https://host/a ", "is no URL"),
    "relative": ("https://host/a", "a", "neither a URL nor a path"),
    "file": ("https://host/a", "file:///a\\nb.whl", "neither a URL nor a path"),
    "hash": ("0" * 64, "0\\n--index-url=https://host/", "is no URL"),
    "requires-python": ('">=3.11"', "3.11", "requires-python"),
    "requires-python, list": ('">=3.11"', "[3.11]", "requires-python"),
    "requires-python, word": ('">=3.11"', '"new\\n"', "new"),
    "marker": ("python_version", "no\\nmarker", "Expected a marker"),
}


@pytest.mark.parametrize("target", [Target.here(), ELSEWHERE], ids=["here", "elsewhere"])
@pytest.mark.parametrize(("good", "odd", "reason"), ODD.values(), ids=ODD.keys())
def test_what_a_lock_has_may_be_odd_and_is_one_clear_error(good, odd, reason, target, tmp_path):
    """Its URLs become lines of a file for pip, where a line of another kind would be an option."""
    lock = tmp_path / "pylock.toml"
    lock.write_text(LOCK)
    assert locks.read(str(lock), target).sources == [f"base @ https://host/a#sha256={'0' * 64}"]
    lock.write_text(LOCK.replace(good, odd))
    with pytest.raises(PackError) as error:
        locks.read(str(lock), target)
    assert reason in str(error.value) and "\n" not in str(error.value)
