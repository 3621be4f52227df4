"""Archives for the compat tests: a dict from member path to bytes, str, or a Link."""

import io
import time
import zipfile
from typing import NamedTuple

NOON = (2024, 5, 6, 12, 0, 0)  # when every member was written, local time
NOON_SECONDS = int(time.mktime((*NOON, 0, 0, -1)))


class Link(NamedTuple):
    target: str


def packed(tree, compression=zipfile.ZIP_DEFLATED):
    """The bytes of a zip; a path that ends in '/' is a directory."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for path, content in tree.items():
            info = zipfile.ZipInfo(path, NOON)
            info.compress_type = compression
            if isinstance(content, Link):
                info.external_attr, content = 0o120777 << 16, content.target
            archive.writestr(info, content)
    return buffer.getvalue()


LOWER = packed({"a.txt": "lower", "dir/": "", "dir/x": "x", "only/deep/y": "y", "Case/Z": "z", "plain": "no suffix"})
UPPER = packed({"a.txt": "upper", "dir/w": "w", "b.txt": "b"})
LINKED = packed({"a.txt": "a", "link": Link("a.txt")}, zipfile.ZIP_STORED)
