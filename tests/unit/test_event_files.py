"""Event files, read back by TensorBoard's own reader."""

from pathlib import Path

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator  # type: ignore[import-untyped]

from pipelines.event_files import event_files


def read(folder: Path) -> EventAccumulator:
    return EventAccumulator(str(folder)).Reload()


def points(folder: Path, tag: str) -> list[tuple[int, float]]:
    return [(event.step, event.value) for event in read(folder).Scalars(tag)]


def test_every_epoch_is_a_point_that_can_be_read_while_training_runs(tmp_path: Path) -> None:
    with event_files(tmp_path / "flights/run") as events:
        for epoch in (1, 2, 3):
            events.add({"train_log_loss": 1 / 2**epoch, "learning_rate": 0.25}, step=epoch)
            assert len(points(tmp_path / "flights/run", "train_log_loss")) == epoch
    assert points(tmp_path / "flights/run", "train_log_loss") == [(1, 0.5), (2, 0.25), (3, 0.125)]
    assert points(tmp_path / "flights/run", "learning_rate") == [(1, 0.25), (2, 0.25), (3, 0.25)]


def test_the_table_of_runs_has_parameters_of_any_type_and_the_scores(tmp_path: Path) -> None:
    with event_files(tmp_path / "run") as events:
        events.add({"train_log_loss": 0.5}, step=1)
        params = {"epochs": 3, "network.hidden": 16, "on_new_data": False, "slices": ["carrier"]}
        events.end(params, {"holdout/log_loss": 0.25})
    assert {path.parent for path in tmp_path.rglob("events*")} == {tmp_path / "run"}
    table = read(tmp_path / "run").SummaryMetadata("_hparams_/session_start_info")
    assert table.plugin_data.plugin_name == "hparams"
    for said in (b"epochs", b"network.hidden", b"on_new_data", b"['carrier']"):
        assert said in table.plugin_data.content
    assert points(tmp_path / "run", "holdout/log_loss") == [(0, 0.25)]


def test_a_training_that_fails_leaves_its_curves(tmp_path: Path) -> None:
    def fail() -> None:
        with event_files(tmp_path) as events:
            events.add({"train_log_loss": 0.5}, step=1)
            raise FloatingPointError

    with pytest.raises(FloatingPointError):
        fail()
    assert points(tmp_path, "train_log_loss") == [(1, 0.5)]


def test_a_folder_that_cannot_be_written_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(OSError, match="file"), event_files(tmp_path / "file/run"):
        pytest.fail("it began")
