"""The commands that tell what happens: trace and doctor."""

from __future__ import annotations

import argparse
import json
import os
import sys

from intact import PasswordError, _password_file
from intact._mounts import Mount

TYPE_CHECKING = False  # type checkers take it for typing's, which costs an import
if TYPE_CHECKING:
    from typing import Any

_TRACE_EXAMPLES = """\
examples:
  intact trace app.pyz -o trace.html                       an app
  intact trace app.pyz -o trace.html -- report --month 5   with arguments
  intact trace numpy.whl -o trace.json -c 'import numpy'   what intact run takes: a program in the command,
  intact trace numpy.whl -m mymodule                       a module, a prompt,
  intact trace numpy.whl -- report.py --month 5            or a script

The file is written when the program ends, however it does, and the exit code is the program's."""
_DOCTOR_EXAMPLES = """\
examples:
  intact doctor                      whether native code runs from memory here
  intact doctor app.pyz              and whether this app, archive, wheel or directory does
  intact doctor --json app.pyz

The exit code is 1 if something will not run, and 0 if all will."""


def add_commands(commands: Any, formatter: Any) -> None:
    """Add both to argparse's subcommands."""
    trace = commands.add_parser(
        "trace", help="a timeline of what a program imports", epilog=_TRACE_EXAMPLES, formatter_class=formatter
    )
    add_archives(trace)
    trace.add_argument(
        "-o",
        "--output",
        default="",
        metavar="FILE",
        help="a page (.html), Chrome trace events (.json) or text (.txt); without it text goes to stderr",
    )
    trace.set_defaults(function=_trace)
    doctor = commands.add_parser(
        "doctor", help="why something cannot run here", epilog=_DOCTOR_EXAMPLES, formatter_class=formatter
    )
    doctor.add_argument("archive", nargs="?", metavar="ARCHIVE", help="app, archive, wheel or directory")
    doctor.add_argument("--extract", metavar="DIR", help="as if shared objects could be put there")
    doctor.add_argument("--json", action="store_true", help="print JSON for scripts")
    add_opening(doctor)
    doctor.set_defaults(function=_doctor)


def add_archives(command: argparse.ArgumentParser) -> None:
    """What run and trace mount, and how."""
    command.add_argument(
        "archives",
        nargs="*",
        metavar="ARCHIVE",
        help="archive, wheel or directory; the last one wins where names clash",
    )
    command.add_argument("--first", action="store_true", help="let the archives shadow the standard library")
    command.add_argument("--no-files", action="store_true", help="do not answer file functions below the roots")
    command.add_argument("--extract", metavar="DIR", help="put shared objects there if memory may not be executed")
    add_opening(command)


def add_opening(command: argparse.ArgumentParser) -> None:
    """What it may take to open an archive."""
    _password_file.add_option(command)
    command.add_argument("--trusted", action="store_true", help="read what is refused because of what reading it may cost")


def mount_options(options: argparse.Namespace) -> dict[str, Any]:
    """The same for intact.mount."""
    files = False if options.no_files else None
    return {"first": options.first, "files": files, "extract": options.extract, "trusted": options.trusted}


# ---- trace


def _trace(options: argparse.Namespace) -> int:
    """Become a python that has imported as little as can be, so that what the program imports is in the trace."""
    from subprocess import _args_from_interpreter_flags  # type: ignore[attr-defined]

    from intact._trace import FORMATS

    archives, program = options.archives, options.program
    output = options.output and os.path.abspath(options.output)
    if output and os.path.splitext(output)[1] not in FORMATS:
        print(f"intact: {options.output}: the suffix says how it is written: {', '.join(FORMATS)}", file=sys.stderr)
        return 2
    if output and not os.access(os.path.dirname(output), os.W_OK | os.X_OK):
        print(f"intact: {options.output}: cannot be written there", file=sys.stderr)
        return 1
    title = " ".join(map(os.path.basename, archives)) or os.path.basename(" ".join(program[1:2]))
    if len(archives) == 1 and program[:1] in ([], ["--"]) and _is_program(archives[0], options.trusted):
        archives, program = [], ["--", archives[0], *program[1:]]
    arguments = (title, output, program, archives, mount_options(options), options.password_file)
    code = f"import sys; from intact import _trace; sys.exit(_trace.run(*{arguments!r}))"
    sys.stdout.flush()
    os.execv(sys.executable, [sys.executable, *_args_from_interpreter_flags(), "-c", code])


def _is_program(path: str, trusted: bool) -> bool:
    """Whether python itself runs it: an app of ours, or anybody's zip with a __main__ that is not encrypted."""
    if os.path.isdir(path):
        return False
    try:
        mount = Mount(path, os.path.abspath(path), path, (), trusted=trusted)
    except PasswordError:  # of no zip, which is listed without
        return False
    main = {row[0]: row[-1] for row in mount._members() if row[0] in ("__main__.py", "__main__.pyc")}
    return mount.format == "app" or (mount.format == "zip" and bool(main) and not any(main.values()))


# ---- doctor


def _doctor(options: argparse.Namespace) -> int:
    from intact import _doctor

    password = _password_file.PasswordFile(options.password_file)
    findings = _doctor.examine(options.archive, options.extract, password, options.trusted)
    if options.json:
        print(
            json.dumps(
                {"can_run": _doctor.can_run(findings), "findings": [each._asdict() for each in findings]}, indent=1
            )
        )
    else:
        _doctor.show(findings)
    return 0 if _doctor.can_run(findings) else 1
