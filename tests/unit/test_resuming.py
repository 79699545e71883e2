import json
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from pipelines.checkpoints import Checkpoint
from pipelines.exits import Unavailable
from tests.programs import ROOT, wait_for
from tests.small_training import SCHEDULE, fit, weights


class PowerCutError(Exception):
    pass


def cut_after(last: int, told: list[int]) -> object:
    def on_epoch(epoch: int, metrics: Mapping[str, float]) -> None:
        told.append(epoch)
        if epoch == last:
            raise PowerCutError

    return on_epoch


def test_what_goes_on_from_a_checkpoint_comes_to_the_same_bits(tmp_path: Path) -> None:
    warm = replace(SCHEDULE, warmup_share=0.5)  # cut while the rate rises, and while it falls
    whole = fit(warm)
    kept, told = Checkpoint(tmp_path / "state.pt"), list[int]()
    for last in (2, 4):
        with pytest.raises(PowerCutError):
            fit(warm, on_epoch=cut_after(last, told), checkpoint=kept)
    gone_on = fit(warm, on_epoch=cut_after(0, told), checkpoint=kept)
    assert told == [1, 2, 1, 2, 3, 4, 1, 2, 3, 4, 5, 6]
    assert gone_on.history == whole.history
    assert gone_on.best_epoch == whole.best_epoch
    assert weights(gone_on) == weights(whole)
    assert weights(fit(warm, checkpoint=kept)) == weights(whole)  # nothing is left to do


def test_patience_is_not_had_anew(tmp_path: Path) -> None:
    hasty = replace(SCHEDULE, epochs=40, learning_rate=0.3)
    whole, kept = fit(hasty), Checkpoint(tmp_path / "state.pt")
    with pytest.raises(PowerCutError):
        fit(hasty, on_epoch=cut_after(whole.best_epoch + 1, []), checkpoint=kept)
    gone_on = fit(hasty, checkpoint=kept)
    assert gone_on.history == whole.history
    assert weights(gone_on) == weights(whole)


def test_a_process_killed_twice_and_the_curve_is_unbroken(tmp_path: Path) -> None:
    arguments = ["100", "0.5"]
    for epoch in (3, 9):
        log = tmp_path / "log"
        with log.open("w") as output, started(tmp_path, arguments, output) as process:
            wait_for(lambda: f"epoch {epoch}\n" in log.read_text(), "an epoch")  # noqa: B023
            process.kill()
        assert not (tmp_path / "history.json").exists()
    with started(tmp_path, arguments, None) as process:
        assert process.wait() == 0
    whole = fit(replace(SCHEDULE, epochs=100, patience=100)).history
    assert json.loads((tmp_path / "history.json").read_text()) == whole


def started(folder: Path, arguments: list[str], output: object) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "tests.small_training", str(folder), *arguments]
    return subprocess.Popen(command, cwd=ROOT, stderr=output)  # type: ignore[call-overload,no-any-return]


def test_half_a_checkpoint_is_none(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    kept = Checkpoint(tmp_path / "state.pt")
    assert kept.load() is None
    kept.run_id = "a run"
    kept.save({"weights": torch.ones(1000)})
    again = Checkpoint(tmp_path / "state.pt")
    loaded = again.load()
    assert loaded is not None
    assert loaded["weights"].sum() == 1000
    assert again.run_id == "a run"
    whole = kept.path.read_bytes()
    for half in (whole[: len(whole) // 2], b"", b"no checkpoint"):
        kept.path.write_bytes(half)
        assert kept.load() is None
    assert "training begins again" in caplog.text
    kept.forget()
    assert list(tmp_path.iterdir()) == []


def test_a_checkpoint_runs_no_code(tmp_path: Path) -> None:
    class Harmful:
        def __reduce__(self) -> tuple[object, ...]:
            return (Path.touch, (tmp_path / "was here",))

    torch.save({"run_id": "", "state": Harmful()}, tmp_path / "state.pt")
    assert Checkpoint(tmp_path / "state.pt").load() is None
    assert not (tmp_path / "was here").exists()


def hold(path: Path) -> None:
    with Checkpoint(path).held():
        pass


def test_one_process_at_a_time(tmp_path: Path) -> None:
    kept = Checkpoint(tmp_path / "state.pt")
    with kept.held(), pytest.raises(Unavailable, match="another process is at the same training"):
        hold(kept.path)
    hold(kept.path)
