"""`make demo`: numpy and pandas out of wheels as pip downloads them, with nothing unpacked and nothing written.

Downloads the wheels for the interpreter at hand, then runs demo/analysis.py on them in a process that cannot write to
any file system (readonly.py), or, where that needs rights that are lacking, under strace. Says which of the two it was.
The same once more from one archive of them all, stored and aligned, whose native code is mapped rather than copied.
"""

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(ROOT / "tests"))

from support import archives, strace, wheels  # noqa: E402


def read_only(command):
    """Runs `command` where every file system is read-only; None where this process may not arrange that."""
    prefix = [sys.executable, "-I", "-S", "-B", str(HERE / "readonly.py")]
    if subprocess.run([*prefix, "--try"], capture_output=True).returncode:
        return None
    done = subprocess.run([*prefix, *command])
    return done.returncode, "every file system was read-only while it ran (a mount namespace of its own)"


def traced(command):
    """Runs `command` under strace and looks for anything created, changed or opened for writing."""
    if shutil.which("strace") is None or subprocess.run(["strace", "true"], capture_output=True).returncode:
        return None
    with tempfile.TemporaryDirectory() as directory:
        log = Path(directory, "log")
        done = subprocess.run([*strace.command(log), *command])
        written = strace.changes(log)
    if written:
        print("written:", *written, sep="\n  ")
        return 1, "strace saw it write"
    return done.returncode, "strace saw no file created, changed or opened for writing"


def prove(title, sources, site):
    print(f"\n== {title}", flush=True)
    command = [sys.executable, "-I", "-S", "-B", str(HERE / "program.py"), site, *map(str, sources)]
    for way in (read_only, traced):
        outcome = way(command)
        if outcome:
            code, proof = outcome
            if code:
                sys.exit(f"demo: failed ({proof})")
            print(f"nothing written: {proof}")
            return
    sys.exit("demo: no way to prove that nothing is written: neither a mount namespace nor strace can be used here")


def main():
    tag = f"cp{sys.version_info[0]}{sys.version_info[1]}"
    site = str(ROOT / "build" / "site" / tag)
    directory = ROOT / "build" / "demo" / tag
    found = wheels.fetch(["numpy", "pandas"], directory, sys.executable, dependencies=True)
    packed = directory / "packed.zip"
    if not packed.exists():
        archives.merge([str(wheel) for wheel in found], packed)
    for wheel in found:
        print(f"{wheel.stat().st_size / 1e6:6.1f} MB  {wheel.name}")
    prove("unmodified wheels, each a mount of its own", found, site)
    prove("one archive of them all, stored and aligned, bytecode inside", [packed], site)


if __name__ == "__main__":
    main()
