"""An ONNX graph and raw rows in, its outputs out; no torch, so a gate need not wait for it."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort
import pandas as pd
from onnx import ModelProto

Outputs = dict[str, np.ndarray]  # by name, each (B, ...)
AT_ONCE = 2048  # rows; what lies between a graph's layers would take gigabytes for all at once


def session(graph: ModelProto | bytes | Path) -> ort.InferenceSession:
    """Open a graph for asking, on the CPU with one thread."""
    source = graph.SerializeToString() if isinstance(graph, ModelProto) else graph
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    return ort.InferenceSession(
        source if isinstance(source, bytes) else str(source),
        options,
        providers=["CPUExecutionProvider"],
    )


def predict(asked: ort.InferenceSession | ModelProto | bytes | Path, rows: pd.DataFrame) -> Outputs:
    """Ask a graph about B raw rows.

    A missing string is asked as ``""``, unknown to every vocabulary; a tensor is a flat array a
    row. Raises KeyError naming the features that the rows lack, ValueError for a missing value in
    a "long" feature.
    """
    opened = asked if isinstance(asked, ort.InferenceSession) else session(asked)
    names = [each.name for each in opened.get_outputs()]
    parts = [
        opened.run(names, tensors(opened, rows.iloc[start : start + AT_ONCE]))
        for start in range(0, max(1, len(rows)), AT_ONCE)
    ]
    return {name: np.concatenate(said) for name, *said in zip(names, *parts, strict=True)}


def tensors(opened: ort.InferenceSession, rows: pd.DataFrame) -> dict[str, np.ndarray]:
    """Make raw rows the graph's inputs by name; see ``predict``."""
    inputs = {each.name: each for each in opened.get_inputs()}
    if absent := [name for name in inputs if name not in rows]:
        raise KeyError(f"the rows lack the features {', '.join(absent)}")
    return {name: _tensor(rows[name], each.type, each.shape) for name, each in inputs.items()}


def columns(outputs: Mapping[str, np.ndarray]) -> dict[str, Any]:
    """Give outputs as a frame's columns: of an output (B, ...) a flat array a row."""
    return {
        name: list(array.reshape(len(array), -1)) if array.ndim > 1 else array
        for name, array in outputs.items()
    }


def _tensor(column: "pd.Series[Any]", kind: str, shape: list[Any]) -> np.ndarray:
    if kind == "tensor(string)":
        return column.astype(object).where(column.notna(), "").to_numpy(dtype=object)
    if kind == "tensor(int64)":
        if column.isna().any():
            raise ValueError(f"feature {column.name!r} is a whole number and may not be missing")
        return column.to_numpy(dtype=np.int64)
    if len(shape) > 1:
        return np.stack(list(column)).astype(np.float32).reshape(-1, *shape[1:])
    return column.to_numpy(dtype=np.float32, na_value=np.nan)
