"""Open Inference Protocol V2: JSON bodies in, queries out; outputs in, JSON bodies out.

https://kserve.github.io/website/docs/concepts/architecture/data-plane/v2-protocol
"""

from typing import Any

import msgspec

from services.serving.errors import RequestError
from services.serving.json_body import decode
from services.serving.queries import Outputs, Query, checked_id, checked_time
from services.serving.signature import Columns, Field, Signature

DATATYPES = {
    "bool": "BOOL",
    "object": "BYTES",
    **{
        f"{sign}int{bits}": f"{sign}INT{bits}".upper()
        for sign in ("", "u")
        for bits in (8, 16, 32, 64)
    },
    **{f"float{bits}": f"FP{bits}" for bits in (16, 32, 64)},
}


class _Tensor(msgspec.Struct):
    name: str
    shape: list[int]
    datatype: str
    data: list[Any]


class _Output(msgspec.Struct):
    name: str


class _Request(msgspec.Struct):
    inputs: list[_Tensor]
    id: str | None = None
    parameters: dict[str, Any] | None = None
    outputs: list[_Output] | None = None


_DECODER = msgspec.json.Decoder(_Request)


def read_query(body: bytes, signature: Signature) -> Query:
    """Read and check an inference request. Raises RequestError."""
    request = decode(body, _DECODER)
    columns: Columns = {}
    for tensor in request.inputs:
        if tensor.name in columns:
            raise RequestError(400, f"field {tensor.name!r} is given twice", tensor.name)
        columns[tensor.name] = _rows(tensor, signature.field(tensor.name))
    rows = signature.check(columns)
    event_time = (request.parameters or {}).get("event_time")
    return Query(
        id=checked_id(request.id),
        columns=columns,
        rows=rows,
        event_time=None if event_time is None else checked_time(event_time, "event_time"),
        wanted_outputs=tuple(output.name for output in request.outputs or ()),
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
                "datatype": DATATYPES[array.dtype.name],
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


def _rows(tensor: _Tensor, field: Field) -> list[Any]:
    """Turn a tensor's data, flat or nested, into one value (or flat list) a row."""
    if tensor.datatype not in field.kind.accepts:
        wanted = f"datatype {field.kind.datatype}"
        raise field.refusal(tensor.datatype, wanted)
    shape = tensor.shape
    if len(shape) == 2 and not field.shape and shape[1] == 1:
        trailing: tuple[int, ...] = (1,)  # a column may come as [N, 1]
    else:
        trailing = field.shape
    if not shape or shape[0] < 1 or tuple(shape[1:]) != trailing:
        raise field.refusal(shape, f"shape {[-1, *field.shape]} with one row or more")
    return field.rows(tensor.data, shape)
