"""Makes the archives that tests and benches mount, with zipfile alone: nothing of ours takes part.

`merge` makes one archive of many wheels the way a packer would: members stored, shared objects on page boundaries so
that they can be mapped, and bytecode compiled ahead beside the sources. It is run as a program by the interpreter that
the bytecode is for:

    python -I archives.py OUT.zip WHEEL...
"""

import importlib._bootstrap_external as bootstrap
import importlib.util
import os
import sys
import zipfile
from concurrent.futures import ProcessPoolExecutor

PAGE = 4096
# The extra field that zipalign made customary: an alignment in two bytes, then padding.
ALIGNMENT_FIELD = 0xD935
EPOCH = (1980, 1, 1, 0, 0, 0)


def is_shared_object(name):
    base = name.rsplit("/", 1)[-1]
    return base.endswith(".so") or ".so." in base


def add(archive, name, data, *, align=False, compression=zipfile.ZIP_STORED):
    """Writes one member; with `align` its data starts on a page boundary (the archive must start its file)."""
    info = zipfile.ZipInfo(name, EPOCH)
    info.compress_type = compression
    info.external_attr = 0o100644 << 16
    if align:
        start = archive.fp.tell() + 30 + len(name.encode()) + 6
        padding = -start % PAGE
        info.extra = b"".join(n.to_bytes(2, "little") for n in (ALIGNMENT_FIELD, 2 + padding, PAGE)) + bytes(padding)
    archive.writestr(info, data)
    # The padding belongs to the local header; the directory need not repeat it.
    info.extra = b""


def bytecode(name, source):
    """The unchecked-hash .pyc of `source`, or None where it does not compile (templates, other grammars)."""
    try:
        code = compile(source, name, "exec", dont_inherit=True)
    except (SyntaxError, ValueError):
        return None
    return bytes(bootstrap._code_to_hash_pyc(code, importlib.util.source_hash(source), False))


def cached_name(name):
    """Where the bytecode of the source member `name` lies: in the __pycache__ beside it."""
    directory, _, base = name.rpartition("/")
    prefix = f"{directory}/" if directory else ""
    return f"{prefix}__pycache__/{base[:-3]}.{sys.implementation.cache_tag}.pyc"


def installed_name(name):
    """Where a wheel's member goes when it is installed (PEP 427): purelib and platlib are the root."""
    top, _, rest = name.partition("/")
    if top.endswith(".data"):
        scheme, _, below = rest.partition("/")
        return below if scheme in ("purelib", "platlib") else None
    return name


def members(wheels):
    """Name to bytes of all that the wheels install, sorted by name; two wheels may not disagree about a module."""
    files = {}
    for wheel in wheels:
        with zipfile.ZipFile(wheel) as archive:
            for info in archive.infolist():
                name = installed_name(info.filename)
                if info.is_dir() or not name:
                    continue
                data = archive.read(info)
                if files.setdefault(name, data) != data and name.endswith((".py", ".so")):
                    raise ValueError(f"{wheel}: {name} is in another wheel with other content")
    return dict(sorted(files.items()))


def merge(wheels, target, *, compression=zipfile.ZIP_STORED, compiled=True):
    """Writes one archive that holds what all of `wheels` install. Shared objects are always stored and aligned."""
    files = members(wheels)
    sources = [name for name in files if name.endswith(".py")] if compiled else []
    with ProcessPoolExecutor() as pool:
        compiled_sources = dict(
            zip(sources, pool.map(bytecode, sources, [files[name] for name in sources], chunksize=32))
        )
    partial = f"{target}.{os.getpid()}"
    with zipfile.ZipFile(partial, "w") as archive:
        for name, data in files.items():
            native = is_shared_object(name)
            add(archive, name, data, align=native, compression=zipfile.ZIP_STORED if native else compression)
            if compiled_sources.get(name):
                add(archive, cached_name(name), compiled_sources[name], compression=compression)
    os.replace(partial, target)


if __name__ == "__main__":
    merge(sys.argv[2:], sys.argv[1])
