"""What is in an archive, by distribution (intact info), and what two archives differ in (intact diff).

A distribution owns what its RECORD names (PEP 376), and the bytecode of the sources among it.
"""

from __future__ import annotations

import csv
import email.parser
import json
import os
from configparser import ConfigParser
from configparser import Error as ParserError

from intact._engine import MemberError
from intact._mounts import Mount
from intact._names import is_shared_object, laid_out

TYPE_CHECKING = False  # type checkers take it for typing's, which costs an import
if TYPE_CHECKING:
    from typing import Any

_PAGE = 4096
_FACTS = ".intact/app.json"  # docs/formats/app.md
# What is shown of it: a type, keys and what each has, or with `str` as key or in a list, any number of those.
_SHAPE = {
    "intact": str,
    "targets": [{"python": str, "abi": str, "glibc": str}],
    "entry": str | None,
    "isolated": bool,
    "pth_skipped": {str: [str]},
    "wheels": {str: str},
}


def describe(mount: Mount) -> dict[str, Any]:
    """Facts for people and scripts; sizes are bytes, unpacked. Raises MemberError for metadata that is broken."""
    sizes, owned = {path: size for path, size, _ in _files(mount)}, set()
    distributions = []
    for directory in sorted(name for name in mount._list("") if name.endswith(".dist-info")):
        recorded = set(_recorded(mount, directory))
        paths = {path for path in sizes if path in recorded or _compiled_from(path) in recorded}
        owned |= paths
        metadata = email.parser.HeaderParser().parsestr(_text(mount, f"{directory}/METADATA"))
        wheel = email.parser.HeaderParser().parsestr(_text(mount, f"{directory}/WHEEL"))
        distributions.append(
            {
                "name": metadata.get("Name", directory.removesuffix(".dist-info")),
                "version": metadata.get("Version", ""),
                "files": len(paths),
                "size": sum(sizes[path] for path in paths),
                "shared_objects": sum(map(is_shared_object, paths)),
                "tags": wheel.get_all("Tag", []),
                "entry_points": _entry_points(mount, f"{directory}/entry_points.txt"),
            }
        )
    rest = set(sizes) - owned
    foreign = {path for path in rest if path.startswith(".intact/") and path != _FACTS}
    rest -= foreign
    app = {"app": _app_facts(mount)} if mount.format == "app" and _FACTS in mount else {}
    return {
        "archive": mount.root,
        "format": mount.format,
        "files": len(sizes),
        "size": sum(sizes.values()),
        "distributions": distributions,
        "other": {"files": len(rest), "size": sum(sizes[path] for path in rest)},
        "other_targets": {"files": len(foreign), "size": sum(sizes[path] for path in foreign)},
        "shared_objects": _shared_objects(mount),
        "bytecode": sorted({source[1] for path in sizes if (source := _source_of(path))}),
        **app,
    }


def show(facts: dict[str, Any]) -> None:
    """Print what describe found."""
    print(f"{facts['archive']}: {facts['format']}, {facts['files']} files, {facts['size']:,} bytes unpacked")
    if "app" in facts:
        _show_app(facts["app"])
    for each in facts["distributions"]:
        print(f"{each['size']:>14,}  {each['name']} {each['version']}  {each['files']} files", end="")
        print(f", {each['shared_objects']} shared objects" if each["shared_objects"] else "")
        for name, target in each["entry_points"].get("console_scripts", {}).items():
            print(f"{'':16}{name} = {target}")
    if facts["other"]["files"]:
        print(f"{facts['other']['size']:>14,}  of no distribution  {facts['other']['files']} files")
    if facts["other_targets"]["files"]:
        print(f"{facts['other_targets']['size']:>14,}  for other targets  {facts['other_targets']['files']} files")
    objects = facts["shared_objects"]
    print(f"shared objects: {objects['mapped']} mapped from the archive, {objects['copied']} copied into memory")
    print(f"bytecode: {', '.join(facts['bytecode']) or 'none'}")


def _show_app(app: dict[str, Any]) -> None:
    for target in app["targets"]:
        print(
            f"for CPython {target['python']} ({target['abi']}), glibc {target['glibc']} or newer; intact {app['intact']}"
        )
    print(f"entry point: {app['entry'] or 'none, an interpreter'}")
    print(f"packages of the host: {'out of sight' if app['isolated'] else 'seen'}")
    for path, lines in app["pth_skipped"].items():
        print(f"skipped: {len(lines)} import lines of {path}")
    for wheel, digest in app["wheels"].items():
        print(f"from {wheel} sha256:{digest}")


