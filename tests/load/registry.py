"""The models of the bench in, registered at an MLflow out; and their aliases, to be moved."""

import logging
from contextlib import redirect_stderr, redirect_stdout
from io import StringIO
from typing import Any, Self

import httpx
import mlflow
import numpy as np
import onnx
import pandas as pd
from mlflow.models import ModelSignature
from mlflow.types import ColSpec, Schema, TensorSpec

from tests.load import models


def register(mlflow_url: str) -> None:
    """Register two versions of the tensor model and one of the table's; the first are champions."""
    mlflow.set_tracking_uri(mlflow_url)
    logging.getLogger("mlflow").setLevel(logging.ERROR)
    chatter = StringIO()  # of what it does; what fails is raised
    with redirect_stdout(chatter), redirect_stderr(chatter):
        for seed in (1, 2):
            _log("tensor", models.tensor_model(seed), _tensor_signature(), _tensor_example())
        _log("table", models.table_model(), _table_signature(), _table_example())
    with Aliases(mlflow_url) as aliases:
        for model in ("tensor", "table"):
            aliases.move(model, "champion", "1")


class Aliases:
    """MLflow's aliases over its REST API: moving one must cost the load's core next to nothing.

    https://mlflow.org/docs/latest/api_reference/rest-api.html#set-registered-model-alias
    """

    def __init__(self, url: str) -> None:
        self._client = httpx.Client(base_url=url, timeout=60, trust_env=False)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._client.close()

    def move(self, model: str, alias: str, version: str) -> None:
        """Let an alias be one of a version."""
        path = "/api/2.0/mlflow/registered-models/alias"
        content = {"name": model, "alias": alias, "version": version}
        self._client.post(path, json=content).raise_for_status()


def _log(name: str, model: onnx.ModelProto, signature: ModelSignature, example: Any) -> None:
    with mlflow.start_run(experiment_id="0"):
        mlflow.onnx.log_model(
            model,
            name="model",
            signature=signature,
            input_example=example,
            registered_model_name=name,
            pip_requirements=["onnxruntime"],
        )


def _tensor_signature() -> ModelSignature:
    single = np.dtype("float32")
    x, y = TensorSpec(single, (-1, models.WIDTH), "x"), TensorSpec(single, (-1, 1), "y")
    return ModelSignature(Schema([x]), Schema([y]))


def _tensor_example() -> Any:
    return models.tensor_rows(1, seed=0)


def _table_signature() -> ModelSignature:
    kinds = {**dict.fromkeys(models.WORDS, "string"), **dict.fromkeys(models.WHOLE, "long")}
    columns = [ColSpec(kinds.get(name, "double"), name) for name in models.COLUMNS]
    return ModelSignature(Schema(columns), Schema([ColSpec("double", "probability")]))


def _table_example() -> pd.DataFrame:
    example = pd.DataFrame(models.table_rows(1, seed=0))
    return example.astype(dict.fromkeys(models.REAL, "float64"))
