"""A network and encoded rows in, the trained network and its history out.

The same seed and rows give the same bits on a CPU: one thread, seeded, deterministic kernels
(https://docs.pytorch.org/docs/stable/notes/randomness.html).
"""

import os
import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from pipelines import processes, torchrun
from pipelines.acceleration import precision, prepare, unshared
from pipelines.checkpoints import Checkpoint
from pipelines.features import Inputs
from pipelines.learning import Learning, Schedule
from pipelines.losses import Loss

OnEpoch = Callable[[int, dict[str, float]], None]
OnStep = Callable[[], None]


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
    checkpoint: Checkpoint | None = None,
) -> Fit:
    """Train what ``build`` makes until the validation loss stops falling.

    ``build`` is called after seeding, so initial weights follow the seed as well; ``loss`` is that
    of the kind of problem (``pipelines.losses``). ``on_epoch`` gets the epoch, from 1, and its
    metrics while training runs: ``train_log_loss``, ``validation_log_loss``, ``learning_rate`` at
    its first step and ``gradient_norm`` at its last; ``on_step`` is called after each step of the
    optimizer.

    With a ``checkpoint`` the state of every epoch is kept. Where it holds one, training goes on
    from there to the same bits, and ``on_epoch`` is told of the epochs before once more.

    Raises FloatingPointError where the loss stops being a number.
    """
    device = processes.device()
    on_epoch = on_epoch or (lambda epoch, metrics: None)
    with deterministic(schedule.seed):
        network = build().to(device)
        train, validation = train.to(device), validation.to(device)
        learning = Learning(network, schedule, len(train.labels))
        if checkpoint and (saved := checkpoint.load()):
            learning.restore(saved)
        processes.agree(
            learning.epoch, "the epoch to go on from: is the checkpoint's folder shared"
        )
        for epoch, metrics in enumerate(learning.history, start=1):
            on_epoch(epoch, metrics)
        asked = prepare(network, schedule, device)

        while not learning.ended():
            metrics = _learn(asked, train, learning, loss, on_step)
            metrics["validation_log_loss"] = _validate(network, validation, loss)
            if not np.isfinite(metrics["train_log_loss"] + metrics["validation_log_loss"]):
                raise FloatingPointError(
                    f"the loss is not a number in epoch {learning.epoch + 1}: "
                    f"lower train.learning_rate"
                )
            learning.end_epoch(metrics, metrics["validation_log_loss"])
            if checkpoint and torchrun.rank() == 0:
                checkpoint.save(learning.state())
            on_epoch(learning.epoch, metrics)

        network.load_state_dict(learning.best_state)
    return Fit(network.cpu().eval(), learning.best_epoch, learning.history)


def _learn(
    asked: nn.Module, train: Examples, learning: Learning, loss: Loss, on_step: OnStep
) -> dict[str, float]:
    """Take one epoch's steps; give its metrics, dropout on."""
    asked.train()
    learning_rate = float(learning.optimizer.param_groups[0]["lr"])
    total = 0.0
    for rows in learning.shuffled_batches(train.labels.device):
        learning.optimizer.zero_grad()
        total += _add_gradients(asked, train, rows, learning.schedule, loss) * len(rows)
        learning.optimizer.step()
        learning.decay.step()
        on_step()
    gradients = [each.grad for each in asked.parameters() if each.grad is not None]
    return {
        "train_log_loss": processes.mean(total / len(train.labels)),
        "learning_rate": learning_rate,
        "gradient_norm": nn.utils.get_total_norm(gradients).item(),
    }


def _add_gradients(
    asked: nn.Module, train: Examples, rows: Tensor, schedule: Schedule, loss: Loss
) -> float:
    """Compute the gradients of a batch's mean loss, part by part; give this process's loss."""
    mine, weight = processes.share(rows)
    parts = mine.chunk(schedule.accumulation)
    total = 0.0
    for part in parts:
        last = part is parts[-1]  # whose gradients wait for the other processes'
        with nullcontext() if last else unshared(asked):
            with precision(schedule, part.device):
                mean = log_loss(asked, train.at(part), loss) * (weight * len(part) / len(mine))
            torch.autograd.backward(mean)
        total += mean.item()
    return total


def _validate(network: nn.Module, validation: Examples, loss: Loss) -> float:
    """Give the mean loss of all rows, dropout off."""
    network.eval()
    mine, weight = processes.share(torch.arange(len(validation.labels)))
    asked = validation if torchrun.size() == 1 else validation.at(mine.to(validation.labels.device))
    with torch.no_grad():
        return processes.mean(log_loss(network, asked, loss).item() * weight)


def log_loss(network: nn.Module, examples: Examples, loss: Loss) -> Tensor:
    """Mean log loss of what a network makes of its inputs, in nats, a scalar tensor."""
    return loss(network(**examples.inputs), examples.labels)


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
