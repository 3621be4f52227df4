"""examples/jupyter_kernel: a kernel whose packages are wheels in a folder, talked to as Jupyter does."""

import itertools
import json
import re
import shutil

import pytest
from jupyter_client.kernelspec import KernelSpecManager
from jupyter_client.manager import KernelManager
from support import making, program

# What `pip download ipykernel msgpack` gives.
WHEELS = (
    "ipykernel==7.4.0",
    "asttokens==3.0.2",
    "comm==0.2.3",
    "debugpy==1.8.22",
    "executing==2.3.0",
    "ipython==9.18.1",
    "ipython_pygments_lexers==1.1.1",
    "jedi==0.20.1",
    "jupyter_client==8.10.0",
    "jupyter_core==5.9.1",
    "matplotlib_inline==0.2.2",
    "nest_asyncio2==1.7.4",
    "packaging==26.4",
    "parso==0.8.7",
    "pexpect==4.9.0",
    "platformdirs==4.14.8",
    "prompt_toolkit==3.0.53",
    "psutil==7.2.2",
    "ptyprocess==0.7.0",
    "pure_eval==0.2.4",
    "pygments==2.21.0",
    "python_dateutil==4.0.0",
    "pyzmq==27.3.0",
    "stack_data==0.6.3",
    "tornado==6.6.1",
    "traitlets==5.16.1",
    "typing_extensions==4.16.0",
    "tzdata==2026.6",
    "wcwidth==0.9.4",
    "msgpack==1.2.4",
)
STRANGERS = """
import sys
library = sys._stdlib_dir
files = {name: getattr(module, "__file__", None) or "" for name, module in sys.modules.items()}
print({name: file for name, file in files.items() if file and ".whl/" not in file and not file.startswith(library)
       and not name.startswith(("intact", "__"))})
"""


@pytest.fixture(scope="module")
def kernel(examples, environment, interpreter, wheels, tmp_path_factory):
    """A client of the running kernel, under a Python that has intact and nothing else."""
    home = tmp_path_factory.mktemp("home")
    folder = home / "kernels" / "from-wheels"
    shutil.copytree(examples / "jupyter_kernel" / "kernel", folder)
    (folder / "wheels").mkdir()
    for wheel in wheels(*WHEELS):
        (folder / "wheels" / wheel.name).symlink_to(wheel)
    spec = json.loads((folder / "kernel.json").read_text())
    spec["argv"][:1] = [program.PYTHON, "-S"]
    (folder / "kernel.json").write_text(json.dumps(spec))

    manager = KernelManager(
        kernel_name="from-wheels", kernel_spec_manager=KernelSpecManager(kernel_dirs=[str(folder.parent)])
    )
    surroundings = {**environment, "HOME": str(home), "TMPDIR": str(home), "PYTHONPATH": interpreter.site}
    manager.start_kernel(env=surroundings, cwd=str(home))
    client = manager.blocking_client()
    client.start_channels()
    try:
        client.wait_for_ready(timeout=120)
        yield Kernel(manager, client)
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)


class Kernel:
    def __init__(self, manager, client):
        self.manager, self.client, self.requests = manager, client, itertools.count(1)

    def run(self, code):
        """How executing a cell ended, and what it printed. One that fails does not take the next one with it, as it else may."""
        printed = []
        reply = self.client.execute_interactive(
            code, timeout=120, stop_on_error=False, output_hook=lambda message: printed.append(message["content"])
        )
        return reply["content"], "".join(content.get("text", "") for content in printed)

    def debug(self, command, **arguments):
        """What the debugger answers (Debug Adapter Protocol, over the control channel)."""
        request = {"type": "request", "seq": next(self.requests), "command": command, "arguments": arguments}
        message = self.client.session.msg("debug_request", request)
        self.client.control_channel.send(message)
        while True:
            reply = self.client.get_control_msg(timeout=120)
            if reply["parent_header"]["msg_id"] == message["header"]["msg_id"]:
                assert reply["content"]["success"], reply["content"]
                return reply["content"].get("body")

    def reply(self, message):
        """The answer to the request `message`; those that nobody waited for come before it."""
        while True:
            reply = self.client.get_shell_msg(timeout=120)
            if reply["parent_header"]["msg_id"] == message:
                return reply["content"]

    def published(self, kind):
        """What the kernel next publishes of that kind."""
        while True:
            message = self.client.get_iopub_msg(timeout=120)
            if message["msg_type"] == kind:
                return message["content"]


