"""A request's body in, its bytes out, within a limit of size and one of time.

No timer runs for a body: all that are being read stand in one list, oldest first, and whoever has
been there for too long is interrupted when the list is next looked at.
"""

import asyncio
import time

from granian.rsgi import HTTPProtocol

from services.serving.errors import RequestError
from services.serving.http.compression import decompress
from services.serving.http.exchange import Request

_Task = asyncio.Task[object]


class Bodies:
    """Reads bodies; `hurry` has to be called now and then."""

    def __init__(self, max_bytes: int, max_seconds: float) -> None:
        self._max_bytes = max_bytes
        self._max_seconds = max_seconds
        self._reading: dict[_Task, float] = {}  # when each began
        self._late: set[_Task] = set()

    async def read(self, request: Request, proto: HTTPProtocol) -> bytes:
        """Read a whole body. Raises RequestError (400, 408, 413, 415)."""
        length = request.headers.get("content-length")
        if length is not None and int(length) > self._max_bytes:  # HTTP has checked the number
            raise self._too_large(f"{length} bytes")
        task: _Task = asyncio.current_task()  # type: ignore[assignment]  # we are in one
        self._reading[task] = time.monotonic()
        try:
            whole: bytes = await (self._read_chunks(proto) if length is None else proto())
            encoding = request.headers.get("content-encoding")
            return whole if encoding is None else decompress(whole, encoding, self._max_bytes)
        except asyncio.CancelledError:
            if task not in self._late:
                raise
            task.uncancel()
            message = f"the body has not come within {self._max_seconds:g} s"
            raise RequestError(408, message, headers={"connection": "close"}) from None
        finally:
            del self._reading[task]
            self._late.discard(task)

    def hurry(self) -> None:
        """Interrupt those that have been reading for too long."""
        latest = time.monotonic() - self._max_seconds
        for task, began in list(self._reading.items()):
            if began > latest:
                break
            self._late.add(task)
            task.cancel()

    async def _read_chunks(self, proto: HTTPProtocol) -> bytes:
        body = bytearray()
        async for chunk in proto:
            body += chunk
            if len(body) > self._max_bytes:
                raise self._too_large("more")
        return bytes(body)

    def _too_large(self, size: str) -> RequestError:
        wanted = f"at most {self._max_bytes} bytes: send fewer rows"
        return RequestError(413, f"the body has {size}, want {wanted}")
