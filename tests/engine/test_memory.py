"""What a mount keeps in memory for a member, by what malloc has given out: at most 120 bytes beside its name, in every format."""

import subprocess
import sys
import textwrap
import zipfile

import pytest
from support import formats

MEMBERS = 6000
MEASURE = textwrap.dedent(
    """
    import ctypes, sys, intact

    class Mallinfo2(ctypes.Structure):
        _fields_ = [(name, ctypes.c_size_t) for name in
                    "arena ordblks smblks hblks hblkhd usmblks fsmblks uordblks fordblks keepcost".split()]

    libc = ctypes.CDLL(None)
    libc.mallinfo2.restype = Mallinfo2

    def allocated():
        found = libc.mallinfo2()
        return found.uordblks + found.hblkhd

    before = allocated()
    block = ctypes.create_string_buffer(1 << 20)
    told = allocated() >= before + len(block)  # a sanitizer's allocator does not
    del block
    intact.mount(sys.argv[1])  # whatever the first one loads
    before = allocated()
    mounted = intact.mount(sys.argv[2])
    print(allocated() - before if told else "unknown")
    """
)


@pytest.fixture(scope="module", params=["at the top", "each in a directory"])
def trees(request, tmp_path_factory):
    """A directory of one file and one of many, with how many bytes their names have."""
    made = []
    for count in (1, MEMBERS):
        tree = tmp_path_factory.mktemp("tree")
        for number in range(count):
            file = tree / ("" if request.param == "at the top" else f"package{number}") / f"module{number}.py"
            file.parent.mkdir(exist_ok=True)
            file.write_text("value = 1\n")
        made.append(tree)
    return made, sum(map(len, formats.names_in(made[1])))


def pack(kind, tree, target):
    if kind != "zip":
        return formats.make(kind, tree, target)
    with zipfile.ZipFile(target, "w") as archive:
        for name in formats.names_in(tree):
            archive.write(tree / name, name)
    return str(target)


@pytest.mark.parametrize("kind", ["zip", *formats.FORMATS])
def test_a_member_costs_at_most_120_bytes_beside_its_name(kind, trees, tmp_path):
    (one, many), names = trees
    archives = [pack(kind, one, tmp_path / f"one.{kind}"), pack(kind, many, tmp_path / f"many.{kind}")]
    done = subprocess.run([sys.executable, "-c", MEASURE, *archives], capture_output=True, text=True, check=True)
    if done.stdout.strip() == "unknown":
        pytest.skip("this allocator does not say what it has given out")
    members = len(formats.names_in(many))
    if kind in formats.WITHOUT_DIRECTORIES:
        members, names = MEMBERS, sum(len(name) for name in formats.names_in(many) if name.endswith(".py"))
    assert MEMBERS * 8 < int(done.stdout) - names <= members * 120
