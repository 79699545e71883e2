"""MLflow's scoring protocol: `/invocations` bodies in, queries out; outputs in, predictions out.

https://mlflow.org/docs/latest/ml/deployment/deploy-model-locally/#inference-server-specification
What `mlflow models serve` answers is answered the same. On purpose not taken, and refused by name:
columns and keys that the signature does not know, `params`, words and fractions where integers are
wanted, null in a required column, a header that repeats a name, rows of different lengths, a table
without rows. MLflow drops or converts these.
"""

import math
from collections.abc import Mapping
from typing import Any

import msgspec

from services.serving.errors import RequestError, shown
from services.serving.models.fields import FREE, Field
from services.serving.models.model import Form
from services.serving.models.signature import Columns, Signature, want_few
from services.serving.protocols import csv_table
from services.serving.protocols.json_body import decode
from services.serving.queries import Outputs, Query, checked_id

JSON = "application/json"
FORMATS = ("dataframe_split", "dataframe_records", "inputs", "instances")
_DECODER = msgspec.json.Decoder(dict[str, Any])
_Values = dict[str, list[Any]]


class _Split(msgspec.Struct, forbid_unknown_fields=True):
    data: list[list[Any]]
    columns: list[str | int] | None = None
    index: list[Any] | None = None


def read_query(
    body: bytes,
    signature: Signature,
    id: str | None,  # noqa: A002
    content_type: str = JSON,
) -> Query:
    """Read and check a scoring request. Raises RequestError."""
    if _media_type(content_type) == JSON:
        values = _from_json(body, signature)
    else:
        values = csv_table.read_columns(body, signature)
    columns: Columns = {}
    for name, column in values.items():
        field = signature.field(name)
        columns[name] = field.read(column, _shape(column, field))
    return Query(id=checked_id(id), columns=columns, rows=signature.complete(columns))


def answer(outputs: Outputs, form: Form) -> dict[str, Any]:
    """Build the response in the form that MLflow gives the model's answers."""
    if form == "values":
        (array,) = outputs.values()
        return {"predictions": array.tolist()}
    if form == "columns":
        return {"predictions": {name: array.tolist() for name, array in outputs.items()}}
    return {"predictions": _records(outputs)}


def _records(outputs: Outputs) -> list[dict[str, Any]]:
    """Give records; outputs of different widths, which MLflow cannot answer, as lists in them."""
    flat = {name: array.ravel() for name, array in outputs.items()}
    if len({len(array) for array in flat.values()}) > 1:
        flat = outputs
    rows = zip(*(array.tolist() for array in flat.values()), strict=True)
    return [dict(zip(flat, row, strict=True)) for row in rows]


def _media_type(content_type: str) -> str:
    kind, *parameters = (part.strip().lower() for part in content_type.split(";"))
    if kind not in (JSON, "text/csv"):
        raise RequestError(415, f"content-type: got {shown(kind)}, want {JSON} or text/csv")
    for parameter in filter(None, parameters):
        name, _, value = parameter.partition("=")
        if name != "charset" or value.strip('"') != "utf-8":
            raise RequestError(415, f"content-type: got {shown(parameter)}, want charset=utf-8")
    return kind


def _from_json(body: bytes, signature: Signature) -> _Values:
    request = decode(body, _DECODER)
    form, *more = [name for name in FORMATS if name in request] or [""]
    if more or not form:
        message = f"the body has the keys {shown([*request])}, want exactly one of {FORMATS}"
        raise RequestError(400, message)
    for key in request.keys() - {form, "params"}:
        raise RequestError(400, f"key {shown(key)} is not asked for beside {form!r}", key)
    if params := request.get("params"):
        raise RequestError(400, f"params: got {shown(params)}, models use their defaults", "params")
    columns = _columns(form, request[form], signature)
    if signature.tabular:
        return {name: _missing_as_none(values) for name, values in columns.items()}
    return columns if form in ("inputs", "instances") else _tensors(columns, signature)


