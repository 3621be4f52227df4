"""zipapp packing out of mounts: what it is given lies in a zip in memory, mounted, and is read through the file functions.

What it writes is mounted, too, and has to be there as zipfile has it.
"""

import os
import zipapp
import zipfile
from pathlib import Path

import intact
import packed

_original = zipapp.create_archive


def create_archive(source, target=None, *arguments, **options):
    if hasattr(source, "read"):
        return _original(source, target, *arguments, **options)
    path = Path(source)
    directory = path if path.is_dir() else path.parent
    if target is None and path.is_dir():
        target = path.with_suffix(".pyz")
    with intact.mount(packed.zipped(directory, packed.contents(directory)), name="sources") as sources:
        _original(Path(sources.root, path.relative_to(directory)), target, *arguments, **options)
    written = target.getvalue() if hasattr(target, "write") else os.fspath(target)
    with zipfile.ZipFile(target) as archive, intact.mount(written, name="written") as mount:
        names = [name for name in archive.namelist() if not name.endswith("/")]
        if {name: mount.read(name) for name in mount} != {name: archive.read(name) for name in names}:
            raise AssertionError(f"{target} is another to us than to zipfile")


def substitute():
    zipapp.create_archive = create_archive
