"""What the benches measure on, made once per interpreter in build/bench: the same files as archives and as directories.

Nothing here is timed, and nothing of ours takes part: archives are written by zipfile (tests/support/archives.py).
"""

import json
import py_compile
import shutil
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests"))

from support import archives, wheels  # noqa: E402

PACKAGES = ("numpy", "pandas", "python-dateutil", "tzdata")
MANY_MEMBERS = 100_000
# Not for import in a bench: they open windows, print, run tests or need a running main program.
_LEFT_OUT = {
    "antigravity",
    "this",
    "turtle",
    "idlelib",
    "turtledemo",
    "tkinter",
    "test",
    "tests",
    "ensurepip",
    "lib2to3",
}
_LEFT_OUT |= {
    "pydoc_data",
    "encodings",
    "site",
    "sitecustomize",
    "usercustomize",
    "__phello__",
    "__hello__",
    "_sysconfigdata",
}

# Prints which of the modules named on standard input can be imported, one after another, in a process of its own.
_IMPORTABLE = """
import importlib, json, sys, warnings
warnings.simplefilter("ignore")
start, names = set(sys.modules), []
for name in json.load(sys.stdin):
    try:
        importlib.import_module(name)
    except BaseException:
        continue
    names.append(name)
loaded = {name for name in sys.modules if name not in start}
json.dump({"names": names, "start": sorted(start), "loaded": sorted(loaded)}, sys.stdout)
"""
# What `import intact` itself imports from the standard library: taken out of the list, and loaded before every side.
_OURS = "import sys; sys.path.insert(0, sys.argv[1]); import intact; print(*sys.modules)"


def _pure_modules():
    """Name to file of the standard library's modules that have a source, what is frozen in the interpreter excepted."""
    import _imp

    library = Path(sysconfig.get_path("stdlib"))
    found = {}
    for path in sorted(library.rglob("*.py")):
        parts = path.relative_to(library).with_suffix("").parts
        if not set(parts).isdisjoint(_LEFT_OUT) or "__main__" in parts or parts[0] in ("site-packages", "lib-dynload"):
            continue
        if not all(part.isidentifier() for part in parts) or parts[0].startswith("_sysconfigdata"):
            continue
        name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
        if not _imp.is_frozen(name):
            found[name] = path
    return library, found


def _whole_library(library):
    """Every source that an installation has, tests included; not what was installed beside it."""
    for path in sorted(library.rglob("*.py")):
        if path.relative_to(library).parts[0] not in ("site-packages", "lib-dynload"):
            yield path


def stdlib(python, site, directory):
    """The whole standard library's Python, as files and as archives, and the list of modules to import from it.

    One archive serves both readers: bytecode stands in __pycache__ and beside the source.
    """
    library, modules = _pure_modules()
    run = [python, "-I", "-S", "-c"]
    ours = subprocess.run([*run, _OURS, site], check=True, capture_output=True, text=True).stdout.split()
    ours = [name for name in ours if name in modules]
    done = subprocess.run(
        [*run, _IMPORTABLE], input=json.dumps(list(modules)), check=True, capture_output=True, text=True
    )
    result = json.loads(done.stdout.splitlines()[-1])
    # In the order in which they were first asked for; parents come before children as in any program.
    names = [name for name in result["names"] if name not in result["start"] and name not in ours]

    files = directory / "stdlib"
    shutil.rmtree(files, ignore_errors=True)
    members, alone = {}, {}
    for path in _whole_library(library):
        relative = path.relative_to(library).as_posix()
        (files / relative).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(path, files / relative)
        source = path.read_bytes()
        members[relative] = source
        try:
            py_compile.compile(str(files / relative), doraise=True)
            code = archives.bytecode(relative, source)
        except (SyntaxError, ValueError, py_compile.PyCompileError):  # the test suite's own bad examples
            continue
        members[archives.cached_name(relative)] = code  # where importlib and intact look for it
        members[relative[:-3] + ".pyc"] = alone[relative[:-3] + ".pyc"] = code  # where zipimport does
    made = {"names": names, "preload": ours, "files": str(files)}
    for title, contents, compression in (
        ("stored", members, zipfile.ZIP_STORED),
        ("deflated", members, zipfile.ZIP_DEFLATED),
        ("sourceless", alone, zipfile.ZIP_STORED),
    ):
        made[title] = str(directory / f"stdlib-{title}.zip")
        with zipfile.ZipFile(made[title], "w") as archive:
            for name in sorted(contents):
                archives.add(archive, name, contents[name], compression=compression)
    return made


def packages(python, directory):
    """numpy and pandas as wheels, as one packed archive, and installed with and without bytecode."""
    found = [str(w) for w in wheels.fetch(PACKAGES, directory / "wheels", python, dependencies=True)]
    packed = directory / "packed.zip"
    if not packed.exists():
        archives.merge(found, packed)
    made = {"wheels": found, "packed": str(packed)}
    for title, option in (("venv", "--compile"), ("venv-bare", "--no-compile")):
        target = directory / title
        if not target.exists():
            command = [python, "-m", "pip", "--disable-pip-version-check", "install", "-q", "--no-deps", "--no-index"]
            subprocess.run([*command, option, "--target", str(target), *found], check=True)
        made[title] = str(target)
    return made


def many(directory):
    """An archive of MANY_MEMBERS empty modules, and the same as zipimport can read it.

    zipimport before 3.13 knows no zip64, which more than 65,535 members ask for, and finds nothing behind zip64's two end
    records; the copy for it lacks these 76 bytes. The directory, which is what is read, is the same.
    """
    made = {"intact": directory / "many.zip", "zipimport": directory / "many-short.zip"}
    if not made["zipimport"].exists():
        with zipfile.ZipFile(made["intact"], "w") as archive:
            for i in range(MANY_MEMBERS):
                archive.writestr(zipfile.ZipInfo(f"package{i // 100}/module{i % 100}.py"), b"")
        data = made["intact"].read_bytes()
        end = len(data) - zipfile.sizeEndCentDir
        end64 = end - zipfile.sizeEndCentDir64Locator - zipfile.sizeEndCentDir64
        made["zipimport"].write_bytes(data[:end64] + data[end:])
    return {reader: str(path) for reader, path in made.items()}


def make(python, site, directory):
    directory.mkdir(parents=True, exist_ok=True)
    return {
        "site": site,
        "stdlib": stdlib(python, site, directory),
        "packages": packages(python, directory),
        "many": many(directory),
    }