def _columns(form: str, value: Any, signature: Signature) -> _Values:
    if form == "dataframe_split":
        return _from_split(value, signature.tabular)
    if isinstance(value, dict) and form != "dataframe_records":
        lone = not any(isinstance(values, list) for values in value.values())
        return {name: [v] if lone else _listed(name, v) for name, v in value.items()}
    if not isinstance(value, list):
        raise RequestError(400, f"{form}: got {shown(value)}, want a list of rows", form)
    if value and all(isinstance(row, dict) for row in value):
        return _from_records(value, form, signature)
    if form != "dataframe_records" and len(signature.fields) == 1:
        return {next(iter(signature.fields)): value}
    raise RequestError(400, f"{form}: got {shown(value)}, want rows as objects by field name", form)


def _listed(name: str, values: Any) -> list[Any]:
    if not isinstance(values, list):
        raise RequestError(400, f"field {shown(name)}: got {shown(values)}, want a list", name)
    return values


def _from_split(value: Any, tabular: bool) -> _Values:
    try:
        split = msgspec.convert(value, _Split)
    except msgspec.ValidationError as error:
        raise RequestError(400, f"dataframe_split: {error!s:.200}", "dataframe_split") from error
    if split.columns is None and tabular:
        raise RequestError(400, "dataframe_split: columns are missing, want the fields' names")
    width = len(split.data[0]) if split.data else 0
    names = [str(name) for name in (range(width) if split.columns is None else split.columns)]
    if len(set(names)) != len(names):
        raise RequestError(400, f"dataframe_split: columns {shown(names)} repeat a name")
    for row, values in enumerate(split.data):
        if len(values) != len(names):
            message = f"row {row} has {len(values)} values, want {len(names)}, one a column"
            raise RequestError(400, f"dataframe_split: {message}", "dataframe_split")
    return {name: [values[i] for values in split.data] for i, name in enumerate(names)}


def _from_records(rows: list[dict[str, Any]], form: str, signature: Signature) -> _Values:
    """A field that only some rows have is null in the others.

    Names are checked first: every one of them takes a value a row.
    """
    names = dict.fromkeys(name for row in rows for name in row)
    if form == "dataframe_records" and _are_values(names, signature):
        (field,) = signature.fields.values()
        for number, row in enumerate(rows):
            if len(row) < len(names):
                raise field.missing(number)
    else:
        for name in names:
            signature.field(name)
    want_few(len(rows))
    return {name: [row.get(name) for row in rows] for name in names}


def _are_values(names: Mapping[str, Any], signature: Signature) -> bool:
    """Say whether a frame's columns are, side by side, the values of the only tensor."""
    if signature.tabular or len(signature.fields) > 1:
        return False
    return bool(names) and names.keys().isdisjoint(signature.fields)


def _missing_as_none(values: list[Any]) -> list[Any]:
    """Read NaN as pandas does: as a missing value."""
    return [None if isinstance(v, float) and math.isnan(v) else v for v in values]


def _tensors(columns: _Values, signature: Signature) -> _Values:
    """Read a frame as tensors: a lone one's columns side by side, else a row's values in a list."""
    if _are_values(columns, signature):
        (only,) = signature.fields
        rows = [[*row] for row in zip(*columns.values(), strict=True)]
        columns = {only: [row[0] for row in rows] if len(columns) == 1 else rows}
    return {name: _shaped(signature.field(name), values) for name, values in columns.items()}


def _shape(nested: list[Any], field: Field) -> list[int]:
    """Tell the shape of a tensor: of its free sizes, those of the first part count."""
    shape, part = [len(nested)], nested
    for size in field.shape:
        part = part[0] if part and isinstance(part[0], list) else []
        shape.append(len(part) if size == FREE else size)
    return shape


def _shaped(field: Field, rows: list[Any]) -> list[Any]:
    """A frame holds a tensor's row as one flat list, whatever its shape."""
    if len(field.shape) < 2:
        return rows
    if FREE in field.shape:
        wanted = f"shape {[FREE, *field.shape]}, which no frame can say: use inputs"
        raise field.refusal(rows[:1], wanted)
    size = math.prod(field.shape)
    for number, row in enumerate(rows):
        if not isinstance(row, list) or len(row) != size:
            raise field.refusal(row, f"a list of {size} values", number)
    return [_nested(row, field.shape) for row in rows]


def _nested(flat: list[Any], shape: tuple[int, ...]) -> list[Any]:
    if len(shape) == 1:
        return flat
    step = len(flat) // shape[0]
    return [_nested(flat[start : start + step], shape[1:]) for start in range(0, len(flat), step)]
