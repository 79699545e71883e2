"""A network and encoded rows in, the trained network and its history out.

The same seed and rows give the same bits on a CPU: one thread, seeded, deterministic kernels
(https://docs.pytorch.org/docs/stable/notes/randomness.html).
"""

import os
import random
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from pipelines.features import Inputs
from pipelines.losses import Loss

OnEpoch = Callable[[int, dict[str, float]], None]
OnStep = Callable[[], None]


@dataclass(frozen=True)
class Schedule:
    """How long and how fast to learn; fields of ``train`` in params.yaml."""

    epochs: int
    batch_size: int
    learning_rate: float
    weight_decay: float
    patience: int  # epochs without a better validation before stopping
    seed: int


@dataclass(frozen=True)
class Examples:
    """Inputs of B rows by name, each (B, ...), and their labels (B,) float32."""

    inputs: Inputs
    labels: Tensor

    def at(self, rows: Tensor) -> "Examples":
        """Select rows by index."""
        inputs = {name: tensor[rows] for name, tensor in self.inputs.items()}
        return Examples(inputs, self.labels[rows])

    def to(self, device: torch.device) -> "Examples":
        """Copy to a device."""
        inputs = {name: tensor.to(device) for name, tensor in self.inputs.items()}
        return Examples(inputs, self.labels.to(device))


@dataclass(frozen=True)
class Fit:
    """The best epoch's network, on the CPU, in evaluation mode; metrics of every epoch run."""

    network: nn.Module
    best_epoch: int
    history: list[dict[str, float]]


def fit(
    build: Callable[[], nn.Module],
    train: Examples,
    validation: Examples,
    schedule: Schedule,
    loss: Loss,
    on_epoch: OnEpoch | None = None,
    on_step: OnStep = lambda: None,
) -> Fit:
    """Train what ``build`` makes until the validation log loss stops falling.

    ``build`` is called after seeding, so initial weights follow the seed as well; ``loss`` is that
    of the kind of problem (``pipelines.losses``). ``on_epoch`` gets
    the epoch, from 1, and its metrics while training runs: ``train_log_loss``,
    ``validation_log_loss``, ``learning_rate`` at its first step and ``gradient_norm`` at its last;
    ``on_step`` is called after each step of the optimizer.
    Raises FloatingPointError where the loss stops being a number.
    """
    device = pick_device()
    with deterministic(schedule.seed):
        network = build().to(device)
        train, validation = train.to(device), validation.to(device)
        steps = schedule.epochs * -(-len(train.labels) // schedule.batch_size)
        optimizer = torch.optim.AdamW(
            network.parameters(), lr=schedule.learning_rate, weight_decay=schedule.weight_decay
        )
        # the step size falls along a cosine to zero: late epochs settle rather than wander
        decay = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
        order = torch.Generator().manual_seed(schedule.seed)
        history: list[dict[str, float]] = []
        best, best_epoch, best_state = float("inf"), 0, deepcopy(network.state_dict())

        for epoch in range(1, schedule.epochs + 1):
            shuffled = torch.randperm(len(train.labels), generator=order).to(device)
            batches = torch.split(shuffled, schedule.batch_size)
            metrics = _learn(network, train, batches, loss, optimizer, decay, on_step)
            network.eval()
            with torch.no_grad():
                score = log_loss(network, validation, loss).item()
            if not np.isfinite(metrics["train_log_loss"] + score):
                raise FloatingPointError(
                    f"the loss is not a number in epoch {epoch}: lower train.learning_rate"
                )
            metrics["validation_log_loss"] = score
            history.append(metrics)
            if on_epoch:
                on_epoch(epoch, metrics)
            if score < best:
                best, best_epoch, best_state = score, epoch, deepcopy(network.state_dict())
            elif epoch - best_epoch >= schedule.patience:
                break

        network.load_state_dict(best_state)
    return Fit(network.cpu().eval(), best_epoch, history)


def _learn(
    network: nn.Module,
    train: Examples,
    batches: Sequence[Tensor],
    loss: Loss,
    optimizer: torch.optim.Optimizer,
    decay: torch.optim.lr_scheduler.LRScheduler,
    on_step: OnStep,
) -> dict[str, float]:
    """Take one step a batch of row indices; give the epoch's metrics, dropout on."""
    network.train()
    learning_rate = float(optimizer.param_groups[0]["lr"])
    total = 0.0
    for rows in batches:
        mean = log_loss(network, train.at(rows), loss)
        optimizer.zero_grad()
        torch.autograd.backward(mean)
        optimizer.step()
        decay.step()
        total += mean.item() * len(rows)
        on_step()
    gradients = [each.grad for each in network.parameters() if each.grad is not None]
    return {
        "train_log_loss": total / len(train.labels),
        "learning_rate": learning_rate,
        "gradient_norm": nn.utils.get_total_norm(gradients).item(),
    }


def log_loss(network: nn.Module, examples: Examples, loss: Loss) -> Tensor:
    """Mean log loss of what a network makes of its inputs, in nats, a scalar tensor."""
    return loss(network(**examples.inputs), examples.labels)


def pick_device() -> torch.device:
    """Choose the GPU when there is one."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


@contextmanager
def deterministic(seed: int) -> Iterator[None]:
    """Seed everything, use one thread and deterministic kernels; put the settings back after.

    One thread, because the order in which threads add their sums changes the last bits, and
    because a network this small is not faster with more.
    """
    threads, strict = torch.get_num_threads(), torch.are_deterministic_algorithms_enabled()
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # else cuBLAS refuses on a GPU
    random.seed(seed)
    np.random.seed(seed)  # the global generator, for code that we do not own
    torch.manual_seed(seed)
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    try:
        yield
    finally:
        torch.set_num_threads(threads)
        torch.use_deterministic_algorithms(strict)
