"""The newest window of the prediction log in, check results, a report and a verdict out."""

import logging
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from monitoring.checks import run_checks
from monitoring.evidently_report import save_report
from monitoring.prediction_log import reading, sealing
from monitoring.results import MonitorRun, Window, write_run
from pipelines.exits import NothingToDo
from pipelines.models import Model
from pipelines.settings import Settings
from pipelines.tracking import Tracking

if TYPE_CHECKING:
    import pandas as pd

log = logging.getLogger(__name__)

REFERENCE = "reference.parquet"


def experiment(model: str) -> str:
    """Name the MLflow experiment that keeps the monitor's runs."""
    return f"{model}-monitoring"


def monitor(model: Model, settings: Settings, tracking: Tracking) -> dict[str, Any]:
    """Check the newest window; write results, then a report and an MLflow run that keeps both.

    Raises:
        NothingToDo: nobody has asked the champion anything yet.

    """
    _tidy(model, settings)
    window, current = newest_window(model, settings)
    labels = reading.read_labels(settings.prediction_log, model.name)
    version = tracking.version(model.name, int(window.version))
    reference = tracking.fetch_frame(version.run_id, REFERENCE)
    schema, limits = model.policy.data.features, model.policy.monitor
    run = MonitorRun(
        model=model.name,
        version=window.version,
        window_start=window.start,
        window_end=window.end,
        run_time=datetime.now(UTC),
        results=tuple(run_checks(window, reference, current, labels, schema, limits)),
    )
    write_run(settings.checks, run)  # before the report: a verdict must not wait for a picture
    report = save_report(
        settings.evidently_workspace,
        window,
        run.results,
        reference,
        current,
        schema,
        limits.sample_rows,
        limits.keep_reports,
    )
    run = run.model_copy(update={"report_url": settings.evidently_url + report.ui_path})
    write_run(settings.checks, run)
    _keep(run, report.html, settings, tracking)
    return {
        "step": "monitor",
        "model": model.name,
        "version": window.version,
        "window": [window.start.isoformat(), window.end.isoformat()],
        "rows": len(current),
        "verdicts": dict(Counter(result.verdict for result in run.results)),
        "report_url": run.report_url,
    }


def newest_window(model: Model, settings: Settings) -> tuple[Window, "pd.DataFrame"]:
    """Return the newest window of the version that answers now, and its answers in it.

    Raises:
        NothingToDo: the prediction log of this model is empty.

    """
    root = settings.prediction_log
    newest = reading.newest_event_time(root, model.name)
    if newest is None:
        raise NothingToDo(f"nobody has asked {model.name} anything yet: {root} holds no prediction")
    end = newest + timedelta(microseconds=1)  # the newest one is part of its window
    start = end - timedelta(days=model.policy.monitor.window_days)
    rows = reading.read_predictions(root, model.name, start, end)
    answered = rows[rows["role"] == "champion"]
    if answered.empty:
        raise NothingToDo(f"no champion of {model.name} has answered since {start:%Y-%m-%d}")
    version = str(answered.loc[answered["time"].idxmax(), "version"])
    window = Window(model=model.name, version=version, start=start, end=end)
    return window, answered[answered["version"] == version].reset_index(drop=True)


def _tidy(model: Model, settings: Settings) -> None:
    """Make Parquet of what serving has closed, and let go of what is too old."""
    root = settings.prediction_log
    sealing.seal(root, model.name)
    begin = settings.prediction_log_begin()
    if count := sealing.forget(root, model.name, begin):
        log.info("%s files of the prediction log are older than %s: gone", count, begin)


def _keep(run: MonitorRun, html: Path, settings: Settings, tracking: Tracking) -> None:
    tags = {"relay.version": run.version, "relay.airflow_run": settings.airflow_run}
    name = f"{run.window_start:%Y-%m-%d} to {run.window_end:%Y-%m-%d}, version {run.version}"
    with tracking.run(experiment(run.model), name, tags):
        tracking.log_file(html)
        tracking.log_json(run.model_dump(mode="json"), "checks.json")
        tracking.log_metrics(
            {f"{r.check}.{r.column or 'all'}": r.score for r in run.results if r.score is not None}
        )
    for result in run.results:
        if result.verdict != "ok":
            where = f"{result.check} {result.column or ''}".strip()
            log.warning("%s: %s: %s", result.verdict, where, result.reason)
