"""examples/robot_service: submissions over HTTP, imported from memory, each in a process of its own."""

import contextlib
import http.client
import io
import itertools
import json
import os
import select
import signal
import socket
import sys
import threading
import zipfile

import pytest
from support import serving, strace
from support.environment import EMPTY

MiB = 1 << 20
WALKS = "def step(sensors):\n    return 'forward'\n"
# Tells the test what it is, and goes on when it is told to.
MEETS = """
import os, socket
import helper
with socket.create_connection(("127.0.0.1", {port})) as line:
    line.sendall(f"{{helper.WORD}} {{os.getpid()}}\\n".encode())
    line.recv(1)
def step(sensors):
    raise ValueError(f"I am {{helper.WORD}}")
"""


def zipped(files, compression=zipfile.ZIP_DEFLATED):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", compression) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return buffer.getvalue()


class Client:
    def __init__(self, url):
        self.place = url.removeprefix("http://")

    def request(self, method, path, body=None, headers=None):
        """Status and answer, which is JSON whatever happens."""
        connection = http.client.HTTPConnection(self.place, timeout=120)
        with contextlib.closing(connection):
            connection.request(method, path, body, headers or {})
            answer = connection.getresponse()
            assert answer.headers["Content-Type"] == "application/json"
            return answer.status, json.load(answer)

    def submit(self, files, name="anna"):
        body = files if isinstance(files, bytes) else zipped(files)
        return self.request("POST", f"/simulate?name={name}", body)


@pytest.fixture(scope="module")
def start(examples, environment):
    memory = ["--memory", str(1 << 30)] if EMPTY else []  # a sanitizer takes all addresses there are

    def starting(*options, wrapper=(), **more):
        command = [*wrapper, sys.executable, "-m", "robot_service", "--port", "0", "--workers", "2", *memory, *options]
        return serving.serving(command, cwd=examples, env=environment, **more)

    return starting


@pytest.fixture(scope="module")
def client(start):
    with start("--seconds", "60") as url:
        yield Client(url)


@pytest.fixture
def submission(examples):
    """The one that comes with the example: two modules, one of which reads a file."""
    return {
        path.name: path.read_bytes() for path in (examples / "robot_service" / "submission").iterdir() if path.is_file()
    }


def test_a_robot_finds_its_way(client, submission):
    status, answer = client.submit(submission)
    assert (status, answer["reached"], answer["path"][0], answer["path"][-1]) == (200, True, [1, 1], [7, 4])
    assert all(abs(x - u) + abs(y - v) == 1 for (x, y), (u, v) in itertools.pairwise(answer["path"]))


def test_data_in_the_archive_decides(client, submission):
    ways = [client.submit({**submission, "hand.txt": hand})[1] for hand in ("left", "right")]
    assert ways[0]["reached"] and ways[1]["reached"] and ways[0]["steps"] != ways[1]["steps"]


def test_resources_of_packages_are_read_and_what_is_printed_is_in_the_answer(client):
    files = {
        "robot.py": "import kit\nprint(kit.WORD)\n" + WALKS,
        "kit/__init__.py": "from importlib.resources import files\nWORD = files(__name__).joinpath('w.txt').read_text()\n",
        "kit/w.txt": "word",
    }
    status, answer = client.submit(files)
    assert (status, answer["reached"], answer["steps"], answer["printed"]) == (200, False, 200, "word\n")


def test_the_only_file_that_is_written_is_the_one_that_a_robot_writes(start, submission, tmp_path):
    """Nothing by the service and by mounting, importing, reading, refusing."""
    log, mark = tmp_path / "strace.log", tmp_path / "mark"
    with start("--seconds", "120", wrapper=strace.command(log)) as url:
        client = Client(url)
        assert client.submit(submission)[0] == 200
        assert client.submit(b"no zip")[0] == 400
        assert client.submit({"robot.py": "raise ValueError"})[0] == 422
        assert strace.changes(log) == []
        assert client.submit({"robot.py": f"open({str(mark)!r}, 'w').close()\n" + WALKS})[0] == 200
    assert mark.exists()
    assert [strace.paths(line)[-1] for line in strace.changes(log)] == [str(mark)]


