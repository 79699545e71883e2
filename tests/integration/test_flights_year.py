"""A year of flights through the real checks: winter's version until June, then one of half a year.

Which columns alert in which month, and whether the score truly moved: the table that
docs/monitoring.md shows is logged (`pytest --log-cli-level INFO`).
"""

import logging
from collections import Counter
from functools import cache

import numpy as np
import pandas as pd
import pytest

from monitoring.checks import run_checks
from monitoring.results import CheckResult, Window
from monitoring.sketches import WindowSketch, sketch_training
from monitoring.sketches.apache import Floats
from pipelines import asking, models
from pipelines.steps.train import train
from tests.monitor_windows import sketch

log = logging.getLogger(__name__)
pytestmark = pytest.mark.timeout(300)

MODEL = models.load("flights")
WATCHED, LIMITS = MODEL.policy.watched, MODEL.policy.monitor
FORTNIGHT, WEEK, DAY = (pd.Timedelta(days=days) for days in (14, 7, 1))
SCORES = {"live_score", "estimated_score"}


@cache
def year() -> pd.DataFrame:
    batches = [MODEL.feed.read_batch(name).assign(batch=name) for name in MODEL.feed.batch_names()]
    flights = pd.concat(batches, ignore_index=True)
    named: pd.DataFrame = flights.assign(
        id=flights["flight_id"],
        event_time=flights["scheduled_time"],
        label=MODEL.rows.label(flights),
    )
    return named


@cache
def version(last_month: str) -> tuple[pd.DataFrame, WindowSketch]:
    """Train on the year until a month's end: a tenth of the year's answers, the reference."""
    known = year()[year()["batch"].str[-2:] <= last_month]
    trained = train(
        known.drop(columns=["label", "batch"]), MODEL, MODEL.policy.train, lambda *_: None
    )
    asked = year().sample(frac=0.1, random_state=0).sort_values("event_time")
    answers = asked.assign(**asking.predict(trained.graph, asked))
    return answers, sketch_training(trained.training_rows, WATCHED, "binary")


def judge(
    last_month: str,
    end: pd.Timestamp,
    unlabelled_days: int = 0,
    celsius_since: pd.Timestamp | None = None,
) -> list[CheckResult]:
    answers, reference = version(last_month)
    if celsius_since is not None:
        good = answers["event_time"] < celsius_since
        temp = answers["temp"].where(good, (answers["temp"] - 32) / 1.8)
        answers = answers.assign(temp=temp)
    window = answers[answers["event_time"].between(end - FORTNIGHT, end, inclusive="left")]
    known = window[window["event_time"] < end - pd.Timedelta(days=unlabelled_days)]
    about = Window(model="flights", version="1", start=end - FORTNIGHT, end=end)
    current = sketch(window, known.dropna(subset=["label"]), WATCHED)
    return run_checks(about, reference, current, WATCHED, LIMITS)


def windows(first: str, last: str) -> pd.DatetimeIndex:
    return pd.date_range(first, last, freq=WEEK, tz="UTC")


@pytest.mark.parametrize(
    ("last_month", "ends", "quiet_until", "score_moves"),
    [
        ("02", windows("2013-03-15", "2013-07-05"), "2013-04-27", "2013-06"),
        ("06", windows("2013-07-15", "2013-12-31"), "2013-12-31", "2014"),
    ],
)
def test_quiet_months_are_quiet_and_the_score_is_not_missed(
    last_month: str, ends: pd.DatetimeIndex, quiet_until: str, score_moves: str
) -> None:
    table: dict[str, Counter[str]] = {}
    moved: list[str] = []
    for end in ends:
        alerts = [r for r in judge(last_month, end) if r.verdict == "alert"]
        columns = [f"{r.check} {r.column}" for r in alerts if r.check not in SCORES]
        moved += [str(end.date()) for r in alerts if r.check == "live_score"]
        table.setdefault(f"{end - WEEK:%B}", Counter()).update(columns)
        assert not columns or end > pd.Timestamp(quiet_until, tz="UTC"), (end, columns)
    for month, found in table.items():
        log.info("%s: %s", month, dict(found) or "none")
    assert all(end > score_moves for end in moved), "not before June, and not once retrained"
    assert bool(moved) == (last_month == "02"), "what winter's version is worth in June is seen"


def test_celsius_is_found_within_days_until_autumn() -> None:
    found = {month: _days_to_find_celsius(month) for month in range(3, 13)}
    log.info("Celsius from the tenth of a month, days until it is found: %s", found)
    assert [month for month in range(3, 11) if found[month] is None] == []


def _days_to_find_celsius(month: int) -> int | None:
    begin = pd.Timestamp(2013, month, 10, tz="UTC")
    for days in range(1, 4):
        results = judge("02" if month < 7 else "06", begin + days * DAY, celsius_since=begin)
        if any((r.check, r.column, r.verdict) == ("jump", "temp", "alert") for r in results):
            return days
    return None


def test_the_estimate_is_near_what_the_labels_will_say() -> None:
    for last_month, ends, nearest in (
        ("02", windows("2013-03-15", "2013-12-31"), 0.04),
        ("06", windows("2013-07-15", "2013-12-31"), 0.025),
    ):
        truth = np.array([_score("live_score", judge(last_month, end)) for end in ends])
        off: dict[int, float] = {}
        said: list[float] = []
        for days in (3, 7, 14):
            results = [judge(last_month, end, days) for end in ends]
            said = [_score("estimated_score", each) for each in results]
            off[days] = _apart(said, truth)
            if days < 14:
                alone = _apart([_score("live_score", each) for each in results], truth)
                log.info("%d days: the labelled rows alone are off by %.3f", days, alone)
        log.info("the estimate is off by, days without labels: %s", off)
        months = pd.DataFrame({"truth": truth, "no label": said})
        log.info("by month:\n%s", months.groupby((ends - WEEK).strftime("%m")).mean().round(3).T)
        assert off[3] < nearest
        assert off[14] > 2 * off[3], "without labels it cannot see concept drift: if so, tell"


def _apart(said: list[float], truth: Floats) -> float:
    return float(np.abs(np.array(said) - truth).mean())


def _score(check: str, results: list[CheckResult]) -> float:
    (score,) = (result.score for result in results if result.check == check)
    assert score is not None
    return score
