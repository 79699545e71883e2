"""Which of a training's processes this one is, and how several are started.

``torchrun`` starts them (https://docs.pytorch.org/docs/stable/elastic/run.html), by hand or by
``launch``, and tells each its place in its environment.
"""

import logging
import os
import uuid
from collections.abc import Sequence


def rank() -> int:
    """Number this process, from 0; only the first one tracks and writes."""
    return int(os.environ.get("RANK", "0"))


def size() -> int:
    """Count the processes of this training."""
    return int(os.environ.get("WORLD_SIZE", "1"))


def local_rank() -> int:
    """Number this process on its machine, from 0: each has a GPU of its own."""
    return int(os.environ.get("LOCAL_RANK", "0"))


def launched() -> bool:
    """Tell whether torchrun has started this process."""
    return "TORCHELASTIC_RUN_ID" in os.environ


def launch(processes: int, command: Sequence[str]) -> int:
    """Run a command as so many processes on this machine; give the exit code to pass on."""
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
    from torch.distributed.launcher.api import LaunchConfig, elastic_launch

    logging.getLogger("torch.distributed.elastic").setLevel(logging.CRITICAL)  # we say it ourselves
    config = LaunchConfig(
        min_nodes=1,
        max_nodes=1,
        nproc_per_node=processes,
        rdzv_backend="c10d",
        rdzv_endpoint="127.0.0.1:0",  # any free port, and only from this machine
        run_id=uuid.uuid4().hex,
        max_restarts=0,  # who started us tries again, and the checkpoint is there
    )
    try:
        elastic_launch(config, command[0])(*command[1:])
    except ChildFailedError as error:
        _, first = error.get_first_failure()
        return first.exitcode if first.exitcode > 0 else 1
    return 0
