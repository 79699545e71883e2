"""A model's ``params.yaml`` in, one strict and frozen ``Policy`` out.

Sections are named after the steps. A misspelt key, a missing one or a value of the wrong type is an
error that names the file and the key: a gate whose limit was never read would be no gate.
"""

from pathlib import Path
from typing import Any, Literal, Self

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from monitoring.limits import CheckName, MonitorLimits
from monitoring.problems import PROBLEMS, Kind

ColumnType = Literal["string", "long", "double", "time"]
SLOWEST = 10  # seconds, where the histogram of serving's answers ends (services/serving/metrics.py)


class PolicyError(ValueError):
    """The policy file is missing, is not YAML, or does not say what a policy must say."""


class Section(BaseModel):
    """A part of the policy: no unknown keys, no silent conversions, no changes afterwards."""

    model_config = ConfigDict(strict=True, frozen=True, extra="forbid")


class Column(Section):
    """What one column of a batch must hold; shares are fractions of the batch's rows.

    One with a ``shape`` holds a tensor a row, of which ``min`` and ``max`` bound each value.
    """

    type: ColumnType
    feature: bool = False
    shape: tuple[int, ...] = Field(default=(), strict=False)
    min: float | None = None
    max: float | None = None
    max_missing_share: float = Field(default=0.0, ge=0, le=1)
    max_new_share: float | None = Field(default=None, ge=0, le=1)

    @property
    def optional(self) -> bool:
        """True if a request may leave the feature out: batches have gaps in it too."""
        return self.max_missing_share > 0

    @model_validator(mode="after")
    def _can_be_asked(self) -> Self:
        if self.feature and self.type == "time":
            raise ValueError("a time cannot be a feature: take its hour, weekday, ... as columns")
        if self.feature and self.type == "long" and self.optional:
            raise ValueError("a whole number cannot be missing from a request: make it a double")
        if self.shape and (self.type != "double" or self.optional):
            raise ValueError("a tensor is of doubles, and none of its values can be missing")
        return self


class Data(Section):
    """The batch: the columns that name and date a row, and every column's type and bounds."""

    id: str
    event_time: str
    columns: dict[str, Column]

    @property
    def features(self) -> dict[str, Column]:
        """The columns that the model is asked with, in the order of its graph's inputs."""
        return {name: column for name, column in self.columns.items() if column.feature}


class Output(Section):
    """One of the graph's outputs that is watched as a feature is, one value a row.

    A number that is a name, such as a class, is a string: values are told apart, not subtracted.
    """

    type: Literal["string", "long", "double"]
    min: float | None = None
    max: float | None = None

    @property
    def feature(self) -> bool:
        """False: the model gives it, and is not asked with it."""
        return False

    @property
    def shape(self) -> tuple[int, ...]:
        """Empty: tensors are not watched."""
        return ()


class Ingest(Section):
    """The gate in front of the data registry; ``schedule`` is a cron line or none."""

    schedule: str | None
    min_rows: int = Field(ge=1)
    max_duplicate_share: float = Field(ge=0, le=1)
    max_out_of_range_share: float = Field(ge=0, le=1)


class Scale(Section):
    """By what means is learnt; what comes out is the same, within rounding."""

    processes: int = Field(default=1, ge=1)  # share every batch
    accumulation: int = Field(default=1, ge=1)  # parts of a process's share, one after the other
    precision: Literal["float32", "bfloat16"] = "float32"  # bfloat16 where there is a GPU
    compile: bool = False  # where there is a GPU


