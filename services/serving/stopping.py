"""A server that runs in, its graceful end out, when SIGTERM or SIGINT says so.

First the readiness goes and every answer closes its connection, so that balancers and clients turn
elsewhere while they are still answered. Then nothing more is accepted, and what is in is answered.
A second signal cuts short whichever of the two it meets.
"""

import asyncio
import logging
import signal
from collections.abc import Callable, Coroutine
from typing import Any

from granian.server.embed import Server

from services.serving.http.endpoints.health import Health

Drain = Callable[[], Coroutine[Any, Any, None]]
_log = logging.getLogger(__name__)


class Signals:
    """SIGTERM and SIGINT, counted: a loop's own while it runs."""

    def __init__(self) -> None:
        self._told = asyncio.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, self._told.set)

    async def next(self, seconds: float | None = None) -> bool:
        """Wait for the next one, at most this long; say whether it came."""
        try:
            await asyncio.wait_for(self._told.wait(), seconds)
        except TimeoutError:
            return False
        self._told.clear()
        return True


async def serve_until_told(
    server: Server, drain: Drain, health: Health, leave_seconds: float, stop_seconds: float
) -> bool:
    """Serve; told to stop, leave and drain, the server and what is beside it at one time.

    False where requests had to be given up.
    """
    signals = Signals()
    serving = asyncio.create_task(server.serve())
    told = asyncio.create_task(signals.next())
    await asyncio.wait((serving, told), return_when=asyncio.FIRST_COMPLETED)
    if serving.done():
        told.cancel()
        await serving
        return True
    health.leaving = True
    _log.info("stopping: not ready any more", extra={"leave_seconds": leave_seconds})
    await signals.next(leave_seconds)
    server.stop()
    drained = asyncio.gather(serving, drain())
    again = asyncio.create_task(signals.next(stop_seconds))
    await asyncio.wait((drained, again), return_when=asyncio.FIRST_COMPLETED)
    again.cancel()
    if drained.done():
        return True
    drained.cancel()
    _log.error("stopping: requests are given up", extra={"stop_seconds": stop_seconds})
    return False
