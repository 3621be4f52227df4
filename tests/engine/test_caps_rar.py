"""What a rar may cost: caps on what libarchive does for it."""

import building
import intact
import pytest
from support import formats


def named(count, name="{}"):
    return [(name.format(number), 0o100644, 1_714_996_800, b"x") for number in range(count)]


def test_names_of_a_rar_4_are_capped():
    """libarchive looks for each backslash from the name's beginning."""
    assert len(intact.mount(formats.rar4(named(1, "a\\" * 255 + "a")))) == 1
    for name in ("a\\" * 257, "a" * 4097):
        with pytest.raises(intact.ArchiveError, match="a name of more than 4096 bytes or 256 backslashes"):
            intact.mount(formats.rar4(named(1, name)))


COSTLY = pytest.mark.skipif(bool(building.SANITIZED), reason="a sanitizer clears what glibc's calloc gets cleared from the kernel")


@pytest.mark.parametrize(("window", "main"), [(7, 0), pytest.param(8, 0, marks=COSTLY), (7, 4)], ids=["16-mib", "32-mib", "solid"])
def test_windows_of_a_rar_5_are_capped(window, main):
    """One of 16 MiB for each member takes 0.4 milliseconds; larger ones libarchive gets without a cost, and a solid archive has one."""
    archive = formats.rar5(named(4500), compressed=True, window=window, main=main)
    if (window, main) != (7, 0):
        assert len(intact.mount(archive)) == 4500
        return
    with pytest.raises(intact.ArchiveError, match="more windows to unpack it than 64 GiB"):
        intact.mount(archive)


@pytest.mark.parametrize("make", [formats.rar4, formats.rar5])
def test_members_of_a_rar_are_capped(make):
    assert len(intact.mount(make(named(10)), max_members=10)) == 10
    with pytest.raises(intact.ArchiveError, match="more members than the limit of 9"):
        intact.mount(make(named(10)), max_members=9)


def test_a_rar_behind_a_program_is_none():
    """What libarchive would find there nobody has checked."""
    for make in (formats.rar4, formats.rar5):
        with pytest.raises(intact.ArchiveError, match="of no known archive format"):
            intact.mount(b"MZ".ljust(1 << 16, b"\0") + make(named(3)) + bytes(1 << 17))
