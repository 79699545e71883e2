"""A folder with MLflow's python_function flavour in, a model that answers columns out.

The slow path, for what is not ONNX: MLflow's own loader and `predict`, on pandas. They and the
model's library are imported when the first such model is loaded, so others need no memory for them.
https://mlflow.org/docs/latest/api_reference/python_api/mlflow.pyfunc.html
"""

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from services.serving.errors import LoadError
from services.serving.models.fields import Field
from services.serving.models.kinds import DATATYPES
from services.serving.models.model import Form, Origin, Output
from services.serving.models.signature import Columns, Signature
from services.serving.queries import Outputs

_INPUT, _OUTPUT = "input-0", "predictions"  # names of what MLflow leaves without one
_PICKLES = "MLFLOW_ALLOW_PICKLE_DESERIALIZATION"
_ENVIRONMENT = {  # read by MLflow when it is imported: it sends nothing, and logs as we do
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_CONFIGURE_LOGGING": "false",
}
_unpickling = threading.Lock()


class PyfuncModel:
    """A model in Python. Its code is not ours: it may be slow, not safe for threads, or exit."""

    platform = "mlflow_pyfunc"
    foreign = True

    def __init__(
        self, folder: Path, signature: Signature, origin: Origin, output_names: list[str]
    ) -> None:
        """Load what has been judged before (see `trust`). Raises LoadError."""
        fields = [_bound(field) for field in signature.fields.values()]
        self._unnamed = [*signature.fields] == [""]
        self.signature = replace(signature, fields={field.name: field for field in fields})
        self.origin = origin
        self.form: Form = "values"
        self.outputs: tuple[Output, ...] = ()
        self._name = output_names[0] if len(output_names) == 1 else _OUTPUT
        self._lock = threading.Lock()
        self._pyfunc = _loaded(folder)

    def run(self, columns: Columns) -> Outputs:
        """Answer rows. The first answer, to the stored example, says what the outputs are.

        Raises what the model raises, ValueError for an answer that does not fit the rows.
        """
        with self._lock, _surviving("predict"):
            answer = self._pyfunc.predict(self._given(columns))
        form, outputs = _read(answer, self._name)
        rows = len(next(iter(columns.values())))
        for name, array in outputs.items():
            if array.shape[:1] != (rows,):
                raise ValueError(f"output {name!r} has shape {array.shape} for {rows} rows")
        if not self.outputs:
            self.form, self.outputs = form, tuple(map(_described, outputs, outputs.values()))
        if form != self.form or [*outputs] != [output.name for output in self.outputs]:
            raise ValueError(f"the model gave {form} {[*outputs]}, other than to its example")
        return outputs

    def _given(self, columns: Columns) -> Any:
        if not self.signature.tabular:
            arrays = {n: np.asarray(columns[n], f.dtype) for n, f in self.signature.fields.items()}
            return arrays[_INPUT] if self._unnamed else arrays
        import pandas as pd

        fields = self.signature.fields.items()
        return pd.DataFrame({name: pd.Series(columns[name], dtype=f.dtype) for name, f in fields})


def _bound(field: Field) -> Field:
    if not field.required and field.dtype.kind not in "Of":
        message = f"field {field.name!r} is optional, and a {field.kind.name} cannot be missing"
        raise LoadError(message + " in pandas: register it as a double")
    return field if field.name else replace(field, name=_INPUT)


def _loaded(folder: Path) -> Any:
    os.environ.update(_ENVIRONMENT)
    try:
        import mlflow.pyfunc
    except ImportError as error:
        message = f"a model that is not ONNX needs mlflow beside serving ({error}): install mlflow "
        raise LoadError(message + "and what the model's requirements.txt says") from error
    try:
        with _unpickling, _pickles_allowed(), _surviving("load"):
            return mlflow.pyfunc.load_model(str(folder))  # also warns where versions differ
    except Exception as error:  # the model's own code may raise anything
        raise LoadError(f"MLflow cannot load the model: {error!r}") from error


@contextmanager
def _pickles_allowed() -> Iterator[None]:
    """Open MLflow's own switch, which stands for skops, too, for a model that has been judged."""
    os.environ[_PICKLES] = "true"
    try:
        yield
    finally:
        os.environ[_PICKLES] = "false"


@contextmanager
def _surviving(step: str) -> Iterator[None]:
    """Make a mere error of an attempt to end the process."""
    try:
        yield
    except Exception:
        raise
    except BaseException as error:
        raise RuntimeError(f"the model tried to exit in {step}: {error!r}") from error


def _read(answer: Any, name: str) -> tuple[Form, Outputs]:
    """Sort an answer as MLflow's scoring server does. Raises ValueError."""
    import pandas as pd

    if isinstance(answer, list) and answer and all(isinstance(row, dict) for row in answer):
        answer = pd.DataFrame(answer)
    if isinstance(answer, pd.Series):
        answer = pd.DataFrame(answer)
    if isinstance(answer, pd.DataFrame):
        return "records", {str(n): _array(str(n), answer[n].to_numpy()) for n in answer.columns}
    if isinstance(answer, dict):
        return "columns", {str(n): _array(str(n), values) for n, values in answer.items()}
    return "values", {name: _array(name, answer)}


def _described(name: str, array: NDArray[Any]) -> Output:
    return Output(name, array.dtype, (-1, *array.shape[1:]))


def _array(name: str, values: Any) -> NDArray[Any]:
    """Give numbers as they are, and words as Python's, None for a missing one."""
    array = np.array(values, dtype=object) if isinstance(values, list) else np.asarray(values)
    if array.dtype.kind == "U":
        return array.astype(object)
    if array.dtype.kind == "O":
        array = _without_nan(array)
        if all(value is None or isinstance(value, str) for value in array.flat):
            return array
        array = np.array(array.tolist())
    if array.dtype.kind not in "biuf" or array.dtype not in DATATYPES:
        raise ValueError(f"output {name!r} is a {type(values).__name__} of {array.dtype}")
    return array


def _without_nan(array: NDArray[Any]) -> NDArray[Any]:
    """Pandas has NaN where a word is missing; where numbers are, NaN is one of them."""
    if not any(isinstance(value, str) for value in array.flat):
        return array
    listed = [None if value != value else value for value in array.flat]
    return np.array(listed, dtype=object).reshape(array.shape)
