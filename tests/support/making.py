"""Wheels for the tests of packing, made with zipfile alone (binary distribution format, PEP 427)."""

import subprocess
import sys
import zipfile

from support.wheels import record_line

PURE = "py3-none-any"


def wheel(
    directory, name, files, *, version="1.0", tag=PURE, record=lambda text: text, purelib=True, metadata=""
):
    """Writes NAME-VERSION-TAG.whl with `files` (path to str or bytes); `record` changes RECORD's text; `metadata` is lines
    that METADATA has more."""
    info = f"{name}-{version}.dist-info"
    content = {path: data.encode() if isinstance(data, str) else data for path, data in files.items()}
    content[f"{info}/METADATA"] = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n{metadata}".encode()
    content[f"{info}/WHEEL"] = (
        f"Wheel-Version: 1.0\nGenerator: hand\nRoot-Is-Purelib: {str(purelib).lower()}\nTag: {tag}\n".encode()
    )
    lines = [record_line(path, data) for path, data in content.items()] + [f"{info}/RECORD,,"]
    content[f"{info}/RECORD"] = record("\n".join(lines) + "\n").encode()
    path = directory / f"{name}-{version}-{tag}.whl"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for member, data in content.items():
            archive.writestr(member, data)
    return path


def intact(*arguments, **options):
    """Runs the command line; what it printed and how it ended."""
    command = [sys.executable, "-m", "intact", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, **options)


def merged(target, *arguments, **options):
    """What a merge that has to succeed printed."""
    done = intact("merge", "-o", target, *arguments, **options)
    assert done.returncode == 0, done.stderr
    return done.stdout
