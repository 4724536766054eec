"""A server of files on 127.0.0.1 that does what servers and connections do wrong, when told to."""

import contextlib
import re
import socket
import struct
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass
class Plan:
    """How one request is answered; the fields' defaults are what a good server does."""

    status: int | None = None  # an error instead of the file
    cut: int | None = None  # bytes of the body after which the connection is reset
    short: int | None = None  # bytes of the body after which it ends, without an error
    body: bytes | None = None  # another body
    ranges: bool = True  # whether Range is known
    if_range: bool = True  # whether If-Range is
    location: str | None = None  # where the answer leads
    headers: dict = field(default_factory=dict)  # None takes a header away
    wait: threading.Event | None = None  # before the last byte
    endless: bool = False  # the body never ends, and the answer does not say its size
    drip: float | None = None  # seconds between two bytes of the body


class FileServer(ThreadingHTTPServer):
    """Serves `files`, bytes by path; `plans` are used up, one a request; `log` is what was sent."""

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), _Handler)
        self.url = f"http://127.0.0.1:{self.server_address[1]}"
        self.files, self.tags, self.plans, self.log = {}, {}, [], []
        self.stopping = threading.Event()

    def put(self, path, body):
        """Publish a version of a file."""
        self.files[path] = body
        self.tags[path] = f'"{len(self.tags)}-{hash(body):x}"'

    @property
    def sent(self):
        """The first byte and the number of bytes of each body, by path."""
        return [(path, first, n) for path, _, _, first, n in self.log]

    @property
    def statuses(self):
        return [status for _, _, status, _, _ in self.log]

    def handle_error(self, request, client_address):
        pass  # a client that goes away is what some tests are about


class _Handler(BaseHTTPRequestHandler):
    def log_message(self, *args):
        pass

    def do_GET(self):
        plan = self.server.plans.pop(0) if self.server.plans else Plan()
        if plan.location is not None:
            if plan.endless:
                return self.send_for_ever(302, {"Location": plan.location})
            return self.answer(302, {"Location": plan.location})
        if plan.endless:
            return self.send_for_ever(200, {"ETag": '"endless"'} | plan.headers)
        if plan.status is not None:
            return self.answer(plan.status, {})
        if self.path not in self.server.files:
            return self.answer(404, {})
        self.send_file(plan, self.server.files[self.path] if plan.body is None else plan.body)

    def answer(self, status, headers):
        self.server.log.append((self.path, self.headers["Range"], status, 0, 0))
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def send_for_ever(self, status, headers):
        self.server.log.append((self.path, self.headers["Range"], status, 0, 0))
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        with contextlib.suppress(OSError):  # until the client goes away
            while True:
                self.wfile.write(bytes(1 << 16))

    def send_file(self, plan, body):
        tag, first = self.server.tags[self.path], 0
        headers = {"Content-Type": "application/octet-stream", "ETag": tag} | plan.headers
        asked = re.fullmatch(r"bytes=(\d+)-", self.headers["Range"] or "")
        fresh = self.headers["If-Range"] in (None, headers["ETag"]) or not plan.if_range
        if asked and plan.ranges and fresh:
            first = int(asked[1])
            headers.setdefault("Content-Range", f"bytes {first}-{len(body) - 1}/{len(body)}")
        rest = body[first:]
        headers.setdefault("Content-Length", str(len(rest)))
        status = 206 if first else 200
        stop = next((n for n in (plan.cut, plan.short) if n is not None), len(rest))
        self.server.log.append((self.path, self.headers["Range"], status, first, stop))
        self.send_response(status)
        for name, value in headers.items():
            if value is not None:
                self.send_header(name, value)
        self.end_headers()
        if plan.drip is not None:
            with contextlib.suppress(OSError):
                for at in range(stop):
                    self.wfile.write(rest[at : at + 1])
                    self.wfile.flush()
                    self.server.stopping.wait(plan.drip)
        elif plan.wait is not None:
            self.wfile.write(rest[: stop - 1])
            self.wfile.flush()
            plan.wait.wait(60)
            self.wfile.write(rest[stop - 1 : stop])
        else:
            self.wfile.write(rest[:stop])
        if plan.cut is not None:
            self.wfile.flush()
            # closing without lingering resets the connection, as a cut does
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.connection.close()


@contextlib.contextmanager
def serving():
    """Run a server while the body of the `with` runs."""
    with FileServer() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()
