"""An address, bodies and a rate in; latencies that count from when each request was due out.

Requests are due at a constant rate, whatever the server does. One that finds every connection busy
waits, and its wait counts: a closed loop would have asked later and never have seen it (this is
coordinated omission, https://github.com/giltene/wrk2). A request whose answer is not a 200, or does
not come, is an error and in no latency.
"""

import argparse
import asyncio
import gc
import json
import selectors
from collections import Counter, deque
from itertools import cycle
from pathlib import Path
from urllib.parse import urlsplit

import httptools

GRACE = 20.0  # seconds that answers may take after the last request was due


class Connection(asyncio.Protocol):
    """One connection with at most one request on its way."""

    def __init__(self, load: "Load") -> None:
        self._load = load
        self._due: float | None = None
        self._transport: asyncio.Transport | None = None

    def ask(self, request: bytes, due: float) -> None:
        """Send a request that was due then."""
        assert self._transport is not None
        self._due = due
        self._transport.write(request)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Be ready."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._parser = httptools.HttpResponseParser(self)
        self._load.free(self)

    def data_received(self, data: bytes) -> None:
        """Read on."""
        self._parser.feed_data(data)

    def on_message_complete(self) -> None:
        """Note how the answer was, and be ready again."""
        assert self._due is not None
        status = self._parser.get_status_code()
        self._load.note(self._due, "" if status == 200 else f"status {status}")
        self._due = None
        if self._parser.should_keep_alive():
            self._parser = httptools.HttpResponseParser(self)
            self._load.free(self)

    def connection_lost(self, exc: Exception | None) -> None:
        """Count what was on its way as failed; another connection takes this one's place."""
        self._load.lost(self, self._due)


class Load:
    """A run: what is due, who is free, and what came back."""

    def __init__(self, url: str, bodies: list[bytes], connections: int) -> None:
        at = urlsplit(url)
        self._host, self._port = at.hostname or "", at.port or 80
        head = f"POST {at.path} HTTP/1.1\r\nHost: {at.netloc}\r\nContent-Type: application/json\r\n"
        self._requests = cycle(
            [f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body for body in bodies]
        )
        self._connections = connections
        self._free: deque[Connection] = deque()
        self._waiting: deque[float] = deque()
        self._reopening: set[asyncio.Task[None]] = set()
        self._over = False
        self.latencies: list[float] = []
        self.late: list[float] = []  # by how much we were late ourselves, a connection being free
        self.errors: Counter[str] = Counter()

    async def run(self, rate: float, seconds: float) -> None:
        """Offer `rate` requests a second for that long, then wait for what is still out."""
        self._loop = asyncio.get_running_loop()
        for _ in range(self._connections):
            await self._open()
        total = round(rate * seconds)
        begun = self._loop.time()
        for number in range(total):
            due = begun + number / rate
            await asyncio.sleep(due - self._loop.time())
            if self._free:
                self.late.append(self._loop.time() - due)
            self._waiting.append(due)
            self._send()
        deadline = self._loop.time() + GRACE
        while (left := total - self._settled()) and self._loop.time() < deadline:
            await asyncio.sleep(0.01)
        self._over = True
        self.errors["unanswered"] += left

    def free(self, connection: Connection) -> None:
        """Take a connection that has nothing on its way."""
        self._free.append(connection)
        self._send()

    def note(self, due: float, error: str) -> None:
        """Take an answer."""
        if error:
            self.errors[error] += 1
        else:
            self.latencies.append(self._loop.time() - due)

    def lost(self, connection: Connection, due: float | None) -> None:
        """Take that a connection is gone, maybe with a request."""
        if self._over:
            return
        if due is not None:
            self.errors["connection lost"] += 1
        if connection in self._free:
            self._free.remove(connection)
        task = self._loop.create_task(self._open())
        self._reopening.add(task)
        task.add_done_callback(self._reopening.discard)

    async def _open(self) -> None:
        await self._loop.create_connection(lambda: Connection(self), self._host, self._port)

    def _send(self) -> None:
        while self._waiting and self._free:
            self._free.popleft().ask(next(self._requests), self._waiting.popleft())

    def _settled(self) -> int:
        return len(self.latencies) + sum(self.errors.values())


def quantile(sorted_values: list[float], q: float) -> float:
    """Give the value that a share of `q` does not exceed; 0 where there is none."""
    return (
        sorted_values[min(int(q * len(sorted_values)), len(sorted_values) - 1)]
        if sorted_values
        else 0.0
    )


def main() -> None:
    """Run once and print the figures as a line of JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("url")
    parser.add_argument("bodies", type=Path, help="JSON bodies, one a line, posted in turn")
    parser.add_argument("--rate", type=float, required=True, help="requests a second")
    parser.add_argument("--seconds", type=float, required=True)
    parser.add_argument("--connections", type=int, default=32)
    given = parser.parse_args()
    load = Load(given.url, given.bodies.read_bytes().splitlines(), given.connections)
    gc.disable()  # a run is short, and a collection would be measured as the server's
    # epoll rounds a wait up to a whole millisecond, select does not
    loop = asyncio.SelectorEventLoop(selectors.SelectSelector())
    loop.run_until_complete(load.run(given.rate, given.seconds))
    latencies, late = sorted(load.latencies), sorted(load.late)
    figures = {
        "requests": len(latencies),
        "seconds": given.seconds,
        "p50_ms": quantile(latencies, 0.5) * 1e3,
        "p99_ms": quantile(latencies, 0.99) * 1e3,
        "client_late_p99_ms": quantile(late, 0.99) * 1e3,
        "errors": load.errors,
    }
    print(json.dumps(figures))  # noqa: T201


if __name__ == "__main__":
    main()
