"""Small real ONNX models in the shape that Relay registers, for tests that need one to serve.

Inputs are raw features (`carrier` string, `hour` long, `temp` optional double); the graph maps the
string by a LabelEncoder, takes NaN for missing, and gives `probability` (float32, [batch]).
"""

import numpy as np
import onnx
import pandas as pd
from onnx import TensorProto, helper

CARRIERS = ["AA", "DL", "UA"]
EXAMPLE = pd.DataFrame(
    {
        "carrier": ["UA", "AA", "a new one"],
        "hour": np.array([6, 12, 23], dtype="int64"),
        "temp": [31.5, np.nan, 80.0],
    }
)


def small_model(bias: float = 0.0, fault: str = "") -> onnx.ModelProto:
    """probability = sigmoid(carrier index + 0.1 hour + 0.01 temp + bias), missing temp as 0.

    With the fault "fragile" an hour beyond 23 breaks the graph; a "slow" one takes milliseconds.
    """
    inputs = {
        "carrier": TensorProto.STRING,
        "hour": TensorProto.INT64,
        "temp": TensorProto.FLOAT,
    }
    nodes = [
        helper.make_node(
            "LabelEncoder",
            ["carrier"],
            ["carrier_index"],
            domain="ai.onnx.ml",
            keys_strings=CARRIERS,
            values_int64s=list(range(1, len(CARRIERS) + 1)),
            default_int64=0,
        ),
        helper.make_node("Cast", ["carrier_index"], ["carrier_float"], to=TensorProto.FLOAT),
        helper.make_node("Cast", ["hour"], ["hour_float"], to=TensorProto.FLOAT),
        helper.make_node("IsNaN", ["temp"], ["temp_missing"]),
        helper.make_node("Where", ["temp_missing", "zero", "temp"], ["temp_filled"]),
        helper.make_node("Mul", ["hour_float", "hour_weight"], ["hour_term"]),
        helper.make_node("Mul", ["temp_filled", "temp_weight"], ["temp_term"]),
        helper.make_node("Sum", ["carrier_float", "hour_term", "temp_term", "bias"], ["logit"]),
        helper.make_node("Sigmoid", ["logit"], ["probability"]),
    ]
    more = []
    if fault == "fragile":
        nodes[2] = helper.make_node("Gather", ["hours", "hour"], ["hour_float"])
        more.append(helper.make_tensor("hours", TensorProto.FLOAT, [24], list(range(24))))
    if fault == "slow":
        nodes[2:3] = _slow_hours()
        more.append(helper.make_tensor("square", TensorProto.FLOAT, [700, 700], [0.0] * 490_000))
    numbers = {"zero": 0.0, "hour_weight": 0.1, "temp_weight": 0.01, "bias": bias}
    graph = helper.make_graph(
        nodes,
        "small",
        [helper.make_tensor_value_info(name, kind, ["batch"]) for name, kind in inputs.items()],
        [helper.make_tensor_value_info("probability", TensorProto.FLOAT, ["batch"])],
        [*more, *(helper.make_tensor(x, TensorProto.FLOAT, [], [n]) for x, n in numbers.items())],
    )
    opsets = [helper.make_opsetid("", 20), helper.make_opsetid("ai.onnx.ml", 3)]
    model = helper.make_model(graph, opset_imports=opsets, ir_version=10)
    onnx.checker.check_model(model, full_check=True)
    return model


def _slow_hours() -> list[onnx.NodeProto]:
    """The hours as floats, by way of a large product that depends on them and comes to nothing."""
    return [
        helper.make_node("Cast", ["hour"], ["hour_plain"], to=TensorProto.FLOAT),
        helper.make_node("ReduceSum", ["hour_plain"], ["hours_sum"], keepdims=0),
        helper.make_node("Mul", ["square", "hours_sum"], ["square_of_hours"]),
        helper.make_node("MatMul", ["square_of_hours", "square_of_hours"], ["product"]),
        helper.make_node("ReduceSum", ["product"], ["nothing"], keepdims=0),
        helper.make_node("Add", ["hour_plain", "nothing"], ["hour_float"]),
    ]


def expected(frame: pd.DataFrame, bias: float = 0.0) -> np.ndarray:
    """What `small_model(bias)` must answer, computed without ONNX."""
    index = frame["carrier"].map({name: i + 1 for i, name in enumerate(CARRIERS)}).fillna(0)
    logit = index + 0.1 * frame["hour"] + 0.01 * frame["temp"].fillna(0) + bias
    probability: np.ndarray = 1 / (1 + np.exp(-logit.to_numpy(dtype="float64")))
    return probability.astype("float32")


def register(url: str, name: str, model: onnx.ModelProto, signature: str = "small") -> str:
    """Log a model to the MLflow at `url` and register it. Gives its version."""
    import mlflow
    from mlflow.models import ModelSignature
    from mlflow.types import ColSpec, Schema

    mlflow.set_tracking_uri(url)
    columns = [ColSpec("string", "carrier"), ColSpec("long", "hour")]
    if signature == "small":
        columns.append(ColSpec("double", "temp", required=False))
    with mlflow.start_run(experiment_id="0"):
        info = mlflow.onnx.log_model(
            model,
            name="model",
            signature=ModelSignature(Schema(columns), Schema([ColSpec("double", "probability")])),
            input_example=EXAMPLE[[column.name for column in columns]],
            registered_model_name=name,
            pip_requirements=["onnxruntime"],
        )
    return str(info.registered_model_version)


def set_alias(url: str, name: str, alias: str, version: str) -> None:
    import mlflow

    mlflow.MlflowClient(url).set_registered_model_alias(name, alias, version)


def delete(url: str, name: str) -> None:
    import mlflow

    mlflow.MlflowClient(url).delete_registered_model(name)
