"""Bytecode that is the same bytes from every process: marshal writes what the process happens to have in memory into it.

An object that may come again is marked (FLAG_REF in its type) if its reference count is more than one, and strings say whether they are
interned. Both are shared with all that the process has loaded: a name that nothing else uses is not marked, one that something else
uses is; "{" is interned once any code has a reason to. The marks also count when the members of a frozenset are put in order; and two
equal frozensets are one object in one run of the compiler and two in another.

So the code is written again with marks on what does come again and nothing else, what is equal once (but code), and as interned the strings that
read as names, which is the compiler's own rule. For what runs it makes no difference: names are interned when a code object is made.
The format is described by CPython's Python/marshal.c alone. It is one for code of 3.11 to 3.13; what is not understood is left as it is.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

_FLAG_REF = 0x80
_REF, _CODE, _LONG, _SMALL_TUPLE, _FROZENSET = b"rcl)>"
_NOTHING = frozenset(b"0NFTS.")  # the type says all
_FIXED = {ord("i"): 4, ord("g"): 8, ord("y"): 16}
_SEQUENCES = frozenset(b"(>")  # a number of objects in four bytes
_SHORT = frozenset(b"zZ")  # ASCII, its size in one byte
_COUNTED = frozenset(b"saAut")  # a size in four bytes
_STRINGS = {kind: pair for pair in (b"zZ", b"aA", b"ut") for kind in pair}  # to the types: as it is, and interned


class _Object:
    __slots__ = "index", "kind", "parts", "uses"

    def __init__(self, kind: int, parts: tuple[bytes | _Object, ...]) -> None:
        self.kind, self.parts, self.uses, self.index = kind, parts, 0, -1


def settled(data: bytes) -> bytes:
    """What marshal wrote of one code object, written again."""
    reader = _Reader(data)
    try:
        code = reader.read()
    except (IndexError, RecursionError, ValueError):
        return data
    if not reader.at_end:
        return data
    _count(code)
    out: list[bytes] = []
    _write(code, out, itertools.count())
    return b"".join(out)


class _Reader:
    def __init__(self, data: bytes) -> None:
        self._data, self._at = data, 0
        self._marked: list[_Object] = []
        self._known: dict[tuple[int | bytes, ...], _Object] = {}  # by type and content

    @property
    def at_end(self) -> bool:
        return self._at == len(self._data)

    def read(self) -> _Object:
        kind = self._data[self._at]
        self._at += 1
        if kind == _REF:
            return self._marked[self._number()]
        place = len(self._marked)
        if kind & _FLAG_REF:
            kind &= ~_FLAG_REF
            self._marked.append(_NOBODY)  # what is in it is numbered after it
            self._marked[place] = made = self._made(kind)
            return made
        return self._made(kind)

    def _made(self, kind: int) -> _Object:
        parts = self._parts(kind)
        if kind in _STRINGS:
            kind = _STRINGS[kind][_is_name(parts[1])]
        if kind == _CODE:
            return _Object(kind, parts)
        key = (kind, *[part if isinstance(part, bytes) else id(part) for part in parts])
        found = self._known.get(key)
        if found is None:
            found = self._known[key] = _Object(kind, parts)
        return found

    def _parts(self, kind: int) -> tuple[Any, ...]:
        """Bytes and _Objects."""
        if kind in _SHORT:
            return self._bytes(1), self._bytes(self._data[self._at - 1])
        if kind in _NOTHING:
            return ()
        if kind in _FIXED:
            return (self._bytes(_FIXED[kind]),)
        if kind == _SMALL_TUPLE:
            count = self._bytes(1)
            return count, *[self.read() for _ in range(count[0])]
        if kind == _CODE:  # five numbers, co_code to co_qualname, the first line, the tables of lines and of exceptions
            return self._bytes(20), *[self.read() for _ in range(8)], self._bytes(4), self.read(), self.read()
        start, number = self._at, self._number()
        size = self._data[start : self._at]
        if kind in _COUNTED:
            return size, self._bytes(number)
        if kind == _LONG:  # digits of 15 bits; the sign is the number's
            return size, self._bytes(2 * abs(number))
        if kind not in _SEQUENCES:
            raise ValueError(f"marshal has a type {kind} that is not known")
        members = [self.read() for _ in range(number)]
        return size, *(sorted(members, key=_plain) if kind == _FROZENSET else members)

    def _bytes(self, size: int) -> bytes:
        start = self._at
        self._at = start + size
        return self._data[start : self._at]

    def _number(self) -> int:
        return int.from_bytes(self._bytes(4), "little", signed=True)


_NOBODY = _Object(ord("0"), ())


def _is_name(content: bytes) -> bool:
    """Whether the compiler interns a constant that reads so. It does no other; a name that is not ASCII is interned when it is loaded."""
    return content.isascii() and content.replace(b"_", b"a").isalnum()


def _plain(item: _Object) -> bytes:
    """All of it, without marks."""
    return bytes([item.kind]) + b"".join(part if isinstance(part, bytes) else _plain(part) for part in item.parts)


def _count(item: _Object) -> None:
    item.uses += 1
    if item.uses == 1:
        for part in item.parts:
            if not isinstance(part, bytes):
                _count(part)


def _write(item: _Object, out: list[bytes], numbers: Iterator[int]) -> None:
    if item.index >= 0:
        out.append(b"r" + item.index.to_bytes(4, "little"))
        return
    mark = 0
    if item.uses > 1 and item.kind not in _NOTHING:
        item.index, mark = next(numbers), _FLAG_REF
    out.append(bytes([item.kind | mark]))
    for part in item.parts:
        if isinstance(part, bytes):
            out.append(part)
        else:
            _write(part, out, numbers)
