"""Bytecode is written alike by every process, and means what it meant."""

import marshal
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest
from intact._pack import bytecode
from intact._pack.marshalled import settled

LIBRARY = Path(sysconfig.get_path("stdlib"))
SOURCES = sorted(path for path in LIBRARY.glob("*.py")) + sorted(LIBRARY.glob("asyncio/*.py"))


def code_of(text):
    return compile(text, "m.py", "exec", dont_inherit=True)


def test_code_of_the_standard_library_is_what_it_was():
    for path in SOURCES:
        code = code_of(path.read_bytes())
        written = settled(marshal.dumps(code))
        assert marshal.loads(written) == code, path
        assert settled(written) == written, path


def test_a_process_with_little_in_memory_and_one_with_much_write_the_same():
    """The first compiles as `python -I -S` what the second has the names of: 11 of 168 modules differed."""
    modules = [(path.name, path.read_bytes()) for path in SOURCES]
    other = bytecode.compile_by(sys._base_executable, modules)
    here = list(bytecode.compile_all(modules))
    again = [pair for module in modules for pair in bytecode.compile_all([module])]  # in this process
    assert dict(other) == dict(here) == dict(again)


@pytest.mark.parametrize(
    "text",
    [
        "x = 'only_here_is_this_name_2718', {'only_here', 'only_there'} if 'only_here' in {'only_there', 'a b', b'', 1} else ()",
        "x = '{', '}', 'é', 'é b', 'größe', '\\ud800', 'x' * 300",
        "größe = 2 ** 80, -(2 ** 80), 1.5, -0.0, 1j, None, ..., True",
        "def f(a, /, b, *, c=(1, (2, 3))):\n    class K:\n        def m(self): return lambda: (a, b, c, self)\n    return K",
    ],
)
def test_constants_keep_their_values_and_types(text):
    code = code_of(text)
    written = settled(marshal.dumps(code))
    before, after = {}, {}
    exec(code, before)
    exec(marshal.loads(written), after)
    assert repr(before.get("x")) == repr(after.get("x")) or set(map(repr, before["x"])) == set(map(repr, after["x"]))
    assert marshal.loads(written) == code


def test_what_the_compiler_does_not_intern_is_not_interned():
    written = settled(marshal.dumps(code_of("x = 'größe', 'a-b', 'name'")))
    strings = {"größe": b"u\7\0\0\0", "a-b": b"z\3", "name": b"Z\4"}
    assert all(kind + text.encode() in written for text, kind in strings.items())


def test_what_is_interned_by_others_makes_no_difference():
    text = "x = 'never_seen_before_31', '@%'"
    script = f"import marshal; print(marshal.dumps(compile({text!r}, 'm.py', 'exec')).hex())"
    seen = f"import sys; kept = [sys.intern('never_seen_before_31'), sys.intern('@%')]; {script}"
    first, second = (
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
        for code in (script, seen)
    )
    assert settled(bytes.fromhex(first)) == settled(bytes.fromhex(second))


def test_what_is_not_understood_is_left_alone():
    for data in marshal.dumps([1, {"a": 1}]), b"", b"c", b"\xe3" + bytes(40), marshal.dumps(code_of("x = 1"))[:-1]:
        assert settled(data) == data
