"""Open Inference Protocol V2: JSON bodies in, queries out; outputs in, JSON bodies out.

https://kserve.github.io/website/docs/concepts/architecture/data-plane/v2-protocol
"""

from collections.abc import Callable
from typing import Any

import msgspec
from numpy.typing import NDArray

from services.serving.errors import RequestError, shown
from services.serving.models.fields import Column, Field
from services.serving.models.kinds import DATATYPES
from services.serving.models.model import Model
from services.serving.models.signature import Columns, Signature
from services.serving.protocols import typed_json
from services.serving.protocols.infer_request import Asked, InferRequest, Tensor, WantedOutput
from services.serving.protocols.json_body import decode
from services.serving.protocols.raw_tensors import read_raw
from services.serving.queries import Outputs, Query, checked_id, checked_time

SERVER: dict[str, Any] = {
    "name": "relay",
    "version": "0.1.0",
    "extensions": ["binary_tensor_data"],
}
Write = Callable[[str, NDArray[Any]], dict[str, Any]]  # an output's name and array: its JSON


_DECODER = msgspec.json.Decoder(InferRequest)
_EXTENSIONS = ("classification", "shared_memory_region")  # of outputs; to ignore them were wrong


def read_request(body: bytes) -> InferRequest:
    """Read a request in JSON. Raises RequestError."""
    return decode(body, _DECODER)


def read_query(body: bytes, signature: Signature, id: str | None = None) -> tuple[Asked, Query]:  # noqa: A002
    """Read and check a request in JSON; `id` is for one that brings none. Raises RequestError."""
    if typed := typed_json.read(body, signature):
        asked, columns = typed
        return asked, _query(asked, columns, signature, id)
    request = read_request(body)
    return request, build_query(request, signature, id)


def build_query(request: InferRequest, signature: Signature, id: str | None = None) -> Query:  # noqa: A002
    """Check a request; `id` is for one that brings none. Raises RequestError."""
    columns: Columns = {}
    for tensor in request.inputs:
        if tensor.name in columns:
            raise RequestError(400, f"field {shown(tensor.name)} is given twice", tensor.name)
        columns[tensor.name] = _column(tensor, signature.field(tensor.name))
    return _query(request, columns, signature, id)


def without_data(name: str, array: NDArray[Any]) -> dict[str, Any]:
    """Build an output whose data goes another way."""
    return {"name": name, "shape": list(array.shape), "datatype": DATATYPES[array.dtype]}


def with_data(name: str, array: NDArray[Any]) -> dict[str, Any]:
    """Build an output."""
    return {**without_data(name, array), "data": array.ravel().tolist()}


def answer(
    query: Query, outputs: Outputs, model: str, version: str, write: Write = with_data
) -> dict[str, Any]:
    """Build the response; `write` builds one of its outputs."""
    return {
        "model_name": model,
        "model_version": version,
        "id": query.id,
        "outputs": [write(name, array) for name, array in chosen(query, outputs).items()],
    }


def chosen(query: Query, outputs: Outputs) -> Outputs:
    """Leave out the outputs that the client does not want."""
    if not query.wanted_outputs:
        return outputs
    return {name: array for name, array in outputs.items() if name in query.wanted_outputs}


def describe_model(name: str, version: str, versions: set[str], model: Model) -> dict[str, Any]:
    """Describe a version's inputs and outputs, and which versions are here beside it."""
    return {
        "name": name,
        "versions": sorted(versions, key=int),
        "platform": model.platform,
        "inputs": [describe(field) for field in model.signature.fields.values()],
        "outputs": [output.describe() for output in model.outputs],
        "parameters": {"version": version, "run_id": model.origin.run_id},
    }


def describe(field: Field) -> dict[str, Any]:
    """Describe one input in a model's metadata."""
    return {
        "name": field.name,
        "datatype": field.kind.datatype,
        "shape": [-1, *field.shape],
        "parameters": {"optional": not field.required},
    }


def _query(asked: Asked, columns: Columns, signature: Signature, id: str | None) -> Query:  # noqa: A002
    parameters = asked.parameters or {}
    event_time = parameters.get("event_time")
    key = parameters.get("key")
    return Query(
        id=checked_id(asked.id or id),
        columns=columns,
        rows=signature.complete(columns),
        event_time=None if event_time is None else checked_time(event_time, "event_time"),
        key="" if key is None else str(key),
        wanted_outputs=_wanted(asked.outputs) if asked.outputs else (),
    )


def _column(tensor: Tensor, field: Field) -> Column:
    if tensor.datatype not in field.kind.accepts:
        raise field.refusal(tensor.datatype, f"datatype {field.kind.datatype}")
    data = tensor.data
    if type(data) is memoryview:
        data = read_raw(data, tensor.datatype, field)
    elif type(data) is not list:
        found = None if data is msgspec.UNSET else data
        raise field.refusal(found, "a list of values as data")
    return field.read(data, tensor.shape)


def _wanted(outputs: list[WantedOutput]) -> tuple[str, ...]:
    for output in outputs:
        for name in output.parameters or ():
            if name in _EXTENSIONS:
                message = f"output {shown(output.name)}: {name} is not given here, leave it out"
                raise RequestError(400, message, output.name)
    return tuple(output.name for output in outputs)
