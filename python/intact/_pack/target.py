"""What is packed for: an interpreter and a platform, as tags (PEP 425, PEP 600) and as what markers ask (PEP 508).

A platform is glibc's: "manylinux_2_28_aarch64" takes what was built for 2.28 and older. "linux_aarch64" says nothing of
glibc, so it is taken as 2.28, the oldest that intact itself runs on.
"""

from __future__ import annotations

import os
import re
import sys
from dataclasses import dataclass
from functools import cached_property
from importlib.machinery import EXTENSION_SUFFIXES

from packaging.markers import Environment, default_environment
from packaging.tags import Tag, compatible_tags, cpython_tags, platform_tags, sys_tags

from intact._pack.errors import PackError

_OLDEST_GLIBC = 28
_LEGACY = {17: "manylinux2014", 12: "manylinux2010", 5: "manylinux1"}
_FIRST_GLIBC = {"x86_64": 5, "aarch64": 17}
_UV_GLIBC = (40, 39, 38, 37, 36, 35, 34, 33, 32, 31, 28, 17)  # what uv has a name for


@dataclass(frozen=True)
class Target:
    """An interpreter ("3.12") and a platform ("manylinux_2_28_aarch64", "linux_aarch64", or None: this machine's)."""

    python: str
    platform: str | None = None

    def __post_init__(self) -> None:
        if not re.fullmatch(r"3\.\d+", self.python):
            raise PackError(self.python, 'is no version of Python to pack for: give it as "3.12"')
        if self.platform is not None:
            self._glibc_and_machine()

    @classmethod
    def here(cls) -> Target:
        """This interpreter on this machine."""
        return cls(_here())

    @property
    def is_here(self) -> bool:
        """Whether it is what is running now, so that anything may be built for it."""
        return self.platform is None and self.python == _here()

    @property
    def abi(self) -> str:
        """As in a wheel's name: "cp312"."""
        return "cp" + self.python.replace(".", "")

    @property
    def cache_tag(self) -> str:
        """As in the name of a bytecode file: "cpython-312"."""
        return "cpython-" + self.python.replace(".", "")

    @property
    def machine(self) -> str:
        """As the kernel calls it: "aarch64"."""
        return os.uname().machine if self.platform is None else self._glibc_and_machine()[1]

    @property
    def glibc(self) -> int | None:
        """The oldest that the user wants it to run with, of glibc 2.N, or None where nothing was said."""
        return None if self.platform is None or self.platform.startswith("linux_") else self._glibc_and_machine()[0]

    @property
    def suffix(self) -> str:
        """As extension modules end that are for it alone: ".cpython-312-aarch64-linux-gnu.so"."""
        if self.is_here:
            return EXTENSION_SUFFIXES[0]
        return f".{self.cache_tag}-{self.machine}-linux-gnu.so"

    @cached_property
    def platforms(self) -> list[str]:
        """Platform tags that fit, best first."""
        if self.platform is None:
            return list(platform_tags())
        glibc, machine = self._glibc_and_machine()
        tags = []
        for minor in range(glibc, _FIRST_GLIBC[machine] - 1, -1):
            tags.append(f"manylinux_2_{minor}_{machine}")
            tags += [f"{_LEGACY[minor]}_{machine}"] if minor in _LEGACY else []
        return [*tags, f"linux_{machine}"]

    @cached_property
    def tags(self) -> list[Tag]:
        """Tags of wheels that fit, best first."""
        if self.is_here:
            return list(sys_tags())
        version = (3, int(self.python[2:]))
        interpreter = f"cp3{version[1]}"
        exact = cpython_tags(version, [self.abi], self.platforms)
        return [*exact, *compatible_tags(version, interpreter, self.platforms)]

    @cached_property
    def environment(self) -> Environment:
        """What markers are evaluated with. Of a Python that is not this one, the first release, as uv does."""
        environment = default_environment()
        if self.python != _here():
            environment["python_version"] = self.python
            environment["python_full_version"] = environment["implementation_version"] = self.python + ".0"
        if self.platform is not None:
            environment["platform_machine"] = self.machine
            environment["platform_release"] = environment["platform_version"] = ""
        return environment

    @property
    def for_uv(self) -> list[str]:
        """Options for ``uv pip compile``."""
        if self.is_here:
            return ["--python", sys.executable]
        options = ["--python", sys.executable, "--python-version", self.python, "--only-binary", ":all:"]
        if self.platform is not None:
            glibc, machine = self._glibc_and_machine()
            known = next((minor for minor in _UV_GLIBC if minor <= glibc), _UV_GLIBC[-1])
            options += ["--python-platform", f"{machine}-manylinux_2_{known}"]
        return options

    @property
    def for_pip(self) -> list[str]:
        """Options for ``pip download``."""
        options = ["--only-binary=:all:", f"--python-version={self.python}", "--implementation=cp", f"--abi={self.abi}"]
        return options + [f"--platform={each}" for each in self.platforms]

    def _glibc_and_machine(self) -> tuple[int, str]:
        assert self.platform is not None
        found = re.fullmatch(r"(manylinux_2_(\d+)|manylinux\d+|linux)_(x86_64|aarch64)", self.platform)
        minors = {name: minor for minor, name in _LEGACY.items()} | {"linux": _OLDEST_GLIBC}
        if not found or (not found[2] and found[1] not in minors):
            known = "manylinux_2_N_MACHINE or linux_MACHINE, of x86_64 and aarch64"
            raise PackError(self.platform, f"is no platform to pack for: {known} are")
        return int(found[2] or minors.get(found[1], 0)), found[3]

    def __str__(self) -> str:
        return f"Python {self.python} on {self.platform or 'this machine'}"


def _here() -> str:
    return f"3.{sys.version_info[1]}"
