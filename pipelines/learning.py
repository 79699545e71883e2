"""What a training knows between two epochs: a schedule and a network in, the state to go on from.

Everything that the next epoch depends on is in ``Learning.state()``, the generators of random
numbers with it, so that a training that was killed goes on to the same bits.
"""

from collections.abc import Sequence
from copy import deepcopy
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from pipelines import torchrun
from pipelines.checkpoints import State


@dataclass(frozen=True)
class Schedule:
    """How long and how fast to learn, and by what means; fields of ``train`` in params.yaml."""

    epochs: int
    batch_size: int
    learning_rate: float
    weight_decay: float
    patience: int  # epochs without a better validation before stopping
    seed: int
    warmup_share: float = 0.0  # of the steps, in which the learning rate rises to its full
    accumulation: int = 1  # parts that a batch is computed in, one after the other
    precision: str = "float32"  # or bfloat16, where there is a GPU
    compile: bool = False  # where there is a GPU


class Learning:
    """A network's training after ``epoch`` epochs, on ``rows`` rows."""

    def __init__(self, network: nn.Module, schedule: Schedule, rows: int) -> None:
        self.network, self.schedule, self.rows = network, schedule, rows
        self.optimizer = torch.optim.AdamW(
            network.parameters(), lr=schedule.learning_rate, weight_decay=schedule.weight_decay
        )
        steps = schedule.epochs * -(-rows // schedule.batch_size)
        warmup = int(schedule.warmup_share * steps)
        self.decay = learning_rates(self.optimizer, steps, warmup)
        self.order = torch.Generator().manual_seed(schedule.seed)
        self.history: list[dict[str, float]] = []
        self.best, self.best_epoch = float("inf"), 0
        self.best_state = deepcopy(network.state_dict())

    @property
    def epoch(self) -> int:
        """Count the epochs that have ended."""
        return len(self.history)

    def ended(self) -> bool:
        """Tell whether there is no epoch left, or no patience."""
        tired = self.epoch - self.best_epoch >= self.schedule.patience
        return self.epoch >= self.schedule.epochs or tired

    def shuffled_batches(self, device: torch.device) -> Sequence[Tensor]:
        """Draw the next epoch's order: indices of rows, a batch each; the same in all processes."""
        if torchrun.size() > 1:  # each drops other units, and those of an epoch anew after a kill
            place = (self.epoch + 1) * torchrun.size() + torchrun.rank()
            torch.manual_seed(self.schedule.seed + place)
        shuffled = torch.randperm(self.rows, generator=self.order).to(device)
        return torch.split(shuffled, self.schedule.batch_size)

    def end_epoch(self, metrics: dict[str, float], score: float) -> None:
        """Note an epoch's metrics, and its weights if its score is the lowest yet."""
        self.history.append(metrics)
        if score < self.best:
            self.best, self.best_epoch = score, self.epoch
            self.best_state = deepcopy(self.network.state_dict())

    def state(self) -> State:
        """Return all that the next epoch depends on."""
        return {
            "network": self.network.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "decay": self.decay.state_dict(),
            "order": self.order.get_state(),
            "random": torch.get_rng_state(),
            "random_gpu": torch.cuda.get_rng_state() if torch.cuda.is_available() else None,
            "history": self.history,
            "best": self.best,
            "best_epoch": self.best_epoch,
            "best_state": self.best_state,
        }

    def restore(self, state: State) -> None:
        """Become what ``state()`` was taken of."""
        self.network.load_state_dict(state["network"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.decay.load_state_dict(state["decay"])
        self.order.set_state(state["order"])
        torch.set_rng_state(state["random"])
        if torch.cuda.is_available() and state["random_gpu"] is not None:
            torch.cuda.set_rng_state(state["random_gpu"])
        self.history = state["history"]
        self.best, self.best_epoch = state["best"], state["best_epoch"]
        self.best_state = state["best_state"]


def learning_rates(
    optimizer: torch.optim.Optimizer, steps: int, warmup: int
) -> torch.optim.lr_scheduler.LRScheduler:
    """Let the step size fall along a cosine to zero: late epochs settle rather than wander.

    First it rises evenly for ``warmup`` steps, while the optimizer's averages are of few gradients
    (Vaswani et al. 2017, section 5.3).
    """
    falls = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps - warmup)
    if not warmup:
        return falls
    rises = torch.optim.lr_scheduler.LinearLR(optimizer, 1 / (warmup + 1), total_iters=warmup)
    return torch.optim.lr_scheduler.SequentialLR(optimizer, [rises, falls], [warmup])
