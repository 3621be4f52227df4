"""The commands that write archives: pack and merge. They need the extra ``intact[pack]``."""

from __future__ import annotations

import argparse
import atexit
import contextlib
import json
import os
import re
import shlex
import signal
import sys
import tempfile
from typing import Any, Self


# The keys of writer.METHODS. Importing the writer, and so zipfile, would make every command a fifth slower to start.
_COMPRESS = ("none", "deflate", "zstd")
_PACK_EXAMPLES = """\
examples:
  intact pack -o app.pyz --entry myapp.cli:main ./myapp numpy pandas    a project and what it needs
  intact pack -o tool.pyz --console-script http httpie                  a tool from the package index
  intact pack -o all.pyz -r requirements.txt                            no program: an interpreter with packages
  intact pack -o app.pyz --for 3.11 --for 3.12 --engine intact-…-cp312-….whl -c app ./app
  python app.pyz …    ./app.pyz …    INTACT_INTERPRETER=1 python app.pyz -m pandas

uv or pip resolves, downloads and builds, with your own configuration of them. Nothing needs to be installed where the app runs but
the Python it was packed for."""


def add_commands(commands: Any, formatter: Any) -> None:
    """Add both to argparse's subcommands."""
    pack = commands.add_parser(
        "pack",
        help="write an application that starts itself",
        epilog=_PACK_EXAMPLES,
        formatter_class=formatter,
        allow_abbrev=False,  # _command knows options by their names
    )
    pack.add_argument(
        "requirements",
        nargs="*",
        metavar="REQUIREMENT",
        help="as pip takes them: names, wheels, directories of projects, URLs",
    )
    pack.add_argument(
        "-o", "--output", required=True, metavar="APP", help="written when it is complete, replacing what is there"
    )
    pack.add_argument(
        "-r", "--requirement", action="append", default=[], metavar="FILE", help="requirements from a file"
    )
    pack.add_argument(
        "--constraint", action="append", default=[], metavar="FILE", help="versions that are allowed, as pip takes them"
    )
    pack.add_argument(
        "--lock",
        metavar="FILE",
        help="exact versions and hashes (requirements with hashes, or pylock.toml): nothing is resolved",
    )
    program = pack.add_mutually_exclusive_group()
    program.add_argument("-e", "--entry", metavar="MODULE[:FUNCTION]", help="what the app runs")
    program.add_argument(
        "-c", "--console-script", metavar="NAME", help="the same by the name of a command that a package installs"
    )
    pack.add_argument(
        "--for",
        dest="pythons",
        action="append",
        default=[],
        metavar="VERSION",
        help="the Python to pack for, such as 3.12; may be given more than once",
    )
    pack.add_argument("--platform", metavar="TAG", help="and the platform, such as manylinux_2_28_aarch64")
    pack.add_argument(
        "--engine",
        action="append",
        default=[],
        metavar="WHEEL",
        help="intact's own wheel for a Python other than this one",
    )
    pack.add_argument(
        "--compress",
        choices=_COMPRESS,
        default="none",
        help="how what is not a shared object is kept",
    )
    pack.add_argument(
        "--small",
        action="store_true",
        help="compress shared objects too: they are then unpacked in memory at every start",
    )
    pack.add_argument(
        "--exclude", action="append", default=[], metavar="PATTERN", help="leave out files, such as 'numpy/f2py/*'"
    )
    pack.add_argument(
        "--strip-tests", action="store_true", help="leave out directories named test or tests inside packages"
    )
    pack.add_argument(
        "--no-source",
        action="store_true",
        help="keep bytecode only; programs that read their own source break (anyio, pyparsing and others)",
    )
    pack.add_argument(
        "--python-shebang", metavar="LINE", default="/usr/bin/env python3", help="the interpreter of ./app.pyz"
    )
    pack.add_argument(
        "--allow-pth",
        action="append",
        default=[],
        metavar="NAME",
        help="run the import lines of this .pth file at start",
    )
    pack.add_argument("--site-packages", action="store_true", help="let the app see what is installed where it runs")
    pack.add_argument("--json", action="store_true", help="print JSON for scripts")
    pack.set_defaults(function=_pack)

    merge = commands.add_parser(
        "merge",
        help="write wheels into one archive, shared objects mapped from it, bytecode inside",
        epilog="example:\n  intact merge -o app.zip *.whl",
        formatter_class=formatter,
    )
    merge.add_argument("wheels", nargs="+", metavar="WHEEL")
    merge.add_argument(
        "-o", "--output", required=True, metavar="ARCHIVE", help="written when it is complete, replacing what is there"
    )
    merge.add_argument(
        "--compress",
        choices=_COMPRESS,
        default="none",
        help="how members other than shared objects are kept",
    )
    merge.add_argument("--no-bytecode", action="store_true", help="do not compile ahead")
    merge.add_argument("--json", action="store_true", help="print JSON for scripts")
    merge.set_defaults(function=_merge)


class _Progress:
    """On a terminal a line that changes, by rich where it is installed; a line each elsewhere; nothing with --json."""

    def __init__(self, json: bool) -> None:
        self._silent, self._status = json, None
        if sys.stderr.isatty() and not json:
            with contextlib.suppress(ModuleNotFoundError):
                from rich.console import Console

                self._status = Console(stderr=True).status("packing")

    def __enter__(self) -> Self:
        if self._status:
            self._status.start()
        return self

    def __exit__(self, *exception: object) -> None:
        if self._status:
            self._status.stop()

    def __call__(self, line: str) -> None:
        if self._status:
            self._status.update(line.replace("[", "\\["))
        elif not self._silent:
            print(line, file=sys.stderr)


