"""An ONNX graph and its MLflow signature in, a model that answers columns out.

The flavour that runs no code of the model's author.
"""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime

from services.serving.errors import LoadError
from services.serving.models.fields import Column, Field
from services.serving.models.kinds import ONNX_DTYPES
from services.serving.models.model import Form, Origin, Output
from services.serving.models.signature import Columns, Signature
from services.serving.queries import Outputs


class OnnxModel:
    """A graph bound to its signature."""

    platform = "onnxruntime_onnx"
    foreign = False

    def __init__(self, graph: Path, signature: Signature, origin: Origin) -> None:
        """Load the graph and bind it to its signature. Raises LoadError."""
        self.origin = origin
        self._session = _session(graph)
        self._inputs = {given.name: given for given in self._session.get_inputs()}
        self.outputs = tuple(_output(output) for output in self._session.get_outputs())
        self._names = [output.name for output in self.outputs]
        self.signature = self._bind(signature)
        self.form: Form = "records" if signature.tabular else "columns"
        fixed = {given.shape[0] for given in self._inputs.values() if given.shape} - {1}
        self._row_by_row = not any(size is None or isinstance(size, str) for size in fixed)

    def run(self, columns: Columns) -> Outputs:
        """Answer rows; a graph that was exported for one row answers them one by one."""
        feeds = {name: self._array(name, columns[name]) for name in self._inputs}
        if self._row_by_row:
            rows = range(len(next(iter(feeds.values()))))
            parts = [self._run({n: array[i : i + 1] for n, array in feeds.items()}) for i in rows]
            return {name: np.concatenate([part[name] for part in parts]) for name in self._names}
        return self._run(feeds)

    def _run(self, feeds: dict[str, Any]) -> Outputs:
        outputs = self._session.run(self._names, feeds)
        return dict(zip(self._names, map(np.asarray, outputs), strict=True))

    def _bind(self, signature: Signature) -> Signature:
        """Hold each field to what the graph's own input can take."""
        fields = list(signature.fields.values())
        if len(fields) == 1 and not fields[0].name and len(self._inputs) == 1:
            fields = [replace(fields[0], name=next(iter(self._inputs)))]
        names = {field.name for field in fields}
        if names != self._inputs.keys():
            message = f"signature has {sorted(names)}, the graph's inputs are "
            raise LoadError(message + f"{sorted(self._inputs)}: want the same names in both")
        bound = (_bound(field, self._inputs[field.name].type) for field in fields)
        return replace(signature, fields={field.name: field for field in bound})

    def _array(self, name: str, column: Column) -> Any:
        field = self.signature.fields[name]
        if not field.required and field.kind.values == {str} and isinstance(column, list):
            column = ["" if value is None else value for value in column]
        array = np.asarray(column, dtype=field.dtype)  # None becomes NaN
        wide = array.ndim == 1 and len(self._inputs[name].shape) == 2
        return array.reshape(-1, 1) if wide else array


def _bound(field: Field, graph_type: str) -> Field:
    dtype = ONNX_DTYPES.get(graph_type)
    textual, boolean = field.kind.values == {str}, field.kind.values == {bool}
    wrong = dtype is None or textual != (dtype.kind == "O") or (dtype.kind == "b" and not boolean)
    if dtype is None or wrong:
        raise LoadError(f"field {field.name!r} is a {field.kind.name}, the graph has {graph_type}")
    if textual or boolean:
        return replace(field, dtype=dtype)
    integral = dtype.kind in "iu"
    if not field.required and integral:
        message = f"field {field.name!r} is optional, and {graph_type} cannot hold a missing value"
        raise LoadError(message + ": register it as a double")
    if integral and float in field.kind.values:
        raise LoadError(f"field {field.name!r} is a {field.kind.name}, the graph has {graph_type}")
    limits: Any = np.iinfo(dtype) if integral else np.finfo(dtype)
    number = int if integral else float  # of Python: exact against any value
    low, high = max(field.low, number(limits.min)), min(field.high, number(limits.max))
    return replace(field, dtype=dtype, low=low, high=high)


def _output(output: Any) -> Output:
    dtype = ONNX_DTYPES.get(output.type)
    if dtype is None:
        wanted = "export the classifier without its ZipMap" if "seq" in output.type else "a tensor"
        raise LoadError(f"output {output.name!r} is a {output.type}, want: {wanted}")
    shape = tuple(size if isinstance(size, int) else -1 for size in output.shape)
    return Output(output.name, dtype, shape)


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
