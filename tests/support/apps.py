"""Apps of the package checks: packed by the command line, run by a Python with nothing, where nothing can be written."""

import functools
import os
import subprocess
import sys
from pathlib import Path

from support import making, packages, strace

PYTHON = sys._base_executable
ROOT = Path(__file__).resolve().parents[2]
READ_ONLY = (sys.executable, "-I", "-S", "-B", str(ROOT / "demo" / "readonly.py"))
REPORT = "\nimport bootstrap\nbootstrap.report_app()\n"


def pack(directory, check, wheels):
    """app.pyz in `directory`, made of `wheels` and one that has the check as a module.

    There is no index to ask: what is packed is what is given.
    """
    modules = {"the_check.py": check.code + REPORT, "bootstrap.py": packages.BOOTSTRAP.read_text()}
    own = making.wheel(directory, "the_check", modules)
    app = directory / "app.pyz"
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("PIP_", "UV_"))}
    done = subprocess.run(
        [sys.executable, "-m", "intact", "pack", "-o", app, "--entry", "the_check", own, *wheels],
        env=environment | {"PIP_NO_INDEX": "1", "PIP_CONFIG_FILE": os.devnull},
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert done.returncode == 0, done.stderr
    own.unlink()
    return app


@functools.cache
def can_be_read_only():
    return subprocess.run([*READ_ONLY, "--try"], capture_output=True).returncode == 0


def run(app, scratch=None, *, flags=("-I", "-S"), wrapper=()):
    """Runs `app` with HOME and a temporary directory in `scratch`, or without; `wrapper` goes before the command."""
    done = packages.finished(
        [*wrapper, PYTHON, *flags, "-X", "faulthandler", str(app)],
        cwd="/",
        env=packages.environment(*_places(scratch)),
        timeout=600,
    )
    return packages.Outcome.of(done)


def run_sealed(app, scratch, *, writable=False, **options):
    """The same where no directory can be written to, but those in `scratch` if they are to be `writable`.

    Where this process may not make file systems read-only, strace tells instead that nothing was written elsewhere.
    """
    if not can_be_read_only():
        return run_watched(app, scratch, **options)[0]
    given = [part for place in _places(scratch) for part in ("--scratch", place)] if writable else []
    return run(app, scratch if writable else None, wrapper=[*READ_ONLY, *given], **options)


def run_watched(app, scratch, **options):
    """The same where everything can be written: the outcome, and the paths in `scratch` that were made or changed.

    Asserts that there were none elsewhere.
    """
    log = app.with_name("strace.log")
    outcome = run(app, scratch, wrapper=strace.command(log), **options)
    outside = strace.changes(log, (f"{scratch}/",))
    assert outside == [], outside
    paths = [path for line in strace.changes(log) for path in strace.paths(line)]
    return outcome, sorted({os.path.relpath(path, scratch) for path in paths if path.startswith(f"{scratch}/")})


def _places(scratch):
    """HOME and the temporary directory."""
    return (f"{scratch}/home", f"{scratch}/tmp") if scratch else (None, None)
