"""What serving asks of a loaded model, whatever flavour it has."""

from dataclasses import dataclass
from typing import Any, Literal, Protocol

from services.serving.models.kinds import DATATYPES, Dtype
from services.serving.models.signature import Columns, Signature
from services.serving.queries import Outputs

Form = Literal["records", "columns", "values"]


@dataclass(frozen=True)
class Output:
    """One output: rows first, -1 for a size that is not fixed."""

    name: str
    dtype: Dtype
    shape: tuple[int, ...]

    def describe(self) -> dict[str, Any]:
        """Describe it as the Open Inference Protocol does."""
        return {
            "name": self.name,
            "datatype": DATATYPES[self.dtype],
            "shape": list(self.shape),
        }


@dataclass(frozen=True)
class Origin:
    """Where a model is from: its MLflow run, the MLflow that wrote it."""

    run_id: str
    mlflow_version: str


class Model(Protocol):
    """A model that answers rows. `run` is safe to call from several threads.

    `form` is how MLflow shows its answers: an object a row, an array a name, or one bare array.
    A `foreign` model runs code that is not ours, for as long as it likes: never on the event loop.
    """

    signature: Signature
    outputs: tuple[Output, ...]
    platform: str
    form: Form
    foreign: bool
    origin: Origin

    def run(self, columns: Columns) -> Outputs:
        """Answer rows: every output has the rows as its first dimension."""
