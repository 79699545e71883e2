"""The network of the model "names": a small GPT over letters; a name's tokens in, its loss out.

A decoder-only transformer (Vaswani et al. 2017, arXiv:1706.03762: the masked attention of its
decoder) in the form of GPT-2 (Radford et al. 2019): a norm before each layer and one before the
head, whose weights are those of the embedding (Press and Wolf 2017, arXiv:1608.05859).

Shapes: B names, T positions (the context), V tokens, C channels, H heads of D = C / H channels.
"""

from dataclasses import dataclass
from math import log, sqrt

import torch
from torch import Tensor, nn
from torch.nn import functional

from pipelines.features import Inputs
from pipelines.names.letters import BOUNDARY, CONTEXT, UNKNOWN, Encoder
from pipelines.names.sampler import companions

__all__ = ["Encoder", "Hyperparameters", "Network", "build", "companions"]

NAMES = 0.99


@dataclass(frozen=True)
class Hyperparameters:
    """What may be tuned about the network: ``train.network`` in params.yaml."""

    channels: int = 64
    heads: int = 4
    layers: int = 2
    dropout: float = 0.0


class Attention(nn.Module):
    """Causal self-attention: each position looks at itself and at those before it."""

    later: Tensor

    def __init__(self, hyper: Hyperparameters) -> None:
        super().__init__()
        self.heads = hyper.heads
        self.query_key_value = nn.Linear(hyper.channels, 3 * hyper.channels)
        self.project = nn.Linear(hyper.channels, hyper.channels)
        self.dropout = nn.Dropout(hyper.dropout)
        later = torch.ones(CONTEXT, CONTEXT, dtype=torch.bool).triu(1)
        self.register_buffer("later", later)  # (T, T): the column's position is after the row's

    def forward(self, x: Tensor) -> Tensor:
        """Mix into each position of x (B, T, C) the values of those whose keys fit its query."""
        B, T, C = x.shape
        heads = self.query_key_value(x).view(B, T, 3 * self.heads, C // self.heads)
        query, key, value = heads.transpose(1, 2).chunk(3, dim=1)  # each (B, H, T, D)
        fit = query @ key.transpose(2, 3) / sqrt(C // self.heads)  # (B, H, T, T)
        fit = fit.masked_fill(self.later[:T, :T], float("-inf"))  # nothing comes from later on
        weights = self.dropout(fit.softmax(dim=3))  # (B, H, T, T), a row sums to 1
        mixed = (weights @ value).transpose(1, 2).reshape(B, T, C)  # the heads side by side
        projected: Tensor = self.project(mixed)  # (B, T, C)
        return projected


class Block(nn.Module):
    """Attention over the positions, then dense layers at each, both added to what came in."""

    def __init__(self, hyper: Hyperparameters) -> None:
        super().__init__()
        self.norm_attention = nn.LayerNorm(hyper.channels)
        self.attention = Attention(hyper)
        self.norm_dense = nn.LayerNorm(hyper.channels)
        self.dense = nn.Sequential(
            nn.Linear(hyper.channels, 4 * hyper.channels),
            nn.GELU(),
            nn.Linear(4 * hyper.channels, hyper.channels),
        )
        self.dropout = nn.Dropout(hyper.dropout)

    def forward(self, x: Tensor) -> Tensor:
        """Give (B, T, C) of x (B, T, C)."""
        x = x + self.dropout(self.attention(self.norm_attention(x)))
        added: Tensor = x + self.dropout(self.dense(self.norm_dense(x)))
        return added


class Network(nn.Module):
    """Embed letters and positions, ``layers`` blocks, and how likely each token is the next.

    ``size`` is V; ``tokens`` (rows, T) are of the training rows, whose share of each token is the
    yardstick (``letter_shares``).
    """

    shares: Tensor

    def __init__(self, hyper: Hyperparameters, size: int, tokens: Tensor) -> None:
        super().__init__()
        self.register_buffer("shares", letter_shares(tokens, size))  # (V,)
        self.letters = nn.Embedding(size, hyper.channels)  # (V, C), and the head
        self.positions = nn.Embedding(CONTEXT, hyper.channels)  # (T, C)
        self.dropout = nn.Dropout(hyper.dropout)
        self.blocks = nn.Sequential(*(Block(hyper) for _ in range(hyper.layers)))
        self.norm = nn.LayerNorm(hyper.channels)
        for name, parameter in self.named_parameters():
            if name.endswith(("project.weight", "dense.2.weight")):  # 2 x layers are added up
                nn.init.normal_(parameter, std=0.02 / sqrt(2 * hyper.layers))
            elif parameter.dim() == 2:
                nn.init.normal_(parameter, std=0.02)

    def logits(self, tokens: Tensor) -> Tensor:
        """Give logits (B, T, V) of the token at each position of tokens (B, T), T or fewer.

        Each is told from those before it: what is embedded are the tokens moved on by one, and a
        boundary in front.
        """
        before = functional.pad(tokens[:, :-1], (1, 0), value=BOUNDARY)  # (B, T)
        x = self.letters(before) + self.positions.weight[: tokens.shape[1]]  # (B, T, C)
        x = self.norm(self.blocks(self.dropout(x)))  # (B, T, C)
        logits: Tensor = x @ self.letters.weight.T  # (B, T, V)
        return logits

    def forward(self, tokens: Tensor, letters: Tensor) -> Tensor:
        """Give each name's log loss in nats (B,), of tokens (B, T): of its letters and its end."""
        tokens = tokens[:, : int(counted(tokens).any(dim=0).sum())]  # what is empty in all is cut
        return self._log_loss(tokens)

    def answer(self, tokens: Tensor, letters: Tensor) -> dict[str, Tensor]:
        """Give the graph's outputs, each (B,).

        ``log_loss`` is the negative log-likelihood of the name in nats, ``baseline_log_loss`` that
        of its letters drawn from a bag, and ``plausible`` how probable it is, by Bayes' rule, that
        it is a name and no such letters, where ``NAMES`` of what is asked are names. ``perplexity``
        is that of a letter, as if so many were equally likely to come next.
        """
        counts = counted(tokens)  # (B, T)
        loss = self._log_loss(tokens)
        baseline = -(self.shares.log()[tokens] * counts).sum(dim=1)
        unknown = (tokens == UNKNOWN).sum(dim=1) / letters.clamp(1, CONTEXT)
        return {
            "log_loss": loss,
            "baseline_log_loss": baseline,
            "perplexity": (loss / counts.sum(dim=1)).exp(),
            "plausible": (baseline - loss + log(NAMES / (1 - NAMES))).sigmoid(),
            "length": letters,
            "unknown_share": unknown,
        }

    def _log_loss(self, tokens: Tensor) -> Tensor:
        likely = self.logits(tokens).log_softmax(dim=2)  # (B, T, V)
        true = likely.gather(2, tokens[:, :, None]).squeeze(2)  # (B, T)
        return -(true * counted(tokens)).sum(dim=1)  # (B,)


def counted(tokens: Tensor) -> Tensor:
    """Say which of tokens (B, T) are a name's: its letters, and the boundary at its end."""
    before = functional.pad(tokens[:, :-1], (1, 0), value=UNKNOWN)  # the first one always is
    return before != BOUNDARY


def letter_shares(tokens: Tensor, size: int) -> Tensor:
    """Give each token's share (V,) of tokens (B, T), as of letters in a bag; none is impossible.

    An unknown letter, which training has not seen, counts as the average one: in what is no name
    it is nothing special.
    """
    counts = tokens[counted(tokens)].bincount(minlength=size) + 1.0
    counts[UNKNOWN] = counts[torch.arange(size) != UNKNOWN].mean()
    return counts / counts.sum()


def build(hyper: Hyperparameters, encoder: Encoder, inputs: Inputs) -> Network:
    """Make the network for the training rows' inputs."""
    return Network(hyper, encoder.size, inputs["tokens"])
