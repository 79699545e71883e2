"""A training's numbers, as they come, in; event files that TensorBoard reads out.

https://docs.pytorch.org/docs/stable/tensorboard.html
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from torch.utils.tensorboard import SummaryWriter

OF_HPARAMS = (bool, int, float, str)  # types that TensorBoard's table of runs takes


class EventFiles:
    """One run's event files, in a folder of their own; OSError where that cannot be written.

    Points that a killed process has written there are shown no more: all are written once again.
    """

    def __init__(self, folder: Path) -> None:
        self._writer = SummaryWriter(str(folder), purge_step=0)

    def add(self, metrics: Mapping[str, float], step: int) -> None:
        """Write one point of each curve, to be seen at once."""
        for name, value in metrics.items():
            self._writer.add_scalar(name, value, step)
        self._writer.flush()

    def end(self, params: Mapping[str, Any], scores: Mapping[str, float]) -> None:
        """Write the run's line in the table of runs: what was chosen, what came of it."""
        chosen = {
            name: value if isinstance(value, OF_HPARAMS) else str(value)
            for name, value in params.items()
        }
        # beside the curves, not in a folder below: else TensorBoard lists the run twice
        self._writer.add_hparams(chosen, dict(scores), run_name=".")

    def close(self) -> None:
        """Write what is left."""
        self._writer.close()


@contextmanager
def event_files(folder: Path) -> Iterator[EventFiles]:
    """Write a run's event files while the block runs; whole however it ends."""
    written = EventFiles(folder)
    try:
        yield written
    finally:
        written.close()
