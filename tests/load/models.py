"""Two small models for the load tests: rows in, what each server must answer out.

`tensor`: `x` float32 [rows, 16] -> `y` float32 [rows, 1] by a network of 16-128-64-1. `table`:
twelve raw columns, strings and numbers, -> `probability` float32 [rows] by a network of 12-128-64-1
behind encoders that are in the graph.
"""

from collections.abc import Iterable, Mapping
from itertools import pairwise
from typing import Any

import numpy as np
import onnx
import onnxruntime
from onnx import NodeProto, TensorProto, ValueInfoProto, helper, numpy_helper

WIDTH, HIDDEN = 16, (128, 64)
WORDS = {
    "carrier": ["AA", "B6", "DL", "EV", "UA"],
    "origin": ["EWR", "JFK", "LGA"],
    "destination": ["ATL", "BOS", "LAX", "MIA", "ORD", "SFO"],
    "aircraft": ["airbus", "boeing", "embraer"],
}
WHOLE = {"month": 12, "weekday": 7, "hour": 23, "distance": 2500, "seats": 400}  # largest value
REAL = {"temperature": 100.0, "wind": 60.0, "humidity": 100.0}
COLUMNS = [*WORDS, *WHOLE, *REAL]
OPSETS = [helper.make_opsetid("", 20), helper.make_opsetid("ai.onnx.ml", 3)]


def tensor_model(seed: int = 1) -> onnx.ModelProto:
    """Build the network of `x`; each seed gives other weights, and so another version."""
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["rows", WIDTH])
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, ["rows", 1])
    return _model([x], y, *_network("x", "y", WIDTH, seed))


def table_model(seed: int = 1) -> onnx.ModelProto:
    """Build the graph of the raw columns."""
    kinds = {
        **dict.fromkeys(WORDS, TensorProto.STRING),
        **dict.fromkeys(WHOLE, TensorProto.INT64),
        **dict.fromkeys(REAL, TensorProto.FLOAT),
    }
    inputs = [helper.make_tensor_value_info(name, kinds[name], ["rows"]) for name in COLUMNS]
    output = helper.make_tensor_value_info("probability", TensorProto.FLOAT, ["rows"])
    nodes, weights = _network("joined", "scored", len(COLUMNS), seed)
    largest = [*map(len, WORDS.values()), *WHOLE.values(), *REAL.values()]
    weights["w0"] /= np.array(largest, dtype=np.float32)[:, None]  # inputs of a like size
    columns = [f"{name}_column" for name in COLUMNS]
    nodes = [
        *_encoders(),
        helper.make_node("Concat", columns, ["joined"], axis=1),
        *nodes,
        helper.make_node("Squeeze", ["scored", "axis"], ["probability"]),
    ]
    return _model(inputs, output, nodes, {**weights, "axis": np.array([1], dtype=np.int64)})


def tensor_rows(rows: int, seed: int) -> dict[str, Any]:
    """Draw `x` for that many rows."""
    numbers = np.random.default_rng(seed).normal(size=(rows, WIDTH))
    return {"x": np.round(numbers, 4).astype(np.float32)}


def table_rows(rows: int, seed: int) -> dict[str, Any]:
    """Draw every column for that many rows."""
    draw = np.random.default_rng(seed)
    words = {name: draw.choice(known, rows).astype(object) for name, known in WORDS.items()}
    whole = {name: draw.integers(1, most, rows) for name, most in WHOLE.items()}
    real = {
        name: np.round(draw.uniform(0, most, rows), 1).astype(np.float32)
        for name, most in REAL.items()
    }
    return {**words, **whole, **real}


def answers(model: onnx.ModelProto, columns: Mapping[str, Any]) -> list[float]:
    """Compute what must be answered, a number a row."""
    session = onnxruntime.InferenceSession(model.SerializeToString())
    numbers: list[float] = session.run(None, dict(columns))[0].ravel().tolist()
    return numbers


def _network(given: str, out: str, width: int, seed: int) -> tuple[list[NodeProto], dict[str, Any]]:
    """Build width-128-64-1 with ReLU between and a sigmoid at the end, and its weights by name."""
    draw = np.random.default_rng(seed)
    nodes, weights = [], {}
    sizes = (width, *HIDDEN, 1)
    for layer, (before, after) in enumerate(pairwise(sizes)):
        last = layer == len(HIDDEN)
        w, b, z, a = (f"{kind}{layer}" for kind in "wbza")
        weights[w] = draw.normal(scale=before**-0.5, size=(before, after)).astype(np.float32)
        weights[b] = draw.normal(scale=0.1, size=after).astype(np.float32)
        nodes.append(helper.make_node("Gemm", [given, w, b], [z]))
        nodes.append(helper.make_node("Sigmoid" if last else "Relu", [z], [out if last else a]))
        given = a
    return nodes, weights


def _encoders() -> Iterable[NodeProto]:
    """Turn each raw column into `<name>_column`, float [rows, 1]."""
    for name in COLUMNS:
        number = name
        if name in WORDS:
            number = f"{name}_index"
            yield helper.make_node(
                "LabelEncoder",
                [name],
                [number],
                domain="ai.onnx.ml",
                keys_strings=WORDS[name],
                values_int64s=list(range(1, len(WORDS[name]) + 1)),
                default_int64=0,
            )
        yield helper.make_node("Cast", [number], [f"{name}_float"], to=TensorProto.FLOAT)
        yield helper.make_node("Unsqueeze", [f"{name}_float", "axis"], [f"{name}_column"])


def _model(
    inputs: list[ValueInfoProto],
    output: ValueInfoProto,
    nodes: list[NodeProto],
    weights: dict[str, Any],
) -> onnx.ModelProto:
    tensors = [numpy_helper.from_array(array, name) for name, array in weights.items()]
    graph = helper.make_graph(nodes, "load", inputs, [output], tensors)
    model = helper.make_model(graph, opset_imports=OPSETS, ir_version=10)
    onnx.checker.check_model(model, full_check=True)
    return model
