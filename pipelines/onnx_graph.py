"""A trained network and its encoder in, one ONNX graph that is asked with raw features out.

The graph has one input a feature, named after it: strings, int64 for "long", float32 for "double"
(NaN = missing), 1-D [batch], or [batch, *shape] where the feature is a tensor. Its outputs are what
the network's ``answer`` gives. What encodes the features travels inside it, so training and serving
cannot disagree.
"""

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
import pandas as pd
import torch
from onnx import ModelProto, compose
from torch import Tensor, nn

from pipelines.asking import predict
from pipelines.features import OPSET, Encoder
from pipelines.policy import Column


@dataclass(frozen=True)
class Companion:
    """Another graph of a trained network, for other questions; registered with each version.

    ``features`` are its inputs, ``example`` a few rows of them.
    """

    graph: ModelProto
    features: Mapping[str, Column]
    example: pd.DataFrame


def build_graph(network: nn.Module, encoder: Encoder, rows: pd.DataFrame) -> ModelProto:
    """Put the encoding of raw features in front of the exported network, and check the whole.

    Args:
        network: has ``answer(**inputs)``, which gives the outputs by name, each (B, ...).
        encoder: gives the network's inputs.
        rows: two rows or more, to ask with once: the graph is what is done with them.

    """
    graph = export(network, encoder.encode(rows))
    if front := encoder.front(graph.ir_version):
        joints = [(output.name, output.name) for output in front.graph.output]
        graph = compose.merge_models(front, graph, io_map=joints)
        del graph.opset_import[len(front.opset_import) :]  # merging lists the network's once more
    onnx.checker.check_model(graph, full_check=True)
    return graph


def max_difference(
    graph: ModelProto, network: nn.Module, encoder: Encoder, rows: pd.DataFrame
) -> float:
    """Measure how far graph and network are apart at most, in any output, over raw rows."""
    with torch.no_grad():
        expected = answer(network, encoder.encode(rows))
    found = predict(graph, rows)
    return max(
        float(np.abs(found[name].astype("float64") - tensor.numpy()).max())
        for name, tensor in expected.items()
    )


def answer(network: nn.Module, inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Ask a network for its named outputs, each (B, ...)."""
    given: dict[str, Tensor] = network.answer(**inputs)  # type: ignore[operator]
    return given


class _Answering(nn.Module):
    """The exporter takes inputs by position (a dict that comes last, it takes for keywords)."""

    def __init__(self, network: nn.Module, names: list[str]) -> None:
        super().__init__()
        self.network, self.names = network, names

    def forward(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        named = dict(zip(self.names, inputs, strict=True))
        return tuple(answer(self.network, named).values())


def export(network: nn.Module, inputs: dict[str, Tensor]) -> ModelProto:
    """Export the network's answers to inputs (B, ...) by name, with a free batch size."""
    batch = torch.export.Dim("batch")
    example = {name: tensor[:2] for name, tensor in inputs.items()}  # of one: taken for a constant
    answering = _Answering(network, list(example)).eval()
    with torch.no_grad():
        names = list(answer(network, example))
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)  # it misses torchvision, we do not
    program = torch.onnx.export(
        answering,
        tuple(example.values()),
        input_names=list(example),
        output_names=names,
        dynamic_shapes={"inputs": tuple({0: batch} for _ in example)},
        opset_version=OPSET,
        dynamo=True,
        verbose=False,
    )
    assert program is not None  # noqa: S101  # None only where a file is asked for
    graph = program.model_proto
    _forget_origin(graph)
    return graph


def _forget_origin(graph: ModelProto) -> None:
    """Remove what the exporter notes of this machine: stack traces with its paths."""
    inner = graph.graph
    values = [*inner.input, *inner.value_info, *inner.output]
    parts: list[Any] = [graph, inner, *inner.node, *inner.initializer, *values]
    for part in parts:
        del part.metadata_props[:]
