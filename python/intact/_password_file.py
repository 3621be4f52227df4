"""Passwords as commands take them: --password-file, else INTACT_PASSWORD, and only if an archive asks for one."""

from __future__ import annotations

import os

TYPE_CHECKING = False  # type checkers take it for typing's, which costs an import
if TYPE_CHECKING:
    import argparse


def add_option(command: argparse.ArgumentParser) -> None:
    """Add --password-file."""
    command.add_argument(
        "--password-file",
        metavar="FILE",
        help="the password is the first line of FILE (- is stdin) if something is encrypted; by default that of INTACT_PASSWORD",
    )


class PasswordFile:
    """What gives the password when an archive asks for it; read once, for all archives of a command."""

    def __init__(self, file: str | None) -> None:
        self._file = file

    def __call__(self) -> bytes | None:
        if not hasattr(self, "_password"):
            self._password = _read(self._file)
        return self._password


def _read(file: str | None) -> bytes | None:
    if file is None:
        return os.environb.get(b"INTACT_PASSWORD")
    if file != "-":
        with open(file, "rb") as opened:
            return opened.readline().rstrip(b"\r\n")
    if os.isatty(0):
        import getpass

        return os.fsencode(getpass.getpass("password: "))
    line = b""
    while (byte := os.read(0, 1)) not in (b"", b"\n"):  # what follows is the program's
        line += byte
    return line.rstrip(b"\r")
