"""The flights' limits on the flights themselves: ten in a hundred, as the simulator sends them."""

from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml

from monitoring.checks import run_checks
from monitoring.limits import MonitorLimits
from monitoring.results import CheckResult, Window
from monitoring.sketches import WindowSketch, sketch_training
from pipelines.flights import feed, rows
from tests.monitor_windows import Feature, sketch
from tests.programs import ROOT

POLICY = yaml.safe_load(Path(ROOT, "pipelines/flights/params.yaml").read_text())
LIMITS = MonitorLimits.model_validate(POLICY["monitor"])
FEATURES = {
    name: column for name, column in POLICY["data"]["columns"].items() if column.get("feature")
}
SCHEMA = {
    name: Feature(column["type"], column.get("min"), column.get("max"), name in FEATURES)
    for name, column in (FEATURES | POLICY["outputs"]).items()
}
Alerts = set[tuple[str, str | None]]


@cache
def batches(*names: str) -> pd.DataFrame:
    """The months' flights with a made-up probability, which has no drift."""
    batch = pd.concat([feed.read_batch(name) for name in names], ignore_index=True)
    rng = np.random.default_rng(0)
    return batch.assign(
        id=batch["flight_id"],
        event_time=batch["scheduled_time"],
        probability=rng.beta(2, 6, len(batch)),
        label=rows.label(batch),
    )


@cache
def reference() -> WindowSketch:
    return sketch_training(batches("2013-01", "2013-02"), SCHEMA, "binary")


def fortnight(start: str, seed: int = 0) -> pd.DataFrame:
    flights = batches(start[:7])
    begin = pd.Timestamp(start, tz="UTC")
    inside = flights["event_time"].between(begin, begin + pd.Timedelta(days=14))
    return flights[inside].sample(frac=0.1, random_state=seed).sort_values("event_time")


def results(current: pd.DataFrame) -> list[CheckResult]:
    ends = current["event_time"].min().to_pydatetime(), current["event_time"].max().to_pydatetime()
    window = Window(model="flights", version="1", start=ends[0], end=ends[1])
    return run_checks(window, reference(), sketch(current, schema=SCHEMA), SCHEMA, LIMITS)


def alerts(current: pd.DataFrame) -> Alerts:
    found = results(current)
    assert [result.reason for result in found if result.verdict == "unknown"] == []
    alerts = {(r.check, r.column) for r in found if r.verdict == "alert"}
    return alerts - {("live_score", None), ("estimated_score", None)}  # of a made-up probability


@pytest.mark.parametrize("start", ["2013-03-01", "2013-03-15", "2013-04-01", "2013-04-15"])
def test_a_quiet_fortnight_is_quiet(start: str) -> None:
    assert alerts(fortnight(start)) == set()


def test_july_is_not_what_january_was() -> None:
    assert alerts(fortnight("2013-07-08")) == {("drift", "temp"), ("drift", "dewp")}


def test_a_planted_fault_in_april_is_named() -> None:
    april = fortnight("2013-04-08")
    faults: dict[tuple[str, str], pd.DataFrame] = {
        ("drift", "temp"): april.assign(temp=(april["temp"] - 32) / 1.8),
        ("stuck", "temp"): april.assign(temp=50.0),
        ("stuck", "precip"): april.assign(precip=0.0),  # 93 % of January's and February's are 0
        ("stuck", "visib"): april.assign(visib=10.0),  # 78 % are 10
        ("missing", "wind_gust"): april.assign(wind_gust=np.nan),  # 72 % have none
        ("new_category", "carrier"): april.assign(carrier=april["carrier"].replace("B6", "JBU")),
        ("missing", "visib"): april.assign(visib=april["visib"].mask(april.index % 20 == 0)),
        ("drift", "origin"): april[april["origin"] != "JFK"],
        ("out_of_range", "humid"): april.assign(humid=april["humid"] * 100),
    }
    for fault, frame in faults.items():
        assert fault in {(r.check, r.column) for r in results(frame) if r.verdict == "alert"}, fault
