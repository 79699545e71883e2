"""Every model's policy in, Prometheus rules that hold its limits as series out.

`python -m pipelines.alert_limits` writes `monitoring/prometheus/rules/limits.yml`. Alert rules and
dashboards compare with these series, by model, so that a limit stands in the policy alone.
"""

import sys
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from itertools import islice, pairwise, takewhile
from pathlib import Path
from typing import Any

import yaml
from croniter import CroniterError, croniter  # type: ignore[import-untyped]

from pipelines import models
from pipelines.policy import Policy, PolicyError

TARGET = models.FOLDER.parent / "monitoring/prometheus/rules/limits.yml"
HEADER = "# From pipelines/*/params.yaml by `python -m pipelines.alert_limits`: change those.\n"
_MONDAY = datetime(2024, 1, 1, tzinfo=UTC)
_YEARS = timedelta(days=5 * 366)  # there is a 29th of February in them twice
_RUNS = 11_000  # a run a minute: more than a week of them
Limit = tuple[str, float, dict[str, str]]  # a series' name, its value, labels over the model's


def write(path: Path = TARGET) -> None:
    """Write the rules of all models that there are. Raises PolicyError."""
    path.write_text(render(models.load(name).policy for name in models.names()), encoding="utf-8")


def render(policies: Iterable[Policy]) -> str:
    """Give the rules file: one recording rule with a constant a limit. Raises PolicyError."""
    rules = [
        {
            "record": name,
            "expr": f"vector({float(value)!r})",
            "labels": {"model": policy.model} | labels,
        }
        for policy in policies
        for name, value, labels in limits(policy)
    ]
    groups: list[dict[str, Any]] = [{"name": "limits", "rules": rules}]
    return HEADER + yaml.safe_dump({"groups": groups}, sort_keys=False)


def limits(policy: Policy) -> Iterator[Limit]:
    """Give what rules and dashboards compare with; seconds, counts, shares of 1.

    A companion answers as its model promises to. Nobody has to ask it, and it is as old as its
    model, so no more than that is said of it.
    """
    for step, schedule in (
        ("ingest", policy.ingest.schedule),
        ("monitor", policy.monitor.schedule),
    ):
        if schedule is not None:
            seconds = _period(schedule, f"{policy.model}: {step}.schedule").total_seconds()
            yield f"relay:{step}_period_seconds", seconds, {}
            yield "relay:dag_period_seconds", seconds, {"dag": f"{policy.model}_{step}"}
    if serve := policy.serve:
        for name in (policy.model, *(f"{policy.model}-{each}" for each in policy.companions)):
            yield "relay:objective_availability_ratio", serve.availability, {"model": name}
            yield "relay:objective_latency_seconds", serve.latency_seconds, {"model": name}
        yield "relay:max_quiet_seconds", serve.max_quiet_minutes * 60, {}
        yield "relay:max_model_age_seconds", serve.max_model_age_days * 86400, {}
    yield "relay:retrain_budget", policy.retrain.budget, {}
    for check in policy.retrain.checks:
        yield "relay:retrain_check", 1, {"check": check}


def _period(schedule: str, where: str) -> timedelta:
    """Give the longest time between two runs: over a weekend, where it works on weekdays.

    Cron as Airflow reads it, presets such as @daily included:
    https://airflow.apache.org/docs/apache-airflow/stable/authoring-and-scheduling/cron.html
    """
    try:
        runs = croniter(schedule, _MONDAY).all_next(datetime)
        known: list[datetime] = list(
            takewhile(lambda run: run < _MONDAY + _YEARS, islice(runs, _RUNS))
        )
    except CroniterError as error:
        raise PolicyError(f"{where} is {schedule!r}, wanted a cron line: {error}") from error
    if len(known) < 2:
        raise PolicyError(f"{where} is {schedule!r}, which runs less than twice in five years")
    return max(later - earlier for earlier, later in pairwise(known))


if __name__ == "__main__":
    try:
        write()
    except PolicyError as error:
        sys.exit(str(error))
