"""The network of the model "flights": category indices and numbers in, one logit a row out.

Numbers enter raw, NaN where missing: standardising, filling and flagging them is part of the
network, with a mean and a deviation fit from its training rows, so that training and serving
cannot disagree about it.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from pipelines.features import Inputs, TableEncoder

Encoder = TableEncoder


@dataclass(frozen=True)
class Hyperparameters:
    """What may be tuned about the network: ``train.network`` in params.yaml."""

    embedding: int = 8  # width of a category's vector
    hidden: int = 64  # width of a dense layer
    layers: int = 2
    dropout: float = 0.5  # rows of one hour share their weather: it is easily learnt by heart
    clamp: float = 3.0  # deviations from the mean beyond which a number is taken for that far


class Network(nn.Module):
    """C categories and N numbers: embed, standardise, concatenate, dense layers, one logit.

    ``sizes`` holds the number of indices of each category, the unknown 0 included; ``numbers``
    (rows, N) float32 are the training rows, from which mean and deviation are fit.
    """

    mean: Tensor
    deviation: Tensor

    def __init__(self, hyper: Hyperparameters, sizes: Sequence[int], numbers: Tensor) -> None:
        super().__init__()
        mean = numbers.nanmean(dim=0).nan_to_num(0.0)  # a column missing everywhere: 0
        deviation = (numbers - mean).square().nanmean(dim=0).sqrt()
        self.register_buffer("mean", mean)  # (N,)
        self.register_buffer("deviation", deviation.where(deviation > 0, 1.0))  # (N,)
        self.clamp = hyper.clamp
        # padding_idx: the unknown category is the zero vector, and stays it
        self.embeddings = nn.ModuleList(
            nn.Embedding(size, hyper.embedding, padding_idx=0) for size in sizes
        )
        width = len(sizes) * hyper.embedding + 2 * numbers.shape[1]
        layers: list[nn.Module] = []
        for _ in range(hyper.layers):
            layers += [nn.Linear(width, hyper.hidden), nn.ReLU(), nn.Dropout(hyper.dropout)]
            width = hyper.hidden
        self.dense = nn.Sequential(*layers, nn.Linear(width, 1))

    def forward(self, categories: Tensor, numbers: Tensor) -> Tensor:
        """Give logits (B,) of indices (B, C) int64 and numbers (B, N) float32, NaN = missing."""
        embedded = [e(categories[:, i]) for i, e in enumerate(self.embeddings)]  # C times (B, E)
        missing = numbers.isnan()  # (B, N)
        scaled = ((numbers - self.mean) / self.deviation).clamp(-self.clamp, self.clamp)  # (B, N)
        filled = scaled.masked_fill(missing, 0.0)  # a missing number is the mean, and flagged
        x = torch.cat([*embedded, filled, missing.float()], dim=1)  # (B, C * E + 2 * N)
        logits: Tensor = self.dense(x)  # (B, 1)
        return logits.squeeze(1)  # (B,)

    def answer(self, categories: Tensor, numbers: Tensor) -> dict[str, Tensor]:
        """Give the graph's output: ``probability`` (B,) of being late."""
        return {"probability": torch.sigmoid(self(categories, numbers))}


def build(hyper: Hyperparameters, encoder: TableEncoder, inputs: Inputs) -> Network:
    """Make the network for the training rows' inputs."""
    return Network(hyper, encoder.sizes, inputs["numbers"])
