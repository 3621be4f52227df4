"""Import unmodified wheels, native code included, straight from archives in memory.

    import intact
    intact.mount("numpy-2.4.6-cp311-cp311-manylinux_2_28_x86_64.whl")
    import numpy

A mount is visible to the whole process: its modules to ``import`` (in every interpreter that imports intact, unless it is
mounted with ``shared=False``), its files to everything that opens files through the C library. Nothing is unpacked and nothing is written.

Environment: ``INTACT_FILES=0`` leaves file functions alone, ``INTACT_TRACE=1`` prints each module loaded to stderr;
``intact.trace()`` tells more.
"""

from intact._engine import (
    ArchiveError,
    Error,
    ImageError,
    MemberError,
    PasswordError,
    TagError,
    images,
    stats,
)
from intact._mounts import Mount, mount, mounts

TYPE_CHECKING = False  # as in _mounts.py
if TYPE_CHECKING:
    from intact._trace import Trace as trace
    from intact._zipimporter import zipimporter

__version__ = "0.1.0"

__all__ = [
    "ArchiveError",
    "Error",
    "ImageError",
    "MemberError",
    "Mount",
    "PasswordError",
    "TagError",
    "__version__",
    "images",
    "mount",
    "mounts",
    "stats",
    "trace",
    "zipimporter",
]


def __getattr__(name: str) -> object:
    """Load what few programs use when it is first asked for."""
    if name == "trace":
        from intact._trace import Trace as value
    elif name == "zipimporter":
        from intact._zipimporter import zipimporter as value  # type: ignore[assignment]
    else:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    globals()[name] = value
    return value
