"""One training by several processes: each takes its share of every batch, and all step alike.

On CPUs they speak gloo, on GPUs NCCL. Alone (see ``torchrun``), every function here does nothing.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
import torch.distributed as dist
from torch import Tensor

from pipelines.torchrun import local_rank, rank, size


def device() -> torch.device:
    """Choose this process's own GPU where there are GPUs."""
    if not torch.cuda.is_available():
        return torch.device("cpu")
    return torch.device("cuda", local_rank())


@contextmanager
def group() -> Iterator[None]:
    """Wait until all processes are here; while the block runs, they can ask each other."""
    if size() == 1:
        yield
        return
    dist.init_process_group("nccl" if torch.cuda.is_available() else "gloo")
    try:
        yield
    finally:
        dist.destroy_process_group()


def share(rows: Tensor) -> tuple[Tensor, float]:
    """Pick this process's rows of a batch, and how much the mean of their losses weighs.

    The mean over all processes of these weighed means is the batch's mean. Where there are fewer
    rows than processes, the rest are given the first row, at no weight: all must take the step.
    """
    mine = rows[rank() :: size()]
    return (mine, len(mine) * size() / len(rows)) if len(mine) else (rows[:1], 0.0)


def mean(value: float) -> float:
    """Average a number over the processes; each gets the same bits."""
    if size() == 1:
        return value
    held = torch.tensor(value, dtype=torch.float64, device=device())
    dist.all_reduce(held)
    return held.item() / size()


def agree(number: int, what: str) -> None:
    """Raise RuntimeError in every process if not all of them have the same number."""
    if size() == 1:
        return
    lowest = torch.tensor([number, -number], device=device())
    dist.all_reduce(lowest, dist.ReduceOp.MIN)
    low, high = lowest[0].item(), -lowest[1].item()
    if low != high:
        raise RuntimeError(f"the processes do not agree about {what}: {low} and {high}")
