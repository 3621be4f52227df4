"""Makes what the engine's tests mount, and the same files on disk for CPython's own import system: the control.

A tree is a dict from member path to str, bytes, or None for a directory. zipfile writes the archives.
"""

import importlib._bootstrap_external as bootstrap
import importlib.machinery
import importlib.util
import io
import os
import subprocess
import sys
import time
import zipfile
from pathlib import Path

SUFFIX = importlib.machinery.EXTENSION_SUFFIXES[0]
TAG = sys.implementation.cache_tag
NOON = (2024, 5, 6, 12, 0, 0)  # when every member was written, local time
NOON_SECONDS = int(time.mktime((*NOON, 0, 0, -1)))


def encoded(content):
    return content.encode() if isinstance(content, str) else content


def zip_bytes(tree, compression=zipfile.ZIP_DEFLATED):
    """The archive of `tree`: its bytes."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", compression) as archive:
        for path, content in tree.items():
            info = zipfile.ZipInfo(path if content is not None else path + "/", NOON)
            info.compress_type = compression
            info.external_attr = (0o100644 if content is not None else 0o040755) << 16
            archive.writestr(info, b"" if content is None else encoded(content))
    return buffer.getvalue()


def write_zip(path, tree, compression=zipfile.ZIP_DEFLATED):
    Path(path).write_bytes(zip_bytes(tree, compression))
    return str(path)


def write_files(directory, tree):
    """The files of `tree` below `directory`, all of them written at NOON."""
    directory = Path(directory)
    directory.mkdir(parents=True, exist_ok=True)
    for path, content in tree.items():
        target = directory / path
        if content is None:
            target.mkdir(parents=True, exist_ok=True)
            continue
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(encoded(content))
        os.utime(target, (NOON_SECONDS, NOON_SECONDS))
    return str(directory)


def timestamp_pyc(source, mtime=NOON_SECONDS, size=None, path="elsewhere.py"):
    code = compile(source, path, "exec", dont_inherit=True)
    return bytes(bootstrap._code_to_timestamp_pyc(code, mtime, len(encoded(source)) if size is None else size))


def hash_pyc(source, hashed=None, checked=True):
    code = compile(source, "elsewhere.py", "exec", dont_inherit=True)
    digest = importlib.util.source_hash(encoded(source if hashed is None else hashed))
    return bytes(bootstrap._code_to_hash_pyc(code, digest, checked))


def cached(path, optimization=""):
    """The member path of the bytecode of the source `path` (PEP 3147, PEP 488)."""
    return importlib.util.cache_from_source(path, optimization=optimization)


def stdlib_extension(name):
    """The bytes of one of the interpreter's own shared objects, or None where it has none of that name."""
    spec = importlib.machinery.PathFinder.find_spec(name)
    if spec is None or not isinstance(spec.loader, importlib.machinery.ExtensionFileLoader):
        return None
    return Path(spec.origin).read_bytes()


def file_finder(directory):
    """CPython's own finder for a directory."""
    return importlib.machinery.FileFinder(str(directory), *bootstrap._get_supported_file_loaders())


# A sanitizer's runtime, which goes with every process that is started: it needs terabytes of addresses and is no debugger's.
SANITIZED = "san.so" in os.environ.get("LD_PRELOAD", "")
WITHOUT_GIL = not getattr(sys, "_is_gil_enabled", lambda: True)()


def python(*arguments, cwd=None, stdin="", env=None, flags=(), preexec_fn=None):
    """Runs the interpreter of the tests; what it printed and how it ended."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("PYTHON", "INTACT"))}
    return subprocess.run(
        [sys.executable, *flags, *arguments],
        cwd=cwd,
        env={**environment, "PYTHONDONTWRITEBYTECODE": "1", **(env or {})},
        input=stdin,
        capture_output=True,
        text=True,
        preexec_fn=preexec_fn,
        timeout=120,
    )


def output_of(*arguments, **options):
    """What the interpreter prints; fails the test with its stderr if it does not exit with 0."""
    done = python(*arguments, **options)
    assert done.returncode == 0, done.stderr
    return done.stdout
