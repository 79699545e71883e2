"""The bare HTTP server: a folder of answers and a port in; those answers, whatever is asked, out.

It does the least that a server can: take a connection, read the body, write an answer of the right
size. What ours falls short of its requests a second is what the work itself costs.
"""

import argparse
import asyncio
import signal
from pathlib import Path

import uvloop
from granian.constants import Interfaces
from granian.rsgi import HTTPProtocol, Scope
from granian.server.embed import Server

HEADERS = [("content-type", "application/json")]


class Bare:
    """An RSGI application; `answers` by path."""

    def __init__(self, answers: dict[str, bytes]) -> None:
        self._answers = answers

    async def __rsgi__(self, scope: Scope, proto: HTTPProtocol) -> None:
        """Answer one request."""
        await proto()
        proto.response_bytes(200, HEADERS, self._answers[scope.path])


async def serve(folder: Path, port: int) -> None:
    """Serve every file of a folder under its name until SIGTERM."""
    app = Bare({f"/{file.name}": file.read_bytes() for file in folder.iterdir()})
    server = Server(
        app,
        address="127.0.0.1",
        port=port,
        interface=Interfaces.RSGI,
        websockets=False,
        log_enabled=False,
    )
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, server.stop)
    await server.serve()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("port", type=int)
    given = parser.parse_args()
    uvloop.run(serve(given.folder, given.port))
