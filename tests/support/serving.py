"""Starts services that say where they listen, and ends them as their users do."""

import contextlib
import os
import re
import signal
import subprocess

LISTENING = re.compile(r"listening on (http://\S+)\n")


@contextlib.contextmanager
def serving(command, *, ending=signal.SIGTERM, **options):
    """The address of the service that `command` starts.

    At the end it is sent `ending`, unless that is None: then it ends by itself. It has to end well.
    """
    with subprocess.Popen(
        [str(part) for part in command], stdout=subprocess.PIPE, text=True, start_new_session=True, **options
    ) as process:
        try:
            line = process.stdout.readline()
            assert LISTENING.fullmatch(line), line
            yield LISTENING.fullmatch(line)[1]
            if ending is not None:
                os.killpg(process.pid, ending)  # the group: strace, which may stand before it, ignores the signal
            assert process.wait(60) == 0
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
