"""MLflow's scoring protocol: `/invocations` bodies in, queries out; outputs in, predictions out.

https://mlflow.org/docs/latest/ml/deployment/deploy-model-locally/#inference-server-specification
The signature is enforced more strictly than MLflow does: an extra column is refused, not dropped.
"""

import math
from typing import Any

import msgspec

from services.serving.errors import RequestError, shown
from services.serving.json_body import decode
from services.serving.queries import Outputs, Query, checked_id
from services.serving.signature import Columns, Signature

FORMATS = ("dataframe_split", "dataframe_records", "inputs", "instances")
_DECODER = msgspec.json.Decoder(dict[str, Any])
_Values = dict[str, list[Any]]


class _Split(msgspec.Struct):
    columns: list[str]
    data: list[list[Any]]


def read_query(body: bytes, signature: Signature, id: str | None) -> Query:  # noqa: A002
    """Read and check a scoring request. Raises RequestError."""
    request = decode(body, _DECODER)
    given = [name for name in FORMATS if name in request]
    if len(given) != 1:
        message = f"the body has the keys {shown([*request])}, want exactly one of {FORMATS}"
        raise RequestError(400, message)
    columns: Columns = {}
    for name, values in _columns(given[0], request[given[0]], signature).items():
        field = signature.field(name)
        if signature.tabular:
            values = _missing_as_none(values)
        columns[name] = field.read(values, [len(values), *field.shape])
    return Query(id=checked_id(id), columns=columns, rows=signature.complete(columns))


def answer(outputs: Outputs, signature: Signature) -> dict[str, Any]:
    """Build the response: records for a table, as MLflow's ONNX flavour gives, else tensors."""
    if not signature.tabular:
        return {"predictions": {name: array.tolist() for name, array in outputs.items()}}
    flat = {name: array.ravel().tolist() for name, array in outputs.items()}
    rows = zip(*flat.values(), strict=True)
    return {"predictions": [dict(zip(flat, row, strict=True)) for row in rows]}


def _columns(form: str, value: Any, signature: Signature) -> _Values:
    if form == "dataframe_split":
        return _from_split(value)
    if isinstance(value, dict) and form == "inputs":
        return {name: v if isinstance(v, list) else [v] for name, v in value.items()}
    if not isinstance(value, list):
        raise RequestError(400, f"{form}: got {shown(value)}, want a list of rows", form)
    if value and all(isinstance(row, dict) for row in value):
        return _from_records(form, value)
    if form != "dataframe_records" and len(signature.fields) == 1:
        return {next(iter(signature.fields)): value}
    raise RequestError(400, f"{form}: got {shown(value)}, want rows as objects by field name", form)


def _from_split(value: Any) -> _Values:
    try:
        split = msgspec.convert(value, _Split)
    except msgspec.ValidationError as error:
        raise RequestError(400, f"dataframe_split: {error}", "dataframe_split") from error
    names = split.columns
    if len(set(names)) != len(names):
        raise RequestError(400, f"dataframe_split: columns {shown(names)} repeat a name")
    for row, values in enumerate(split.data):
        if len(values) != len(names):
            message = f"row {row} has {len(values)} values, want {len(names)}, one a column"
            raise RequestError(400, f"dataframe_split: {message}", "dataframe_split")
    return {name: [values[i] for values in split.data] for i, name in enumerate(names)}


def _from_records(form: str, rows: list[dict[str, Any]]) -> _Values:
    """A field that only some rows have is null in the others."""
    names = dict.fromkeys(name for row in rows for name in row)
    return {name: [row.get(name) for row in rows] for name in names}


def _missing_as_none(values: list[Any]) -> list[Any]:
    """Read NaN as pandas does: as a missing value."""
    return [None if isinstance(v, float) and math.isnan(v) else v for v in values]
