"""The command line: run, ls, stat, info, diff, verify, why, extract; pack and merge stand in _cli_pack, trace and doctor in _cli_see.

Exit codes: 0 done, 1 something is wrong with an archive (one line on stderr says what), 2 a wrong command line, and for
``run`` whatever the program exits with.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import sys
from collections.abc import Callable, Sequence

import intact
from intact import _cli_pack, _cli_see
from intact._mounts import Mount
from intact._names import is_shared_object
from intact._password_file import PasswordFile

TYPE_CHECKING = False  # type checkers take it for typing's, which costs an import
if TYPE_CHECKING:
    from typing import Any

_RUN_EXAMPLES = """\
examples:
  intact run numpy.whl pandas.whl -- report.py --month 5   a script, with arguments
  intact run pytest.whl pluggy.whl -m pytest -q            a module, as python -m
  intact run orjson.whl -c 'import orjson; print(orjson)'  a program in the command
  intact run numpy.whl                                     a prompt

Archives come first; what follows --, -m or -c is the program's, as with python itself.
INTACT_TRACE=1 prints each module loaded, from where, and how long it took."""


class _Member:
    """One row of ls and stat."""

    FIELDS = ("path", "directory", "size", "packed_size", "method", "crc", "mode", "offset", "mtime", "encrypted")
    METHODS = {0: "stored", 8: "deflate", 12: "bzip2", 14: "lzma", 93: "zstd"}

    def __init__(self, row: tuple[Any, ...]) -> None:
        self.values = dict(zip(self.FIELDS, row, strict=True))
        self.values["method"] = self.METHODS.get(row[4], f"method {row[4]}")

    def __getattr__(self, name: str) -> Any:
        return self.values[name]


def main(arguments: Sequence[str]) -> int:
    parser = _parser()
    arguments = list(arguments)
    program: list[str] = []
    if arguments[:1] in (["run"], ["trace"]):
        arguments, program = _split_program(arguments)
    options = parser.parse_args(arguments)
    options.program = program
    if program and len(program) < 2:
        parser.error(f"nothing follows {program[0]}")
    try:
        if options.command != "run":
            if isinstance(sys.stdout, io.TextIOWrapper):
                sys.stdout.reconfigure(errors="backslashreplace")  # a member's name may be anything
            status: int = options.function(options)
            sys.stdout.flush()
            return status
        _mount_for_run(options)
    except BrokenPipeError:  # `intact ls … | head`: nobody reads on
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except (intact.Error, OSError) as error:
        print(f"intact: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    from intact import _run

    return _run.run(program)


def _parser() -> argparse.ArgumentParser:
    formatter = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(
        prog="intact", description="Run Python out of archives: nothing unpacked, nothing written."
    )
    parser.add_argument("--version", action="version", version=f"intact {intact.__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    run = commands.add_parser(
        "run", help="run a program with archives mounted", epilog=_RUN_EXAMPLES, formatter_class=formatter
    )
    _cli_see.add_archives(run)

    def add(
        name: str, function: Callable[[argparse.Namespace], int], help: str, example: str, what: str | None = None
    ) -> argparse.ArgumentParser:
        command = commands.add_parser(name, help=help, epilog=f"example:\n  {example}", formatter_class=formatter)
        if what is None:
            command.add_argument("archive", metavar="ARCHIVE")
        _cli_see.add_opening(command)
        command.add_argument("--json", action="store_true", help="print JSON for scripts")
        command.set_defaults(function=function)
        return command

    ls = add("ls", _ls, "list members", "intact ls app.zip pkg/data")
    ls.add_argument("path", nargs="?", default="", metavar="PATH", help="a directory or member of the archive")
    stat = add("stat", _stat, "describe an archive or one member", "intact stat app.zip pkg/__init__.py")
    stat.add_argument("path", nargs="?", metavar="PATH")
    add("info", _info, "what is in an archive, by distribution", "intact info app.zip")
    diff = add(
        "diff",
        _diff,
        "what two archives differ in; exit code 1 if they do",
        "intact diff old.zip new.zip",
        "ARCHIVE ARCHIVE",
    )
    diff.add_argument("old", metavar="OLD")
    diff.add_argument("new", metavar="NEW")
    add("verify", _verify, "read every member, check every CRC-32, parse every shared object", "intact verify app.zip")
    why = add(
        "why",
        _why,
        "where a module would come from, and what was considered",
        "intact why numpy.linalg --in numpy.whl",
        "MODULE",
    )
    why.add_argument("module", metavar="MODULE")
    why.add_argument(
        "--in", dest="archives", action="append", required=True, metavar="ARCHIVE", help="may be given more than once"
    )
    why.add_argument("--first", action="store_true", help="as if mounted to shadow the standard library")
    extract = add("extract", _extract, "write an archive's files to a new directory", "intact extract app.zip app")
    extract.add_argument("directory", metavar="DIR", help="must not exist")
    _cli_pack.add_commands(commands, formatter)
    _cli_see.add_commands(commands, formatter)
    return parser


def _split_program(arguments: list[str]) -> tuple[list[str], list[str]]:
    for i, argument in enumerate(arguments):
        if argument in ("--", "-m", "-c"):
            return arguments[:i], arguments[i:]
    return arguments, []


# ---- run


def _mount_for_run(options: argparse.Namespace) -> None:
    password = PasswordFile(options.password_file)
    for archive in options.archives:
        intact.mount(archive, **_cli_see.mount_options(options), password=password)


# ---- ls, stat, verify


def _open(archive: str, options: argparse.Namespace, password: PasswordFile | None = None) -> Mount:
    """The archive, opened and indexed but not visible to import."""
    path = os.path.abspath(archive)
    password = password or PasswordFile(options.password_file)
    return Mount(path, path, archive, (), password=password, trusted=options.trusted)


def _members(mount: Mount) -> list[_Member]:
    return sorted((_Member(row) for row in mount._members()), key=lambda member: member.path)


def _ls(options: argparse.Namespace) -> int:
    path = options.path.strip("/")
    members = _members(_open(options.archive, options))
    if path:
        chosen = [m for m in members if m.path.startswith(path + "/") or (m.path == path and not m.directory)]
        if not chosen and not any(m.path == path for m in members):
            raise FileNotFoundError(2, "no such member", f"{options.archive}/{path}")
        members = chosen
    members = [m for m in members if not m.directory]
    if options.json:
        print(json.dumps([m.values for m in members], indent=1))
    else:
        for m in members:
            print(f"{m.size:>12}  {m.method:8}  {m.path}")
    return 0


def _stat(options: argparse.Namespace) -> int:
    mount = _open(options.archive, options)
    members = _members(mount)
    if options.path is not None:
        path = options.path.strip("/")
        found = [m.values for m in members if m.path == path]
        if not found:
            raise FileNotFoundError(2, "no such member", f"{options.archive}/{path}")
        values = found[0]
    else:
        files = [m for m in members if not m.directory]
        values = {
            "archive": mount.root,
            "format": mount.format,
            "files": len(files),
            "directories": len(members) - len(files),
            "size": sum(m.size for m in files),
            "packed_size": sum(m.packed_size for m in files),
            "shared_objects": sum(is_shared_object(m.path) for m in files),
            "encrypted": sum(m.encrypted for m in files),
        }
    if options.json:
        print(json.dumps(values, indent=1))
    else:
        for key, value in values.items():
            print(f"{key + ':':16}{_readable(key, value)}")
    return 0


def _readable(key: str, value: Any) -> object:
    if key == "crc":
        return f"{value:08x}"
    if key == "mode":
        return oct(value)
    if key == "mtime" and value:
        import time

        return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(value))
    return value


def _broken_around(mount: Mount) -> list[dict[str, Any]]:
    """What is broken of an app's outer zip, whose last member is what was opened."""
    if mount.format != "app":
        return []
    import zipfile

    problems = []
    with zipfile.ZipFile(mount.root) as outer:
        for info in outer.infolist()[:-1]:
            try:
                outer.read(info)
            except Exception as error:  # zipfile's, zlib's, or of a method that does not exist
                problems.append({"member": info.filename, "offset": info.header_offset, "reason": str(error)})
    return problems


