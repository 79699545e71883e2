"""A request as the endpoints see it, and the reply they give: the two ends of every exchange."""

from collections.abc import Callable, Mapping
from typing import Literal, TypeAlias

import msgspec
from granian.rsgi import Headers as HttpHeaders
from prometheus_client import Histogram

Protocol = Literal["v2", "mlflow", "relay", "grpc", "none"]  # none: nothing is at that path
GivenHeaders: TypeAlias = HttpHeaders | Mapping[str, str]  # of HTTP; gRPC's metadata
Headers = tuple[tuple[str, str], ...]
JSON: Headers = (("content-type", "application/json"),)
encode_json = msgspec.json.Encoder().encode


class Request(msgspec.Struct):
    """`protocol` and `body` are known once the request has been routed and read.

    So is the `model`, once it has been found to be served, and the `message_id` of a gRPC message.
    `held` are the bytes that `Bodies` counts it as.
    """

    method: str
    path: str
    query: str
    headers: GivenHeaders
    protocol: Protocol = "none"
    body: bytes = b""
    model: str = ""
    message_id: str = ""
    held: int = 0

    @property
    def id(self) -> str | None:
        """The id that the client gave along, unchecked."""
        given: str | None = self.headers.get("x-request-id")
        return given


class Reply(msgspec.Struct):
    """What goes to the client; `timer` takes its seconds, `afterwards` is done once it has gone."""

    body: bytes
    model: str = ""
    status: int = 200
    headers: Headers = JSON
    timer: Histogram | None = None
    afterwards: Callable[[], None] | None = None
