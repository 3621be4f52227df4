"""Writes the iso9660 volumes among the seeds of libarchive_fuzz and in tests/rejected/libarchive, and the seeds of iso_fuzz.

By hand, as make_formats.py: `python fuzz/make_isos.py` in the root of the source tree (any Python from 3.11).
"""

from make_formats import CONTENT, ROOT, patched, write
from support.formats import iso_listing, iso_of, iso_record, system_use


def iso(*, extent=20, size=len(CONTENT), directory_extent=19, name=b"M.PY;1", second=()):
    """CONTENT in sector 20."""
    root = iso_record(b"\0", directory_extent, 2048, 2)
    listing = root + iso_record(b"\1", directory_extent, 2048, 2) + iso_record(name, extent, size, 0)
    for entry in second:
        listing += iso_record(*entry)
    return iso_of(root, listing, CONTENT)


def isos():
    yield "plain.iso", iso()
    yield "extents-that-are-shared.iso", iso(second=[(b"N.PY;1", 20, 64, 0)])
    name, mode = system_use(b"NM", b"\0module.py"), system_use(b"PX", 0o100644, 1, 0, 0)
    yield "continued.iso", rock_ridge(iso_record(b"M.PY;1", 21, len(CONTENT), 0, mode + system_use(b"CE", 20, 7, len(name))), sectors=[bytes(7) + name, CONTENT])
    moved = iso_record(b"X", 21, 2048, 2, system_use(b"RE"))
    stands_for = iso_record(b"L", 0, 0, 0, system_use(b"CL", 21))
    place = [iso_record(directory, sector, 2048, 2, system_use(b"TF", b"\0")) for directory, sector in ((b"rr_moved", 20), (b"D", 22))]
    yield "relocated.iso", rock_ridge(*place, sectors=[moved, iso_record(b"F", 23, 9, 0, mode), stands_for, CONTENT])
    roots = [iso_record(b"\0", sector, 2048, 2) for sector in (19, 20)]
    yield "joliet.iso", iso_of(roots[0], roots[0], iso_listing(roots[1], iso_record(b"\0m", 21, 9)), CONTENT, joliet=roots[1])


def rock_ridge(*records, sectors=(), used=b"", **options):
    """A volume whose root has these records, with `used` in the system use area of its own record."""
    first = system_use(b"SP", b"\xbe\xef\0") + system_use(b"PX", 0o40755, 2, 0, 0) + used
    root = iso_record(b"\0", 19, 2048, 2)
    listing = iso_record(b"\0", 19, 2048, 2, first) + iso_record(b"\1", 19, 2048, 2) + b"".join(records)
    return iso_of(root, listing, *sectors, **options)


def continued(*areas):
    """A file whose system use goes on in these places: (sector, offset, bytes)."""
    return iso_record(b"M.PY;1", 25, 10, 0, b"".join(system_use(b"CE", *area) for area in areas))


def rejected_isos():
    yield "extent-beyond-the-end.iso", iso(extent=1 << 30)
    yield "size-beyond-the-end.iso", iso(size=1 << 31)
    yield "directory-beyond-the-end.iso", iso(directory_extent=1 << 30)
    yield "directory-of-it-beyond-the-end.iso", iso(second=[(b"D", 25, 4096, 2)])
    yield "directory-in-itself.iso", iso(second=[(b"D", 19, 2048, 2)])
    yield "directories-shared.iso", iso(second=[(b"D", 21, 2048, 2), (b"E", 21, 2048, 2)])
    yield "directories-that-overlap.iso", iso(second=[(b"D", 21, 4096, 2), (b"E", 22, 2048, 2)])
    yield "directory-in-pieces.iso", iso(second=[(b"D", 21, 2048, 0x82), (b"D", 22, 2048, 2)])
    yield "record-shorter-than-its-name.iso", iso_of(iso_record(b"\0", 19, 2048, 2), patched(iso_record(b"M.PY;1", 20, 10), 32, b"\xff"))
    yield "blocks-of-512.iso", iso_of(iso_record(b"\0", 19, 2048, 2), iso_record(b"\0", 19, 2048, 2), block=512)
    yield "roots-that-differ.iso", patched(iso(), 17 * 2048, iso(directory_extent=20)[16 * 2048 : 17 * 2048] + iso()[17 * 2048 : 18 * 2048])
    joliet = [iso_record(b"\0D", 21, 2048, 2), iso_record(b"\0E", 21, 2048, 2)]
    roots = [iso_record(b"\0", sector, 2048, 2) for sector in (19, 20)]
    yield "joliet-directories-shared.iso", iso_of(roots[0], roots[0], iso_listing(roots[1], *joliet), joliet=roots[1])

    entry = system_use(b"TF", b"\0")
    yield "continuation-in-itself.iso", rock_ridge(continued((20, 0, 33)), sectors=[entry + system_use(b"CE", 20, 0, 33)])
    yield "continuation-before.iso", rock_ridge(continued((21, 0, 33)), sectors=[entry, entry + system_use(b"CE", 20, 0, 5)])
    yield "continuations-of-one-record.iso", rock_ridge(continued((20, 0, 5), (21, 0, 5)), sectors=[entry, entry])
    yield "continuation-beyond-its-block.iso", rock_ridge(continued((20, 2000, 49)))
    yield "continuation-beyond-the-end.iso", rock_ridge(continued((1 << 30, 0, 5)))
    directory = system_use(b"PX", 0o40755, 2, 0, 0)
    yield "directories-by-mode-shared.iso", rock_ridge(*(iso_record(name, 21, 2048, 0, directory) for name in (b"D", b"E")))

    moved, stands_for = system_use(b"RE"), lambda sector: iso_record(b"L", 0, 0, 0, system_use(b"CL", sector))
    place = [iso_record(b"rr_moved", 20, 2048, 2, entry), iso_record(b"D", 23, 2048, 2, entry)]
    of_two = [iso_record(b"A", 21, 2048, 2, moved), iso_record(b"B", 22, 2048, 2, moved)]
    yield "relocated-in-a-circle.iso", rock_ridge(*place, sectors=[iso_listing(*of_two), stands_for(22), stands_for(21)])
    yield "relocated-twice.iso", rock_ridge(*place, sectors=[iso_listing(*of_two), b"", b"", stands_for(21) * 2])
    deeper = iso_record(b"E", 24, 2048, 2, entry)
    yield "relocated-too-deep.iso", rock_ridge(*place[1:], sectors=[b"", b"", b"", deeper, of_two[1]])
    yield "relocated-root.iso", rock_ridge(used=system_use(b"CE", 20, 0, 4), sectors=[moved])
    yield "relocated-from-the-root.iso", rock_ridge(iso_record(b"A", 20, 2048, 2, moved), place[1], sectors=[b"", b"", b"", stands_for(20)])


def sectors_of_isos():
    """What the seeds of iso_fuzz are: all behind the descriptors."""
    for name, volume in [*isos(), *rejected_isos()]:
        if not name.startswith(("joliet", "roots", "blocks")):
            yield name.replace(".iso", ".sectors"), volume[19 * 2048 :].rstrip(b"\0")


if __name__ == "__main__":
    write(ROOT / "fuzz/corpus/libarchive", [isos])
    write(ROOT / "fuzz/corpus/iso", [sectors_of_isos])
    write(ROOT / "tests/rejected/libarchive", [rejected_isos])
