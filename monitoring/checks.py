"""The sketches of a window of answers and of the version's training rows in, check results out.

Verdicts are `ok`, `alert` and `unknown`. A check that could not run is `unknown` with the reason,
never `ok`. The same sketches and limits give the same results.
"""

from collections.abc import Callable, Iterator
from functools import partial

from monitoring import quality
from monitoring.drift import drift
from monitoring.estimated_score import estimated_score
from monitoring.jump import jump
from monitoring.limits import MonitorLimits
from monitoring.live_score import label_lag, live_score, missing_labels
from monitoring.measures import CannotTellError, Measured, Schema
from monitoring.results import CheckResult, Verdict, Window
from monitoring.sketches.window import WindowSketch

__all__ = ["CheckResult", "Window", "run_checks"]

Check = tuple[str, str | None, Callable[[], Measured]]  # its name, its column, how to measure it


def run_checks(
    window: Window,
    reference: WindowSketch,
    current: WindowSketch,
    schema: Schema,
    limits: MonitorLimits,
) -> list[CheckResult]:
    """Judge one version's answers in one window.

    Args:
        window: what the results are about.
        reference: of the version's training rows, with the answers to them and their labels.
        current: of its answers, with the labels that have come.
        schema: what each feature, and each output that is watched, holds, by name.
        limits: the policy's `monitor:` section.

    Raises ValueError where the limits name a column that is not in the schema.
    """
    limits.refuse_unknown_columns(schema)
    schema = {name: column for name, column in schema.items() if not column.shape}
    checks = [
        *_window_checks(reference, current, limits),
        *_column_checks(reference, current, schema, limits),
        *_drift_checks(reference, current, schema, limits),
    ]
    if current.rows < limits.min_rows:
        reason = f"{current.rows} rows in the window, checks need {limits.min_rows}"
        return [_unknown(window, name, column, reason) for name, column, _ in checks]
    return [_judge(window, check) for check in checks]


def _window_checks(
    reference: WindowSketch, current: WindowSketch, limits: MonitorLimits
) -> Iterator[Check]:
    score = limits.live_score
    most = limits.max_duplicate_share
    yield "duplicate_row", None, partial(quality.duplicate_row, current, most)
    if score.max_unlabelled_share is not None:
        share = score.max_unlabelled_share
        yield "missing_labels", None, partial(missing_labels, current, share)
    if limits.max_label_lag_days is not None:
        yield "label_lag", None, partial(label_lag, current, limits.max_label_lag_days)
    yield "live_score", None, partial(live_score, reference, current, score)
    if current.problem.estimable:
        yield "estimated_score", None, partial(estimated_score, reference, current, score)


def _column_checks(
    reference: WindowSketch, current: WindowSketch, schema: Schema, limits: MonitorLimits
) -> Iterator[Check]:
    sides = reference, current
    for name, column in schema.items():
        increase = limits.max_missing_increase.of(name)
        yield "missing", name, partial(quality.missing, *sides, name, increase)
        if column.min is not None or column.max is not None:
            share = limits.max_out_of_range_share.of(name)
            yield "out_of_range", name, partial(quality.out_of_range, current, name, share)
        if column.type == "string":
            share = limits.max_new_category_share.of(name)
            yield "new_category", name, partial(quality.new_category, *sides, name, share)
        if name not in limits.clocks:
            increase = limits.max_stuck_increase.of(name)
            yield "stuck", name, partial(quality.stuck, *sides, name, increase)


def _drift_checks(
    reference: WindowSketch, current: WindowSketch, schema: Schema, limits: MonitorLimits
) -> Iterator[Check]:
    sides = reference, current
    for name, column in schema.items():
        if name in limits.clocks:
            continue
        moved = partial(drift, *sides, name, limits.drift.of(name))
        if column.feature:
            yield "drift", name, moved
        else:
            yield "prediction_drift", name, moved
        most = limits.max_jump.of(name)
        if most is not None and column.type != "string":
            yield "jump", name, partial(jump, *sides, name, most)


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
