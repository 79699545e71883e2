"""The simulator's traffic: every row once, every label once and not before it is known."""

import asyncio
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from pipelines.models import Model, load, names
from services.simulator.plan import Plan, read_plans
from services.simulator.progress import Progress
from services.simulator.replay import Replay
from services.simulator.traffic import Tick, due, sampled, ticks, world


@pytest.fixture(scope="module")
def model() -> Model:
    return load("flights")


@pytest.fixture(scope="module")
def batch(model: Model) -> pd.DataFrame:
    rows: pd.DataFrame = model.feed.read_batch("2013-02")
    return rows


def replayed(parts: list[Tick]) -> tuple[list[str], list[str]]:
    rows = [name for tick in parts for name in tick.rows["flight_id"]]
    return rows, [name for tick in parts for name in tick.labels["flight_id"]]


def test_a_sample_is_drawn_by_id(model: Model, batch: pd.DataFrame) -> None:
    rows = sampled(model, Plan("flights", sample=0.1), batch)
    again = sampled(model, Plan("flights", sample=0.1), batch.sample(frac=1, random_state=1))
    pd.testing.assert_frame_equal(rows, again)
    assert 0.09 < len(rows) / len(batch) < 0.11
    other = sampled(model, Plan("flights", sample=0.1, seed=1), batch)
    assert set(rows["flight_id"]) != set(other["flight_id"])
    assert len(sampled(model, Plan("flights"), batch)) == len(batch)


def test_each_row_and_each_label_comes_once_in_event_time(
    model: Model, batch: pd.DataFrame
) -> None:
    rows = sampled(model, Plan("flights", sample=0.1), batch)
    parts = list(ticks(rows, None, "scheduled_time", None))
    asked, labelled = replayed(parts)
    rest = due(rows, parts[-1].end)
    assert asked == list(rows["flight_id"])
    known = rows.dropna(subset=["label"])["flight_id"]
    assert sorted([*labelled, *rest["flight_id"]]) == sorted(known)
    assert len(known) < len(rows)
    for tick in parts:
        assert (tick.labels["label_time"] < tick.end).all()
        assert (tick.rows["scheduled_time"] < tick.end).all()


@pytest.mark.parametrize("done", [1, 30, 100])
def test_a_replay_goes_on_at_its_clock(model: Model, batch: pd.DataFrame, done: int) -> None:
    rows = sampled(model, Plan("flights", sample=0.1), batch)
    parts = list(ticks(rows, None, "scheduled_time", None))
    rest = list(ticks(rows, None, "scheduled_time", parts[done - 1].end))
    assert replayed(parts[:done] + rest) == replayed(parts)


def test_labels_of_the_month_before_are_delivered(model: Model, batch: pd.DataFrame) -> None:
    plan = Plan("flights", sample=0.2)
    before = sampled(model, plan, model.feed.read_batch("2013-01"))
    clock = list(ticks(before, None, "scheduled_time", None))[-1].end
    late = set(due(before, clock)["flight_id"])
    assert late
    _, labelled = replayed(
        list(ticks(sampled(model, plan, batch), before, "scheduled_time", clock))
    )
    assert late <= set(labelled)


class Outside:
    """A client that keeps the labels, or is stopped by the first one once a batch has landed."""

    def __init__(self, state: Path, *, stops: bool) -> None:
        self._state = state
        self._stops = stops
        self.labelled_ids: set[str] = set()
        self.answered = self.labelled = self.refused = 0

    async def ask(self, *_: object) -> None:
        self.answered += 1

    async def label(self, labels: Iterable[dict[str, Any]]) -> None:
        if self._stops and Progress.read(self._state).landed:
            raise InterruptedError
        self.labelled_ids |= {label["id"] for label in labels}


def test_the_last_labels_come_though_their_delivery_was_stopped(
    model: Model, batch: pd.DataFrame, tmp_path: Path
) -> None:
    state = tmp_path / "state.json"
    plan = Plan("flights", "2013-02", "2013-02", sample=0.1)

    def run(*, stops: bool) -> Outside:
        outside = Outside(state, stops=stops)
        asyncio.run(Replay(plan, outside, tmp_path, state).run())  # type: ignore[arg-type]
        return outside

    with pytest.raises(InterruptedError):
        run(stops=True)
    again = run(stops=False)
    rows = sampled(model, plan, batch)
    late = due(rows, list(ticks(rows, None, "scheduled_time", None))[-1].end)
    assert again.labelled_ids == set(late["flight_id"]) != set()
    assert again.answered == 0


def test_no_label_comes_of_what_was_never_asked(tmp_path: Path) -> None:
    state = tmp_path / "state.json"
    outside = Outside(state, stops=False)
    for requests in (False, True):
        plan = Plan("flights", "2013-02", "2013-02", sample=0.1, requests=requests)
        asyncio.run(Replay(plan, outside, tmp_path, state).run())  # type: ignore[arg-type]
    assert not outside.labelled_ids


def test_a_plan_says_what_the_feed_has() -> None:
    line = "--model flights --from b --to c --sample 0.5 --rate 300 --once"
    (plan,) = read_plans(line.split())
    assert plan == Plan("flights", "b", "c", sample=0.5, rate=300.0, once=True)
    assert plan.months(["a", "b", "c", "d"]) == ["b", "c"]
    assert Plan("flights").months(["a", "b"]) == ["a", "b"]
    with pytest.raises(ValueError, match="'b' is not in the feed, which has a"):
        plan.months(["a"])
    with pytest.raises(ValueError, match="nothing from b to a"):
        Plan("flights", "b", "a").months(["a", "b"])


@pytest.mark.parametrize(
    "wrong", ["--sample 0", "--sample 2", "--rate -1", "--rate nan", "--connections 0"]
)
def test_a_wrong_command_line_is_refused(wrong: str) -> None:
    model = ["--model", "flights"]
    with pytest.raises(SystemExit) as ended:
        read_plans([*model, *wrong.split()])
    assert ended.value.code == 2


def test_without_a_model_all_are_replayed() -> None:
    assert [plan.model for plan in read_plans(["--rate", "5"])] == names()
    assert {plan.rate for plan in read_plans(["--rate", "5"])} == {5.0}


def test_so_many_rows_of_a_day_are_asked_about(model: Model, batch: pd.DataFrame) -> None:
    rows = sampled(model, Plan("flights", a_day=100), batch)
    assert 90 < len(rows) / 28 < 110
    assert len(sampled(model, Plan("flights", a_day=1e6), batch)) == len(batch)


def test_a_drift_comes_when_it_is_asked_for(model: Model) -> None:
    digits = load("digits")
    plan = Plan("digits", drift="inversion", since=pd.Timestamp("2024-02-10", tz="UTC"))
    good, bad = (world(digits, p, "2024-02") for p in (Plan("digits"), plan))
    same = [np.array_equal(*both) for both in zip(good["pixels"], bad["pixels"], strict=True)]
    assert (pd.Series(same) == (good["written_at"] < plan.since)).all()
    with pytest.raises(ValueError, match="flights has no drift 'noise'; it has none"):
        world(model, Plan("flights", drift="noise"), "2013-02")
