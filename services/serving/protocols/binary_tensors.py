"""Open Inference's binary tensors: a body of JSON and raw tensors in, a request out, and back.

The header Inference-Header-Content-Length says how many bytes of the body are JSON; the tensors
follow in the order of the JSON
(https://github.com/triton-inference-server/server/blob/main/docs/protocol/extension_binary_data.md).
"""

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import msgspec
from numpy.typing import NDArray

from services.serving.errors import RequestError, shown
from services.serving.protocols import open_inference
from services.serving.protocols.infer_request import Asked, InferRequest, Tensor
from services.serving.protocols.raw_tensors import write_raw
from services.serving.queries import Outputs, Query

HEADER = "inference-header-content-length"


class Wish(NamedTuple):
    """Which outputs a client wants as binary: of some it says so, of all others once."""

    named: Mapping[str, bool]
    others: bool

    def among(self, names: Iterable[str]) -> frozenset[str]:
        """Choose from the outputs that there are."""
        return frozenset(name for name in names if self.named.get(name, self.others))


def read_request(body: bytes, header: str) -> InferRequest:
    """Read the JSON and give each tensor its bytes of the rest. Raises RequestError."""
    length = _json_bytes(header, len(body))
    request = open_inference.read_request(body[:length])
    rest = memoryview(body)[length:]
    for tensor in request.inputs:
        size = (tensor.parameters or {}).get("binary_data_size")
        if size is not None:
            tensor.data = _taken(rest, size, tensor)
            rest = rest[size:]
    if rest:
        message = f"{len(rest)} bytes follow the last tensor: want binary_data_size to sum up"
        raise RequestError(400, message, "binary_data_size")
    return request


def read_wish(request: Asked) -> Wish | None:
    """Tell which outputs the client wants as binary; None: it says nothing. Raises RequestError."""
    if not request.parameters and not request.outputs:
        return None
    every = _flag(request.parameters or {}, "binary_data_output", False)
    named = {o.name: _flag(o.parameters or {}, "binary_data", every) for o in request.outputs or ()}
    return Wish(named, every)


def answer(
    query: Query, outputs: Outputs, model: str, version: str, binary: frozenset[str]
) -> tuple[bytes, int]:
    """Build the response of an inference request: its body, and how many bytes of it are JSON."""
    parts: list[bytes] = []

    def write(name: str, array: NDArray[Any]) -> dict[str, Any]:
        if name not in binary:
            return open_inference.with_data(name, array)
        parts.append(write_raw(array))
        size = {"binary_data_size": len(parts[-1])}
        return {**open_inference.without_data(name, array), "parameters": size}

    content = open_inference.answer(query, outputs, model, version, write)
    head = msgspec.json.encode(content)
    return b"".join([head, *parts]), len(head)


def _json_bytes(header: str, most: int) -> int:
    length = int(header) if header.isdecimal() and len(header) < 20 else -1
    if not 0 <= length <= most:
        wanted = f"how many of the body's {most} bytes are JSON"
        raise RequestError(400, f"header {HEADER}: got {shown(header)}, want {wanted}", HEADER)
    return length


def _taken(rest: memoryview, size: Any, tensor: Tensor) -> memoryview:
    place = f"field {shown(tensor.name)}: binary_data_size {shown(size)}"
    if tensor.data is not msgspec.UNSET:
        raise RequestError(400, f"{place}: there is data, too; want one of the two", tensor.name)
    if type(size) is not int or size < 0:
        raise RequestError(400, f"{place}, want a number of bytes", tensor.name)
    if size > len(rest):
        message = f"{place}, but the body has {len(rest)} bytes left: it is cut off or miscounted"
        raise RequestError(400, message, tensor.name)
    return rest[:size]


def _flag(parameters: Mapping[str, Any], name: str, default: bool) -> bool:
    value = parameters.get(name, default)
    if type(value) is not bool:
        raise RequestError(400, f"{name}: got {shown(value)}, want true or false", name)
    return value
