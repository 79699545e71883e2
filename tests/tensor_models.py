"""Small real ONNX models that give back what they get, in every datatype and in three shapes."""

from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper

SHAPES: dict[str, tuple[int, ...]] = {"flat": (), "table": (3,), "picture": (2, 4)}
KINDS = {  # the protocol's: ONNX', numpy's
    "BOOL": (TensorProto.BOOL, "bool"),
    "INT8": (TensorProto.INT8, "int8"),
    "INT16": (TensorProto.INT16, "int16"),
    "INT32": (TensorProto.INT32, "int32"),
    "INT64": (TensorProto.INT64, "int64"),
    "UINT8": (TensorProto.UINT8, "uint8"),
    "UINT16": (TensorProto.UINT16, "uint16"),
    "UINT32": (TensorProto.UINT32, "uint32"),
    "UINT64": (TensorProto.UINT64, "uint64"),
    "FP16": (TensorProto.FLOAT16, "float16"),
    "FP32": (TensorProto.FLOAT, "float32"),
    "FP64": (TensorProto.DOUBLE, "float64"),
    "BYTES": (TensorProto.STRING, "object"),
}
WORDS = ["", "UA", "Öl", "日本", "a word of some length, with \0 in it"]


def echo_model(datatype: str) -> onnx.ModelProto:
    """Three inputs `flat` [-1], `table` [-1, 3], `picture` [-1, 2, 4]; outputs `<input>_again`."""
    kind, _ = KINDS[datatype]
    graph = helper.make_graph(
        [helper.make_node("Identity", [name], [f"{name}_again"]) for name in SHAPES],
        "echo",
        [helper.make_tensor_value_info(n, kind, ["batch", *s]) for n, s in SHAPES.items()],
        [
            helper.make_tensor_value_info(f"{n}_again", kind, ["batch", *s])
            for n, s in SHAPES.items()
        ],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
    onnx.checker.check_model(model, full_check=True)
    return model


def values(datatype: str, rows: int) -> dict[str, np.ndarray[Any, Any]]:
    """Each input's values: the ends of the datatype's range among them."""
    _, dtype = KINDS[datatype]
    edges: list[Any] = WORDS
    if dtype == "bool":
        edges = [True, False, False]
    elif np.dtype(dtype).kind in "iu":
        edges = [0, 1, np.iinfo(dtype).min, np.iinfo(dtype).max, 7]
    elif np.dtype(dtype).kind == "f":
        edges = [0, 0.5, float(np.finfo(dtype).min), float(np.finfo(dtype).max), -0.1]
    return {
        name: np.resize(np.array(edges, dtype=dtype), (rows, *shape))
        for name, shape in SHAPES.items()
    }


def register_echo(url: str, name: str, datatype: str) -> str:
    """Log the model to the MLflow at `url` and register it as champion. Gives its version."""
    import mlflow
    from mlflow.models import ModelSignature
    from mlflow.types import Schema, TensorSpec

    mlflow.set_tracking_uri(url)
    dtype = np.dtype(KINDS[datatype][1])
    inputs = [TensorSpec(dtype, (-1, *shape), name) for name, shape in SHAPES.items()]
    outputs = [TensorSpec(dtype, (-1, *shape), f"{name}_again") for name, shape in SHAPES.items()]
    with mlflow.start_run(experiment_id="0"):
        info = mlflow.onnx.log_model(
            echo_model(datatype),
            name="model",
            signature=ModelSignature(Schema(inputs), Schema(outputs)),
            registered_model_name=name,
            pip_requirements=["onnxruntime"],
        )
    version = str(info.registered_model_version)
    mlflow.MlflowClient(url).set_registered_model_alias(name, "champion", version)
    return version