def test_two_at_a_time_with_modules_of_the_same_names_do_not_mix(client):
    answers = {}
    with socket.create_server(("127.0.0.1", 0)) as server:
        robot = MEETS.format(port=server.getsockname()[1])

        def submit(word):
            answers[word] = client.submit({"robot.py": robot, "helper.py": f"WORD = {word!r}"}, name=word)

        threads = [threading.Thread(target=submit, args=(word,)) for word in ("red", "blue")]
        for thread in threads:
            thread.start()
        server.settimeout(60)
        lines = [server.accept()[0] for _ in threads]  # both have imported, and wait
        met = {line.makefile().readline().split()[0] for line in lines}
        for line in lines:
            line.close()
        for thread in threads:
            thread.join()
    assert met == {"red", "blue"}
    for word, (status, answer) in answers.items():
        assert status == 422 and f"/intact/{word}/robot.py" in answer["error"]
        assert answer["error"].endswith(f"ValueError: I am {word}\n")


def test_the_modules_of_the_service_are_out_of_the_way(client):
    """A submission may call its modules as the service does; the service's neighbours are no modules to it."""
    files = {
        "robot.py": "import world, json\nprint(world.__file__, json.__file__)\n" + WALKS,
        "world.py": "",
        "json.py": "",
    }
    status, answer = client.submit(files)
    assert status == 200 and answer["printed"] == f"/intact/anna/world.py {json.__file__}\n"
    assert "No module named 'flask_app'" in client.submit({"robot.py": "import flask_app"})[1]["error"]


@pytest.mark.parametrize("name", ["robot_service", "robot_service.world", "robot_service.worker"])
def test_the_maze_of_the_service_cannot_be_imported(client, name):
    """A robot put the goal in front of itself."""
    assert "No module named 'robot_service'" in client.submit({"robot.py": f"import {name}"})[1]["error"]
    files = {"robot.py": "import robot_service as r, __main__ as m\nprint(r.OWN, 'world' in vars(m))\n" + WALKS}
    assert client.submit({**files, "robot_service.py": "OWN = 1"})[1]["printed"] == "1 False\n"


def test_what_the_code_raises_is_answered_with_its_own_lines(client):
    robot = "import part\ndef step(sensors):\n    return part.choose(sensors)\n"
    status, answer = client.submit(
        {"robot.py": robot, "part.py": "def choose(sensors):\n    return sensors['behind']\n"}
    )
    assert status == 422
    assert [line.strip() for line in answer["error"].splitlines() if "^^" not in line] == [
        "Traceback (most recent call last):",
        'File "/intact/anna/robot.py", line 3, in step',
        "return part.choose(sensors)",
        'File "/intact/anna/part.py", line 2, in choose',
        "return sensors['behind']",
        "KeyError: 'behind'",
    ]


@pytest.mark.parametrize(
    "robot, why",
    [
        ("def step(:", 'File "/intact/anna/robot.py", line 1'),
        ("", "has no attribute 'step'"),
        ("def step(sensors): return 'up'", "ValueError: step() answered 'up'"),
        ("import sys\nsys.exit('bye')", "SystemExit: bye"),
        ("import intact\nintact.mount(b'x')", 'File "/intact/anna/robot.py", line 2'),
        pytest.param(
            "x = bytes(1 << 30)", "MemoryError", marks=pytest.mark.skipif(bool(EMPTY), reason="a sanitizer's")
        ),
        ("import os\nos._exit(0)", "ended with code 0, without an answer"),
        ("import os\nos.abort()", "ended with code -6, without an answer"),
    ],
)
def test_code_that_does_not_do_is_answered_with_the_reason(client, robot, why):
    status, answer = client.submit({"robot.py": robot})
    assert status == 422 and why in answer["error"], answer


