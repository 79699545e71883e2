"""Open Inference Protocol V2: JSON bodies in, queries out; outputs in, JSON bodies out.

https://kserve.github.io/website/docs/concepts/architecture/data-plane/v2-protocol
"""

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from services.serving.errors import RequestError
from services.serving.fields import Column, Field
from services.serving.json_body import decode
from services.serving.kinds import DATATYPES
from services.serving.queries import Outputs, Query, checked_id, checked_time
from services.serving.signature import Columns, Signature


class Tensor(msgspec.Struct):
    """One input of a request: values flat or nested from JSON, an array from binary."""

    name: str
    shape: list[int]
    datatype: str
    data: list[Any]


class _Output(msgspec.Struct):
    name: str


class _Request(msgspec.Struct):
    inputs: list[Tensor]
    id: str | None = None
    parameters: dict[str, Any] | None = None
    outputs: list[_Output] | None = None


_DECODER = msgspec.json.Decoder(_Request)


def read_query(body: bytes, signature: Signature) -> Query:
    """Read and check an inference request. Raises RequestError."""
    request = decode(body, _DECODER)
    wanted = tuple(output.name for output in request.outputs or ())
    return build_query(request.inputs, signature, request.id, request.parameters or {}, wanted)


def build_query(
    tensors: Iterable[Tensor],
    signature: Signature,
    id: str | None,  # noqa: A002
    parameters: Mapping[str, Any],
    wanted_outputs: tuple[str, ...],
) -> Query:
    """Check a request's tensors, however they came. Raises RequestError."""
    columns: Columns = {}
    for tensor in tensors:
        if tensor.name in columns:
            raise RequestError(400, f"field {tensor.name!r} is given twice", tensor.name)
        columns[tensor.name] = _column(tensor, signature.field(tensor.name))
    event_time = parameters.get("event_time")
    key = parameters.get("key")
    return Query(
        id=checked_id(id),
        columns=columns,
        rows=signature.complete(columns),
        event_time=None if event_time is None else checked_time(event_time, "event_time"),
        key="" if key is None else str(key),
        wanted_outputs=wanted_outputs,
    )


def answer(query: Query, outputs: Outputs, model: str, version: str) -> dict[str, Any]:
    """Build the response of an inference request."""
    return {
        "model_name": model,
        "model_version": version,
        "id": query.id,
        "outputs": [
            {
                "name": name,
                "shape": list(array.shape),
                "datatype": DATATYPES[array.dtype],
                "data": array.ravel().tolist(),
            }
            for name, array in outputs.items()
            if not query.wanted_outputs or name in query.wanted_outputs
        ],
    }


def describe(field: Field) -> dict[str, Any]:
    """Describe one input in a model's metadata."""
    return {
        "name": field.name,
        "datatype": field.kind.datatype,
        "shape": [-1, *field.shape],
        "parameters": {"optional": not field.required},
    }


def _column(tensor: Tensor, field: Field) -> Column:
    if tensor.datatype not in field.kind.accepts:
        raise field.refusal(tensor.datatype, f"datatype {field.kind.datatype}")
    return field.read(tensor.data, tensor.shape)
