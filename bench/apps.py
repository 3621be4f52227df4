"""What bench/start.py starts: the applications of bench/apps, their wheels, an interpreter with nothing installed."""

import os
import shutil
import subprocess
import sys
import sysconfig
import tempfile
import zipfile
from pathlib import Path

import peers
from inputs import wheels

SOURCES = Path(__file__).with_name("apps")
MEMBERS = (200, 20_000)


def interpreter(directory):
    """A copy of this interpreter's program beside links to its standard library, without what was installed with it.

    Installed packages would be found by the applications, and their start-up hooks would cost some peers and not
    others. A virtual environment would be as empty, but peers tell it from an interpreter and take longer.
    """
    program = directory / "bin" / f"python{sys.version_info[0]}.{sys.version_info[1]}"
    if not program.exists():
        bases = dict.fromkeys(("base", "platbase", "installed_base", "installed_platbase"), sys.base_prefix)
        for kind in ("stdlib", "platstdlib"):
            library = Path(sysconfig.get_path(kind, vars=bases))
            _link(library, directory / library.relative_to(sys.base_prefix))
        program.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(os.path.realpath(sys.executable), program)
        (program.parent / "python3").symlink_to(program.name)
    return str(program)


def _link(library, copy):
    copy.mkdir(parents=True, exist_ok=True)
    (copy / "site-packages").mkdir(exist_ok=True)
    for path in library.iterdir():
        if path.name not in ("site-packages", "dist-packages") and not (copy / path.name).exists():
            (copy / path.name).symlink_to(path)


def real(workshop, directory, name):
    """The application in bench/apps/NAME, with its wheels from the package index; they are kept until it changes."""
    folder = directory / "wheels" / name
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", "wheel", "-q", "--prefer-binary"]

    def make(folder):
        with tempfile.TemporaryDirectory(dir=folder.parent) as source:  # setuptools builds in the tree
            shutil.copytree(SOURCES / name, source, dirs_exist_ok=True)
            subprocess.run([*command, "-w", folder, source], check=True)

    workshop.kept(folder, peers.contents(SOURCES / name), make)
    return peers.App(f"bench-{name}", f"bench_{name}.cli:main", folder)


def many(workshop, directory, count):
    """An application of `count` modules, none of which is imported: what is packed, not what is done."""
    package = f"bench_members_{count}"

    def make(folder):
        files = {f"{package}/__init__.py": b'def main():\n    print("started", flush=True)\n'}
        for i in range(count):
            files[f"{package}/part{i // 100}/module{i % 100}.py"] = f"NUMBER = {i}\n".encode()
        info = f"{package}-1.0.dist-info"
        files[f"{info}/METADATA"] = f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.0\n".encode()
        files[f"{info}/WHEEL"] = b"Wheel-Version: 1.0\nGenerator: bench\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        record = [wheels.record_line(path, data) for path, data in files.items()] + [f"{info}/RECORD,,\n"]
        files[f"{info}/RECORD"] = "\n".join(record).encode()
        with zipfile.ZipFile(folder / f"{package}-1.0-py3-none-any.whl", "w") as archive:
            for path, data in files.items():
                archive.writestr(zipfile.ZipInfo(path), data)

    folder = directory / "wheels" / package
    workshop.kept(folder, count, make)
    return peers.App(package.replace("_", "-"), f"{package}:main", folder)


def make(workshop, directory, names):
    """Name to application, for those of `names`: a folder of bench/apps, or members-COUNT."""
    found = {}
    for name in names:
        kind, _, count = name.partition("-")
        found[name] = many(workshop, directory, int(count)) if kind == "members" else real(workshop, directory, name)
    return found