def test_a_submission_without_a_robot_is_told_so(client):
    assert client.submit({"robots.py": WALKS})[1]["error"] == "ModuleNotFoundError: No module named 'robot'\n"


def test_what_a_robot_leaves_running_does_not_hold_up_the_answer(client):
    robot = "import threading\nthreading.Thread(target=threading.Event().wait).start()\n" + WALKS
    assert client.submit({"robot.py": robot})[0] == 200


def test_an_endless_robot_is_stopped_and_so_is_what_it_started(start):
    with socket.create_server(("127.0.0.1", 0)) as server, start("--seconds", "6") as url:
        server.settimeout(60)
        robot = f"""
import os, socket, subprocess
child = subprocess.Popen(["sleep", "1000"])
socket.create_connection(("127.0.0.1", {server.getsockname()[1]})).sendall(f"{{os.getpid()}} {{child.pid}}\\n".encode())
while True:
    pass
"""
        answers = []
        thread = threading.Thread(target=lambda: answers.append(Client(url).submit({"robot.py": robot})))
        thread.start()
        numbers = server.accept()[0].makefile().readline().split()
        processes = [os.pidfd_open(int(number)) for number in numbers]
        thread.join()
    assert answers == [(422, {"error": "the submission's process ended after 6 seconds, without an answer"})]
    for process in processes:
        with open(process):
            assert select.select([process], [], [], 60)[0], "it is still running"


def damaged(files):
    """A zip in which a byte of what its last member holds is another."""
    body = bytearray(zipped(files, zipfile.ZIP_STORED))
    body[body.index(b"PK\x01\x02") - 1] ^= 1
    return bytes(body)


REFUSED = {
    "no zip": (b"no zip at all", "archive"),
    "cut short": (zipped({"robot.py": WALKS})[:-30], "not a whole zip"),
    "empty": (b"", "archive"),
    "damaged": (damaged({"robot.py": WALKS, "other.txt": "text"}), "other.txt"),
    "a bomb": (zipped({"robot.py": WALKS, "zeros": bytes(9 * MiB)}), "zeros"),
    "a bomb in parts": (
        zipped({"robot.py": WALKS, **{f"zeros{i}": bytes(3 * MiB) for i in range(4)}}),
        "unpacks to more",
    ),
    "many members": (zipped({"robot.py": WALKS, **{f"{i}": "" for i in range(201)}}), "members"),
}


@pytest.mark.parametrize("body, why", REFUSED.values(), ids=REFUSED)
def test_an_archive_that_is_broken_or_too_large_is_refused_before_its_code_runs(client, body, why):
    status, answer = client.submit(body)
    assert status == 400 and why in answer["error"], answer
    assert "anna" in answer["error"] and answer["printed"] == ""


@pytest.mark.parametrize(
    "method, path, headers, status",
    [
        ("GET", "/simulate", {}, 501),
        ("POST", "/", {}, 404),
        ("POST", "/simulate?name=../x", {}, 400),
        ("POST", "/simulate", {"Content-Length": "many"}, 411),
        ("POST", "/simulate", {"Content-Length": str(MiB + 1)}, 413),
    ],
)
def test_requests_that_cannot_be_answered_get_a_reason(client, method, path, headers, status):
    answered, answer = client.request(method, path, headers=headers)
    assert answered == status and answer["error"]


@pytest.mark.parametrize("ending", [signal.SIGINT, signal.SIGTERM])
def test_the_service_answers_what_it_has_begun_and_ends(start, ending):
    with start("--seconds", "60", ending=None) as url:
        robot = f"import os\nos.kill(os.getppid(), {int(ending)})\n" + WALKS
        assert Client(url).submit({"robot.py": robot})[0] == 200
