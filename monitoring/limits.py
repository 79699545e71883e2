"""The policy's `monitor:` section in, one strict and frozen `MonitorLimits` out.

Shares are fractions of a window's rows (0 to 1), drift limits are distances (units below), times
are said in their name. A misspelt key, a missing one or a wrong type is an error that names it.
"""

from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from monitoring.measures import Schema

CheckName = Literal[
    "duplicate_row",
    "missing_labels",
    "live_score",
    "estimated_score",
    "label_lag",
    "missing",
    "out_of_range",
    "new_category",
    "stuck",
    "drift",
    "jump",
    "prediction_drift",
]
Share = Annotated[float, Field(ge=0, le=1)]
Distance = Annotated[float, Field(gt=0)]


class _Section(BaseModel):
    model_config = ConfigDict(strict=True, frozen=True, extra="forbid", allow_inf_nan=False)


class ShareLimits(_Section):
    """A limit for every column, and other ones for the columns named (fractions of the rows)."""

    default: Share
    columns: Mapping[str, Share] = {}

    def of(self, column: str) -> float:
        """Return the limit that holds for one column."""
        return self.columns.get(column, self.default)


class DriftLimits(_Section):
    """How far a column may move away from the reference before that is drift.

    Numbers: Wasserstein-1 distance in standard deviations of the reference (0 = same, unbounded).
    Strings: Jensen-Shannon distance with the natural logarithm (0 = same, 0.83 = nothing shared).
    Both carry noise that grows as the window gets small: measure it before setting a limit.
    """

    default: Distance
    columns: Mapping[str, Distance] = {}

    def of(self, column: str) -> float:
        """Return the limit that holds for one column."""
        return self.columns.get(column, self.default)


class JumpLimits(_Section):
    """How far the newest two days of a number may be from the rest of the window.

    Distances of the means, in standard deviations of the reference. None: it is not asked for,
    as of a weekday, which jumps every week.
    """

    default: Distance | None = None
    columns: Mapping[str, Distance | None] = {}

    def of(self, column: str) -> float | None:
        """Return the limit that holds for one column."""
        return self.columns.get(column, self.default)


class LiveScoreLimits(_Section):
    """What the answers must be worth once labels are there."""

    metric: Literal["log_loss"]  # mean over labelled rows, in nats
    max_ratio_to_base_rate: float = Field(gt=0)  # x the loss of always saying the training's rate
    min_labels: int = Field(ge=1)  # labelled rows, or any where none is labelled; else "unknown"
    max_unlabelled_share: Share | None = None  # of the window's rows that no label has come for
    confidence: float = Field(gt=0, lt=1)  # that it is beyond the limit and not by chance


class MonitorLimits(_Section):
    """When the monitor runs, what it looks at and where each check begins to alert."""

    schedule: str  # cron, UTC
    window_days: int = Field(ge=1)  # days of event time
    min_rows: int = Field(ge=1)  # rows of a window; fewer and every check is "unknown"
    sample_rows: int = Field(ge=100)  # rows of each side that Evidently is given
    keep_reports: int = Field(ge=1)  # newest reports of a model that stay in the workspace
    clocks: tuple[str, ...] = Field(default=(), strict=False)  # move by themselves: only quality

    max_label_lag_days: float | None = Field(default=None, gt=0)  # newest answer to newest labelled
    max_duplicate_share: Share  # of rows that repeat an earlier one under another id
    max_out_of_range_share: ShareLimits  # of rows outside the schema's min and max
    max_missing_increase: ShareLimits  # added to the reference's own share of missing values
    max_new_category_share: ShareLimits  # of values that the reference does not have
    max_stuck_increase: ShareLimits  # added to the reference's share of its most common value
    drift: DriftLimits
    max_jump: JumpLimits = JumpLimits()  # newer than some recorded policies: no jump is asked for
    live_score: LiveScoreLimits

    def refuse_unknown_columns(self, schema: Schema) -> None:
        """Raise ValueError if a limit is set for a column that nobody watches."""
        named = {
            "clocks": self.clocks,
            "max_out_of_range_share.columns": self.max_out_of_range_share.columns,
            "max_missing_increase.columns": self.max_missing_increase.columns,
            "max_new_category_share.columns": self.max_new_category_share.columns,
            "max_stuck_increase.columns": self.max_stuck_increase.columns,
            "drift.columns": self.drift.columns,
            "max_jump.columns": self.max_jump.columns,
        }
        known = {name for name, column in schema.items() if not column.shape}
        for key, columns in named.items():
            if unknown := sorted(set(columns) - known):
                raise ValueError(
                    f"monitor.{key} names {', '.join(unknown)}, which is neither a feature nor "
                    f"one of outputs; those are {', '.join(sorted(known))}"
                )
