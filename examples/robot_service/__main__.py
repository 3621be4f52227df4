"""The service: `POST /simulate?name=NAME` with a zip that holds robot.py and what it needs; the answer is JSON.

    python -m robot_service --port 8000

A submission is held in memory from the request to its end. It goes to a process of its own (worker.py) through a file in
memory, and the answer comes back through another: there is no pipe to be filled or held open, and no file to be cleaned up.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import select
import signal
import subprocess
import sys
import threading
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

from robot_service import STATUS

MOST_BYTES = 1 << 20  # of a submission
NAME = re.compile(r"[A-Za-z0-9_-]{1,40}")


class Server(ThreadingHTTPServer):
    daemon_threads = False  # what was begun is answered before the service ends

    def __init__(self, address: tuple[str, int], workers: int, limits: tuple[int, int]) -> None:
        super().__init__(address, Handler)
        self.free_workers = threading.BoundedSemaphore(workers)
        self.limits = limits


class Handler(BaseHTTPRequestHandler):
    server: Server
    timeout = 30  # of a client that says nothing

    def do_POST(self) -> None:
        url = urlsplit(self.path)
        name = parse_qs(url.query).get("name", ["submission"])[0]
        length = self.headers.get("Content-Length", "")
        if url.path != "/simulate":
            self.answer(404, error="submissions go to /simulate")
        elif not NAME.fullmatch(name):
            self.answer(400, error="a name has letters, digits, - and _, 40 at most")
        elif not re.fullmatch("[0-9]{1,12}", length):
            self.answer(411, error="a request needs a Content-Length")
        elif int(length) > MOST_BYTES:
            self.answer(413, error=f"a submission has {MOST_BYTES} bytes at most")
        elif len(body := self.rfile.read(int(length))) < int(length):
            self.answer(400, error="the request was cut short")
        else:
            with self.server.free_workers:
                status, result = run(body, name, *self.server.limits)
            self.send(status, result)

    def answer(self, status: int, **result: str) -> None:
        self.send(status, json.dumps(result).encode())

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        self.answer(code, error=message or HTTPStatus(code).phrase)

    def send(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def run(submission: bytes, name: str, seconds: int, memory: int) -> tuple[int, bytes]:
    """The status, and what the worker answers, or how it ended if it does not."""
    command = [sys.executable, "-m", "robot_service.worker", name, str(seconds), str(memory)]
    with open(os.memfd_create("submission"), "w+b") as given, open(os.memfd_create("answer"), "rb") as answer:
        given.write(submission)
        given.seek(0)
        with subprocess.Popen(
            command, stdin=given, stdout=answer, stderr=subprocess.DEVNULL, start_new_session=True
        ) as process:
            in_time = has_ended(process, seconds)
            os.killpg(process.pid, signal.SIGKILL)  # it, if it has not ended, and what it has started
        answer.seek(0)
        body = answer.read()
    if body and process.returncode in STATUS:
        return STATUS[process.returncode], body
    how = f"with code {process.returncode}" if in_time else f"after {seconds} seconds"
    return 422, json.dumps({"error": f"the submission's process ended {how}, without an answer"}).encode()


def has_ended(process: subprocess.Popen[bytes], seconds: float) -> bool:
    """Wait for the end without taking note of it: until then no other process gets the number."""
    descriptor = os.pidfd_open(process.pid)
    try:
        poll = select.poll()
        poll.register(descriptor, select.POLLIN)
        return bool(poll.poll(seconds * 1000))
    finally:
        os.close(descriptor)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m robot_service", description="Run submitted robots in a maze.")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8000, help="0 for one that is free (default: %(default)s)")
    parser.add_argument("--workers", type=int, default=os.cpu_count(), help="submissions at a time")
    parser.add_argument("--seconds", type=int, default=10, help="for a submission (default: %(default)s)")
    parser.add_argument("--memory", type=int, default=512, help="MiB for a submission (default: %(default)s)")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    address, limits = (options.host, options.port), (options.seconds, options.memory)
    with Server(address, options.workers, limits) as server:
        print(f"listening on http://{options.host}:{server.server_port}", flush=True)
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            pass


if __name__ == "__main__":
    main()
