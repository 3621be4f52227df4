"""What an iso9660 volume may cost: caps on what libarchive does for it."""

import intact
import pytest
from support import formats

MODE = formats.system_use(b"PX", 0o40755, 2, 0, 0)
MIB = 1 << 20
MANY = 200 * 2048


def directory(name, sector, size=2048, *entries):
    return formats.iso_record(name, sector, size, 2, b"".join(entries))


def volume(*records, sectors=b""):
    """An iso9660 volume with Rock Ridge whose root, in sector 19, has these records, and `sectors` behind it."""
    root = directory(b"\0", 19, 2048, formats.system_use(b"SP", b"\xbe\xef\0"), MODE)
    return formats.iso_of(directory(b"\0", 19), formats.iso_listing(root, *records), sectors, end=20 + len(sectors) // 2048 + 6)


def empty_files(count):
    mode = formats.system_use(b"PX", 0o100644, 1, 0, 0)
    return [formats.iso_record(b"%d" % number, 0, 0, 0, mode) for number in range(count)]


def many_files(count):
    """Ones of a large directory, in a volume of MANY bytes."""
    listing = formats.iso_listing(*empty_files(count)).ljust(MANY - 20 * 2048, b"\0")
    return volume(directory(b"D", 20, len(listing), MODE), sectors=listing)


def nested(count):
    """Directories in one another, in a sector each."""
    sectors = [formats.iso_listing(directory(b"D", sector, 2048, MODE)) for sector in range(21, 20 + count)]
    return volume(directory(b"D", 20, 2048, MODE), sectors=b"".join([*sectors, bytes(2048)]))


def files_below(count, name):
    """Files in a directory, whose name is part of each path."""
    name = formats.system_use(b"NM", b"\0" + name)
    return volume(directory(b"D", 20, 4096, name), sectors=formats.iso_listing(*empty_files(count)).ljust(4096, b"\0"))


def continued(count):
    """Files whose system use goes on in the same whole sector, which has padding in it."""
    record = formats.iso_record(b"F", 0, 0, 0, formats.system_use(b"CE", 0, 0, 2048))
    behind = 20 + -(-count // (2048 // len(record)))
    listing = formats.iso_listing(*[formats.iso_record(b"F", 0, 0, 0, formats.system_use(b"CE", behind, 0, 2048))] * count)
    return volume(directory(b"D", 20, len(listing), MODE), sectors=listing + formats.system_use(b"PD", bytes(124)) * 16)


def standing_for(count):
    """Records that stand for relocated directories, which are not there."""
    listing = formats.iso_listing(*(formats.iso_record(b"L", 0, 0, 0, formats.system_use(b"CL", 1000 + n)) for n in range(count)))
    return volume(directory(b"D", 20, len(listing), MODE), sectors=listing)


def relocated(count):
    moved = formats.system_use(b"RE")
    first = 20 + count // 20 + 1
    listing = formats.iso_listing(*(directory(b"R", first + n, 2048, MODE, moved) for n in range(count)))
    place = directory(b"rr_moved", 20, len(listing), MODE)
    return volume(place, sectors=listing.ljust((first - 20) * 2048, b"\0") + bytes(count * 2048))


def large(size):
    return volume(directory(b"D", 20, size, MODE), sectors=bytes(-(-size // 2048) * 2048))


ISOS = {
    "files": (lambda n: volume(*empty_files(n)), 10, "more files than 10", {"max_members": 10}),
    "bytes-of-files": (many_files, 2000, "more files than 2001", {"max_unpacked_size": 2001 * 512 - MANY}),
    "names": (lambda n: files_below(40, b"n" * n), 150, "longer paths", {"max_directory_size": 6424}),
    "depth": (nested, 255, "more directories in one another than 256", {}),
    "continuations": (continued, 32_768, "more bytes of continuation areas than 67108864", {}),
    "what-stands-for-directories": (standing_for, 10_000, "more relocated directories than 10000", {}),
    "relocated-directories": (relocated, 10_000, "more relocated directories than 10000", {}),
    "bytes-of-a-directory": (large, 64 * MIB, "more bytes of a directory than 67108864", {}),
    "bytes-of-directories": (large, 10 * 2048, "larger directories than the limit", {"max_directory_size": 11 * 2048}),
}


@pytest.mark.parametrize("name", ISOS)
def test_what_libarchive_does_for_an_iso9660_volume_is_capped(name):
    """Each of these takes time or memory that grows faster than the volume, or is kept of each of its files."""
    make, most, said, limits = ISOS[name]
    intact.mount(make(most), name="most", **limits).unmount()
    with pytest.raises(intact.ArchiveError, match=rf"^more: an iso9660 volume with {said}"):
        intact.mount(make(most + 1), name="more", **limits)


def test_files_that_share_their_place_count_each():
    """Contents that stay in the archive are read when it is mounted, for each of them."""
    size = 400_000
    modes = [formats.system_use(b"PX", 0o100644, 1, 0, 0, number) for number in range(10)]  # serial numbers that differ: no hard links
    files = [formats.iso_record(b"%d" % number, 21, size, 0, mode) for number, mode in enumerate(modes)]
    image = volume(*files, sectors=bytes(2048) + b"x" * size + bytes(1408))
    assert len(intact.mount(image, max_unpacked_size=10 * size)) == 10
    with pytest.raises(intact.ArchiveError, match="contents that overlap"):
        intact.mount(image, max_unpacked_size=8 * size)
