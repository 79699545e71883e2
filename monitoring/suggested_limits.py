"""Quiet windows, each with a reference, in; the limits under which all of them stay quiet out.

What a check scores when nothing is wrong depends on the column (weather moves, a timetable hardly),
on the length of a window and on its rows. So it is measured: the highest score of each column over
the windows given, times `MARGIN`, is the limit, or `MOST` where that is less. What the windows do
not hold, as a season that training never saw, no limit taken from them can know.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from math import ceil, floor, inf, isfinite, log10

import yaml

from monitoring.checks import run_checks
from monitoring.limits import JumpLimits, MonitorLimits, ShareLimits
from monitoring.measures import Schema
from monitoring.results import CheckResult, Window
from monitoring.sketches.window import WindowSketch

MARGIN = 1.5  # a handful of windows has not seen the highest score that chance has in store

# the least limit of each check, by its key in the policy: less is no fault that anybody looks for
LEAST = {
    "max_out_of_range_share": 0.001,
    "max_missing_increase": 0.03,
    "max_new_category_share": 0.03,
    "max_stuck_increase": 0.25,
    "drift": 0.15,
    "max_jump": 1.0,
}
KEYS = {
    "out_of_range": "max_out_of_range_share",
    "missing": "max_missing_increase",
    "new_category": "max_new_category_share",
    "stuck": "max_stuck_increase",
    "drift": "drift",
    "prediction_drift": "drift",
    "jump": "max_jump",
}
MOST = {  # the largest limit that a policy takes, and that a score can still be above
    **dict.fromkeys((key for key in LEAST if key not in ("drift", "max_jump")), 0.99),  # shares
    "drift of texts": 0.82,  # nothing shared is 0.83; of numbers it has no end, nor has a jump
}
_ANY = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Suggestion:
    """A policy key's limit for one column, and the highest of so many windows' scores.

    A limit of None, and a highest score of infinity: a quiet window could not tell, as a column
    that is mostly missing cannot of a jump, so it is not to be asked for.
    """

    key: str
    column: str
    limit: float | None
    highest: float
    windows: int


def suggest(
    windows: Iterable[tuple[WindowSketch, WindowSketch]], schema: Schema, limits: MonitorLimits
) -> list[Suggestion]:
    """Measure every check on quiet windows; see the module for what becomes of the scores.

    Args:
        windows: reference and window, with probabilities; of rows that nothing is wrong with.
        schema: what each feature, and each output that is watched, holds, by name.
        limits: the policy's present section: its clocks are not measured.

    Raises ValueError where no window has a score, or a check could not run, with its reason.
    """
    every = JumpLimits(default=LEAST["max_jump"])
    none = ShareLimits(default=0)  # so that thresholds are the reference's own shares
    increases = {"max_missing_increase": none, "max_stuck_increase": none}
    quiet = limits.model_copy(update={"min_rows": 1, "max_jump": every, **increases})
    about = Window(model="-", version="-", start=_ANY, end=_ANY)
    scores: dict[tuple[str, str], list[float]] = defaultdict(list)
    for reference, window in windows:
        for result in run_checks(about, reference, window, schema, quiet):
            if result.check in KEYS and result.column is not None:
                key = KEYS[result.check]
                scores[key, result.column].append(_above(result, key))
    if not scores:
        raise ValueError("there is no window to take limits from")
    return [
        Suggestion(
            key, column, _limit(key, schema[column].type, max(found)), max(found), len(found)
        )
        for (key, column), found in scores.items()
    ]


def render(suggestions: Iterable[Suggestion], default: Mapping[str, float] = LEAST) -> str:
    """Write the suggestions as YAML for a policy's `monitor:` section, the reasons as comments."""
    lines: list[str] = []
    by_key: dict[str, list[Suggestion]] = defaultdict(list)
    for each in suggestions:
        by_key[each.key].append(each)
    for key, group in by_key.items():
        lines += [f"{key}:", f"  default: {default[key]:g}"]
        columns = [each for each in group if each.limit != default[key]]
        lines += ["  columns:"] if columns else []
        lines += [_line(each) for each in columns]
    text = "\n".join(lines) + "\n"
    yaml.safe_load(text)  # what is to be pasted must be readable
    return text


def limit(value: float) -> float:
    """Round up to two digits that count: 0.1234 is 0.13."""
    step = 10.0 ** (floor(log10(value)) - 1)
    return float(round(ceil(round(value / step, 6)) * step, 10))


def _limit(key: str, type_: str, highest: float) -> float | None:
    if not isfinite(highest):
        return None
    most = MOST.get("drift of texts" if key == "drift" and type_ == "string" else key, inf)
    return min(most, limit(max(LEAST[key], MARGIN * highest)))


def _above(result: CheckResult, key: str) -> float:
    """Return the part of a score that the limit is compared with: above the reference's share."""
    if result.check == "jump" and result.score is None:
        return inf  # too few values in two days
    if result.score is None or result.threshold is None or result.column is None:
        raise ValueError(f"{result.check} of {result.column} could not run: {result.reason}")
    if key in ("max_missing_increase", "max_stuck_increase"):
        return max(0.0, result.score - result.threshold)
    return result.score


def _line(found: Suggestion) -> str:
    number = "null" if found.limit is None else f"{found.limit:g}"
    entry, many = f"    {found.column}: {number}", f"{found.windows} quiet windows"
    if found.limit is None:
        return f"{entry:<30}# cannot be told in each of {many}"
    if found.highest > found.limit:
        return f"{entry:<30}# alerts in some of {many} (at most {found.highest:.3g})"
    return f"{entry:<30}# at most {found.highest:.3g} in {many}"
