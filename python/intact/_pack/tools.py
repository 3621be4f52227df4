"""uv and pip, which resolve, download and build: found, run, and what they print made one line of progress or of error.

They run with the user's own configuration: nothing here names an index, and variables are set only where the user
set none.
"""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence

from intact._pack.errors import PackError

_NEWS = re.compile(
    r"(Collecting|Downloading|Processing|Building wheels? for|Preparing metadata|Using cached|Resolved|Cloning)\b.*"
)
_LONGEST = 900  # characters of a tool's explanation
_PATIENCE = 5  # seconds that a tool gets to tidy up when it is interrupted

# Kept where the user has said nothing: a server that does not answer is given up within a minute or two.
_DEFAULTS = {
    "PIP_RETRIES": "2",
    "UV_HTTP_RETRIES": "2",
    "SOURCE_DATE_EPOCH": "315532800",  # 1980, the first time a zip can hold: the same sources give the same wheel
}
# Whatever the user has said: nobody answers a question, and progress is read from what is printed.
_ALWAYS = {
    "PIP_NO_INPUT": "1",
    "PIP_DISABLE_PIP_VERSION_CHECK": "1",
    "PIP_PROGRESS_BAR": "off",
    "PIP_QUIET": "0",
    "PIP_VERBOSE": "0",
    "NO_COLOR": "1",
    "PYTHONUNBUFFERED": "1",
    "UV_NO_PROGRESS": "1",
}


class ToolError(Exception):
    """A tool failed; ``output`` is all it printed."""

    def __init__(self, output: str) -> None:
        super().__init__(explain(output))
        self.output = output


def find_uv() -> list[str] | None:
    """The command that is uv, unless there is none or INTACT_UV=0 says to do without."""
    if os.environ.get("INTACT_UV") == "0":
        return None
    if path := shutil.which("uv"):
        return [path]
    return [sys.executable, "-m", "uv"] if importlib.util.find_spec("uv") else None


def find_pip() -> list[str]:
    """The command that is pip for this interpreter."""
    if importlib.util.find_spec("pip"):
        return [sys.executable, "-m", "pip"]
    if path := shutil.which("pip"):
        return [path, "--python", sys.executable]
    if uv := find_uv():
        return [
            *uv,
            "run",
            "--quiet",
            "--no-project",
            "--isolated",
            "--python",
            sys.executable,
            "--with",
            "pip",
            "python",
            "-m",
            "pip",
        ]
    raise PackError("pip", f"is needed to fetch and build packages, and {sys.executable} has none: python -m ensurepip")


def environment(directory: str, settings: Mapping[str, str], variables: Mapping[str, str]) -> dict[str, str]:
    """Variables for the tools: the user's, then `variables`; what they write for a while goes to `directory`.

    `settings` are the user's of pip, from its files too.
    """
    defaults = {name: value for name, value in _DEFAULTS.items() if name != "PIP_RETRIES" or "retries" not in settings}
    return {**defaults, **variables, **os.environ, **_ALWAYS, "TMPDIR": directory}


def run(command: Sequence[str], variables: Mapping[str, str], progress: Callable[[str], None]) -> str:
    """What `command` printed. Raises ToolError if it failed. When we are interrupted, it ends with all it started."""
    lines = []
    with subprocess.Popen(
        command,
        env=variables,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        errors="replace",
        start_new_session=True,  # what it starts can be ended with it, and nothing waits for an answer on our terminal
    ) as process:
        try:
            assert process.stdout is not None
            for line in process.stdout:
                lines.append(line)
                if _NEWS.match(news := line.strip()):
                    progress(_shown(news))
            status = process.wait()
        except BaseException:
            _end(process)
            raise
    if status:
        raise ToolError("".join(lines) or f"{command[0]} ended with status {status}")
    return "".join(lines)


def _shown(news: str) -> str:
    """A line of progress without where a requirement comes from, and a URL cut to the file it names."""
    news = re.sub(r" @ \S+| \(from .*", "", news)
    return re.sub(r"\S+://\S+/([^/\s#]+)\S*", r"\1", news)


def _end(process: subprocess.Popen[str]) -> None:
    try:
        os.killpg(process.pid, signal.SIGINT)
        process.wait(_PATIENCE)
    except (ProcessLookupError, subprocess.TimeoutExpired):
        pass
    finally:
        try:
            os.killpg(process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass


def explain(output: str) -> str:
    """What a tool that failed gives as the reason, in its own words, on one line."""
    # Where pip meets what it does not expect, such as a full disk, it prints where it was.
    output = re.sub(r"(?s)^ERROR: Exception:\nTraceback .*\n(?=\w)", "ERROR: ", output, flags=re.MULTILINE)
    lines = output.splitlines()
    start = next((i for i, line in enumerate(lines) if re.match(r"ERROR:|error:|\s*×", line)), max(0, len(lines) - 3))
    reason = _unreachable(output) + _of_back_end(output) + _in_one_line("\n".join(_kept(lines[start:])))
    return reason if len(reason) <= _LONGEST else reason[:_LONGEST].rsplit(" ", 1)[0] + " …"


def _in_one_line(text: str) -> str:
    """Without labels and what draws trees; lists of versions cut to their ends."""
    text = re.sub(r"^[ ×│├─▶╰]*[×│├─▶╰] ", "", text, flags=re.MULTILINE)
    text = re.sub(r"^(ERROR|error): ", "", text)
    text = re.sub(r"\n\s*(cause|Caused by): ", ": ", text)
    text = re.sub(r"\.?\s*\n\s*(ERROR|error|hint): ", "; ", text)
    text = re.sub(r" \(from -r \S*/\.resolve-\S* \(line \d+\)\)", "", text)
    text = re.sub(r"\(from versions: [^)]*((?:, [^,)]*){5})\)", r"(from versions: …\1)", " ".join(text.split()))
    return re.sub(
        r"(different python version: )[^;]*(?:; [^;]*Requires-Python[^;]*)*(; [^;]*Requires-Python)", r"\1…\2", text
    )


def _kept(lines: Sequence[str]) -> Iterator[str]:
    """Without advice and without the output of back ends."""
    quiet = False
    for line in lines:
        if re.search(r"To fix this you could try|\[\d+ lines? of output\]", line):
            quiet = True
        elif re.match(r"ERROR:|\s*\[end of output\]", line):
            quiet = False
        if not quiet and not re.search(
            r"end of output\]|^\s*(\[notice|note:|WARNING:)|for help visit|following yanked", line
        ):
            yield line


def _unreachable(output: str) -> str:
    """pip warns of a connection that fails, and then says that there is no such package."""
    found = re.findall(r"connection broken by '(.*)': (\S+)", output)
    if not found:
        return ""
    cause = re.sub(r"""^\w+\(["']?(<[^>]*>: |\w+\([^)]*\): )?""", "", found[-1][0]).rstrip("\"')")
    return f"the package index cannot be reached, {found[-1][1]}: {cause}: "


def _of_back_end(output: str) -> str:
    """The last line that a build back end printed."""
    found = re.findall(r"\[\d+ lines? of output\]\n(.*?)\n\s*\[end of output\]", output, re.DOTALL)
    return f"{found[0].strip().splitlines()[-1].strip()}: " if found else ""
