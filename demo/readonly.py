"""Runs a command where nothing can be written: in a mount namespace of its own, with every mount made read-only.

    python readonly.py [--scratch DIR]... COMMAND...
    python readonly.py --try     only tells by its exit code whether that can be arranged here

Root may do that; others may where the kernel gives them a user namespace. The rest of the system sees nothing of it.
Before the command starts, attempts to write where programs write are made, and have to fail. Each DIR can then be
written to, for what a command makes without keeping it: it is a file system in memory, which ends with the command.
"""

import ctypes
import errno
import os
import sys
import tempfile

CLONE_NEWNS, CLONE_NEWUSER = 0x00020000, 0x10000000
MS_RDONLY, MS_REMOUNT, MS_BIND, MS_REC, MS_PRIVATE = 1, 32, 4096, 16384, 1 << 18
# Flags a mount has are to be said again in a remount; in a user namespace the kernel refuses to drop them.
FLAGS = {"nosuid": 2, "nodev": 4, "noexec": 8, "noatime": 1024, "nodiratime": 2048, "relatime": 1 << 21}

libc = ctypes.CDLL(None, use_errno=True)


def check(result, what):
    if result:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")


def mounts():
    """(mount point, options) of every mount of this process, from its own table."""
    with open("/proc/self/mountinfo", "rb") as table:
        for line in table:
            fields = line.split()
            point = fields[4].decode("unicode_escape").encode("latin-1")
            yield point, fields[5].decode().split(",")


def own_namespace():
    if os.geteuid() == 0:
        check(libc.unshare(CLONE_NEWNS), "unshare")
    else:
        user, group = os.getuid(), os.getgid()
        check(libc.unshare(CLONE_NEWNS | CLONE_NEWUSER), "unshare")
        for name, text in (("setgroups", "deny"), ("uid_map", f"{user} {user} 1"), ("gid_map", f"{group} {group} 1")):
            with open(f"/proc/self/{name}", "w") as file:
                file.write(text)
    check(libc.mount(None, b"/", None, MS_REC | MS_PRIVATE, None), "private mounts")


def make_read_only():
    own_namespace()
    for point, options in list(mounts()):
        if "ro" not in options:
            flags = sum(FLAGS.get(option, 0) for option in options)
            check(libc.mount(None, point, None, MS_REMOUNT | MS_BIND | MS_RDONLY | flags, None), f"remount {point!r}")
    # A mount may hide below another, out of reach of the remount; then it is out of the command's reach too, unless it is
    # what the table shows last for its place.
    visible = dict(mounts())
    writable = [point for point, options in visible.items() if "ro" not in options]
    if writable:
        raise OSError(errno.EPERM, f"still writable: {writable}")


def writing_fails():
    """Raises unless the usual places refuse to be written to."""
    for place in {os.getcwd(), os.path.expanduser("~"), "/tmp", "/var/tmp", "/dev/shm"}:
        if not os.path.isdir(place):
            continue
        try:
            descriptor, path = tempfile.mkstemp(dir=place)
        except OSError as error:
            if error.errno in (errno.EROFS, errno.EACCES):
                continue
            raise
        os.close(descriptor)
        os.unlink(path)
        raise OSError(errno.EPERM, f"{place} can be written to")


def main(arguments):
    make_read_only()
    writing_fails()
    while arguments[0] == "--scratch":
        directory = arguments[1]
        check(libc.mount(b"scratch", os.fsencode(directory), b"tmpfs", 0, None), f"mount {directory}")
        del arguments[:2]
    if arguments != ["--try"]:
        os.execv(arguments[0], arguments)


if __name__ == "__main__":
    main(sys.argv[1:])
