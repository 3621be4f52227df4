"""Hosts that forbid things, made for one process that a test starts: for subprocess's `preexec_fn`."""

import ctypes
import os
import platform
import struct

_MEMFD_CREATE = {"x86_64": 319, "aarch64": 279}[platform.machine()]
REFUSE, KILL = 0x00050000 | 1, 0x80000000  # SECCOMP_RET_ERRNO with EPERM, SECCOMP_RET_KILL_PROCESS
_ALLOW = 0x7FFF0000
_PR_SET_SECCOMP, _PR_SET_NO_NEW_PRIVS, _FILTER = 22, 38, 2


def deny_memory_files(action=REFUSE):
    """A seccomp filter that answers memfd_create with `action`, as core/elf/image_process_test.cc has it."""
    steps = [(0x20, 0, 0, 0), (0x15, 0, 1, _MEMFD_CREATE), (0x06, 0, 0, action), (0x06, 0, 0, _ALLOW)]
    program = ctypes.create_string_buffer(b"".join(struct.pack("=HBBI", *step) for step in steps))

    class Filter(ctypes.Structure):
        _fields_ = [("length", ctypes.c_ushort), ("program", ctypes.c_void_p)]

    libc = ctypes.CDLL(None, use_errno=True)
    wanted = Filter(len(steps), ctypes.cast(program, ctypes.c_void_p))
    for arguments in ((_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), (_PR_SET_SECCOMP, _FILTER, ctypes.byref(wanted))):
        if libc.prctl(*arguments) != 0:
            raise OSError(ctypes.get_errno(), "prctl")


def mount_noexec(directory):
    """A tmpfs at `directory` that nothing is executed from, in a mount namespace of its own; what is in it is kept."""
    libc = ctypes.CDLL(None, use_errno=True)
    files = {name: open(os.path.join(directory, name), "rb").read() for name in os.listdir(directory)}
    user, flags = (0x10000000, 0x00020000)  # CLONE_NEWUSER, CLONE_NEWNS
    if libc.unshare(flags | (0 if os.geteuid() == 0 else user)) != 0:
        raise OSError(ctypes.get_errno(), "unshare")
    private, noexec = 0x44000, 8  # MS_REC | MS_PRIVATE, MS_NOEXEC
    for source, target, kind, how in ((None, b"/", None, private), (b"none", os.fsencode(directory), b"tmpfs", noexec)):
        if libc.mount(source, target, kind, how, None) != 0:
            raise OSError(ctypes.get_errno(), "mount")
    for name, content in files.items():
        with open(os.path.join(directory, name), "wb") as file:
            file.write(content)
