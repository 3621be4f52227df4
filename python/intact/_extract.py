"""Writing an archive's files to disk: the one place where intact unpacks anything, and only when told to."""

from __future__ import annotations

import os
import shutil

from intact._mounts import Mount


def extract(mount: Mount, target: str) -> int:
    """Write every file below `target`, which must not exist and appears when all are written; how many there were.

    Permission bits and times are the members'. Raises FileExistsError if `target` is there, MemberError for a member
    that is broken, PasswordError for one that is encrypted, OSError if a file cannot be written; then nothing is left.
    """
    if os.path.lexists(target):
        raise FileExistsError(17, "exists already", target)
    partial = f"{target.rstrip('/')}.{os.getpid()}.partial"
    rows = [row for row in mount._members() if not row[1]]
    try:
        os.mkdir(partial)
        for row in rows:
            path = os.path.join(partial, row[0])
            os.makedirs(os.path.dirname(path), exist_ok=True)
            with open(path, "xb") as file:
                file.write(mount.read(row[0]))
            if row[6] & 0o777:
                os.chmod(path, row[6] & 0o777)
            os.utime(path, (row[8], row[8]))
        os.rename(partial, target)
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        raise
    return len(rows)
