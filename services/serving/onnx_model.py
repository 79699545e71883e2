"""An MLflow model folder in, a graph that answers columns out, or a LoadError that says why not.

Only the ONNX flavour, which runs no code of the model's author. Before it is given out a graph has
answered the model's stored input example.
"""

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import yaml

from services.serving import scoring
from services.serving.errors import LoadError, RequestError
from services.serving.queries import Outputs
from services.serving.signature import Columns, Field, Signature, read_signature

_NEUTRAL = {"string": "", "boolean": False}
_TYPES: dict[str, Any] = {
    "tensor(string)": np.object_,
    "tensor(bool)": np.bool_,
    "tensor(int32)": np.int32,
    "tensor(int64)": np.int64,
    "tensor(float)": np.float32,
    "tensor(double)": np.float64,
}


class OnnxModel:
    """A graph with its signature; `run` is safe to call from several threads."""

    def __init__(self, folder: Path) -> None:
        """Load the graph and bind it to its signature. Raises LoadError."""
        description = yaml.safe_load(_text(folder / "MLmodel"))
        flavors = description.get("flavors", {})
        if "onnx" not in flavors:
            raise LoadError(f"flavors {sorted(flavors)}: only onnx models are served")
        if not description.get("signature"):
            raise LoadError("the model has no signature: log it with signature=...")
        self.run_id = str(description.get("run_id") or "")
        self.mlflow_version = str(description.get("mlflow_version") or "")
        self._session = _session(folder / flavors["onnx"]["data"])
        self._inputs = {given.name: given for given in self._session.get_inputs()}
        self._output_names = [output.name for output in self._session.get_outputs()]
        self.signature = self._bind(read_signature(description["signature"]["inputs"]))

    def run(self, columns: Columns) -> Outputs:
        """Answer rows. Every output has the rows as its first dimension."""
        rows = len(next(iter(columns.values())))
        feeds = {name: self._array(name, columns[name], rows) for name in self._inputs}
        outputs = self._session.run(self._output_names, feeds)
        return dict(zip(self._output_names, map(np.asarray, outputs), strict=True))

    def check_outputs(self, names: Iterable[str]) -> None:
        """Refuse to be asked for an output that there is not."""
        for name in names:
            if name not in self._output_names:
                message = f"output {name!r} is not given, want some of {self._output_names}"
                raise RequestError(400, message, name)

    def describe_outputs(self) -> list[dict[str, Any]]:
        """Name, V2 datatype and shape of each output, -1 for what is not fixed."""
        names = {"tensor(float)": "FP32", "tensor(double)": "FP64", "tensor(string)": "BYTES"}
        return [
            {
                "name": output.name,
                "datatype": names.get(output.type, output.type[7:-1].upper()),
                "shape": [size if isinstance(size, int) else -1 for size in output.shape],
            }
            for output in self._session.get_outputs()
        ]

    def _bind(self, signature: Signature) -> Signature:
        """Hold each field to what the graph's own input can take."""
        fields = list(signature.fields.values())
        if len(fields) == 1 and not fields[0].name and len(self._inputs) == 1:
            fields = [replace(fields[0], name=next(iter(self._inputs)))]
        names = {field.name for field in fields}
        if names != self._inputs.keys():
            message = f"signature has {sorted(names)}, the graph's inputs are "
            raise LoadError(message + f"{sorted(self._inputs)}: want the same names in both")
        bound = (self._bound(field) for field in fields)
        return replace(signature, fields={field.name: field for field in bound})

    def _bound(self, field: Field) -> Field:
        given = self._inputs[field.name]
        dtype = _TYPES.get(given.type)
        textual = field.kind.name == "string"
        if dtype is None or textual != (dtype is np.object_):
            raise LoadError(
                f"field {field.name!r} is a {field.kind.name}, the graph has {given.type}"
            )
        if textual or field.kind.name == "boolean":
            return field
        integral = np.issubdtype(dtype, np.integer)
        if not field.required and integral:
            message = (
                f"field {field.name!r} is optional, and {given.type} cannot hold a missing value"
            )
            raise LoadError(message + ": register it as a double")
        if integral and float in field.kind.values:
            raise LoadError(
                f"field {field.name!r} is a {field.kind.name}, the graph has {given.type}"
            )
        limits: Any = np.iinfo(dtype) if integral else np.finfo(dtype)
        number = int if integral else float  # of Python: exact against any value
        low, high = max(field.low, number(limits.min)), min(field.high, number(limits.max))
        return replace(field, low=low, high=high)

    def _array(self, name: str, values: list[Any], rows: int) -> Any:
        given, field = self._inputs[name], self.signature.fields[name]
        dtype = _TYPES[given.type]
        if dtype is np.object_:
            array = np.array(["" if v is None else v for v in values], dtype=np.object_)
        else:
            array = np.array(values, dtype=dtype)  # None becomes NaN
        if field.shape:
            return array.reshape(rows, *field.shape)
        return array.reshape(rows, 1) if len(given.shape) == 2 else array


def load(folder: Path) -> OnnxModel:
    """Load a model and let it answer its example. Raises LoadError."""
    try:
        model = OnnxModel(folder)
    except (yaml.YAMLError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise LoadError(f"MLmodel is not as MLflow writes it: {error!r}") from error
    try:
        columns = _example(folder, model.signature)
        rows = len(next(iter(columns.values())))
        outputs = model.run(columns)
    except RequestError as error:
        raise LoadError(f"the stored input example is refused: {error.message}") from error
    except Exception as error:  # ONNX Runtime's errors share no other base
        raise LoadError(f"the graph fails on the input example: {error}") from error
    for name, array in outputs.items():
        if array.shape[:1] != (rows,):
            raise LoadError(f"output {name!r} has shape {array.shape} for {rows} rows")
        if np.issubdtype(array.dtype, np.floating) and not np.isfinite(array).all():
            raise LoadError(f"output {name!r} is not finite on the input example")
    return model


def _example(folder: Path, signature: Signature) -> Columns:
    """Read the stored example; without one, make a row of neutral values as the signature says."""
    stored = folder / "serving_input_example.json"
    if stored.exists():
        return scoring.read_query(stored.read_bytes(), signature, "example").columns
    return {
        field.name: [[_NEUTRAL.get(field.kind.name, 0)] * field.size if field.shape else value]
        for field in signature.fields.values()
        for value in (_NEUTRAL.get(field.kind.name, 0),)
    }


def _session(path: Path) -> Any:
    """Open the graph on one thread: requests are computed together, not split over threads."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    if not path.is_file():
        raise LoadError(f"the model's file {path.name!r} is missing")
    try:
        return onnxruntime.InferenceSession(
            path, sess_options=options, providers=["CPUExecutionProvider"]
        )
    except Exception as error:  # ONNX Runtime's errors share no other base
        raise LoadError(f"the graph does not load: {error}") from error


def _text(path: Path) -> str:
    try:
        return path.read_text()
    except OSError as error:
        raise LoadError(f"the model's {path.name} cannot be read: {error}") from error
