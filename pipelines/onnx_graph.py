"""A trained network and its vocabularies in, one ONNX graph that is asked with raw features out.

The graph has one input a feature, named after it and 1-D [batch]: strings, int64 for "long",
float32 for "double" (NaN = missing), and the output ``probability`` float32 [batch]. What encodes
the features travels inside it, so training and serving cannot disagree.
"""

import logging
from collections.abc import Mapping
from typing import Any

import numpy as np
import onnx
import pandas as pd
import torch
from onnx import ModelProto, NodeProto, TensorProto, compose, helper
from torch import Tensor, nn

from pipelines.asking import OUTPUT, predict
from pipelines.features import UNKNOWN, Inputs, Vocabularies, encode, numbers, strings
from pipelines.training import probabilities

OPSET = 20
ML_OPSET = 3  # https://onnx.ai/onnx/operators/onnx_aionnxml_LabelEncoder.html
ELEMENT = {"string": TensorProto.STRING, "long": TensorProto.INT64, "double": TensorProto.FLOAT}


def build_graph(
    network: nn.Module, types: Mapping[str, str], vocabularies: Vocabularies
) -> ModelProto:
    """Put the encoding of raw features in front of the exported network, and check the whole.

    Raises ValueError unless there is at least one string and one numeric feature.
    """
    if not strings(types) or not numbers(types):
        raise ValueError(f"a graph needs a string and a numeric feature, got {dict(types)}")
    back = _export(network, len(strings(types)), len(numbers(types)))
    front = _encoder(types, vocabularies, back.ir_version)
    graph = compose.merge_models(
        front, back, io_map=[("categories", "categories"), ("numbers", "numbers")]
    )
    del graph.opset_import[len(front.opset_import) :]  # merging lists the network's once more
    _forget_origin(graph)
    onnx.checker.check_model(graph, full_check=True)
    return graph


def max_difference(
    graph: ModelProto,
    network: nn.Module,
    rows: pd.DataFrame,
    types: Mapping[str, str],
    vocabularies: Vocabularies,
) -> float:
    """Measure how far graph and network are apart at most, in probability, over raw rows."""
    expected = probabilities(network, encode(rows, types, vocabularies))
    return float(np.abs(predict(graph, rows) - expected).max())


class _WithSigmoid(nn.Module):
    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, categories: Tensor, numbers: Tensor) -> Tensor:
        return torch.sigmoid(self.network(categories, numbers))


def _export(network: nn.Module, category_count: int, number_count: int) -> ModelProto:
    """Export (categories (B, C), numbers (B, N)) -> probability (B,) with a free batch size."""
    batch = torch.export.Dim("batch")
    example = Inputs(  # two rows: a batch of one would be taken for a constant
        torch.zeros((2, category_count), dtype=torch.int64), torch.zeros((2, number_count))
    )
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)  # it misses torchvision, we do not
    program = torch.onnx.export(
        _WithSigmoid(network).eval(),
        (example.categories, example.numbers),
        input_names=["categories", "numbers"],
        output_names=[OUTPUT],
        dynamic_shapes={"categories": {0: batch}, "numbers": {0: batch}},
        opset_version=OPSET,
        dynamo=True,
        verbose=False,
    )
    assert program is not None  # noqa: S101  # None only where a file is asked for
    return program.model_proto


def _encoder(types: Mapping[str, str], vocabularies: Vocabularies, ir_version: int) -> ModelProto:
    """Build raw features -> categories (B, C) int64 and numbers (B, N) float32."""
    codes = [_label_encoder(name, vocabularies[name]) for name in strings(types)]
    casts = [
        helper.make_node("Cast", [name], [f"{name}/code"], to=TensorProto.FLOAT)
        for name in numbers(types)
    ]
    stacks = [*_stack("categories", strings(types)), *_stack("numbers", numbers(types))]

    def info(name: str, element: int, *shape: str | int) -> Any:
        return helper.make_tensor_value_info(name, element, shape)

    graph = helper.make_graph(
        [*codes, *casts, *stacks],
        "relay",
        inputs=[info(name, ELEMENT[kind], "batch") for name, kind in types.items()],
        outputs=[
            info("categories", TensorProto.INT64, "batch", len(strings(types))),
            info("numbers", TensorProto.FLOAT, "batch", len(numbers(types))),
        ],
        initializer=[
            helper.make_tensor(
                "categories/shape", TensorProto.INT64, [2], [len(strings(types)), -1]
            ),
            helper.make_tensor("numbers/shape", TensorProto.INT64, [2], [len(numbers(types)), -1]),
        ],
    )
    opsets = [helper.make_opsetid("", OPSET), helper.make_opsetid("ai.onnx.ml", ML_OPSET)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=ir_version)


def _label_encoder(name: str, words: tuple[str, ...]) -> NodeProto:
    return helper.make_node(
        "LabelEncoder",
        [name],
        [f"{name}/code"],
        domain="ai.onnx.ml",
        keys_strings=list(words),
        values_int64s=list(range(UNKNOWN + 1, len(words) + 1)),
        default_int64=UNKNOWN,
    )


def _stack(output: str, names: list[str]) -> list[NodeProto]:
    """Make (B, F) of F codes (B,): three nodes for all, since each one costs at every request."""
    codes = [f"{name}/code" for name in names]
    return [
        helper.make_node("Concat", codes, [f"{output}/flat"], axis=0),  # (F * B,)
        helper.make_node("Reshape", [f"{output}/flat", f"{output}/shape"], [f"{output}/rows"]),
        helper.make_node("Transpose", [f"{output}/rows"], [output], perm=[1, 0]),
    ]


def _forget_origin(graph: ModelProto) -> None:
    """Remove what the exporter notes of this machine: stack traces with its paths."""
    inner = graph.graph
    values = [*inner.input, *inner.value_info, *inner.output]
    parts: list[Any] = [graph, inner, *inner.node, *inner.initializer, *values]
    for part in parts:
        del part.metadata_props[:]
