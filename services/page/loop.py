"""Prometheus' newest values in, the state of the loop in words out: is it healthy, if not, where.

What cannot be known is `unknown` and never counts as healthy.
"""

import asyncio
from dataclasses import dataclass
from typing import Any, Literal

from services.page.facts import EXPRESSIONS, Facts
from services.page.prometheus import Prometheus, PrometheusError
from services.page.stages import Stage, stages_of

Health = Literal["ok", "attention", "unknown"]


@dataclass(frozen=True)
class Firing:
    """An alert that fires now, as Prometheus tells it."""

    name: str
    severity: str
    model: str
    summary: str
    since: str  # ISO 8601


@dataclass(frozen=True)
class Lap:
    """One model's way around."""

    model: str
    stages: tuple[Stage, ...]


@dataclass(frozen=True)
class Loop:
    """All of it; `reasons` say why it is not known to be healthy."""

    health: Health
    reasons: tuple[str, ...]
    firing: tuple[Firing, ...] = ()
    laps: tuple[Lap, ...] = ()

    @property
    def headline(self) -> str:
        """One sentence for the top of the page."""
        if self.health == "ok":
            return "The loop is healthy"
        if self.health == "unknown":
            return "Nobody knows whether the loop is healthy"
        count = len(self.firing)
        return f"The loop needs attention: {count} {'alert fires' if count == 1 else 'alerts fire'}"


async def look(prometheus: Prometheus) -> Loop:
    """Ask everything at once and judge; never raises: a Prometheus that is away is the answer."""
    try:
        alerts, rules, *answers = await asyncio.gather(
            prometheus.data("alerts"),
            prometheus.data("rules", type="alert"),
            *(prometheus.samples(expression) for expression in EXPRESSIONS.values()),
        )
    except PrometheusError as error:
        return Loop("unknown", (str(error),))
    facts = Facts(dict(zip(EXPRESSIONS, answers, strict=True)))
    firing = tuple(_firing(alert) for alert in alerts["alerts"] if alert["state"] == "firing")
    laps = tuple(Lap(model, stages_of(model, facts)) for model in facts.models())
    unknown = tuple(_unknown(rules, facts))
    health: Health = "attention" if firing else "unknown" if unknown else "ok"
    return Loop(health, unknown, tuple(sorted(firing, key=_urgency)), laps)


def _firing(alert: dict[str, Any]) -> Firing:
    labels, annotations = alert["labels"], alert["annotations"]
    return Firing(
        name=labels["alertname"],
        severity=labels.get("severity", ""),
        model=labels.get("model", ""),
        summary=annotations.get("summary", ""),
        since=alert["activeAt"],
    )


def _urgency(alert: Firing) -> tuple[bool, str, str]:
    return alert.severity != "page", alert.name, alert.summary


def _unknown(rules: dict[str, Any], facts: Facts) -> list[str]:
    """Say what keeps us from calling the loop healthy although nothing fires."""
    reasons = []
    alerting = [rule for group in rules["groups"] for rule in group["rules"]]
    if not alerting:
        reasons.append("Prometheus has no alert rules: nothing could fire")
    failing = [rule["name"] for rule in alerting if rule["health"] == "err"]
    if failing:
        reasons.append(f"alert rules that cannot be judged: {', '.join(sorted(set(failing)))}")
    down, unread = facts.labels("target_down", "job"), facts.labels("source_down", "source")
    reasons += [f"{job} does not answer Prometheus" for job in down]
    reasons += [f"the exporter cannot read {source}" for source in unread]
    if not facts.models():
        reasons.append("no model is known to Prometheus yet")
    return reasons