class Train(Section):
    """What is trained on, and how; days count back from the newest event in the dataset."""

    history_days: int = Field(ge=1)
    validation_days: int = Field(ge=1)
    holdout_days: int = Field(ge=1)
    min_rows: int = Field(ge=1)
    on_new_data: bool
    epochs: int = Field(ge=1)
    batch_size: int = Field(ge=1)
    learning_rate: float = Field(gt=0)
    warmup_share: float = Field(default=0.0, ge=0, lt=1)  # of the steps: the rate rises to its full
    weight_decay: float = Field(ge=0)
    patience: int = Field(ge=1)
    seed: int
    slices: list[str] = Field(min_length=1)
    baselines: list[str] = Field(min_length=1)
    scale: Scale = Scale()  # policies recorded with older versions have none
    network: dict[str, Any]

    @model_validator(mode="after")
    def _days_are_left_to_learn_from(self) -> Self:
        if self.history_days <= self.validation_days + self.holdout_days:
            raise ValueError(
                f"history_days ({self.history_days}) must be more than validation_days and "
                f"holdout_days together ({self.validation_days} + {self.holdout_days})"
            )
        return self


class Range(Section):
    """Numbers from low to high, both included; whole ones where both are whole."""

    low: int | float
    high: int | float
    log: bool = False  # drawn evenly by their magnitude

    def holds(self, value: Any) -> bool:
        """Tell whether a value may be drawn."""
        return isinstance(value, int | float) and self.low <= value <= self.high

    @model_validator(mode="after")
    def _is_a_range(self) -> Self:
        if self.low >= self.high or (self.log and self.low <= 0):
            raise ValueError(f"from {self.low} to {self.high} nothing can be drawn")
        return self


class Choice(Section):
    """One of a few values."""

    choices: list[int | float | str | bool] = Field(min_length=2)

    def holds(self, value: Any) -> bool:
        """Tell whether a value may be drawn."""
        return value in self.choices


class Tune(Section):
    """What a study may change of ``train``, by dotted names (``network.hidden``), and how often."""

    trials: int = Field(ge=1)
    space: dict[str, Range | Choice] = Field(min_length=1)


class Register(Section):
    """What a run must show to become a model version."""

    parity_tolerance: float = Field(gt=0)
    reference_rows: int = Field(ge=1)


class Optimize(Section):
    """Whether the graph is made smaller for serving, and what keeps it: else it stays as it is."""

    method: Literal["none", "int8"]
    max_score_loss: float = Field(ge=0)  # nats of log loss, on the hold-out
    min_speedup: float = Field(ge=0)  # of the median, one row at a time: 1.1 is a tenth faster


class Evaluate(Section):
    """How challenger and champion are compared on the same labelled rows."""

    bootstrap_samples: int = Field(ge=100)
    confidence: float = Field(gt=0, lt=1)
    min_slice_rows: int = Field(ge=1)


class Promote(Section):
    """The gate in front of ``@champion``; log loss in nats, latency in seconds."""

    must_beat: list[str]
    min_improvement: float
    max_calibration_error: float | None = Field(default=None, gt=0, le=1)  # none without labels
    max_slice_regression: float = Field(gt=0)
    max_latency_seconds: float = Field(gt=0)


class Canary(Section):
    """How a version that the gate lets through is tried first; a share of 0: only in the shadow.

    It is withdrawn where it is worse than the champion by more than a limit, looked at whenever it
    has answered ``min_requests`` more: errors as a difference of shares, seconds as a ratio.
    """

    share: float = Field(ge=0, le=0.5)
    min_requests: int = Field(ge=100)
    max_error_increase: float = Field(ge=0, le=1)
    max_latency_ratio: float = Field(ge=1)


class Serve(Section):
    """What those who ask are promised, of 30 days; alerts begin where a promise is being broken."""

    availability: float = Field(gt=0, lt=1)  # share of the requests that do not fail (5xx)
    latency_seconds: float = Field(gt=0)  # 99 of 100 requests are answered within
    max_quiet_minutes: int = Field(ge=1)  # without any prediction: traffic does not reach us
    max_model_age_days: int = Field(ge=1)  # of the champion, since it was registered

    @field_validator("latency_seconds")
    @classmethod
    def _can_be_seen_broken(cls, seconds: float) -> float:
        if seconds >= SLOWEST:
            raise ValueError(
                f"must be less than {SLOWEST}: serving measures no slower answers than that, so no "
                f"alert could tell"
            )
        return seconds


