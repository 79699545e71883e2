"""Rows of a batch in, the tensors that a network is asked with out; and an ONNX graph that does so.

A model's network module names its ``Encoder``: fit on training rows, it turns rows into tensors
while training and is the front of the ONNX graph while serving, so that the two cannot disagree.
``TableEncoder`` is the one for tables and for raw tensors such as images.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, Self

import numpy as np
import pandas as pd
import torch
from onnx import ModelProto, NodeProto, TensorProto, helper
from torch import Tensor

from pipelines.policy import Column

Inputs = Mapping[str, Tensor]  # what a network's ``forward`` takes, by name: each (B, ...)
Vocabularies = dict[str, tuple[str, ...]]  # of each string feature; the i-th word has index i + 1
UNKNOWN = 0
OPSET = 20
ML_OPSET = 3  # https://onnx.ai/onnx/operators/onnx_aionnxml_LabelEncoder.html
ELEMENT = {"string": TensorProto.STRING, "long": TensorProto.INT64, "double": TensorProto.FLOAT}


class Encoder(Protocol):
    """What stands between raw features and a network."""

    @classmethod
    def fit(cls, rows: pd.DataFrame, features: Mapping[str, Column]) -> Self:
        """Learn from training rows, and no others, what there is to know: vocabularies, ..."""

    def encode(self, rows: pd.DataFrame) -> dict[str, Tensor]:
        """Turn B rows into the network's inputs by name, each (B, ...).

        Raises KeyError naming the features that the rows lack.
        """

    def front(self, ir_version: int) -> ModelProto | None:
        """Build the graph from raw features, 1-D [batch] each, to the same tensors by name.

        Tensors of the network that it does not give are features that go in as they are.
        None: all are.
        """


@dataclass(frozen=True)
class TableEncoder:
    """Strings by vocabulary as ``categories`` (B, C) int64, numbers as ``numbers`` (B, N) float32.

    C strings and N numbers in the policy's order, NaN where a number is missing; a missing or
    unseen string is ``UNKNOWN``. Features that are tensors go in by their own names, float32.
    """

    features: Mapping[str, Column]
    vocabularies: Vocabularies

    @classmethod
    def fit(cls, rows: pd.DataFrame, features: Mapping[str, Column]) -> Self:
        """Collect each string feature's words, sorted."""
        words = {name: tuple(sorted(rows[name].dropna().unique())) for name in strings(features)}
        return cls(features, words)

    @property
    def sizes(self) -> list[int]:
        """Number of indices of each category, the unknown 0 included."""
        return [len(words) + 1 for words in self.vocabularies.values()]

    def encode(self, rows: pd.DataFrame) -> dict[str, Tensor]:
        """See ``Encoder``."""
        if absent := [name for name in self.features if name not in rows]:
            raise KeyError(f"the rows lack the features {', '.join(absent)}")
        shapes = {name: c.shape for name, c in self.features.items() if c.shape}
        found = {name: torch.from_numpy(stack(rows[name], shape)) for name, shape in shapes.items()}
        if words := self.vocabularies:
            indices = [_indices(rows[name], known) for name, known in words.items()]
            found["categories"] = torch.from_numpy(np.stack(indices, axis=1))
        if names := numbers(self.features):
            values = rows[names].to_numpy(dtype=np.float32, na_value=np.nan)
            found["numbers"] = torch.from_numpy(values)
        return found

    def front(self, ir_version: int) -> ModelProto | None:
        """See ``Encoder``: a label encoder a string, a cast a number, each kind stacked."""
        texts, values = list(self.vocabularies), numbers(self.features)
        if not texts and not values:
            return None
        stacked = {name: of for name, of in (("categories", texts), ("numbers", values)) if of}
        kinds = {"categories": TensorProto.INT64, "numbers": TensorProto.FLOAT}
        graph = helper.make_graph(
            [
                *(_label_encoder(name, words) for name, words in self.vocabularies.items()),
                *(_cast(name) for name in values),
                *(node for name, of in stacked.items() for node in _stack(name, of)),
            ],
            "relay",
            inputs=[
                helper.make_tensor_value_info(name, ELEMENT[column.type], ["batch"])
                for name, column in self.features.items()
                if not column.shape
            ],
            outputs=[
                helper.make_tensor_value_info(name, kinds[name], ["batch", len(of)])
                for name, of in stacked.items()
            ],
            initializer=[
                helper.make_tensor(f"{name}/shape", TensorProto.INT64, [2], [len(of), -1])
                for name, of in stacked.items()
            ],
        )
        opsets = [helper.make_opsetid("", OPSET), helper.make_opsetid("ai.onnx.ml", ML_OPSET)]
        return helper.make_model(graph, opset_imports=opsets, ir_version=ir_version)


def strings(features: Mapping[str, Column]) -> list[str]:
    """Name the string features, in order."""
    return [name for name, column in features.items() if column.type == "string"]


def numbers(features: Mapping[str, Column]) -> list[str]:
    """Name the features that are one number, in order."""
    return [n for n, column in features.items() if column.type != "string" and not column.shape]


def stack(column: "pd.Series[Any]", shape: Sequence[int]) -> np.ndarray:
    """Give a column of tensors, a flat array a row, as float32 (B, *shape)."""
    flat = np.stack([np.asarray(value, dtype=np.float32) for value in column])
    return flat.reshape(len(flat), *shape)


def _indices(column: "pd.Series[str]", words: Sequence[str]) -> np.ndarray:
    return (
        pd.Index(words).get_indexer(pd.Index(column)).astype(np.int64) + 1
    )  # -1, not found -> UNKNOWN


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


def _cast(name: str) -> NodeProto:
    return helper.make_node("Cast", [name], [f"{name}/code"], to=TensorProto.FLOAT)


def _stack(output: str, names: list[str]) -> list[NodeProto]:
    """Make (B, F) of F codes (B,): three nodes for all, since each one costs at every request."""
    codes = [f"{name}/code" for name in names]
    return [
        helper.make_node("Concat", codes, [f"{output}/flat"], axis=0),  # (F * B,)
        helper.make_node("Reshape", [f"{output}/flat", f"{output}/shape"], [f"{output}/rows"]),
        helper.make_node("Transpose", [f"{output}/rows"], [output], perm=[1, 0]),
    ]
