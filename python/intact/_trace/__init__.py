"""``intact.trace()``: who imported what, and where the time went (docs/trace.md).

The engine records (python/ext/trace.h); what it recorded is read in _modules.py, and told in _text.py, _chrome.py and
_page.py, which are loaded when they are asked for: what this module imports cannot be in a trace.
"""

from __future__ import annotations

import _thread
import os
import sys
import time

from intact import _engine

TYPE_CHECKING = False  # type checkers take it for typing's, which costs an import
if TYPE_CHECKING:
    from typing import Any, Self

    from intact._trace._modules import Image, Module

FORMATS = (".html", ".json", ".txt")
_lock = _thread.allocate_lock()  # the engine wants one to start or stop at a time
os.register_at_fork(before=_lock.acquire, after_in_parent=_lock.release, after_in_child=_lock.release)


class Trace:
    """A context manager that records what is imported, in all threads, while its block runs.

    modules: a list of what was imported, in the order in which it began. images: the shared objects that were loaded from
    mounts. seconds: how long the block took. All three are there when the block has ended. title: what the page is called, by
    default what the process runs.

    Traces may nest and overlap, in one thread or several: each has what began while it ran. A trace is used once.
    """

    modules: list[Module]
    images: list[Image]

    def __init__(self, title: str = "") -> None:
        self.title = title or os.path.basename(sys.argv[0]) or "python"
        self.seconds = 0.0
        self._state = "new"
        self._began = self._first = self._thread = 0

    def __enter__(self) -> Self:
        if self._state != "new":
            raise RuntimeError("a trace is used once: intact.trace() makes another")
        with _lock:
            self._first = _engine._trace_start()
        self._state = "running"
        self._thread, self._began = _thread.get_ident(), time.perf_counter_ns()
        return self

    def __exit__(self, *exception: object) -> None:
        ended = time.perf_counter_ns()
        with _lock:
            spans = _engine._trace_stop(self._first)
        self._state = "ended"
        self.seconds = (ended - self._began) / 1e9
        from intact._trace import _modules

        self.modules = _modules.modules(spans, self._thread, self._began, ended)
        self.images = _modules.images(self.modules, self._began, ended)

    def __getattr__(self, name: str) -> Any:
        if name in ("modules", "images"):
            raise RuntimeError(f"the trace has not ended: its {name} are there when its block is left")
        raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")

    def slow(self, most: int = 10) -> list[tuple[Module, str]]:
        """The modules that took longest by themselves, longest first, and what most of it was."""
        from intact._trace import _modules

        return _modules.slow(self.modules, self.images, most)

    def text(self) -> str:
        """The trace as text: an indented list of modules, what was slow, and shared objects."""
        from intact._trace import _text

        return _text.render(self)

    def chrome(self) -> dict[str, Any]:
        """The trace in the Trace Event Format, which chrome://tracing and Perfetto show."""
        from intact._trace import _chrome

        return _chrome.events(self)

    def html(self) -> str:
        """The trace as a page that needs nothing else."""
        from intact._trace import _page

        return _page.render(self)

    def write(self, path: str | os.PathLike[str]) -> None:
        """Write it to a file, whose suffix says how: .html, .json (as `chrome` gives it) or .txt.

        The file is there when it is complete, and replaces what was there. Raises ValueError for another suffix.
        """
        path = os.fsdecode(path)
        suffix = os.path.splitext(path)[1]
        if suffix not in FORMATS:
            raise ValueError(f"{path}: a trace is written as {', '.join(FORMATS)}, which the file's suffix says")
        if suffix == ".json":
            import json

            text = json.dumps(self.chrome())
        else:
            text = self.html() if suffix == ".html" else self.text()
        _replace(path, text.encode("utf-8", "backslashreplace"))


def _replace(path: str, data: bytes) -> None:
    partial = f"{path}.{os.urandom(8).hex()}"
    try:
        with open(partial, "xb") as file:
            file.write(data)
        os.replace(partial, path)
    except BaseException:
        if os.path.lexists(partial):
            os.unlink(partial)
        raise


def run(
    title: str,
    output: str,
    program: list[str],
    archives: list[str],
    options: dict[str, Any],
    password_file: str | None,
) -> int:
    """Run a program as ``intact run`` does, and write a trace of it when the interpreter ends; "" is stderr.

    Written last of all that is registered for the end, when threads are through, and by this process alone: children that
    a fork made have it, too.
    """
    import atexit

    import intact
    from intact import _run
    from intact._password_file import PasswordFile

    _run.forget_command()
    process, trace, interrupted = os.getpid(), Trace(title), False
    ours = sys.modules.copy()
    password = PasswordFile(password_file)

    def finish() -> None:
        if os.getpid() != process:
            return
        for name, module in ours.items():  # which the program may have cleared
            sys.modules.setdefault(name, module)
        trace.__exit__()
        _tell(trace, output)
        if interrupted:  # python has forgotten it, for what tells the trace executes code of its own
            _die_of_interrupt()

    atexit.register(finish)
    trace.__enter__()
    try:
        for archive in archives:
            intact.mount(archive, **options, password=password)
    except (intact.Error, OSError) as error:
        print(f"intact: {error}", file=sys.stderr)
        return 1
    try:
        return _run.run(program)
    except KeyboardInterrupt:
        interrupted = True
        raise


def _tell(trace: Trace, output: str) -> None:
    try:
        if output:
            trace.write(output)
        else:
            print(trace.text(), end="", file=sys.stderr)
    except OSError as error:
        print(f"intact: the trace is not written: {error}", file=sys.stderr)


def _die_of_interrupt() -> None:
    """End as python does that was interrupted."""
    import signal

    for stream in (sys.stdout, sys.stderr):
        if stream is not None:
            stream.flush()
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    os.kill(os.getpid(), signal.SIGINT)
