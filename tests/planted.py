"""A champion in, what its monitor says of answers in which something was planted, out."""

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from monitoring.checks import CheckResult, Window, run_checks
from monitoring.limits import MonitorLimits
from monitoring.prediction_log import Label, PredictionLog, PredictionRecord
from monitoring.results import read_run
from monitoring.sketches import WindowSketch
from pipelines import asking, batches, models
from pipelines.models import Model
from pipelines.settings import Settings
from pipelines.steps.ingest import ingest
from pipelines.steps.monitor import monitor, reference_sketch
from pipelines.steps.register import register
from pipelines.steps.train import run_train
from pipelines.tracking import CHAMPION, ModelVersion, Tracking
from tests.monitor_windows import sketch

DAY = pd.Timedelta(days=1)
Alerts = set[tuple[str, str | None]]


@dataclass
class Champion:
    """A model's champion, and where it is kept."""

    model: Model
    settings: Settings
    tracking: Tracking
    version: ModelVersion
    reference: WindowSketch

    @classmethod
    def of(cls, name: str, months: list[str], home: Path, mlflow_url: str) -> "Champion":
        """Ingest months, train on them with the policy as it stands, and promote without a gate."""
        settings, model = Settings(home=home, mlflow_url=mlflow_url), models.load(name)
        tracking = Tracking(mlflow_url)
        for month in months:
            path = settings.landing / name / f"{month}.csv.gz"
            batches.write(model.feed.read_batch(month), path)
            ingest(model, settings)
        run_id = run_train(model, settings, tracking, {})["run_id"]
        number = register(model, tracking, run_id)["version"]
        version = tracking.version(name, number)
        tracking.set_alias(version, CHAMPION)
        reference = reference_sketch(model, tracking, run_id, pd.DataFrame())
        return cls(model, settings, tracking, version, reference)

    def asked(self, months: list[str]) -> pd.DataFrame:
        """Give the months' rows as the simulator asks them, with what comes true of them."""
        data = self.model.policy.data
        batch = pd.concat(map(self.model.feed.read_batch, months), ignore_index=True)
        asked: pd.DataFrame = batch.assign(id=batch[data.id], event_time=batch[data.event_time])
        if self.model.problem.labelled:
            rows = self.model.rows
            asked = asked.assign(label=rows.label(batch), label_time=rows.label_time(batch))
        return asked

    def answer(self, rows: pd.DataFrame) -> pd.DataFrame:
        """Add the graph's outputs, in place of what columns of these names there were."""
        said = asking.predict(self.tracking.graph(self.version), rows)
        return rows.assign(**asking.columns(said))

    def alerts(self, answers: pd.DataFrame, end: pd.Timestamp, limits: MonitorLimits) -> Alerts:
        """Judge the window up to a time, with the labels that are known by then: what alerts."""
        results = self.judge(answers, end, limits)
        assert [r.reason for r in results if r.verdict == "unknown"] == []
        return {(r.check, r.column) for r in results if r.verdict == "alert"}

    def judge(
        self, answers: pd.DataFrame, end: pd.Timestamp, limits: MonitorLimits
    ) -> list[CheckResult]:
        """Judge the window up to a time."""
        policy = self.model.policy
        start = end - pd.Timedelta(days=policy.monitor.window_days)
        window = answers[answers["event_time"].between(start, end, inclusive="left")]
        about = Window(model=self.model.name, version="1", start=start, end=end)
        current = sketch(window, self._known(window, end), policy.watched, kind=policy.problem)
        return run_checks(about, self.reference, current, policy.watched, limits)

    def monitored(self, answers: pd.DataFrame, end: pd.Timestamp, root: Path) -> Alerts:
        """Log what was answered and labelled until a time, as serving would, and run the step."""
        name, written = self.model.name, PredictionLog(root)
        answers = answers[answers["event_time"] < end]
        features = list(self.model.policy.data.features)
        outputs = dict.fromkeys([*self.model.problem.outputs, *self.model.policy.outputs])
        written.append(
            PredictionRecord(
                id=row["id"],
                rows=1,
                time=datetime.now(UTC),
                event_time=row["event_time"].to_pydatetime(),
                model=name,
                version=str(self.version.version),
                role="champion",
                features={each: _one(row[each]) for each in features},
                output={each: np.array([row[each]]) for each in outputs},
                latency_seconds=0.001,
            )
            for row in answers.to_dict("records")
        )
        if "label" in answers:
            came = self._known(answers, end)[["id", "label"]].itertuples(index=False)
            written.append_labels(name, [Label(i, y, datetime.now(UTC)) for i, y in came])
        written.close()
        places = {"prediction_log": root, "checks": root / "checks"}
        settings = self.settings.model_copy(
            update={**places, "evidently_workspace": root / "evidently"}
        )
        monitor(self.model, settings, self.tracking)
        run = read_run(settings.checks / f"{name}.json")
        return {(r.check, r.column) for r in run.results if r.verdict == "alert"}

    @staticmethod
    def _known(answers: pd.DataFrame, end: pd.Timestamp) -> pd.DataFrame:
        if "label" not in answers:
            return answers
        return answers[answers["label_time"] < end].dropna(subset=["label"])


def _one(value: Any) -> Any:
    """Give a row's value as a record has it: a list of one, None where missing, or an array."""
    if isinstance(value, np.ndarray):
        return value[np.newaxis]
    return [None if value != value else value]
