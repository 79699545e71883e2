"""The network of the model "digits": a Vision Transformer, images in, ten logits a row out.

After Dosovitskiy et al. 2020, "An Image is Worth 16x16 Words", arXiv:2010.11929, equations 1 to 4,
with everything small: an image of 8x8 pixels is worth 16 words of 2x2.
"""

from dataclasses import dataclass
from math import sqrt

import torch
from torch import Tensor, nn

from pipelines.features import Inputs, TableEncoder

Encoder = TableEncoder
SIDE, INK, CLASSES = 8, 16.0, 10


@dataclass(frozen=True)
class Hyperparameters:
    """What may be tuned about the network: ``train.network`` in params.yaml."""

    patch: int = 2  # pixels of a patch's side; must divide 8
    width: int = 48  # of a token's vector, D
    heads: int = 4  # must divide the width
    layers: int = 2
    dropout: float = 0.1


class Attention(nn.Module):
    """Every token asks every token, in each head apart: (B, T, D) -> (B, T, D).

    Vaswani et al. 2017, "Attention Is All You Need", arXiv:1706.03762, equation 1.
    """

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.query_key_value = nn.Linear(width, 3 * width)
        self.out = nn.Linear(width, width)

    def forward(self, x: Tensor) -> Tensor:
        """Mix what the tokens hold by how well their queries and keys agree."""
        batch, tokens, width = x.shape
        parts = self.query_key_value(x)  # (B, T, 3 D)
        parts = parts.reshape(batch, tokens, 3, self.heads, width // self.heads)
        q, k, v = parts.permute(2, 0, 3, 1, 4)  # each (B, H, T, D / H)
        agree = q @ k.transpose(-2, -1) / sqrt(width // self.heads)  # (B, H, T, T)
        mixed = agree.softmax(dim=-1) @ v  # (B, H, T, D / H)
        joined = mixed.transpose(1, 2).reshape(batch, tokens, width)  # (B, T, D)
        out: Tensor = self.out(joined)
        return out


class Block(nn.Module):
    """One layer: the tokens look at each other, then each thinks for itself: (B, T, D)."""

    def __init__(self, hyper: Hyperparameters) -> None:
        super().__init__()
        width = hyper.width
        self.before_attention, self.before_mlp = nn.LayerNorm(width), nn.LayerNorm(width)
        self.attention = Attention(width, hyper.heads)
        self.mlp = nn.Sequential(
            nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width)
        )
        self.dropout = nn.Dropout(hyper.dropout)

    def forward(self, x: Tensor) -> Tensor:
        """Add to the tokens what attention and MLP make of them."""
        x = x + self.dropout(self.attention(self.before_attention(x)))
        out: Tensor = x + self.dropout(self.mlp(self.before_mlp(x)))
        return out


class Network(nn.Module):
    """Patches as words, a class token in front that gathers what the image is, a linear head."""

    def __init__(self, hyper: Hyperparameters) -> None:
        super().__init__()
        self.patch, self.grid = hyper.patch, SIDE // hyper.patch
        self.embed = nn.Linear(hyper.patch**2, hyper.width)
        self.class_token = nn.Parameter(torch.zeros(1, 1, hyper.width))
        self.positions = nn.Parameter(torch.randn(1, self.grid**2 + 1, hyper.width) * 0.02)
        self.blocks = nn.Sequential(*(Block(hyper) for _ in range(hyper.layers)))
        self.norm = nn.LayerNorm(hyper.width)
        self.head = nn.Linear(hyper.width, CLASSES)
        # only watches: while training it keeps the running mean and variance of the class token
        self.usual = nn.BatchNorm1d(hyper.width, affine=False, momentum=0.01)

    def forward(self, pixels: Tensor) -> Tensor:
        """Give logits (B, 10) of images (B, 8, 8), 0 to 16."""
        token = self.encode(_moved(pixels) if self.training else pixels)
        if self.training:
            self.usual(token.detach())
        logits: Tensor = self.head(token)
        return logits

    def answer(self, pixels: Tensor) -> dict[str, Tensor]:
        """Give the graph's outputs: the probabilities (B, 10), and what is watched, each (B,).

        ``distance`` is that of the class token from the training's, root mean square over its
        values, in their deviations: about 1 for images like those of the training.
        """
        token = self.encode(pixels)
        probabilities = self.head(token).softmax(dim=1)
        ink = pixels.flatten(1) / INK  # (B, 64), 0 to 1
        return {
            "probabilities": probabilities,
            "digit": probabilities.argmax(dim=1),
            "confidence": probabilities.amax(dim=1),
            "distance": self.usual(token).square().mean(dim=1).sqrt(),
            "intensity": ink.mean(dim=1),
            "contrast": (ink - ink.mean(dim=1, keepdim=True)).square().mean(dim=1).sqrt(),
            "ink_share": (ink > 0.25).float().mean(dim=1),
        }

    def encode(self, pixels: Tensor) -> Tensor:
        """Give the class token (B, D) of images (B, 8, 8)."""
        batch, grid, patch = pixels.shape[0], self.grid, self.patch
        cut = (pixels / INK).reshape(batch, grid, patch, grid, patch).transpose(2, 3)
        words = self.embed(cut.reshape(batch, grid**2, patch**2))  # (B, 16, D)
        tokens = torch.cat([self.class_token.expand(batch, -1, -1), words], dim=1)  # (B, 17, D)
        seen = self.blocks(tokens + self.positions)  # (B, 17, D)
        token: Tensor = self.norm(seen[:, 0])
        return token


def _moved(pixels: Tensor) -> Tensor:
    """Move each image (B, 8, 8) by up to one pixel each way: a transformer has to be told.

    Nothing in it knows that what moves is the same, as convolutions do, so it needs more examples.
    """
    batch = pixels.shape[0]
    windows = nn.functional.pad(pixels, (1, 1, 1, 1)).unfold(1, SIDE, 1).unfold(2, SIDE, 1)
    down, right = torch.randint(0, 3, (2, batch), device=pixels.device)
    return windows[torch.arange(batch, device=pixels.device), down, right]  # of (B, 3, 3, 8, 8)


def build(hyper: Hyperparameters, encoder: TableEncoder, inputs: Inputs) -> Network:
    """Make the network; nothing of it is fit from the training rows beforehand."""
    return Network(hyper)
