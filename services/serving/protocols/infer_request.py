"""An inference request of the Open Inference Protocol, whatever carried it; not checked yet.

https://kserve.github.io/website/docs/concepts/architecture/data-plane/v2-protocol
"""

from collections.abc import Sequence
from typing import Any

import msgspec


class WantedOutput(msgspec.Struct):
    """An output that the client asks for."""

    name: str
    parameters: dict[str, Any] | None = None


class Asked(msgspec.Struct, kw_only=True):
    """What a request says beside its inputs."""

    id: str | None = None
    parameters: dict[str, Any] | None = None
    outputs: list[WantedOutput] | None = None


class Tensor(msgspec.Struct):
    """One input; `data` is a list, flat or nested, or the tensor's raw bytes (a memoryview)."""

    name: str
    shape: list[int]
    datatype: str
    data: Any = msgspec.UNSET
    parameters: dict[str, Any] | None = None


class InferRequest(Asked, kw_only=True):
    """The whole of it."""

    inputs: Sequence[Tensor]
