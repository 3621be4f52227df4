"""An app that was altered or cut short is refused, when it starts or when what is altered is read."""

import os
import re
from random import Random

from support import making
from support.program import INTERPRETER, SAYS, run


def altered(app, target, needle):
    data = bytearray(app.read_bytes())
    data[data.index(needle) + len(needle) // 2] ^= 0x20
    target.write_bytes(data)
    return target


def test_an_altered_engine_is_refused(app, tmp_path):
    done = run(altered(app, tmp_path / "app.pyz", b"The engine of intact."))
    assert done.returncode == 1 and re.fullmatch(r"intact: .*app\.pyz: engine/.* is not what was packed\n", done.stderr)


def test_no_altered_bit_of_what_starts_it_ends_in_a_crash_or_a_wrong_answer(app, tmp_path):
    """Bytecode is not checked by the interpreter that runs it; it was a crash in one of some fifty."""
    data, random = app.read_bytes(), Random(4)
    start = data.index(b"engine/boot.py")
    for _ in range(60):
        broken = bytearray(data)
        broken[random.randrange(start, len(data))] ^= 1 << random.randrange(8)
        (tmp_path / "app.pyz").write_bytes(broken)
        done = run(tmp_path / "app.pyz", "a", "b c")
        right = (done.returncode, done.stdout) == (0, SAYS)
        assert right or (done.returncode > 0 and done.stderr and done.stdout in ("", SAYS)), done


def test_an_altered_member_is_refused_when_it_is_read(app, tmp_path):
    broken = altered(app, tmp_path / "app.pyz", b"hello {name}")  # the source; its bytecode stands as it was
    assert run(broken, "a", "b c").stdout == SAYS
    done = run(
        broken,
        "-c",
        "import importlib.util as u; u.find_spec('helper').loader.get_source('helper')",
        env=INTERPRETER,
        flags=(),
    )
    assert done.returncode == 1 and "helper.py" in done.stderr and "CRC-32" in done.stderr
    verified = making.intact("verify", broken)
    assert verified.returncode == 1 and "helper.py" in verified.stdout


def test_verify_reads_the_outer_zip_too(app, tmp_path):
    assert making.intact("verify", app).returncode == 0
    done = making.intact("verify", altered(app, tmp_path / "app.pyz", b"The engine of intact."))
    assert done.returncode == 1 and "engine/_engine" in done.stdout


def test_verify_tells_of_a_method_that_nobody_knows(app, tmp_path):
    content = bytearray(app.read_bytes())
    entry = (
        content.rindex(b"engine/boot.py") - 46
    )  # in the outer directory, whose entries have 46 bytes before the name
    content[entry + 10] = 97
    (tmp_path / "app.pyz").write_bytes(content)
    done = making.intact("verify", tmp_path / "app.pyz")
    assert done.returncode == 1 and "engine/boot.py: " in done.stdout and not done.stderr


def test_an_app_cut_short_is_refused(app, tmp_path):
    (tmp_path / "app.pyz").write_bytes(app.read_bytes()[:-100])
    started = run(tmp_path / "app.pyz")  # to python it is a text: this is all that can be said
    assert started.returncode == 1 and "encoding problem: this-app-was-cut-short" in started.stderr
    done = making.intact("verify", tmp_path / "app.pyz")
    assert done.returncode == 1 and "app.pyz" in done.stderr and done.stderr.count("\n") == 1


def test_an_engine_that_is_not_what_was_packed_is_not_left_in_the_directory(app, tmp_path):
    broken, directory = altered(app, tmp_path / "app.pyz", b"The engine of intact."), tmp_path / "engines"
    directory.mkdir()
    done = run(broken, flags=(), env={**os.environ, "INTACT_EXTRACT": str(directory)})
    assert "is not what was packed" in done.stderr and list(directory.iterdir()) == []
