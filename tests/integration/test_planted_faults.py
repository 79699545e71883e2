"""Faults planted in March's flights, judged by the real monitor; and limits taken from winter.

A real first champion: January and February ingested and trained on as the demo does. Its answers of
March are right for a fortnight; then a fault begins, and the window slides on by a day at a time.
"""

import logging
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml

from monitoring.checks import run_checks
from monitoring.limits import MonitorLimits
from monitoring.prediction_log import Label, PredictionLog, PredictionRecord
from monitoring.results import Window, read_run
from monitoring.sketches import WindowSketch, from_bytes
from pipelines import asking, batches, models
from pipelines.models import Model
from pipelines.settings import Settings
from pipelines.steps.ingest import ingest
from pipelines.steps.monitor import monitor
from pipelines.steps.register import register
from pipelines.steps.train import REFERENCE_SKETCH, run_train
from pipelines.tracking import CHAMPION, ModelVersion, Tracking
from tests.integration.test_steps import gaps_as_null
from tests.monitor_windows import sketch
from tests.programs import Program
from tests.small_models import delete

log = logging.getLogger(__name__)  # the figures: pytest --log-cli-level INFO

pytestmark = pytest.mark.timeout(300)

FORTNIGHT, DAY = pd.Timedelta(days=14), pd.Timedelta(days=1)
BEGIN = pd.Timestamp("2013-03-15", tz="UTC")  # of the faults
Alerts = set[tuple[str, str | None]]
Change = Callable[[pd.DataFrame], pd.DataFrame]


@dataclass
class Champion:
    """Winter's champion, and where it is kept."""

    model: Model
    settings: Settings
    tracking: Tracking
    version: ModelVersion
    reference: WindowSketch

    def answer(self, flights: pd.DataFrame) -> pd.DataFrame:
        return flights.assign(**asking.predict(self.tracking.graph(self.version), flights))

    def alerts(self, answers: pd.DataFrame, end: pd.Timestamp, limits: MonitorLimits) -> Alerts:
        """Judge the window up to a time, with the labels that are known by then."""
        inside = answers["event_time"].between(end - FORTNIGHT, end, inclusive="left")
        window, schema = answers[inside], self.model.policy.watched
        known = window[window["label_time"] < end].dropna(subset=["label"])
        about = Window(model="flights", version="1", start=end - FORTNIGHT, end=end)
        current = sketch(window, known, schema)
        results = run_checks(about, self.reference, current, schema, limits)
        assert [r.reason for r in results if r.verdict == "unknown"] == []
        return {(r.check, r.column) for r in results if r.verdict == "alert"}


@pytest.fixture(scope="module")
def champion(
    tmp_path_factory: pytest.TempPathFactory, mlflow_server: Program
) -> Iterator[Champion]:
    settings = Settings(home=tmp_path_factory.mktemp("home"), mlflow_url=mlflow_server.url)
    model, tracking = models.load("flights"), Tracking(mlflow_server.url)
    try:
        for name in ("2013-01", "2013-02"):
            path = settings.landing / "flights" / f"{name}.csv.gz"
            batches.write(model.feed.read_batch(name), path)
            ingest(model, settings)
        run_id = run_train(model, settings, tracking, {})["run_id"]
        number = register(model, tracking, run_id)["version"]
        tracking.set_alias(tracking.version("flights", number), CHAMPION)
        content = tracking.fetch_bytes(run_id, REFERENCE_SKETCH)
        assert content is not None
        version = tracking.version("flights", number)
        yield Champion(model, settings, tracking, version, from_bytes(content))
    finally:
        delete(mlflow_server.url, "flights")


@pytest.fixture(scope="module")
def spring(champion: Champion) -> pd.DataFrame:
    """A tenth of March's and April's flights, as the simulator asks."""
    rows = champion.model.rows
    months = [champion.model.feed.read_batch(name) for name in ("2013-03", "2013-04")]
    batch = pd.concat(months, ignore_index=True).sample(frac=0.1, random_state=0)
    asked: pd.DataFrame = batch.assign(
        id=batch["flight_id"],
        event_time=batch["scheduled_time"],
        label=rows.label(batch),
        label_time=rows.label_time(batch),
    )
    return asked.sort_values("event_time", ignore_index=True)


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
    settings = write_log(champion, answers[answers["event_time"] < end], end, tmp_path)
    monitor(champion.model, settings, champion.tracking)
    run = read_run(settings.checks / "flights.json")
    named = {(r.check, r.column) for r in run.results if r.verdict == "alert"}
    assert (check, column) in named
    assert {of for _, of in named - {("duplicate_row", None)}} <= {column, "probability", None}


def write_log(champion: Champion, answers: pd.DataFrame, end: pd.Timestamp, root: Path) -> Settings:
    """Log what was answered and labelled until a time, as serving would."""
    written = PredictionLog(root)
    features = gaps_as_null(answers[list(champion.model.policy.data.features)])
    told = zip(answers["id"], answers["event_time"], features, answers["probability"], strict=True)
    written.append(
        PredictionRecord(
            id=row_id,
            rows=1,
            time=datetime.now(UTC),
            event_time=time.to_pydatetime(),
            model="flights",
            version=str(champion.version.version),
            role="champion",
            features=asked,
            output={"probability": np.array([probability])},
            latency_seconds=0.001,
        )
        for row_id, time, asked, probability in told
    )
    known = answers[answers["label_time"] < end].dropna(subset=["label"])
    came = zip(known["id"], known["label"], strict=True)
    written.append_labels("flights", [Label(i, y, datetime.now(UTC)) for i, y in came])
    written.close()
    places = {"prediction_log": root, "checks": root / "checks"}
    return champion.settings.model_copy(
        update={**places, "evidently_workspace": root / "evidently"}
    )


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
