"""A folder as MLflow writes it in, a model that has answered its example out, or a LoadError.

ONNX is taken wherever it is there; other flavours by MLflow's own loader, and only those that run
no code of their author's, unless the operator trusts the model.

Before a model is given out it has answered its stored input example, alone and as a larger batch,
with the outputs that its signature registered. That warms it up, too.
"""

import json
import math
import time
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import yaml

from monitoring.prediction_log import LOG_COLUMNS
from services.serving.errors import LoadError, RequestError
from services.serving.models.fields import Field
from services.serving.models.kinds import COLUMN_KINDS, TENSOR_KINDS
from services.serving.models.model import Model, Origin
from services.serving.models.onnx_model import OnnxModel
from services.serving.models.pyfunc_model import PyfuncModel
from services.serving.models.signature import Columns, Signature, read_signature
from services.serving.models.trust import reason_to_distrust
from services.serving.protocols import scoring
from services.serving.queries import Outputs

_WARM_UP_ROWS = 64
_TRIES = 5


class Loaded(NamedTuple):
    """A model, and the seconds it took when it was warm: for one row, for each further one."""

    model: Model
    seconds: float
    seconds_of_a_further_row: float = 0.0


def load(folder: Path, *, trusted: bool = False) -> Loaded:
    """Load a model and let it answer its example. Raises LoadError.

    A `trusted` model may run the code that it stores.
    """
    try:
        description = yaml.load((folder / "MLmodel").read_text(), yaml.CSafeLoader)
        model = _model(folder, description, trusted)
        _check_names(model)
        columns = _example(folder, model.signature)
        return Loaded(model, *_warm_up(model, columns, _registered(description)))
    except RequestError as error:
        raise LoadError(f"the stored input example is refused: {error.message}") from error
    except OSError as error:
        raise LoadError(f"the model's files cannot be read: {error}") from error
    except (yaml.YAMLError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise LoadError(f"MLmodel is not as MLflow writes it: {error!r}") from error


def _model(folder: Path, description: dict[str, Any], trusted: bool) -> Model:
    flavors = description["flavors"]
    if not description.get("signature"):
        raise LoadError("the model has no signature: log it with signature=...")
    run_id, version = description.get("run_id"), description.get("mlflow_version")
    origin = Origin(str(run_id or ""), str(version or ""))
    signature = read_signature(description["signature"]["inputs"])
    if "onnx" in flavors:
        return OnnxModel(folder / flavors["onnx"]["data"], signature, origin)
    if "python_function" not in flavors:
        raise LoadError(f"flavors {[*flavors]}: want onnx or python_function")
    if not trusted and (reason := reason_to_distrust(flavors)):
        message = f"flavors {[*flavors]} are not loaded without permission: {reason}; register the "
        message += "model as ONNX, or scikit-learn's in the skops format, or name it in "
        raise LoadError(message + "RELAY_SERVING_UNSAFE_MODELS")
    names = [spec["name"] for spec in _registered(description) if "name" in spec]
    return PyfuncModel(folder, signature, origin, names)


def _registered(description: dict[str, Any]) -> list[dict[str, Any]]:
    specs: list[dict[str, Any]] = json.loads(description["signature"].get("outputs") or "[]")
    return specs


def _example(folder: Path, signature: Signature) -> Columns:
    """Read the stored example; without one, make a row of neutral values as the signature says."""
    stored = folder / "serving_input_example.json"
    if stored.exists():
        given = json.loads(stored.read_bytes())
        if isinstance(given, dict):
            given.pop("params", None)  # of which the model has defaults
        return scoring.read_query(json.dumps(given).encode(), signature, "example").columns
    return {name: _neutral(field) for name, field in signature.fields.items()}


def _neutral(field: Field) -> Any:
    shape = (1, *field.smallest)
    return np.full(shape, field.neutral, dtype=field.dtype) if field.shape else [field.neutral]


def _warm_up(
    model: Model, columns: Columns, registered: list[dict[str, Any]]
) -> tuple[float, float]:
    rows = len(next(iter(columns.values())))
    row: Columns = {name: column[:1] for name, column in columns.items()}
    larger = [number % rows for number in range(max(rows, _WARM_UP_ROWS))]
    batch: Columns = {name: _taken(column, larger) for name, column in columns.items()}
    try:
        outputs = model.run(columns)
        model.run(batch)
        more, batch_seconds = _timed(model, batch)
        alone = model.run(row)
        again, seconds = _timed(model, row)
    except Exception as error:  # the runtimes' errors share no other base
        raise LoadError(f"the model fails on the input example: {error}") from error
    _check_outputs(outputs, rows, registered)
    _check_outputs(more, len(larger), registered)
    first = {name: array[:1] for name, array in more.items()}
    if _alike(alone, again) and not _alike(alone, first):
        message = "the answer to a row depends on the rows beside it, which are others' requests"
        raise LoadError(message + ": want a model whose rows are independent")
    return seconds, max(batch_seconds - seconds, 0) / (len(larger) - 1)


def _timed(model: Model, columns: Columns) -> tuple[Outputs, float]:
    """The shortest of several tries counts: other threads stretch the others."""
    seconds = math.inf
    for _ in range(_TRIES):
        started = time.perf_counter()
        outputs = model.run(columns)
        seconds = min(seconds, time.perf_counter() - started)
    return outputs, seconds


def _check_names(model: Model) -> None:
    """Inputs and outputs share the rows of the prediction log with its own columns."""
    names = [*LOG_COLUMNS, *model.signature.fields, *(output.name for output in model.outputs)]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        message = f"{twice} name two of: inputs, outputs, the prediction log's own columns"
        raise LoadError(message + ": rename one")


def _alike(some: Outputs, others: Outputs) -> bool:
    """Say whether answers are the same, as far as rounding in another order allows."""
    return all(
        np.allclose(array, others[name], rtol=0.01, atol=0.001)
        if array.dtype.kind == "f"
        else np.array_equal(array, others[name])
        for name, array in some.items()
    )


def _taken(column: Any, rows: list[int]) -> Any:
    return [column[row] for row in rows] if isinstance(column, list) else column[rows]


def _check_outputs(outputs: Outputs, rows: int, registered: list[dict[str, Any]]) -> None:
    for name, array in outputs.items():
        if array.shape[:1] != (rows,):
            raise LoadError(f"output {name!r} has shape {array.shape} for {rows} rows")
        if array.dtype.kind == "f" and not np.isfinite(array).all():
            raise LoadError(f"output {name!r} is not finite on the input example")
    names = {spec["name"] for spec in registered if "name" in spec}
    if names and names != outputs.keys():
        message = f"outputs {sorted(outputs)}, the signature registered {sorted(names)}"
        raise LoadError(message + ": want the same names in both")
    for spec in registered:
        array = outputs[spec["name"]] if names else next(iter(outputs.values()))
        _check_kind(array, spec)


def _check_kind(array: Any, spec: dict[str, Any]) -> None:
    """A registered number may come in any width; a word, a truth value or a size may not change."""
    tensor = spec.get("tensor-spec")
    kind = TENSOR_KINDS.get(tensor["dtype"]) if tensor else COLUMN_KINDS.get(spec["type"])
    if kind and "OUSb".find(kind.dtype.kind) != "OUSb".find(array.dtype.kind):
        raise LoadError(f"output is {array.dtype}, the signature registered {spec}")
    shape = tensor["shape"][1:] if tensor else []
    if tensor and (len(shape) != array.ndim - 1 or _differ(shape, array.shape[1:])):
        raise LoadError(f"output has shape {array.shape}, the signature registered {spec}")


def _differ(registered: list[int], shape: tuple[int, ...]) -> bool:
    return any(want not in (-1, got) for want, got in zip(registered, shape, strict=True))
