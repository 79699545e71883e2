"""The newest window of the prediction log in, check results, a report and a verdict out."""

import logging
from collections import Counter
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from monitoring.checks import run_checks
from monitoring.evidently_report import save_report
from monitoring.live_score import seconds_behind
from monitoring.prediction_log import sealing
from monitoring.read_window import NobodyAskedError, newest_window, read_labels, sketch_window
from monitoring.results import MonitorRun, write_run
from monitoring.sketches import WindowSketch, from_bytes, sketch_training
from pipelines.exits import NothingToDo
from pipelines.models import Model
from pipelines.settings import Settings
from pipelines.tracking import Tracking
from pipelines.training_record import REFERENCE, REFERENCE_SKETCH

if TYPE_CHECKING:
    import pandas as pd

log = logging.getLogger(__name__)


def experiment(model: str) -> str:
    """Name the MLflow experiment that keeps the monitor's runs."""
    return f"{model}-monitoring"


def monitor(model: Model, settings: Settings, tracking: Tracking) -> dict[str, Any]:
    """Check the newest window; write results, then a report and an MLflow run that leads to it.

    Raises:
        NothingToDo: nobody has asked the champion anything yet.

    """
    _tidy(model, settings)
    root, store, policy = settings.prediction_log, settings.prediction_log_store, model.policy
    schema, kind, limits = policy.watched, policy.problem, policy.monitor
    try:
        window = newest_window(root, model.name, limits.window_days, store, limits.min_rows)
    except NobodyAskedError as error:
        raise NothingToDo(str(error)) from error
    labels = read_labels(root, model.name)
    current, sample = sketch_window(root, window, schema, kind, labels, limits.sample_rows, store)
    version = tracking.version(model.name, int(window.version))
    trained_on = tracking.fetch_frame(version.run_id, REFERENCE)
    reference = reference_sketch(model, tracking, version.run_id, trained_on)
    run = MonitorRun(
        model=model.name,
        version=window.version,
        window_start=window.start,
        window_end=window.end,
        run_time=datetime.now(UTC),
        results=tuple(run_checks(window, reference, current, schema, limits)),
        rows=current.rows,
        label_lag_seconds=seconds_behind(current),
    )
    write_run(settings.checks, run)  # before the report: a verdict must not wait for a picture
    path = save_report(
        settings.evidently_workspace,
        window,
        run.results,
        trained_on.sample(min(limits.sample_rows, len(trained_on)), random_state=0).sort_index(),
        sample,
        schema,
        limits.keep_reports,
    )
    run = run.model_copy(update={"report_url": settings.evidently_link + path})
    write_run(settings.checks, run)
    _keep(run, settings, tracking)
    return {
        "step": "monitor",
        "model": model.name,
        "version": window.version,
        "window": [window.start.isoformat(), window.end.isoformat()],
        "rows": current.rows,
        "verdicts": dict(Counter(result.verdict for result in run.results)),
        "report_url": run.report_url,
    }


def reference_sketch(
    model: Model, tracking: Tracking, run_id: str, reference: "pd.DataFrame"
) -> WindowSketch:
    """Return the sketch of a version's training rows; of their sample where the run kept none.

    Raises:
        DamagedSketchError: the run's sketch is not the one that was written.

    """
    if (content := tracking.fetch_bytes(run_id, REFERENCE_SKETCH)) is not None:
        return from_bytes(content)
    log.warning("run %s kept no sketch of its training rows: a sample stands for them", run_id)
    return sketch_training(reference, model.policy.watched, model.policy.problem)


def _tidy(model: Model, settings: Settings) -> None:
    """Make Parquet of what serving has closed, and let go of what is too old."""
    root, store = settings.prediction_log, settings.prediction_log_store
    begin = settings.prediction_log_begin()
    for name in model.registered:
        sealing.seal(root, name, store)
        if count := sealing.forget(root, name, begin, store):
            log.info("%s files of the prediction log are older than %s: gone", count, begin)


def _keep(run: MonitorRun, settings: Settings, tracking: Tracking) -> None:
    """Log what was found and the way to the report; not the report, as MLflow forgets nothing."""
    tags = {
        "relay.version": run.version,
        "relay.airflow_run": settings.airflow_run,
        "mlflow.note.content": f"[The report in the Evidently UI]({run.report_url})",
    }
    name = f"{run.window_start:%Y-%m-%d} to {run.window_end:%Y-%m-%d}, version {run.version}"
    with tracking.run(experiment(run.model), name, tags):
        tracking.log_json(run.model_dump(mode="json"), "checks.json")
        tracking.log_metrics(
            {f"{r.check}.{r.column or 'all'}": r.score for r in run.results if r.score is not None}
        )
    for result in run.results:
        if result.verdict != "ok":
            where = f"{result.check} {result.column or ''}".strip()
            log.warning("%s: %s: %s", result.verdict, where, result.reason)
