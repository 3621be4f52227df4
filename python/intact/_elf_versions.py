"""Symbol versions of a shared object, for _doctor_archive.py: the dynamic linker refuses one that needs what a library does not have.

Of bytes that the engine has checked, or of a library that the dynamic linker has loaded. Formats: LSB core, "Symbol
Versioning" (https://refspecs.linuxfoundation.org/LSB_5.0.0/LSB-Core-generic/LSB-Core-generic/symversion.html).
"""

from __future__ import annotations

from collections.abc import Iterator
from struct import iter_unpack, unpack_from

_PT_LOAD, _PT_DYNAMIC = 1, 2
_STRTAB, _VERDEF, _VERNEED = 5, 0x6FFFFFFC, 0x6FFFFFFE
_RTLD_DI_LINKMAP = 2
_WEAK = 2  # the dynamic linker goes on without it


def needs(data: bytes) -> list[tuple[str, str]]:
    """(library, version) of each that is needed."""
    tables = _Tables(data)
    found = []
    for at in tables.chain(_VERNEED, 12):
        library, first = unpack_from("<II", data, at + 4)
        for item in tables.follow(at + first, 12):
            flags, name = unpack_from("<4xH2xI", data, item)
            if not flags & _WEAK:
                found.append((tables.string(library), tables.string(name)))
    return found


def defines(data: bytes) -> set[str]:
    """The versions that a library has; none of one that has no versions, which any need of one is content with."""
    tables = _Tables(data)
    firsts = [at + unpack_from("<12xI", data, at)[0] for at in tables.chain(_VERDEF, 16)]
    return {tables.string(unpack_from("<I", data, first)[0]) for first in firsts}


def lacking(library: str, wanted: set[str]) -> set[str]:
    """Which of the versions the library has not that the dynamic linker finds by this name. It is loaded for that."""
    import ctypes

    handle = ctypes.c_void_p(ctypes.CDLL(library)._handle)
    link = ctypes.POINTER(ctypes.c_char_p)()  # to a struct link_map, whose second member is the path
    if ctypes.CDLL(None).dlinfo(handle, _RTLD_DI_LINKMAP, ctypes.byref(link)) != 0:
        return set()
    with open(link[1], "rb") as file:
        offered = defines(file.read())
    return wanted - offered if offered else set()


class _Tables:
    def __init__(self, data: bytes) -> None:
        self._data = data
        table, count = unpack_from("<32xQ16xH", data)
        headers = [unpack_from("<I4xQQ8xQ", data, table + 56 * i) for i in range(count)]
        self._loads = [header[1:] for header in headers if header[0] == _PT_LOAD]
        offset, _, size = next(header[1:] for header in headers if header[0] == _PT_DYNAMIC)
        self._tags: dict[int, int] = {}
        for tag, value in iter_unpack("<QQ", data[offset : offset + size]):
            if tag == 0:
                break
            self._tags.setdefault(tag, value)

    def chain(self, tag: int, link: int) -> Iterator[int]:
        """Offsets of the records of a table, each of which has the distance to the next at `link`."""
        address = self._tags.get(tag)
        return iter(()) if address is None else self.follow(self._offset(address), link)

    def follow(self, at: int, link: int) -> Iterator[int]:
        while True:
            yield at
            (distance,) = unpack_from("<I", self._data, at + link)
            if distance == 0:
                return
            at += distance

    def string(self, at: int) -> str:
        start = self._offset(self._tags[_STRTAB]) + at
        return self._data[start : self._data.index(b"\0", start)].decode("utf-8", "replace")

    def _offset(self, address: int) -> int:
        places = (offset + address - start for offset, start, size in self._loads if start <= address < start + size)
        return int(next(places))
