"""A window of answered predictions and the version's reference in, one result a check out.

Verdicts are `ok`, `alert` and `unknown`. A check that could not run is `unknown` with the reason,
never `ok`. The same frames and limits give the same results.
"""

from collections.abc import Callable, Iterator
from functools import partial

import pandas as pd

from monitoring import evidently_report, quality
from monitoring.limits import MonitorLimits
from monitoring.live_score import live_score, missing_labels
from monitoring.measures import PREDICTION, CannotTellError, Measured, Schema, present
from monitoring.results import CheckResult, Verdict, Window

__all__ = ["CheckResult", "Window", "run_checks"]

Check = tuple[str, str | None, Callable[[], Measured]]  # its name, its column, how to measure it


def run_checks(
    window: Window,
    reference: pd.DataFrame,
    current: pd.DataFrame,
    labels: pd.DataFrame,
    schema: Schema,
    limits: MonitorLimits,
) -> list[CheckResult]:
    """Judge one version's answers in one window.

    Args:
        window: what the results are about.
        reference: a sample of the version's training rows: features, `probability`, `label`.
        current: its answers, one a row: `id`, `event_time`, features, `probability`.
        labels: what came true, for any ids: `id`, `label` (1.0 or 0.0).
        schema: what each feature holds, by name.
        limits: the policy's `monitor:` section.

    Raises ValueError where the limits name a column that is not in the schema.
    """
    limits.refuse_unknown_columns(schema)
    checks = [
        *_window_checks(reference, current, labels, schema, limits),
        *_column_checks(reference, current, schema, limits),
        *_drift_checks(reference, current, schema, limits),
    ]
    if len(current) < limits.min_rows:
        reason = f"{len(current)} rows in the window, checks need {limits.min_rows}"
        return [_unknown(window, name, column, reason) for name, column, _ in checks]
    return [_judge(window, check) for check in checks]


def _window_checks(
    reference: pd.DataFrame,
    current: pd.DataFrame,
    labels: pd.DataFrame,
    schema: Schema,
    limits: MonitorLimits,
) -> Iterator[Check]:
    score = limits.live_score
    share = limits.max_duplicate_share
    yield "duplicate_row", None, partial(quality.duplicate_row, current, schema, share)
    yield "missing_labels", None, partial(missing_labels, current, labels, score)
    yield "live_score", None, partial(live_score, reference, current, labels, score)


def _column_checks(
    reference: pd.DataFrame, current: pd.DataFrame, schema: Schema, limits: MonitorLimits
) -> Iterator[Check]:
    frames = reference, current
    for name, column in schema.items():
        increase = limits.max_missing_increase.of(name)
        yield "missing", name, partial(quality.missing, *frames, name, column, increase)
        if column.min is not None or column.max is not None:
            share = limits.max_out_of_range_share.of(name)
            yield "out_of_range", name, partial(quality.out_of_range, current, name, column, share)
        if column.type == "string":
            share = limits.max_new_category_share.of(name)
            yield "new_category", name, partial(quality.new_category, *frames, name, share)
        if name not in limits.clocks:
            increase = limits.max_stuck_increase.of(name)
            yield "stuck", name, partial(quality.stuck, *frames, name, column, increase)


def _drift_checks(
    reference: pd.DataFrame, current: pd.DataFrame, schema: Schema, limits: MonitorLimits
) -> Iterator[Check]:
    rows = limits.sample_rows
    frames = evidently_report.sample(reference, rows), evidently_report.sample(current, rows)
    for name, column in schema.items():
        if name not in limits.clocks:
            yield "drift", name, partial(_drift, *frames, name, column.type, limits.drift.of(name))
    limit = limits.drift.prediction
    yield "prediction_drift", PREDICTION, partial(_drift, *frames, PREDICTION, "double", limit)


def _drift(
    reference: pd.DataFrame, current: pd.DataFrame, name: str, type_: str, limit: float
) -> Measured:
    sides = present(reference, name, type_), present(current, name, type_)
    score = evidently_report.drift_score(*sides, type_)
    return Measured(score, limit, evidently_report.METHODS[type_])


def _judge(window: Window, check: Check) -> CheckResult:
    """Measure; whatever goes wrong, the other checks go on and this one is unknown."""
    name, column, measure = check
    try:
        found = measure()
        verdict: Verdict = "alert" if found.score > found.threshold else "ok"
        return _result(window, name, column, verdict, found.reason, found)
    except CannotTellError as error:
        return _unknown(window, name, column, str(error))
    except Exception as error:  # noqa: BLE001  the boundary: a failed check is seen, never passed
        return _unknown(window, name, column, f"{type(error).__name__}: {error}")


def _unknown(window: Window, name: str, column: str | None, reason: str) -> CheckResult:
    return _result(window, name, column, "unknown", reason, None)


def _result(
    window: Window,
    name: str,
    column: str | None,
    verdict: Verdict,
    reason: str,
    found: Measured | None,
) -> CheckResult:
    return CheckResult(
        model=window.model,
        version=window.version,
        window_start=window.start,
        window_end=window.end,
        check=name,
        column=column,
        score=float(found.score) if found else None,
        threshold=float(found.threshold) if found else None,
        low=found.low if found else None,
        high=found.high if found else None,
        verdict=verdict,
        reason=reason,
    )
