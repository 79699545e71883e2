"""Faults planted in March's flights, judged by the real monitor; and limits taken from winter.

A real first champion: January and February ingested and trained on as the demo does. Its answers of
March are right for a fortnight; then a fault begins, and the window slides on by a day at a time.
"""

import logging
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml

from monitoring.limits import MonitorLimits
from tests.planted import DAY, Champion
from tests.programs import Program
from tests.small_models import delete

log = logging.getLogger(__name__)  # the figures: pytest --log-cli-level INFO

pytestmark = pytest.mark.timeout(300)

BEGIN = pd.Timestamp("2013-03-15", tz="UTC")  # of the faults
Change = Callable[[pd.DataFrame], pd.DataFrame]


@pytest.fixture(scope="module")
def champion(
    tmp_path_factory: pytest.TempPathFactory, mlflow_server: Program
) -> Iterator[Champion]:
    try:
        home = tmp_path_factory.mktemp("home")
        yield Champion.of("flights", ["2013-01", "2013-02"], home, mlflow_server.url)
    finally:
        delete(mlflow_server.url, "flights")


@pytest.fixture(scope="module")
def spring(champion: Champion) -> pd.DataFrame:
    """A tenth of March's and April's flights, as the simulator asks."""
    flights = champion.asked(["2013-03", "2013-04"]).sample(frac=0.1, random_state=0)
    in_order: pd.DataFrame = flights.sort_values("event_time", ignore_index=True)
    return in_order


def celsius(rows: pd.DataFrame) -> pd.DataFrame:
    return rows.assign(temp=(rows["temp"] - 32) / 1.8)


def stuck(rows: pd.DataFrame) -> pd.DataFrame:
    return rows.assign(wind_speed=rows["wind_speed"].iloc[0])


def renamed(rows: pd.DataFrame) -> pd.DataFrame:
    return rows.assign(carrier=rows["carrier"].replace("B6", "JBU"))


def nulls(rows: pd.DataFrame) -> pd.DataFrame:
    one_in_20 = np.arange(len(rows)) % 20 == 0
    return rows.assign(visib=rows["visib"].mask(one_in_20))


def lost(rows: pd.DataFrame) -> pd.DataFrame:
    return rows[rows["origin"] != "JFK"]


def inverted(rows: pd.DataFrame) -> pd.DataFrame:
    """A label that says the contrary: 1 where a flight is on time."""
    return rows.assign(label=1 - rows["label"])


@pytest.mark.parametrize(
    ("fault", "check", "column", "days"),
    [
        (celsius, "jump", "temp", 3),
        (stuck, "stuck", "wind_speed", 8),
        (renamed, "new_category", "carrier", 4),
        (nulls, "missing", "visib", 12),
        (lost, "drift", "origin", 9),
        (inverted, "live_score", None, 14),
    ],
)
def test_a_planted_fault_is_named_within_days(
    champion: Champion,
    spring: pd.DataFrame,
    tmp_path: Path,
    fault: Change,
    check: str,
    column: str | None,
    days: int,
) -> None:
    good = spring["event_time"] < BEGIN
    answers = champion.answer(pd.concat([spring[good], fault(spring[~good])], ignore_index=True))
    limits, since = champion.model.policy.monitor, 0
    assert (check, column) not in champion.alerts(answers, BEGIN, limits)
    for since in range(1, days + 1):
        end = BEGIN + since * DAY
        alerts = champion.alerts(answers, end, limits)
        if (check, column) in alerts:
            break
    rows = int(answers["event_time"].between(BEGIN, end, inclusive="left").sum())
    log.info("%s: %s %s after %d days, %d answers", fault.__name__, check, column, since, rows)
    assert (check, column) in alerts, f"not found within {days} days"
    named = champion.monitored(answers, end, tmp_path)
    assert (check, column) in named
    assert {of for _, of in named - {("duplicate_row", None)}} <= {column, "probability", None}


def test_limits_suggested_from_winter_keep_march_quiet(
    champion: Champion, spring: pd.DataFrame
) -> None:
    settings, relay = champion.settings, str(Path(sys.executable).with_name("relay"))
    places = {"RELAY_HOME": str(settings.home), "RELAY_MLFLOW_URL": settings.mlflow_url}
    asked = subprocess.run(
        [relay, "suggest-limits", "--model", "flights", "--rows", "1280"],
        env={**os.environ, **places},
        capture_output=True,
        text=True,
        check=False,
    )
    assert asked.returncode == 0, asked.stderr
    text = asked.stdout
    log.info("%s%s", text, asked.stderr)
    policy = champion.model.policy.monitor
    suggested = MonitorLimits.model_validate(policy.model_dump() | yaml.safe_load(text))
    assert (suggested.max_jump.of("weekday") or 0) > 1.7, "it jumps at every weekend"
    answers = champion.answer(spring)
    for limits in (policy, suggested):
        for week in range(4):
            end = BEGIN + week * pd.Timedelta(days=7)
            alerts = champion.alerts(answers, end, limits)
            assert alerts <= {("drift", "precip")}, (
                "a rainy week of March, of which winter had none"
            )
    beaten = champion.alerts(celsius(answers), BEGIN, suggested)
    assert ("drift", "temp") in beaten
