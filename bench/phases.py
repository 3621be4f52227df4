"""What bench/start.py measures of one side, APP/PEER/PHASE, in one round.

warm    wall and CPU seconds from exec to exit, of all its processes, run before with the same HOME and caches
fresh   the same with an empty HOME, TMPDIR and caches: a first start, the page cache excepted, which is not dropped
memory  the most memory of its own that its processes had at once, looked at every few milliseconds and at its end
pack    building it, from a directory of wheels, without a network and with the tools' own caches warm
engine  seconds from exec until it makes the memory file that the engine is loaded from, seen by strace
"""

import os
import re
import resource
import select
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import apps
import memory
import peers


class Bench:
    """The applications that the sides need, built, and how each phase is measured."""

    def __init__(self, directory, sides):
        directory.mkdir(parents=True, exist_ok=True)
        self._temporary = tempfile.TemporaryDirectory(prefix="state-", dir=directory)
        self._state = Path(self._temporary.name)
        workshop = peers.Workshop(directory, apps.interpreter(directory / "python"))
        names = dict.fromkeys(side.split("/")[0] for side in sides)
        self.apps = apps.make(workshop, directory, names)
        self._workshop = workshop
        self._printed = {}  # by application: all its peers must print the same
        self.jobs, self.building = {}, {}
        for pair in dict.fromkeys(side.rpartition("/")[0] for side in sides):
            app, peer = pair.split("/")
            self.jobs[pair], self.building[pair] = workshop.built(self.apps[app], peer)

    def measure(self, side):
        pair, _, phase = side.rpartition("/")
        return getattr(self, f"_{phase}")(pair)

    def _used(self, pair):
        """A state that an earlier run of `pair` has left."""
        state = self._state / pair
        if not state.exists():
            _make(state)
            self._run(pair, state)
        return state

    def _warm(self, pair):
        return self._run(pair, self._used(pair))

    def _fresh(self, pair):
        with tempfile.TemporaryDirectory(dir=self._state) as state:
            _make(Path(state))
            return self._run(pair, Path(state))

    def _start(self, pair, state, before=(), **options):
        job = self.jobs[pair]
        command = [*before, *map(str, peers.PEERS[pair.split("/")[1]].start(job))]
        places = {"TMPDIR": "tmp", "XDG_CACHE_HOME": "cache", "SHIV_ROOT": "shiv", "PEX_ROOT": "pex"}
        environment = peers.clean(state / "home") | {name: str(state / below) for name, below in places.items()}
        return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, **options)

    def _run(self, pair, state):
        began = time.time()
        start = time.perf_counter()
        process = self._start(pair, state, stdin=subprocess.DEVNULL)
        _, status, usage = os.wait4(process.pid, 0)
        wall = time.perf_counter() - start
        process.returncode = os.waitstatus_to_exitcode(status)
        self._check(pair, process, process.stdout.read())
        process.stdout.close()
        files, left = _changed(state, began)
        # What the kernel counts as written for disks tells of files that are gone, the walk of those in memory.
        written = max(left, usage.ru_oublock * 512)
        return {"wall": wall, "cpu": usage.ru_utime + usage.ru_stime, "written": written, "files": files}

    def _check(self, pair, process, output):
        expected = self._printed.setdefault(pair.split("/")[0], output)
        if process.returncode or output != expected or not output:
            sys.exit(f"bench: {pair} ended with {process.returncode} and printed\n{output.decode(errors='replace')}")

    def _memory(self, pair):
        # The application ends when its input does, so it is whole and idle when it is looked at last.
        with self._start(pair, self._used(pair), stdin=subprocess.PIPE) as process:
            most, output = 0, b""
            while not output.endswith(b"\n"):
                if select.select([process.stdout], [], [], 0.005)[0]:
                    output += (read := os.read(process.stdout.fileno(), 1 << 16))
                    if not read:
                        break
                most = max(most, memory.private(memory.family(process.pid)))
            process.stdin.close()
            process.wait()
            self._check(pair, process, output)
        return {"memory": most}

    def _pack(self, pair):
        app, peer = pair.split("/")
        with tempfile.TemporaryDirectory(dir=self._state) as folder:
            job = self._workshop.job(self.apps[app], peer, Path(folder))
            cpu, start = _children_cpu(), time.perf_counter()
            self._workshop.build(job, peer)
            return {"wall": time.perf_counter() - start, "cpu": _children_cpu() - cpu}

    def _engine(self, pair):
        state = self._used(pair)
        log = state / "log"
        # Only these two calls stop it; all else runs as without strace.
        calls = ("strace", "-f", "--seccomp-bpf", "-ttt", "-qq", "-e", "trace=execve,memfd_create", "-o", str(log))
        times = []
        for _ in range(5):  # a few milliseconds each
            process = self._start(pair, state, calls, stdin=subprocess.DEVNULL)
            output, _ = process.communicate()
            self._check(pair, process, output)
            times.append(_between(log.read_text(), "execve", "memfd_create"))
        return {"engine": min(times)}


def _make(state):
    for name in ("home", "tmp"):
        (state / name).mkdir(parents=True)


def _changed(directory, since):
    """How many files below `directory` changed after the time `since`, and their bytes. Its clock may lag a tick."""
    status = [os.lstat(os.path.join(path, name)) for path, _, names in os.walk(directory) for name in names]
    changed = [file.st_size for file in status if file.st_ctime >= since - 0.01]
    return len(changed), sum(changed)


def _children_cpu():
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def _between(log, first, then):
    times = re.findall(rf"^\d+ +(\d+\.\d+) ({first}|{then})\(", log, re.MULTILINE)
    after = [float(stamp) for stamp, call in times if call == then]
    if not after:
        sys.exit(f"bench: no {then} was seen")
    return after[0] - min(float(stamp) for stamp, call in times if call == first)
