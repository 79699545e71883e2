"""A network in, what is called in its place while it learns out: compiled, shared, less precise.

The network itself keeps the weights, in float32; what is called updates them.
"""

import logging
import os
import shutil
from contextlib import AbstractContextManager, nullcontext
from typing import cast

import torch
from torch import nn
from torch.nn.parallel import DistributedDataParallel

from pipelines import torchrun
from pipelines.exits import Refused
from pipelines.learning import Schedule

log = logging.getLogger(__name__)


def prepare(network: nn.Module, schedule: Schedule, device: torch.device) -> nn.Module:
    """Wrap a network as the schedule asks; on a CPU it is neither compiled nor less precise.

    Sources: https://docs.pytorch.org/docs/stable/generated/torch.compile.html,
    https://docs.pytorch.org/docs/stable/notes/ddp.html

    Raises:
        Refused: it shall be compiled, and there is no C compiler, which torch calls for it.

    """
    if device.type == "cpu" and (schedule.compile or schedule.precision != "float32"):
        log.warning("there is no GPU: train.scale.compile and precision are left out")
    asked: nn.Module = network
    if schedule.compile and device.type == "cuda":
        if not ("CC" in os.environ or any(map(shutil.which, ("cc", "gcc", "clang")))):
            raise Refused(
                "train.scale.compile calls a C compiler, and there is none here (cc, gcc, clang, "
                "or the one that CC names): install one, or set it to false"
            )
        asked = cast(nn.Module, torch.compile(network))
    return DistributedDataParallel(asked) if torchrun.size() > 1 else asked


def precision(schedule: Schedule, device: torch.device) -> AbstractContextManager[object]:
    """Compute what the block computes in the schedule's precision, where there is a GPU.

    bfloat16 has float32's range, so gradients need no scaling
    (https://docs.pytorch.org/docs/stable/notes/amp_examples.html).
    """
    lower = schedule.precision == "bfloat16" and device.type == "cuda"
    return torch.autocast(device.type, torch.bfloat16, enabled=lower)


def unshared(asked: nn.Module) -> AbstractContextManager[object]:
    """While the block runs, gradients add up in this process only: another part follows."""
    if isinstance(asked, DistributedDataParallel):
        return asked.no_sync()
    return nullcontext()
