"""A training's state, epoch after epoch, in; one file out, from which another process goes on.

The file is the old one or the new one, never a torn one, and holds tensors and plain values only:
loading it runs no code (https://docs.pytorch.org/docs/stable/notes/serialization.html).
"""

import fcntl
import logging
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch

from pipelines.exits import Unavailable

log = logging.getLogger(__name__)

State = Mapping[str, Any]  # tensors, numbers, strings, and lists and mappings of them


class Checkpoint:
    """The newest state of one training; ``run_id`` is the tracker's run that it is told to."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.run_id = ""

    @contextmanager
    def held(self) -> Iterator[None]:
        """Keep every other process from the same training while the block runs.

        Raises Unavailable where one is at it: a task that Airflow gave up on may still run.
        """
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.path.with_suffix(".lock").open("w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise Unavailable(
                    f"another process is at the same training ({self.path}): wait for it or end it"
                ) from error
            yield

    def load(self) -> State | None:
        """Return the newest state, on the CPU; None where there is none, or none that is whole."""
        try:
            saved: dict[str, Any] = torch.load(self.path, "cpu", weights_only=True)
        except FileNotFoundError:
            return None
        except (RuntimeError, EOFError, UnpicklingError) as error:
            log.warning("%s cannot be read, so training begins again: %s", self.path, error)
            return None
        self.run_id = saved["run_id"]
        state: State = saved["state"]
        return state

    def save(self, state: State) -> None:
        """Put a newer state in the place of the one before."""
        new = self.path.with_suffix(".new")
        with new.open("wb") as file:
            torch.save({"run_id": self.run_id, "state": dict(state)}, file)
            file.flush()
            os.fsync(file.fileno())
        new.replace(self.path)

    def forget(self) -> None:
        """Remove the state: its training has ended, or begins again."""
        self.path.unlink(missing_ok=True)
