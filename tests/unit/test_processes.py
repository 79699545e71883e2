import json
import os
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from pipelines import processes, torchrun
from pipelines.learning import Schedule
from tests.small_training import SCHEDULE, TRAIN, VALIDATION, fit

EPOCHS = 5


def curves(schedule: Schedule) -> list[dict[str, float]]:
    return fit(schedule, dropout=0.0).history


ALONE = replace(SCHEDULE, epochs=EPOCHS, patience=EPOCHS)


def difference(ours: list[dict[str, float]], theirs: list[dict[str, float]]) -> float:
    """The largest relative difference of any number of two curves."""
    assert len(ours) == len(theirs) == EPOCHS
    return max(
        abs(one[name] / two[name] - 1)
        for one, two in zip(ours, theirs, strict=True)
        for name in one
    )


def test_two_processes_have_the_curve_of_one(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "tests.small_training", str(tmp_path), str(EPOCHS), "0.0"]
    assert torchrun.launch(2, command) == 0
    together = json.loads((tmp_path / "history.json").read_text())
    apart = difference(together, curves(ALONE))
    assert apart < 1e-4
    assert difference(together, curves(replace(ALONE, batch_size=32))) > 1e-2  # else it says little


def test_a_batch_in_parts_is_the_same_batch() -> None:
    whole = curves(ALONE)
    assert 0 < difference(curves(replace(ALONE, accumulation=3)), whole) < 1e-4


def test_how_a_process_ends_is_passed_on() -> None:
    ends = "import os, sys; sys.exit(99 if os.environ['RANK'] == '1' else 0)"
    assert torchrun.launch(2, [sys.executable, "-c", ends]) == 99
    killed = "import os, signal; os.kill(os.getpid(), signal.SIGKILL)"
    assert torchrun.launch(2, [sys.executable, "-c", killed]) == 1


@pytest.mark.parametrize("rows", [1, 2, 7, 64])
@pytest.mark.parametrize("size", [1, 2, 3])
def test_shares_weigh_so_that_their_mean_is_the_batchs(
    rows: int, size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    batch, total, seen = torch.randn(rows, dtype=torch.float64), 0.0, 0
    monkeypatch.setenv("WORLD_SIZE", str(size))
    for rank in range(size):
        monkeypatch.setenv("RANK", str(rank))
        mine, weight = processes.share(batch)
        total += mine.mean().item() * weight / size
        seen += len(mine) if weight else 0
    assert seen == rows
    assert total == pytest.approx(batch.mean().item())


def test_alone_nothing_is_asked_of_others() -> None:
    assert "RANK" not in os.environ
    with processes.group():
        assert processes.mean(0.1) == 0.1
        processes.agree(3, "anything")
    assert not torchrun.launched()
    assert len(VALIDATION.labels) % 2 == 1  # shares of different sizes
    assert len(TRAIN.labels) % SCHEDULE.batch_size  # and a last batch that is smaller
