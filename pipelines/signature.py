"""A graph and the policy's features in, the MLflow signature and input example of its model out.

Where all inputs are one value a row they are columns, as of a table, and so are outputs; where one
is a tensor, all are tensors (MLflow mixes no two:
https://mlflow.org/docs/latest/ml/model/signatures/).
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from mlflow.models import ModelSignature
from mlflow.types import ColSpec, Schema, TensorSpec
from onnx import ModelProto, TensorProto, ValueInfoProto, helper

from pipelines.features import stack
from pipelines.policy import Column

DTYPES = {"string": np.dtype(np.str_), "long": np.dtype("int64"), "double": np.dtype("float32")}
OUTPUTS: dict[int, str] = {
    TensorProto.FLOAT: "float",
    TensorProto.INT64: "long",
    TensorProto.STRING: "string",
    TensorProto.BOOL: "boolean",
}


def signature(graph: ModelProto, features: Mapping[str, Column]) -> ModelSignature:
    """Say what a graph takes, by the policy, and what it gives, by the graph itself."""
    if _has_tensors(features):
        taken = [TensorSpec(DTYPES[c.type], (-1, *c.shape), name) for name, c in features.items()]
        return ModelSignature(Schema(taken), _given(graph))
    columns = [ColSpec(c.type, name, required=not c.optional) for name, c in features.items()]
    return ModelSignature(Schema(columns), _given(graph))


def example(features: Mapping[str, Column], rows: pd.DataFrame) -> Any:
    """Give a few rows of raw features as the signature has them."""
    if not _has_tensors(features):
        return rows
    return {
        name: stack(rows[name], column.shape) if column.shape else rows[name].to_numpy()
        for name, column in features.items()
    }


def _has_tensors(features: Mapping[str, Column]) -> bool:
    return any(column.shape for column in features.values())


def _given(graph: ModelProto) -> Schema:
    outputs = list(graph.graph.output)
    if all(len(_shape(output)) == 1 for output in outputs):
        return Schema([ColSpec(OUTPUTS[_element(output)], output.name) for output in outputs])
    return Schema(
        [
            TensorSpec(helper.tensor_dtype_to_np_dtype(_element(o)), _shape(o), o.name)
            for o in outputs
        ]
    )


def _element(output: ValueInfoProto) -> int:
    return int(output.type.tensor_type.elem_type)


def _shape(output: ValueInfoProto) -> tuple[int, ...]:
    """Give the sizes of the axes, -1 where one is free."""
    return tuple(
        axis.dim_value if axis.HasField("dim_value") else -1
        for axis in output.type.tensor_type.shape.dim
    )
