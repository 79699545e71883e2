"""A network between two programs that a test can make worse: a real proxy, spoiling what passes."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import httpx

Spoil = Callable[[str, int, bytes], tuple[int, bytes]]


@dataclass
class Network:
    """The proxy's address; `spoil` takes a path, its status and body, and gives the last two."""

    url: str
    spoil: Spoil | None = None


@contextmanager
def bad_network(upstream: str) -> Iterator[Network]:
    """Pass on to `upstream`; bodies end where the connection does, so a cut one looks whole."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.pass_on()

        def do_POST(self) -> None:
            self.pass_on()

        def pass_on(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length", 0)))
            given = {"content-type": self.headers.get("content-type", "application/json")}
            if token := self.headers.get("authorization"):
                given["authorization"] = token
            got = httpx.request(
                self.command, upstream + self.path, content=body, headers=given, timeout=30
            )
            status, content = got.status_code, got.content
            if network.spoil:
                status, content = network.spoil(self.path, status, content)
            self.send_response(status)
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    network = Network(f"http://127.0.0.1:{server.server_port}")
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield network
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