def _verify(options: argparse.Namespace) -> int:
    mount = _open(options.archive, options)
    paths = sorted(mount)
    problems, shared_objects = _broken_around(mount), 0
    progress = sys.stderr.isatty() and not options.json
    for number, path in enumerate(paths, 1):
        if progress and number % 50 == 0:
            print(f"\r{number} of {len(paths)}", end="", file=sys.stderr, flush=True)
        try:
            shared_objects += mount._check(path)
        except intact.Error as error:
            problems.append({"member": path, "offset": error.offset, "reason": error.reason})
    if progress:
        print("\r\033[K", end="", file=sys.stderr)
    if options.json:
        counts = {"members": len(paths), "shared_objects": shared_objects, "unreachable": mount._unreachable}
        print(json.dumps({"archive": mount.root, **counts, "problems": problems}, indent=1))
    else:
        for problem in problems:
            print(f"{problem['member']}: {problem['reason']}")
        state = f"{len(problems)} broken" if problems else "all good"
        print(f"{options.archive}: {len(paths)} members, {shared_objects} shared objects, {state}")
        if mount._unreachable:
            print(f"{mount._unreachable} more cannot be reached: their names are no paths below a root")
    return 1 if problems else 0


# ---- info, diff


def _info(options: argparse.Namespace) -> int:
    from intact import _info

    facts = _info.describe(_open(options.archive, options))
    if options.json:
        print(json.dumps(facts, indent=1))
    else:
        _info.show(facts)
    return 0


def _diff(options: argparse.Namespace) -> int:
    from intact import _info

    password = PasswordFile(options.password_file)
    differences = _info.compare(_open(options.old, options, password), _open(options.new, options, password))
    if options.json:
        print(json.dumps(differences, indent=1))
    else:
        _info.show_differences(differences)
    return 1 if any(differences.values()) else 0


# ---- extract


def _extract(options: argparse.Namespace) -> int:
    from intact import _extract

    files = _extract.extract(_open(options.archive, options), options.directory)
    if options.json:
        print(json.dumps({"directory": os.path.abspath(options.directory), "files": files}))
    else:
        print(f"{options.directory}: {files} files")
    return 0


# ---- why


def _why(options: argparse.Namespace) -> int:
    from intact import _why

    opening = {"first": options.first, "trusted": options.trusted, "password": PasswordFile(options.password_file)}
    explanation = _why.explain(options.module, options.archives, **opening)
    if options.json:
        print(json.dumps(explanation, indent=1))
    else:
        _why.show(explanation)
    return 0 if explanation["found"] else 1
