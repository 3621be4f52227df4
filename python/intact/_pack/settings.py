"""What the user told pip, told to uv: the two read different files and variables, and neither knows the other's.

Where the user configured uv, that counts and pip's settings are left alone. Otherwise uv is told what pip is: indexes,
directories of wheels, constraints, certificates, proxy, time limits. If there is a setting that cannot be said to uv,
pip resolves instead: a setting is never lost silently. Fetching and building is always pip's, with all of its settings.
"""

from __future__ import annotations

import ast
import os
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path

_SECTIONS = ("global", "wheel", "download", ":env:")  # later ones count more, as for pip
_MATTER_NOT = frozenset(
    """break-system-packages cache-dir config-file dest disable-pip-version-check log no-cache-dir no-color no-input
    no-python-version-warning no-warn-conflicts no-warn-script-location prefix progress-bar quiet require-virtualenv
    root-user-action src target user verbose wheel-dir""".split()
)
_AS_IT_IS = {
    "index-url": "UV_DEFAULT_INDEX",
    "extra-index-url": "UV_INDEX",
    "trusted-host": "UV_INSECURE_HOST",
    "constraint": "UV_CONSTRAINT",
    "no-index": "UV_NO_INDEX",
    "cert": "SSL_CERT_FILE",
    "timeout": "UV_HTTP_TIMEOUT",
    "default-timeout": "UV_HTTP_TIMEOUT",
    "retries": "UV_HTTP_RETRIES",
}
_WHERE = ("index", "index-url", "extra-index-url", "find-links", "no-index")
_OF_UV = (
    "UV_DEFAULT_INDEX",
    "UV_INDEX",
    "UV_INDEX_URL",
    "UV_EXTRA_INDEX_URL",
    "UV_FIND_LINKS",
    "UV_NO_INDEX",
    "UV_CONFIG_FILE",
)


def parse(listing: str) -> dict[str, str]:
    """Settings from what ``pip config list`` prints: lines of ``section.name='value'``."""
    found: dict[str, dict[str, str]] = {section: {} for section in _SECTIONS}
    for line in listing.splitlines():
        key, equals, value = line.partition("=")
        section, _, name = key.rpartition(".")
        if equals and section in found and value[:1] in ("'", '"'):
            found[section][name] = ast.literal_eval(value)
    return {name: value for section in _SECTIONS for name, value in found[section].items()}


def for_uv(pip: Mapping[str, str], environment: Mapping[str, str]) -> tuple[dict[str, str], list[str]]:
    """Variables that tell uv what pip is told, and the names of settings that cannot be told."""
    if uv_is_configured(environment):
        return {}, []
    variables: dict[str, str] = {}
    lost = []
    for name, value in pip.items():
        if name in _AS_IT_IS:
            variables[_AS_IT_IS[name]] = " ".join(value.split())
        elif name == "find-links":
            variables["UV_FIND_LINKS"] = ",".join(
                place for place in value.split() if "://" in place or os.path.exists(place)
            )
        elif name == "proxy":
            variables |= {"HTTP_PROXY": value, "HTTPS_PROXY": value}
        elif name not in _MATTER_NOT:
            lost.append(name)
    if "UV_INDEX" in variables:  # pip takes the best version of all indexes
        variables["UV_INDEX_STRATEGY"] = "unsafe-best-match"
    return {name: value for name, value in variables.items() if value and name not in environment}, lost


def uv_is_configured(environment: Mapping[str, str]) -> bool:
    """Whether the user told uv itself where packages come from: by a variable or a file that uv reads."""
    if any(environment.get(name) for name in _OF_UV):
        return True
    return any(_tells_uv(path) for path in _files(environment))


def _files(environment: Mapping[str, str]) -> Iterator[Path]:
    home = environment.get("XDG_CONFIG_HOME") or os.path.join(environment.get("HOME", "/"), ".config")
    yield from (Path(home, "uv/uv.toml"), Path("/etc/xdg/uv/uv.toml"), Path("/etc/uv/uv.toml"))
    for directory in (here := Path.cwd(), *here.parents):
        yield from (directory / "uv.toml", directory / "pyproject.toml")


def _tells_uv(path: Path) -> bool:
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    if path.name == "pyproject.toml":
        content = content.get("tool", {}).get("uv", {})
    return any(name in table for table in (content, content.get("pip", {})) for name in _WHERE)
