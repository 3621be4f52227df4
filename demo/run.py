"""`make demo`: a real application as one file, run where nothing can be written, beside the same one installed.

Packs demo/project, which needs numpy and pandas, with `intact pack`; runs it with a plain interpreter in a process that cannot write
to any file system (readonly.py), or, where that needs rights that are lacking, under strace, and says which of the two it was; then
installs the same into a virtual environment and times both, in turns.
"""

import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(ROOT / "tests"))

from support import strace  # noqa: E402

ROUNDS = 7
WHERE = "import intact, numpy; print('numpy is', numpy.__file__, '; images', [i[1] for i in intact.images()].count('graft'), 'mapped')"


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


def show(*command):
    """Prints a command as one would type it, and runs it."""
    print("\n$", *(os.path.relpath(part) if str(part).startswith(f"{ROOT}/") else part for part in command), flush=True)
    subprocess.run(list(map(str, command)), check=True)


def prove(command):
    for way in (read_only, traced):
        outcome = way(command)
        if outcome:
            code, proof = outcome
            if code:
                sys.exit(f"demo: failed ({proof})")
            print(f"nothing written: {proof}")
            return
    sys.exit("demo: no way to prove that nothing is written: neither a mount namespace nor strace can be used here")


def compare(app, installed):
    """Times both from start to exit, in turns."""
    times = {command: [] for command in (app, installed)}
    for _ in range(ROUNDS):
        for command, taken in times.items():
            start = time.perf_counter()
            subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
            taken.append(time.perf_counter() - start)
    ours, theirs = times.values()
    print(
        f"\nstart to exit, {ROUNDS} runs each in turns: the app takes {min(ours) / min(theirs):.2f} of the installed one's time "
        f"by the fastest, {statistics.median(ours) / statistics.median(theirs):.2f} by the median ({min(ours):.2f} s, {min(theirs):.2f} s)"
    )


def main():
    os.chdir(ROOT)
    directory = ROOT / "build" / "demo" / f"cp{sys.version_info[0]}{sys.version_info[1]}"
    directory.mkdir(parents=True, exist_ok=True)
    app, venv, python = directory / "sales.pyz", directory / "venv", sys._base_executable
    intact = Path(sys.executable).with_name("intact")

    show(intact, "pack", "-o", app, "--console-script", "sales-report", HERE / "project")
    show(intact, "info", app)
    print("\n$", os.path.relpath(app), flush=True)
    prove([python, "-I", str(app)])
    os.environ["INTACT_INTERPRETER"] = "1"
    show(python, app, "-c", WHERE)
    del os.environ["INTACT_INTERPRETER"]

    if not (venv / "bin/sales-report").exists():
        print("\ninstalling the same into a virtual environment")
        subprocess.run([python, "-m", "venv", "--without-pip", str(venv)], check=True)
        subprocess.run(
            [sys.executable, "-m", "pip", "-q", "--python", str(venv), "install", str(HERE / "project")], check=True
        )
    compare((str(venv / "bin/python"), str(app)), (str(venv / "bin/sales-report"),))


if __name__ == "__main__":
    main()
