"""A training of seconds in a process of its own: `python -m tests.small_training FOLDER`.

The first process writes the curve to FOLDER/history.json when it has ended, and a line to standard
error after each epoch. Its checkpoint is FOLDER/state.pt.
"""

import json
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from torch import nn

from pipelines import processes, torchrun, training
from pipelines.checkpoints import Checkpoint
from pipelines.flights.network import Hyperparameters, Network
from pipelines.learning import Schedule
from pipelines.losses import binary

SCHEDULE = Schedule(
    epochs=6, batch_size=64, learning_rate=0.01, weight_decay=0.01, patience=3, seed=0
)


def examples(rows: int, seed: int) -> training.Examples:
    """Draw rows whose label follows one category and one number, with gaps in the numbers."""
    generator = np.random.default_rng(seed)
    categories = generator.integers(1, 4, (rows, 2))
    numbers = generator.normal(size=(rows, 3)).astype(np.float32)
    logits = 1.5 * numbers[:, 0] + np.array([0, -1.0, 0.0, 1.0])[categories[:, 0]]
    labels = (generator.uniform(size=rows) < 1 / (1 + np.exp(-logits))).astype(np.float32)
    numbers[generator.uniform(size=numbers.shape) < 0.1] = np.nan
    inputs = {"categories": torch.from_numpy(categories), "numbers": torch.from_numpy(numbers)}
    return training.Examples(inputs, torch.from_numpy(labels))


TRAIN, VALIDATION = examples(1200, 1), examples(401, 2)


def fit(schedule: Schedule = SCHEDULE, dropout: float = 0.5, **kwargs: object) -> training.Fit:
    hyper = Hyperparameters(hidden=16, dropout=dropout)

    def build() -> nn.Module:
        return Network(hyper, [4, 4], TRAIN.inputs["numbers"])

    return training.fit(build, TRAIN, VALIDATION, schedule, binary, **kwargs)  # type: ignore[arg-type]


def weights(fitted: training.Fit) -> dict[str, bytes]:
    return {name: t.numpy().tobytes() for name, t in fitted.network.state_dict().items()}


def main(folder: Path, epochs: int, dropout: float) -> None:
    """Train, and write the curve down."""

    def on_epoch(epoch: int, metrics: dict[str, float]) -> None:
        print(f"epoch {epoch}", file=sys.stderr, flush=True)  # noqa: T201  what a test waits for

    with processes.group():
        fitted = fit(
            replace(SCHEDULE, epochs=epochs, patience=epochs),
            dropout,
            on_epoch=on_epoch,
            checkpoint=Checkpoint(folder / "state.pt"),
        )
    if torchrun.rank() == 0:
        (folder / "history.json").write_text(json.dumps(fitted.history), encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]), epochs=int(sys.argv[2]), dropout=float(sys.argv[3]))