class Retrain(Section):
    """When the monitor's verdict trains again, and how often at most (days of event time)."""

    checks: list[CheckName]
    cooldown_days: int = Field(ge=0)
    budget: int = Field(ge=0)
    budget_days: int = Field(ge=1)


class Policy(Section):
    """One model's whole policy: the content of ``pipelines/<model>/params.yaml``."""

    model: str
    description: str
    problem: Kind
    data: Data
    outputs: dict[str, Output]
    companions: list[str] = []  # graphs that are registered beside the model's, as <model>-<name>
    ingest: Ingest
    train: Train
    tune: Tune | None = None  # without one, nothing may be changed
    optimize: Optimize | None = None  # nor this: the graph is served as it was exported
    register_: Register = Field(alias="register")
    evaluate: Evaluate
    promote: Promote
    canary: Canary | None = None  # policies recorded with older versions have none
    serve: Serve | None = None  # nor this
    monitor: MonitorLimits
    retrain: Retrain

    @property
    def watched(self) -> dict[str, Column | Output]:
        """What the monitor looks at: the features, then the outputs that are named."""
        return {**self.data.features, **self.outputs}

    @model_validator(mode="after")
    def _names_are_columns(self) -> Self:
        self.monitor.refuse_unknown_columns(self.watched)
        named = [self.data.id, self.data.event_time, *self.train.slices]
        if absent := [name for name in named if name not in self.data.columns]:
            raise ValueError(f"data.columns lacks {', '.join(absent)}, named elsewhere")
        if twice := [name for name in self.outputs if name in self.data.features]:
            raise ValueError(f"outputs names {', '.join(twice)}, which the model is asked with")
        if absent := [name for name in self.promote.must_beat if name not in self.train.baselines]:
            raise ValueError(f"train.baselines lacks {', '.join(absent)}, which must be beaten")
        return self

    @model_validator(mode="after")
    def _labels_are_waited_for_where_they_come(self) -> Self:
        limits = {
            "promote.max_calibration_error": self.promote.max_calibration_error,
            "monitor.max_label_lag_days": self.monitor.max_label_lag_days,
            "monitor.live_score.max_unlabelled_share": self.monitor.live_score.max_unlabelled_share,
        }
        labelled = PROBLEMS[self.problem].labelled
        if wrong := [name for name, limit in limits.items() if (limit is not None) != labelled]:
            which = "needs" if labelled else "has no labels for"
            raise ValueError(f"a problem of {self.problem} {which} {', '.join(wrong)}")
        return self


def read(path: Path) -> Policy:
    """Read one policy file; raise ``PolicyError`` naming file, key and reason."""
    try:
        content = yaml.safe_load(path.read_text())
    except (OSError, yaml.YAMLError) as error:
        raise PolicyError(f"{path}: cannot be read: {error}") from error
    if not isinstance(content, dict):
        raise PolicyError(f"{path}: holds {type(content).__name__}, wanted the policy's sections")
    try:
        policy = Policy.model_validate(content)
    except ValidationError as error:
        raise PolicyError(f"{path}: {faults(error)}") from error
    if outside := _outside_the_space(policy):
        raise PolicyError(f"{path}: a study begins with today's values: {outside}")
    return policy


def _outside_the_space(policy: Policy) -> str:
    """Say which values of ``train`` no study may draw; those of a recorded policy may be any."""
    found = []
    for name, space in policy.tune.space.items() if policy.tune else ():
        value: Any = policy.train.model_dump()
        for key in name.split("."):
            value = value.get(key) if isinstance(value, dict) else None
        if not space.holds(value):
            found.append(f"tune.space.{name} does not hold {value!r}")
    return "; ".join(found)


def faults(error: ValidationError) -> str:
    """Say key, reason and value of every fault, in one line."""
    return "; ".join(
        f"{'.'.join(map(str, fault['loc']))}: {fault['msg']} (found {fault['input']!r:.60})"
        for fault in error.errors()
    )
