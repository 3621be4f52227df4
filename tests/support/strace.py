"""Reads what a process created or opened for writing out of strace, so that "nothing is written" is shown, not said."""

import os
import re

# Calls that make, change or remove something in a file system. memfd_create is not one: it makes memory.
_CHANGING = (
    "creat,mkdir,mkdirat,mknod,mknodat,rename,renameat,renameat2,link,linkat,symlink,symlinkat,unlink,unlinkat,rmdir,"
    "truncate,chmod,fchmodat,chown,lchown,fchownat,utimensat,setxattr,lsetxattr,removexattr,mount,bind"
)
# Calls that another architecture does not have are asked for with `?`.
CALLS = ",".join(f"?{name}" for name in ("open,openat,openat2," + _CHANGING).split(","))
_LINE = re.compile(r"^(\w+)\((.*)\) += (-?\w+)")
# A quoted path, with the directory that it is relative to where the call names one.
_PATH = re.compile(r'(?:<([^>"]*)>(?:\(deleted\))?, )?"((?:[^"\\]|\\.)*)"')
_MEMORY_FILE = re.compile(r"\d+</memfd:[^\"]*>\(deleted\), (?:NULL|\d)")
_WRITING = re.compile(r"O_WRONLY|O_RDWR|O_CREAT|O_TRUNC|O_TMPFILE")
# Descriptors and devices: nothing that stays. Of /dev/shm only what glibc makes there for a semaphore of multiprocessing.
_HARMLESS = ("/dev/null", "/dev/tty", "/proc/self/", "/dev/shm/sem.")
# What ThreadSanitizer's runtime itself makes, before the program begins.
_SANITIZER = "/tsan.rodata."


def command(output):
    return ["strace", "-f", "-qq", "-y", "-s", "4096", "--signal=none", "-e", f"trace={CALLS}", "-o", str(output)]


def _whole_lines(log):
    """The log's calls, those that strace printed in two pieces (another thread came between) put together."""
    begun = {}
    for line in log:
        process, _, rest = line.rstrip("\n").partition(" ")
        if rest.endswith("<unfinished ...>"):
            begun[process] = rest.removesuffix("<unfinished ...>")
            continue
        resumed = re.match(r" *<\.\.\. \w+ resumed>(.*)", rest)
        yield begun.pop(process, "").lstrip() + resumed[1] if resumed else rest.lstrip()


def paths(line):
    """The paths that a line of the log names."""
    return [os.path.join(directory, path) for directory, path in _PATH.findall(line)]


def changes(output, allowed=()):
    """Lines of the log that changed something outside the directories `allowed`. Calls that failed changed nothing."""
    found = []
    with open(output, errors="replace") as log:
        for line in _whole_lines(log):
            match = _LINE.match(line)
            if not match or match[3].startswith("-"):
                continue
            call, arguments = match[1], match[2]
            if call.startswith("open") and not _WRITING.search(arguments):
                continue
            if _MEMORY_FILE.match(arguments):
                continue  # by descriptor: it was made with memfd_create and is nowhere else
            named = paths(arguments)
            if call == "bind" and "sun_path" not in arguments:
                continue  # a port, not a file
            if named and all(path.startswith((*_HARMLESS, *allowed)) or _SANITIZER in path for path in named):
                continue
            found.append(line)
    return found
