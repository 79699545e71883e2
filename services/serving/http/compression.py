"""Bodies that are compressed on the wire: what came in to plain bytes, and an answer back.

Content-Encoding gzip and deflate (https://www.rfc-editor.org/rfc/rfc9110#section-8.4.1), which
clients of the Open Inference Protocol can send.
"""

import zlib

from services.serving.errors import RequestError, shown

_WINDOWS = {"gzip": 31, "deflate": 15}  # zlib's wbits
_FAST = 1
WORTH_BYTES = 16 * 1024  # a smaller answer is sooner sent as it is


def decompress(body: bytes, encoding: str, limit: int) -> bytes:
    """Give the plain body, of at most `limit` bytes. Raises RequestError."""
    name = encoding.strip().lower()
    if name in ("", "identity"):
        return body
    if name not in _WINDOWS:
        message = f"content-encoding: got {shown(encoding)}, want gzip or deflate"
        raise RequestError(415, message, "content-encoding")
    stream = zlib.decompressobj(_WINDOWS[name])
    try:
        plain = stream.decompress(body, limit + 1)
    except zlib.error as error:
        raise RequestError(400, f"the body is not {name}: {error}") from error
    if len(plain) > limit:
        raise RequestError(413, f"the body unpacks to more than {limit} bytes: send fewer rows")
    if not stream.eof or stream.unused_data:
        raise RequestError(400, f"the body is not one whole {name} stream")
    return plain


def compress(body: bytes, accepted: str) -> tuple[bytes, str | None]:
    """Give an answer as a client accepts it, and the encoding; None where it stays plain."""
    choices = {choice.strip().lower() for choice in accepted.split(",")}
    name = next((name for name in _WINDOWS if name in choices), None)
    if name is None or len(body) < WORTH_BYTES:
        return body, None
    stream = zlib.compressobj(_FAST, wbits=_WINDOWS[name])
    return stream.compress(body) + stream.flush(), name
