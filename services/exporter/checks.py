"""The folder of newest monitor runs in, what they found out; read anew at every scrape.

What cannot be read is `relay_checks_up 0` and nothing else of that model: an old value must not
look like a fresh one. Labels are bounded: models, their checks and columns.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import get_args

from monitoring.results import CheckResult, MonitorRun, RetrainDecision, Verdict, read_run
from services.exporter.gauges import Gauge, Sample, states
from services.exporter.source import SourceAwayError

ABOUT = ("model", "version")
CHECK = (*ABOUT, "check", "column")
VERDICTS: tuple[str, ...] = get_args(Verdict)

UP = Gauge("relay_checks_up", "1 if the model's newest monitor run could be read", ("model",))
LAST_RUN = Gauge("relay_monitor_last_run_timestamp_seconds", "When the monitor ran", ABOUT)
WINDOW_END = Gauge("relay_monitor_window_end_timestamp_seconds", "Event time judged up to", ABOUT)
ROWS = Gauge("relay_monitor_rows", "Answers that the window holds", ABOUT)
LABEL_LAG = Gauge(
    "relay_label_lag_seconds",
    "From the newest answer with a label to the newest answer, in event time",
    ABOUT,
)
SCORE = Gauge("relay_check_score", "What the check measured, in the check's own unit", CHECK)
THRESHOLD = Gauge("relay_check_threshold", "The check alerts above it", CHECK)
LOW = Gauge("relay_check_score_low", "Lower bound of an estimated score", CHECK)
HIGH = Gauge("relay_check_score_high", "Upper bound of an estimated score", CHECK)
VERDICT = Gauge("relay_check_verdict", "1 for the verdict that holds", (*CHECK, "verdict"))
REQUESTED = Gauge("relay_retrain_requested", "1 if the newest run asked to retrain", ABOUT)
BUDGET = Gauge("relay_retrain_budget_left", "Retrainings that the policy still allows", ABOUT)
COOLDOWN_UNTIL = Gauge(
    "relay_retrain_cooldown_until_timestamp_seconds", "No retraining before (event time)", ABOUT
)
COOLDOWN = Gauge(
    "relay_retrain_cooldown_left_seconds", "Until then from the window's end; 0: it is over", ABOUT
)


class ChecksSource:
    """Reads `<folder>/<model>.json` for every model that has one."""

    name = "checks"

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def read(self) -> Iterator[Sample]:
        """Read all runs, and say which cannot be. Raises SourceAwayError."""
        try:
            paths = sorted(path for path in self._folder.iterdir() if path.suffix == ".json")
        except OSError as error:
            raise SourceAwayError(f"the check results cannot be read: {error}") from error
        for path in paths:
            try:
                run = _run_of(path)
            except (OSError, ValueError):  # said by relay_checks_up 0
                yield UP(0, path.stem)
            else:
                yield UP(1, path.stem)
                yield from _run(run)


def _run_of(path: Path) -> MonitorRun:
    """Read a run; ValueError for a copy under another name, whose series would come twice."""
    run = read_run(path)
    if run.model != path.stem:
        raise ValueError(f"{path} is a run of {run.model}")
    return run


def _run(run: MonitorRun) -> Iterator[Sample]:
    about = (run.model, run.version)
    yield LAST_RUN(run.run_time.timestamp(), *about)
    yield WINDOW_END(run.window_end.timestamp(), *about)
    for gauge, value in ((ROWS, run.rows), (LABEL_LAG, run.label_lag_seconds)):
        if value is not None:
            yield gauge(value, *about)
    for result in run.results:
        yield from _result(result)
    if run.retrain:
        yield from _retrain(run.retrain, run)


def _result(result: CheckResult) -> Iterator[Sample]:
    labels = (result.model, result.version, result.check, result.column or "")
    measured = {
        SCORE: result.score,
        THRESHOLD: result.threshold,
        LOW: result.low,
        HIGH: result.high,
    }
    for gauge, value in measured.items():
        if value is not None:
            yield gauge(value, *labels)
    yield from states(VERDICT, VERDICTS, result.verdict, *labels)


def _retrain(decision: RetrainDecision, run: MonitorRun) -> Iterator[Sample]:
    about, until = (run.model, run.version), decision.cooldown_until
    yield REQUESTED(decision.requested, *about)
    if decision.budget_left is not None:
        yield BUDGET(decision.budget_left, *about)
    if until:
        yield COOLDOWN_UNTIL(until.timestamp(), *about)
        yield COOLDOWN(max(0.0, (until - run.window_end).total_seconds()), *about)