def plain(content):
    """The text of a reply, without colours."""
    return re.sub(r"\x1b\[[0-9;]*m", "", "\n".join(content))


def test_everything_is_imported_from_the_wheels(kernel):
    """But intact itself, and the standard library."""
    reply, printed = kernel.run(STRANGERS)
    assert (reply["status"], printed) == ("ok", "{}\n")


def test_a_package_with_an_extension_module_is_imported(kernel):
    reply, printed = kernel.run(
        "import msgpack\nprint(msgpack.unpackb(msgpack.packb([1, 'two'])), msgpack._cmsgpack.__file__)"
    )
    assert reply["status"] == "ok"
    assert re.fullmatch(r"\[1, 'two'\] .*/wheels/msgpack-1\.2\.4-.*\.whl/msgpack/_cmsgpack\..*\.so\n", printed)


def test_a_cell_mounts_a_wheel_and_imports_from_it(kernel, tmp_path):
    wheel = making.wheel(tmp_path, "extra", {"extra.py": "n = 7\n"})
    reply, printed = kernel.run(f"import intact\nintact.mount({str(wheel)!r})\nimport extra\nprint(extra.n)")
    assert (reply["status"], printed) == ("ok", "7\n")


def test_source_is_shown(kernel):
    kernel.run("import msgpack.fallback")
    reply, _ = kernel.run("msgpack.fallback.unpackb??")
    [shown] = reply["payload"]
    text = plain([shown["data"]["text/plain"]])
    assert "def unpackb(packed, **kwargs):" in text and ".whl/msgpack/fallback.py" in text


def test_names_are_completed(kernel):
    kernel.run("import msgpack.fallback")
    for code, name in ("msgpack.fallback.unp", "unpackb"), ("import msgp", "msgpack"):
        reply = kernel.client.complete(code, reply=True, timeout=60)["content"]
        assert name in [match.rpartition(".")[2] for match in reply["matches"]], reply


def test_tracebacks_show_source_lines(kernel):
    reply, _ = kernel.run("import msgpack.fallback\nmsgpack.fallback.unpackb(b'')")
    text = plain(reply["traceback"])
    assert reply["ename"] == "ValueError" and ".whl/msgpack/fallback.py" in text
    assert 'raise ValueError("Unpack failed: incomplete input")' in text, text


def test_a_cell_is_interrupted(kernel):
    code = "import time\nprint('begun', flush=True)\nwhile True: time.sleep(1)"
    message = kernel.client.execute(code, stop_on_error=False)
    kernel.published("stream")
    kernel.manager.interrupt_kernel()
    assert kernel.reply(message)["ename"] == "KeyboardInterrupt"
    assert kernel.run("print(1 + 1)")[1] == "2\n"


def test_a_cell_is_debugged(kernel):
    """debugpy starts a child Python on a directory of its wheel; the wheel is mounted there, too."""
    code = "def double(x):\n    y = 2 * x\n    return y\nprint(double(21))"
    kernel.debug("initialize", clientID="test", adapterID="python", pathFormat="path", linesStartAt1=True)
    kernel.debug("attach")
    source = {"path": kernel.debug("dumpCell", code=code)["sourcePath"]}
    kernel.debug("setBreakpoints", source=source, breakpoints=[{"line": 3}], sourceModified=False)
    kernel.debug("configurationDone")
    kernel.client.execute(code)
    while (event := kernel.published("debug_event"))["event"] != "stopped":
        pass
    thread = event["body"]["threadId"]
    frame = kernel.debug("stackTrace", threadId=thread)["stackFrames"][0]
    assert (frame["name"], frame["line"]) == ("double", 3)
    assert kernel.debug("evaluate", expression="y", frameId=frame["id"])["result"] == "42"
    kernel.debug("continue", threadId=thread)
    assert kernel.published("stream")["text"].strip() == "42"
