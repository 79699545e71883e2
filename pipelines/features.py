"""Rows of a batch in, tensors for a network out: strings by vocabulary, numbers as they are.

``types`` names the features in the policy's order: ``{"carrier": "string", "hour": "long", ...}``.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch
from torch import Tensor

Vocabularies = dict[str, tuple[str, ...]]  # of each string feature; the i-th word has index i + 1
UNKNOWN = 0


@dataclass(frozen=True)
class Inputs:
    """What a network is asked with, B rows: indices (B, C) int64, numbers (B, N) float32."""

    categories: Tensor
    numbers: Tensor

    def __len__(self) -> int:
        return len(self.numbers)


def strings(types: Mapping[str, str]) -> list[str]:
    """Name the string features, in order: the columns of ``Inputs.categories``."""
    return [name for name, kind in types.items() if kind == "string"]


def numbers(types: Mapping[str, str]) -> list[str]:
    """Name the numeric features, in order: the columns of ``Inputs.numbers``."""
    return [name for name, kind in types.items() if kind != "string"]


def build_vocabularies(rows: pd.DataFrame, types: Mapping[str, str]) -> Vocabularies:
    """Collect each string feature's words, sorted. Give it training rows only."""
    return {name: tuple(sorted(rows[name].dropna().unique())) for name in strings(types)}


def encode(rows: pd.DataFrame, types: Mapping[str, str], vocabularies: Vocabularies) -> Inputs:
    """Turn rows into a network's inputs; a missing or unseen string becomes ``UNKNOWN``.

    Raises KeyError naming the features that the rows lack.
    """
    if absent := [name for name in types if name not in rows]:
        raise KeyError(f"the rows lack the features {', '.join(absent)}")
    indices = [_indices(rows[name], vocabularies[name]) for name in strings(types)]
    values = rows[numbers(types)].to_numpy(dtype=np.float32, na_value=np.nan)
    stacked = np.stack(indices, axis=1) if indices else np.empty((len(rows), 0), dtype=np.int64)
    return Inputs(torch.from_numpy(stacked), torch.from_numpy(values))


def _indices(column: "pd.Series[str]", words: Sequence[str]) -> np.ndarray:
    return (
        pd.Index(words).get_indexer(pd.Index(column)).astype(np.int64) + 1
    )  # -1, not found -> UNKNOWN
