"""What a network's ``forward`` gives and the labels in, the mean log loss in nats out, as a tensor.

One a kind of problem (``monitoring.problems`` says what each kind means):

- ``binary``: logits (B,) of the label 1;
- ``classes``: logits (B, m) of the labels 0 to m - 1;
- ``density``: the log loss of each row (B,), which the network computes itself; no labels.
"""

from collections.abc import Callable, Mapping

from torch import Tensor
from torch.nn import functional

from monitoring.problems import Kind

Loss = Callable[[Tensor, Tensor], Tensor]


def binary(logits: Tensor, labels: Tensor) -> Tensor:
    """Take logits (B,) and labels (B,) float32, 0 or 1."""
    return functional.binary_cross_entropy_with_logits(logits, labels)


def classes(logits: Tensor, labels: Tensor) -> Tensor:
    """Take logits (B, m) and labels (B,) float32, whole numbers from 0 to m - 1."""
    return functional.cross_entropy(logits, labels.long())


def density(losses: Tensor, labels: Tensor) -> Tensor:
    """Take the log loss of each row (B,); the labels say nothing."""
    return losses.mean()


LOSSES: Mapping[Kind, Loss] = {"binary": binary, "classes": classes, "density": density}
