"""An ONNX graph and raw rows in, probabilities out; no torch, so a gate need not wait for it."""

from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort
import pandas as pd
from onnx import ModelProto

OUTPUT = "probability"


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


def predict(
    asked: ort.InferenceSession | ModelProto | bytes | Path, rows: pd.DataFrame
) -> np.ndarray:
    """Ask a graph about raw rows: float32 probabilities (B,).

    A missing string is asked as ``""``, unknown to every vocabulary. Raises KeyError naming the
    features that the rows lack, ValueError for a missing value in a "long" feature.
    """
    opened = asked if isinstance(asked, ort.InferenceSession) else session(asked)
    inputs = {each.name: each.type for each in opened.get_inputs()}
    if absent := [name for name in inputs if name not in rows]:
        raise KeyError(f"the rows lack the features {', '.join(absent)}")
    feed = {name: _tensor(rows[name], kind) for name, kind in inputs.items()}
    return np.asarray(opened.run([OUTPUT], feed)[0])


def _tensor(column: "pd.Series[Any]", kind: str) -> np.ndarray:
    if kind == "tensor(string)":
        return column.astype(object).where(column.notna(), "").to_numpy(dtype=object)
    if kind == "tensor(int64)":
        if column.isna().any():
            raise ValueError(f"feature {column.name!r} is a whole number and may not be missing")
        return column.to_numpy(dtype=np.int64)
    return column.to_numpy(dtype=np.float32, na_value=np.nan)
