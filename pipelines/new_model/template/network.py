"""The network of the model "$name": category indices and numbers in, one logit a row out.

Fill in: your own layers. Scaling and filling of gaps are part of the network, fit from its training
rows, so that training and serving cannot disagree about them.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from pipelines.features import Inputs, TableEncoder

Encoder = TableEncoder  # how raw rows become the network's inputs; yours may be another


@dataclass(frozen=True)
class Hyperparameters:
    """What may be tuned about the network: ``train.network`` in params.yaml."""

    embedding: int = 4  # width of a category's vector
    hidden: int = 16  # width of the dense layer


class Network(nn.Module):
    """C categories and N numbers: embed, standardise, concatenate, a dense layer, one logit.

    ``sizes`` holds the number of indices of each category, the unknown 0 included; ``numbers``
    (rows, N) float32 are the training rows, from which mean and deviation are fit.
    """

    mean: Tensor
    deviation: Tensor

    def __init__(self, hyper: Hyperparameters, sizes: Sequence[int], numbers: Tensor) -> None:
        super().__init__()
        mean = numbers.nanmean(dim=0)
        deviation = (numbers - mean).square().nanmean(dim=0).sqrt()
        self.register_buffer("mean", mean)  # (N,)
        self.register_buffer("deviation", deviation.where(deviation > 0, 1.0))  # (N,)
        self.embeddings = nn.ModuleList(nn.Embedding(size, hyper.embedding) for size in sizes)
        width = len(sizes) * hyper.embedding + numbers.shape[1]
        self.dense = nn.Sequential(
            nn.Linear(width, hyper.hidden), nn.ReLU(), nn.Linear(hyper.hidden, 1)
        )

    def forward(self, categories: Tensor, numbers: Tensor) -> Tensor:
        """Give logits (B,) of indices (B, C) int64 and numbers (B, N) float32, NaN = missing."""
        embedded = [e(categories[:, i]) for i, e in enumerate(self.embeddings)]  # C times (B, E)
        scaled = (numbers - self.mean) / self.deviation  # (B, N)
        filled = scaled.masked_fill(numbers.isnan(), 0.0)  # a missing number is the mean
        logits: Tensor = self.dense(torch.cat([*embedded, filled], dim=1))  # (B, 1)
        return logits.squeeze(1)  # (B,)

    def answer(self, categories: Tensor, numbers: Tensor) -> dict[str, Tensor]:
        """Give the graph's outputs by name: ``probability`` (B,) of the label 1."""
        return {"probability": torch.sigmoid(self(categories, numbers))}


def build(hyper: Hyperparameters, encoder: TableEncoder, inputs: Inputs) -> Network:
    """Make the network for the training rows' inputs."""
    return Network(hyper, encoder.sizes, inputs["numbers"])