def compare(old: Mount, new: Mount) -> dict[str, Any]:
    """What differs: distributions as name to [old version, new version], and files."""
    files = [{path: (size, crc) for path, size, crc in _files(mount)} for mount in (old, new)]
    versions = [{each["name"]: each["version"] for each in describe(mount)["distributions"]} for mount in (old, new)]
    return {
        "distributions": {
            name: [before, after]
            for name in sorted({*versions[0], *versions[1]})
            if (before := versions[0].get(name)) != (after := versions[1].get(name))
        },
        "added": sorted(files[1].keys() - files[0].keys()),
        "removed": sorted(files[0].keys() - files[1].keys()),
        "changed": sorted(path for path in files[0].keys() & files[1].keys() if files[0][path] != files[1][path]),
    }


def show_differences(differences: dict[str, Any]) -> None:
    """Print what compare found, a line for each."""
    for name, (before, after) in differences["distributions"].items():
        print(f"{name}: {before or 'not there'} -> {after or 'not there'}")
    for mark, kind in (("+", "added"), ("-", "removed"), ("!", "changed")):
        for path in differences[kind]:
            print(f"{mark} {path}")


def _files(mount: Mount) -> list[tuple[str, int, int]]:
    """(path, size, CRC-32) of each."""
    return [(row[0], row[2], row[5]) for row in mount._members() if not row[1]]


def _text(mount: Mount, path: str) -> str:
    return mount.read(path).decode("utf-8", "replace") if path in mount else ""


def _app_facts(mount: Mount) -> dict[str, Any]:
    try:
        facts: dict[str, Any] = json.loads(mount.read(_FACTS))
    except (ValueError, RecursionError) as error:
        raise _broken(mount, _FACTS, f"it is no JSON: {error}") from error
    if not _has_shape(facts, _SHAPE):
        raise _broken(mount, _FACTS, "it is not what intact notes of an app")
    return facts


def _has_shape(value: object, shape: Any) -> bool:
    if isinstance(shape, dict):
        if not isinstance(value, dict):
            return False
        if str in shape:
            return all(_has_shape(each, shape[str]) for each in value.values())
        return all(key in value and _has_shape(value[key], shape[key]) for key in shape)
    if isinstance(shape, list):
        return isinstance(value, list) and all(_has_shape(each, shape[0]) for each in value)
    return isinstance(value, shape)


def _broken(mount: Mount, member: str, reason: str) -> MemberError:
    error = MemberError(f"{mount.name}: {member}: {reason}")
    error.archive, error.member, error.reason = mount.name, member, reason
    return error


def _recorded(mount: Mount, directory: str) -> list[str]:
    record = f"{directory}/RECORD"
    try:
        return [laid_out(row[0], directory) for row in csv.reader(_text(mount, record).splitlines()) if row]
    except csv.Error as error:
        raise _broken(mount, record, str(error)) from error


def _source_of(path: str) -> tuple[str, str] | None:
    """The source that bytecode is of, and the interpreter it is for (PEP 3147); None for what is no bytecode."""
    directory, _, name = path.rpartition("/")
    parent, _, last = directory.rpartition("/")
    parts = name.split(".")
    if last != "__pycache__" or len(parts) < 3 or parts[-1] != "pyc":
        return None
    return f"{parent}/{parts[0]}.py".lstrip("/"), parts[1]


def _compiled_from(path: str) -> str | None:
    """The source of bytecode, also of what stands in its place (x.pyc, where x.py is left out)."""
    source = _source_of(path)
    return source[0] if source else path[:-1] if path.endswith(".pyc") else None


def _entry_points(mount: Mount, path: str) -> dict[str, dict[str, str]]:
    try:
        return entry_points(_text(mount, path))
    except ValueError as error:
        raise _broken(mount, path, str(error)) from error


def entry_points(text: str) -> dict[str, dict[str, str]]:
    """Group to name to object reference, from the text of an entry_points.txt. Raises ValueError if it is none."""
    parser = ConfigParser(delimiters=("=",), interpolation=None, strict=False)
    parser.optionxform = str  # type: ignore[assignment,method-assign]
    try:
        parser.read_string(text)
    except ParserError as error:
        raise ValueError(f"no entry points: {' '.join(str(error).split())}") from error
    return {group: dict(parser[group]) for group in parser.sections()}


def _shared_objects(mount: Mount) -> dict[str, int]:
    """How many are mapped from the archive: those of a file that are stored and begin on a page (APPNOTE.TXT 4.3.7)."""
    rows = [row for row in mount._members() if not row[1] and is_shared_object(row[0])]
    mapped = 0
    if mount.format != "directory" and os.path.isfile(mount.root):
        with open(mount.root, "rb") as file:
            for row in rows:
                file.seek(row[7])
                header = file.read(30)
                start = row[7] + 30 + int.from_bytes(header[26:28], "little") + int.from_bytes(header[28:30], "little")
                mapped += row[4] == 0 and not row[9] and start % _PAGE == 0
    elif mount.format == "directory":
        mapped = len(rows)  # the files themselves
    return {"mapped": mapped, "copied": len(rows) - mapped}
