"""A request's body in, its bytes out, within limits: of its size, of all sizes, of its time.

Bodies are counted until their requests are answered; small ones are not, as the connections bound
them, so whoever fills the memory with large ones shuts out other large ones alone.

No timer runs for a body: all that are being read stand in one list, oldest first, and whoever has
been there for too long is interrupted when the list is next looked at.
"""

import asyncio
import time

from granian.rsgi import HTTPProtocol

from services.serving.errors import RequestError
from services.serving.http.compression import decompress
from services.serving.http.exchange import Request

_SMALL_BYTES = 16 * 1024
_PUBLIC_BYTES = 64 * 1024  # of those that whoever comes may send
_Task = asyncio.Task[object]


class Bodies:
    """Reads bodies; `hurry` has to be called now and then, `release` when a request is over."""

    def __init__(self, max_bytes: int, max_bytes_of_all: int, max_seconds: float) -> None:
        self._max_bytes = max_bytes
        self._max_bytes_of_all = max_bytes_of_all
        self._held = 0
        self._max_seconds = max_seconds
        self._reading: dict[_Task, float] = {}  # when each began
        self._late: set[_Task] = set()

    async def read(self, request: Request, proto: HTTPProtocol, *, public: bool = False) -> bytes:
        """Read a whole body. Raises RequestError (400, 408, 413, 415, 503)."""
        most = min(self._max_bytes, _PUBLIC_BYTES) if public else self._max_bytes
        length = request.headers.get("content-length")
        if length is not None:
            size = int(length)  # HTTP has checked it
            if size > most:
                raise _too_large(f"{length} bytes", most)
            self._hold(request, size)
        task: _Task = asyncio.current_task()  # type: ignore[assignment]  # we are in one
        self._reading[task] = time.monotonic()
        try:
            chunked = length is None
            whole: bytes = await (self._read_chunks(request, proto, most) if chunked else proto())
            encoding = request.headers.get("content-encoding")
            return whole if encoding is None else self._unpack(request, whole, encoding, most)
        except asyncio.CancelledError:
            if task not in self._late:
                raise
            task.uncancel()
            message = f"the body has not come within {self._max_seconds:g} s"
            raise RequestError(408, message, headers={"connection": "close"}) from None
        finally:
            del self._reading[task]
            self._late.discard(task)

    def release(self, request: Request) -> None:
        """Count a request's body no longer."""
        self._held -= request.held
        request.held = 0

    def hurry(self) -> None:
        """Interrupt those that have been reading for too long."""
        latest = time.monotonic() - self._max_seconds
        for task, began in list(self._reading.items()):
            if began > latest:
                break
            self._late.add(task)
            task.cancel()

    async def _read_chunks(self, request: Request, proto: HTTPProtocol, most: int) -> bytes:
        body = bytearray()
        async for chunk in proto:
            body += chunk
            if len(body) > most:
                raise _too_large("more", most)
            self._hold(request, len(body))
        return bytes(body)

    def _unpack(self, request: Request, body: bytes, encoding: str, most: int) -> bytes:
        plain = decompress(body, encoding, most)
        self._hold(request, len(body) + len(plain))
        return plain

    def _hold(self, request: Request, size: int) -> None:
        """Count a body as this large, if there is room."""
        if size <= _SMALL_BYTES:
            return
        more = size - request.held
        if self._held + more > self._max_bytes_of_all:
            others = self._held - request.held
            message = f"other bodies of {others} bytes are being read and answered"
            message += f", there is no room for {size} more: ask again soon, or less at once"
            raise RequestError(503, message, retry_after=1)
        self._held += more
        request.held = size


def _too_large(size: str, most: int) -> RequestError:
    return RequestError(413, f"the body has {size}, want at most {most} bytes: send fewer rows")
