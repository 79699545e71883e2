"""The real exporter for tests: a home and settings in, a process that answers scrapes out."""

import socket
import socketserver
import sys
import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path

from prometheus_client.parser import text_string_to_metric_families

from tests.programs import Program, free_port, running

HOST = "127.0.0.1"


def exporter(home: Path, **settings: str) -> AbstractContextManager[Program]:
    """Asks nobody but its home unless the settings (without prefix, in any case) say whom."""
    port = settings.pop("exporter_port", str(free_port()))
    others = {"airflow_url": "", "mlflow_url": "", "exporter_fresh_seconds": "0.1", **settings}
    env = {"RELAY_HOME": str(home), "RELAY_EXPORTER_PORT": port}
    env |= {f"RELAY_{name.upper()}": value for name, value in others.items()}
    command = [sys.executable, "-m", "services.exporter"]
    return running(command, env, f"http://{HOST}:{port}", "/metrics", home / "exporter.log")


def scrape(program: Program) -> dict[str, dict[tuple[str, ...], float]]:
    """One scrape: a metric's name, then the values of its labels in their order by name."""
    found: dict[str, dict[tuple[str, ...], float]] = {}
    for family in text_string_to_metric_families(program.get("/metrics").text):
        for sample in family.samples:
            labels = tuple(sample.labels[name] for name in sorted(sample.labels))
            found.setdefault(sample.name, {})[labels] = sample.value
    return found


def up(program: Program, source: str) -> float:
    return scrape(program)["relay_exporter_source_up"][source,]


def shown(program: Program, *prefixes: str) -> list[str]:
    """Names of the metrics with these prefixes that a scrape shows."""
    return [name for name in scrape(program) if name.startswith(prefixes)]


@contextmanager
def silent() -> Iterator[str]:
    """The address of a server that takes connections and never says a word."""
    with socket.create_server((HOST, 0)) as server:
        yield f"{HOST}:{server.getsockname()[1]}"


@contextmanager
def dribbling() -> Iterator[str]:
    """The address of a server whose answer comes a byte at a time, and never ends."""
    ended = threading.Event()

    class Dribble(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            self.request.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 1000000\r\n\r\n")
            with suppress(OSError):  # who asked has gone
                while not ended.wait(0.05):
                    self.request.sendall(b" ")

    with socketserver.ThreadingTCPServer((HOST, 0), Dribble) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"{HOST}:{server.server_address[1]}"
        finally:
            ended.set()
            server.shutdown()
            thread.join()
