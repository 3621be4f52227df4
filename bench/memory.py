"""How much memory is a process's own."""

import os


def private(processes):
    """Bytes that are these processes' own: anonymous pages, and every page of the memory files that they map.

    Pages of a memory file are no other process's, whether the kernel calls them anonymous or not, and exist even where
    they are not mapped; so the whole file counts where it can be asked (map_files), and what is resident elsewhere.
    What the kernel calls private is no measure: a page of a file counts there for as long as nobody else maps it.
    """
    total, seen = 0, set()
    for process in processes:
        try:
            with open(f"/proc/{process}/smaps") as maps:
                total += _private(process, maps, seen)
        except (FileNotFoundError, ProcessLookupError):  # it has ended
            continue
    return total


def _private(process, maps, seen):
    total, current, inode = 0, None, None
    for line in maps:
        fields = line.split()
        if not fields[0].endswith(":"):
            is_memory = len(fields) > 5 and fields[5].startswith("/memfd:")
            current, inode = (fields[0], fields[4]) if is_memory else (None, None)
        elif fields[0] == "Anonymous:":
            total += int(fields[1]) * 1024
        elif fields[0] == "Rss:" and current:
            try:
                file = os.stat(f"/proc/{process}/map_files/{current}")
                if str(file.st_ino) != inode:  # something else has been mapped there meanwhile
                    raise OSError
                size = file.st_blocks * 512
            except OSError:
                total += int(fields[1]) * 1024
                continue
            if inode not in seen:
                seen.add(inode)
                total += size
    return total


def family(process):
    """`process` and the programs that it started and that still run.

    A child that has only been forked is left out: what it has is its parent's, until it starts a program. Such a
    child is told by its stack, which the kernel places anew for each program.
    """
    found = {}  # by stack
    waiting = [process]
    for parent in waiting:
        try:
            with open(f"/proc/{parent}/stat") as stat:
                stack = stat.read().rpartition(")")[2].split()[25]
            for task in os.listdir(f"/proc/{parent}/task"):
                with open(f"/proc/{parent}/task/{task}/children") as children:
                    waiting.extend(map(int, children.read().split()))
        except (FileNotFoundError, ProcessLookupError):
            continue
        found.setdefault(stack, parent)
    return list(found.values())
