"""Real models of several flavours: a name in, the model registered and champion out.

One of each kind that a registry holds: ONNX on a table and on tensors with and without names,
scikit-learn on a table and on an array, Python that gives frames and dictionaries.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from onnx import helper

from tests.small_models import EXAMPLE, register, set_alias, small_model

CARRIERS = ["UA", "AA", "DL"]
ROWS = pd.DataFrame(
    {
        "carrier": CARRIERS * 10,
        "hour": np.arange(30, dtype="int64") % 24,
        "temp": np.linspace(-5, 95, 30),
    }
)
CODE = Path(__file__).parent / "python_models"


def champion(url: str, name: str, **options: Any) -> str:
    """Register the model that MODELS has under this name. Gives its version."""
    version = MODELS[name](url, name, **options)
    set_alias(url, name, "champion", version)
    return version


def fit(words: bool) -> Any:
    """A pipeline on the table: late or ok in words, or minutes."""
    from sklearn.compose import make_column_transformer
    from sklearn.linear_model import LinearRegression, LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder, StandardScaler

    encoder = OneHotEncoder(handle_unknown="ignore")
    columns = make_column_transformer((encoder, ["carrier"]), (StandardScaler(), ["hour", "temp"]))
    label = ROWS["hour"] + ROWS["temp"]
    if words:
        model = make_pipeline(columns, LogisticRegression())
        return model.fit(ROWS, np.where(label > label.median(), "late", "ok"))
    return make_pipeline(columns, LinearRegression()).fit(ROWS, label)


def log(url: str, name: str, flavour: str, model: Any, example: Any, **options: Any) -> str:
    """Log a model to the MLflow at `url` and register it. Gives its version."""
    import mlflow

    mlflow.set_tracking_uri(url)
    options = {"pip_requirements": ["mlflow"], "input_example": example, **options}
    with mlflow.start_run(experiment_id="0"):
        info = getattr(mlflow, flavour).log_model(
            model, name="model", registered_model_name=name, **options
        )
    return str(info.registered_model_version)


def _sklearn(words: bool) -> Callable[..., str]:
    def registered(url: str, name: str, **options: Any) -> str:
        from mlflow.models import infer_signature

        model = fit(words)
        signature = infer_signature(ROWS, model.predict(ROWS))
        options = {"serialization_format": "skops", "signature": signature, **options}
        return log(url, name, "sklearn", model, ROWS[:3], **options)

    return registered


def _probabilities(url: str, name: str) -> str:
    """Learned from an array: the signature is one tensor without a name, the output has two."""
    from mlflow.models import infer_signature
    from sklearn.linear_model import LogisticRegression

    rows = np.random.default_rng(0).normal(size=(30, 4))
    model = LogisticRegression().fit(rows, rows.sum(axis=1) > 0)
    signature = infer_signature(rows, model.predict_proba(rows))
    options = {"pyfunc_predict_fn": "predict_proba", "serialization_format": "skops"}
    return log(url, name, "sklearn", model, rows[:3], signature=signature, **options)


def _python(url: str, name: str) -> str:
    """Code that the model brings along."""
    from mlflow.models import ModelSignature
    from mlflow.types import ColSpec, Schema

    columns = [ColSpec("string", "carrier"), ColSpec("long", "hour")]
    columns.append(ColSpec("double", "temp", required=False))
    outputs = None
    if name == "frames":
        outputs = Schema([ColSpec("double", "score"), ColSpec("string", "word")])
    model = str(CODE / f"{name}.py")
    signature = ModelSignature(Schema(columns), outputs)
    return log(url, name, "pyfunc", None, EXAMPLE, python_model=model, signature=signature)


def _tensors(inputs: dict[str, Any], named: bool = True) -> Callable[..., str]:
    """A graph that doubles each of its inputs."""

    def registered(url: str, name: str) -> str:
        from mlflow.models import ModelSignature
        from mlflow.types import Schema, TensorSpec

        given = {n: np.dtype(kind) for n, (kind, _) in inputs.items()}
        element = {n: helper.np_dtype_to_tensor_dtype(kind) for n, kind in given.items()}
        shapes = {n: ["batch", *shape] for n, (_, shape) in inputs.items()}
        graph = helper.make_graph(
            [helper.make_node("Add", [n, n], [f"twice_{n}"]) for n in inputs],
            "twice",
            [helper.make_tensor_value_info(n, element[n], shapes[n]) for n in inputs],
            [helper.make_tensor_value_info(f"twice_{n}", element[n], shapes[n]) for n in inputs],
        )
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
        specs = [
            TensorSpec(given[n], (-1, *shape), n if named else None)
            for n, (_, shape) in inputs.items()
        ]
        example = {n: np.ones((2, *shape), given[n]) for n, (_, shape) in inputs.items()}
        whole = example if named else next(iter(example.values()))
        return log(url, name, "onnx", model, whole, signature=ModelSignature(Schema(specs)))

    return registered


def _small(url: str, name: str) -> str:
    return register(url, name, small_model())


MODELS: dict[str, Callable[..., str]] = {
    "table": _small,
    "image": _tensors({"x": ("float32", (2, 2))}),
    "unnamed": _tensors({"x": ("float64", (4,))}, named=False),
    "several": _tensors({"a": ("float32", (2,)), "b": ("int64", ()), "c": ("uint8", (1,))}),
    "classifier": _sklearn(words=True),
    "regressor": _sklearn(words=False),
    "probabilities": _probabilities,
    "frames": _python,
    "arrays": _python,
    "series": _python,
}
