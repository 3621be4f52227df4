"""Compiling ahead: unchecked-hash bytecode (PEP 552), which is used without a look at the source, and is the same bytes whoever compiles.

As a program, for interpreters that know nothing of intact: (path, source) pairs from stdin, (path, bytecode) pairs to stdout.
"""

from __future__ import annotations

import importlib._bootstrap_external as bootstrap
import importlib.util
import marshal
import os
import signal
import subprocess
import sys
import warnings
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor

_HEADER = 16  # bytes of a .pyc before the code
_FEW = 50  # sources that are not worth starting processes for


# From (path, source) of modules to (path, content of their .pyc); what does not compile is left out.
Compiler = Callable[[Iterable[tuple[str, bytes]]], Iterable[tuple[str, bytes]]]


def cached_path(path: str, cache_tag: str = sys.implementation.cache_tag) -> str:
    """Where the bytecode of the source member `path` lies: in the ``__pycache__`` beside it (PEP 3147)."""
    directory, _, name = path.rpartition("/")
    return f"{directory}/__pycache__/{name.removesuffix('.py')}.{cache_tag}.pyc".lstrip("/")


def sourceless_path(path: str) -> str:
    """Where it lies to stand in for the source."""
    return path.removesuffix(".py") + ".pyc"


def is_module(path: str) -> bool:
    """Whether the member is source that can be imported: not what a wheel keeps for other places, in NAME-VERSION.data."""
    return path.endswith(".py") and not path.partition("/")[0].endswith(".data")


def compile_all(sources: Iterable[tuple[str, bytes]]) -> Iterator[tuple[str, bytes]]:
    """A Compiler for the interpreter at hand; processes of their own do it where that pays."""
    yield from _compile_all(sources, _compile_settled)


def _compile_all(
    sources: Iterable[tuple[str, bytes]], compile_one: Callable[[tuple[str, bytes]], bytes | None]
) -> Iterator[tuple[str, bytes]]:
    work = list(sources)
    if len(work) < _FEW:
        results: Iterable[bytes | None] = map(compile_one, work)
        yield from _named(work, results)
        return
    # Ctrl-C is the parent's: it leaves the block, and the children end with it.
    with ProcessPoolExecutor(
        os.cpu_count(),
        initializer=signal.signal,
        initargs=(signal.SIGINT, signal.SIG_IGN),
    ) as pool:
        yield from _named(work, pool.map(compile_one, work, chunksize=16))


def compile_by(python: str, sources: Iterable[tuple[str, bytes]]) -> list[tuple[str, bytes]]:
    """The same by another interpreter, given by its path."""
    command = [python, "-I", "-S", os.path.abspath(__file__)]
    done = subprocess.run(command, input=marshal.dumps(list(sources)), stdout=subprocess.PIPE, check=True)
    return [(path, _settled(content)) for path, content in marshal.loads(done.stdout)]


def _named(work: list[tuple[str, bytes]], results: Iterable[bytes | None]) -> Iterator[tuple[str, bytes]]:
    for (path, _), content in zip(work, results, strict=True):
        if content is not None:
            yield path, content


def _compile_settled(module: tuple[str, bytes]) -> bytes | None:
    content = _compile(module)
    return None if content is None else _settled(content)


def _settled(pyc: bytes) -> bytes:
    from intact._pack.marshalled import settled  # here, for as a program this file is alone

    return pyc[:_HEADER] + settled(pyc[_HEADER:])


def _compile(module: tuple[str, bytes]) -> bytes | None:
    path, source = module
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            code = compile(source, path, "exec", dont_inherit=True, optimize=0)
    except (SyntaxError, ValueError):  # a template, or another version's grammar
        return None
    return bytes(bootstrap._code_to_hash_pyc(code, importlib.util.source_hash(source), False))  # type: ignore[attr-defined]


if __name__ == "__main__":
    sys.stdout.buffer.write(marshal.dumps(list(_compile_all(marshal.load(sys.stdin.buffer), _compile))))
