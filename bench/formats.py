"""Measures mounting and reading whole archives against libarchive's own bsdtar, and fails where a figure misses its limit.

Of each format there is one archive with the same 5,000 files, sources, bytecode, data and shared objects of numpy and pandas.
Ours mounts it and reads every member (formats_worker.py); the clock runs in the process, from before `import intact`, because
an interpreter is there for other reasons than an archive. bsdtar writes what it reads into nothing, and is timed from its
start to its end, of which starting is some milliseconds. How else is measured is said in compare.py.

    python bench/formats.py [--rounds N] [--only TEXT] [--without TEXT] [--json FILE]
    python bench/formats.py --table [--rounds N]

Prints the table, writes build/bench-formats.json, exits 1 when a ratio of minima is above "at most". With --table the table
of docs/formats/libarchive.md instead: what each format can do and what mounting costs, tried and measured.
"""

import functools
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import compare
import inputs  # which makes tests/support importable
from rows import FORMAT_ROWS
from support import formats

WORKER = Path(__file__).with_name("formats_worker.py")
MEMBERS = 5_000
_LISTED = ("--no-recursion", "--null", "-T", "-")  # names on standard input
_BSDTAR = ("bsdtar", "--uid", "0", "--gid", "0", "-cf")
# How each is made, in the directory of the files; a program's own defaults, as most archives are.
COMMANDS = {
    "zip": (*_BSDTAR, "{}", "--format", "zip", *_LISTED),
    "tar": (*_BSDTAR, "{}", *_LISTED),
    "tar.gz": (*_BSDTAR, "{}", "--gzip", *_LISTED),
    "tar.bz2": (*_BSDTAR, "{}", "--bzip2", *_LISTED),
    "tar.xz": (*_BSDTAR, "{}", "--xz", *_LISTED),
    "tar.lzma": (*_BSDTAR, "{}", "--lzma", *_LISTED),
    "tar.zst": (*_BSDTAR, "{}", "--zstd", *_LISTED),
    "tar.lz4": (*_BSDTAR, "{}", "--lz4", *_LISTED),
    "cpio": (*_BSDTAR, "{}", "--format", "newc", *_LISTED),
    "iso": (*_BSDTAR, "{}", "--format", "iso9660", *_LISTED),
    "7z": ("7zz", "a", "-bd", "-bso0", "-t7z", "{}", "@{}.names"),
    "cab": ("xargs", "-0", "-s", "1000000", "gcab", "-c", "-z", "{}"),
    "xar": (*_BSDTAR, "{}", "--format", "xar", *_LISTED),
}
# No free program writes these; tests/support/formats.py does, without compressing.
WRITERS = {"rar4": formats.rar4, "rar5": formats.rar5}


def content(python, directory):
    """The directory with the files, and the names of those that count, in order."""
    installed = Path(inputs.packages(python, directory)["venv"])
    names = sorted(path.relative_to(installed).as_posix() for path in installed.rglob("*") if path.is_file())
    if len(names) < MEMBERS:
        sys.exit(f"bench: {len(names)} files, where {MEMBERS} are wanted")
    return installed, names[:MEMBERS]


def make(kind, files, names, directory):
    """The path of the archive, which is made once."""
    directory.mkdir(exist_ok=True)
    path = directory / f"content.{kind}"
    if not path.exists():
        target = directory / f"new.{kind}"
        target.unlink(missing_ok=True)
        if kind in WRITERS:
            target.write_bytes(WRITERS[kind](formats.entries(files, names)))
        else:
            pack(COMMANDS[kind], files, names, target)
        target.rename(path)
    return str(path)


def pack(command, files, names, target):
    listed = Path(f"{target}.names")
    listed.write_text("\n".join(names))
    words = [word.replace("{}", str(target)) for word in command]
    subprocess.run(words, cwd=files, input="\0".join(names).encode(), check=True)
    listed.unlink()


def run(command, output):
    """What the process wrote, and its seconds from start to end: wall, and of all processors."""
    start = time.perf_counter()
    with subprocess.Popen(command, stdout=output) as process:
        written = process.stdout.read() if output == subprocess.PIPE else b""
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        sys.exit(f"bench: {command} failed")
    return written, {"wall": time.perf_counter() - start, "cpu": usage.ru_utime + usage.ru_stime}


def ours(site, action, path):
    """The figures that formats_worker.py printed."""
    command = [sys.executable, "-I", "-S", "-B", str(WORKER), action, site, path]
    return json.loads(run(command, subprocess.PIPE)[0])


def measure(site, paths, side):
    reader, _, kind = side.partition("/")
    if reader == "intact":
        return ours(site, "read", paths[kind])
    return run(["bsdtar", "-xOf", paths[kind]], subprocess.DEVNULL)[1]


def check(site, path, expected):
    """That both read the same, and all of it."""
    theirs = subprocess.run(["bsdtar", "-xOf", path], stdout=subprocess.PIPE, check=True).stdout
    count = ours(site, "read", path)["count"]
    if len(theirs) != expected or count != [MEMBERS, expected]:
        sys.exit(f"bench: of {path} bsdtar read {len(theirs)} bytes, intact {count}, where there are {expected}")


def table(site, paths, size, rounds):
    """The rows of the page: what was tried, and the least of what mounting took, in parts of what it takes of the zip."""
    figures = {kind: [ours(site, "mount", path) for _ in range(rounds)] for kind, path in paths.items()}
    base = compare.least(figures["zip"], "wall")
    print("| format | disk | memory | native code | graft | time to mount, zip = 1 | memory kept / contents |")
    print("|---|---|---|---|---|---|---|")
    for kind, path in paths.items():
        tried = ours(site, "try", path)
        able = [{True: "yes", False: "no"}[tried[what]] for what in ("disk", "memory", "native")]
        graft = f"{tried['grafted']} of {tried['images']}"
        cost = compare.least(figures[kind], "wall") / base
        kept = compare.least(figures[kind], "memory") / size
        print(f"| {kind} | {' | '.join(able)} | {graft} | {cost:.0f} | {kept:.2f} |")


def main():
    table_flag = {"--table": "print the table of docs/formats/libarchive.md instead"}
    options = compare.arguments(__doc__, "bench-formats.json", flags=table_flag)
    rows, sides = compare.chosen(FORMAT_ROWS, options)
    tag = f"cp{sys.version_info[0]}{sys.version_info[1]}"
    directory, site = compare.ROOT / "build" / "bench" / tag, str(compare.ROOT / "build" / "site" / tag)
    directory.mkdir(parents=True, exist_ok=True)
    files, names = content(sys.executable, directory)
    size = sum((files / name).stat().st_size for name in names)
    kinds = [*COMMANDS, *WRITERS] if options.table else list(dict.fromkeys(side.partition("/")[2] for side in sides))
    paths = {kind: make(kind, files, names, directory / "formats") for kind in kinds}
    if options.table:
        return table(site, paths, size, options.rounds)
    for path in paths.values():
        check(site, path, size)
    figures = compare.collect(sides, options.rounds, functools.partial(measure, site, paths), {})
    return compare.conclude(rows, figures, options)


if __name__ == "__main__":
    sys.exit(main())