class _Ended(SystemExit):
    """The end by a signal, with the exit code that shells give it."""

    def __init__(self, number: int) -> None:
        super().__init__(128 + number)
        self.number = number


def _clean_up_when_ended() -> None:
    """Let the signals that end a job leave nothing half-written, as Ctrl-C does.

    What arrives while Python runs callbacks, those of a fork for instance, is only reported there: it comes again soon after.
    """

    def end(number: int, frame: object) -> None:
        raise _Ended(number)

    report = sys.unraisablehook

    def repeat(unraisable: sys.UnraisableHookArgs) -> None:
        error = unraisable.exc_value
        if not isinstance(error, (_Ended, KeyboardInterrupt)) or sys.is_finalizing():
            report(unraisable)
            return
        number = error.number if isinstance(error, _Ended) else signal.SIGINT
        signal.signal(signal.SIGALRM, lambda *_: signal.raise_signal(number))
        signal.setitimer(signal.ITIMER_REAL, 0.01)

    sys.unraisablehook = repeat
    atexit.register(signal.setitimer, signal.ITIMER_REAL, 0)  # Python leaves with SIGALRM's default, which kills
    for each in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(each) == signal.SIG_DFL:
            signal.signal(each, end)


def _needs(error: ModuleNotFoundError) -> int:
    print(f"intact: this needs {error.name}: pip install 'intact[pack]'", file=sys.stderr)
    return 1


def _pack(options: argparse.Namespace) -> int:
    try:
        from intact._pack import app, builds, writer

        writer.compressor(options.compress)
    except ModuleNotFoundError as error:
        return _needs(error)
    _clean_up_when_ended()
    choices = app.Choices(
        entry=options.entry,
        console_script=options.console_script,
        compress=options.compress,
        small=options.small,
        exclude=tuple(options.exclude),
        source=not options.no_source,
        strip_tests=options.strip_tests,
        shebang=options.python_shebang,
        allow_pth=tuple(options.allow_pth),
        isolated=not options.site_packages,
        command=_command(sys.argv[1:]),
    )
    writer.check_target(options.output)  # before the long work
    if options.no_source:
        print("intact: without their sources some packages break, anyio and pyparsing among them", file=sys.stderr)
    with tempfile.TemporaryDirectory(prefix="intact-") as directory, _Progress(options.json) as progress:
        chosen = builds.prepare(options, directory, progress)
        summary = app.pack(chosen, options.output, choices, progress)
    if options.json:
        print(json.dumps(summary.as_json(), indent=1))
        return 0
    for path, lines in summary.pth_skipped.items():
        print(f"{path}: {len(lines)} import lines will not run (--allow-pth {path.removesuffix('.pth')} lets them)")
    names = ", ".join(f"{name} {version}" for name, version in summary.distributions.items()) or "no packages"
    print(f"{options.output}: {names}: {_counts(summary)}, for {' and '.join(summary.targets)}")
    return 0


_OF_THE_TARGET = ("--for", "--output", "-o", "--platform", "--engine")


def _command(arguments: list[str]) -> str:
    """What packs the same where it is run, for a Python whose version takes the place of the first "%s", and the app's name of the second.

    It says nothing of where it was packed and by whom: the bytes of an app depend on neither, and whoever has the app may read it.
    """
    kept, before = [], ""
    for argument in arguments[1:]:
        if before not in _OF_THE_TARGET and not argument.startswith(_OF_THE_TARGET):
            kept.append(argument if before == "--python-shebang" else _anywhere(argument))
        before = argument
    return "intact pack --for %s -o %s " + shlex.join(kept).replace("%", "%%")


def _anywhere(argument: str) -> str:
    """Without the directories of an absolute path, and without the user and password of a URL."""
    path = re.fullmatch(r"(--[\w-]+=|-[a-z](?=/))?(?:[^/]* @ )?(?:file://)?(/.*)", argument)
    if path:
        return f"{path[1] or ''}./{os.path.basename(path[2].rstrip('/'))}"
    return re.sub(r"(https?://)[^/@\s]*@", r"\1", argument)


def _merge(options: argparse.Namespace) -> int:
    try:
        from intact._pack.merge import merge
        from intact._pack.writer import compressor

        compressor(options.compress)
    except ModuleNotFoundError as error:
        return _needs(error)
    _clean_up_when_ended()
    with _Progress(options.json or not sys.stderr.isatty()) as progress:
        summary = merge(
            options.wheels,
            options.output,
            compress=options.compress,
            compiled=not options.no_bytecode,
            progress=progress,
        )
    if options.json:
        print(json.dumps(summary.as_json(), indent=1))
    else:
        names = ", ".join(f"{name} {version}" for name, version in summary.distributions.items())
        print(f"{options.output}: {names}: {_counts(summary)}")
    return 0


def _counts(summary: Any) -> str:
    return (
        f"{summary.files} files, {summary.shared_objects} shared objects, "
        f"{summary.compiled} modules compiled, {summary.size:,} bytes"
    )
