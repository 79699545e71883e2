"""Prometheus' newest values in, the state of the loop in words out: is it healthy, if not, where.

What cannot be known is `unknown` and never counts as healthy.
"""

import asyncio
from collections import Counter
from collections.abc import Iterable
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
    not_started: tuple[str, ...] = ()  # models of a policy that nobody has begun with

    @property
    def headline(self) -> str:
        """One sentence for the top of the page."""
        return HEADLINES[self.health]


HEADLINES: dict[Health, str] = {
    "ok": "The loop is healthy",
    "attention": "The loop needs attention",
    "unknown": "Nobody knows whether the loop is healthy",
}


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
    firing = [_firing(alert) for alert in alerts["alerts"] if _wants_somebody(alert)]
    started = [model for model in facts.models() if facts.started(model)]
    laps = tuple(Lap(model, stages_of(model, facts)) for model in started)
    idle = tuple(model for model in facts.models() if model not in started)
    wrong = [*_said_by_alerts(firing), *_said_by_stages(laps, "attention")]
    unknown = [*_not_judged(rules, facts), *_said_by_stages(laps, "unknown")]
    health: Health = "attention" if wrong else "unknown" if unknown else "ok"
    urgent = tuple(sorted(firing, key=_urgency))
    return Loop(health, (*wrong, *unknown), urgent, laps, idle)


def _said_by_alerts(firing: list[Firing]) -> list[str]:
    if not firing:
        return []
    names = Counter(alert.name for alert in firing)
    said = [name if number == 1 else f"{name} ({number})" for name, number in names.items()]
    return [f"{'An alert fires' if len(firing) == 1 else 'Alerts fire'}: {', '.join(sorted(said))}"]


def _said_by_stages(laps: Iterable[Lap], state: Literal["attention", "unknown"]) -> list[str]:
    """Name the stages in this state, a sentence for each model."""
    asks = {"attention": "look at", "unknown": "not known:"}[state]
    found = [(lap, [stage.name for stage in lap.stages if stage.state == state]) for lap in laps]
    return [f"{lap.model}: {asks} {', '.join(names)}" for lap, names in found if names]


def _wants_somebody(alert: dict[str, Any]) -> bool:
    """Say whether it fires and is more than the heartbeat, which always does."""
    return bool(alert["state"] == "firing" and alert["labels"].get("severity") != "none")


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


def _not_judged(rules: dict[str, Any], facts: Facts) -> list[str]:
    """Say what keeps us from calling the loop healthy although nothing fires."""
    reasons = []
    alerting = [rule for group in rules["groups"] for rule in group["rules"]]
    if not alerting:
        reasons.append("Prometheus has no alert rules: nothing could fire")
    failing = [rule["name"] for rule in alerting if rule["health"] == "err"]
    if failing:
        reasons.append(f"Alert rules that cannot be judged: {', '.join(sorted(set(failing)))}")
    down, unread = facts.labels("target_down", "job"), facts.labels("source_down", "source")
    reasons += [f"{job} does not answer Prometheus" for job in down]
    reasons += [f"The exporter cannot read {source}" for source in unread]
    if not facts.models():
        reasons.append("No model is known to Prometheus yet")
    elif not any(map(facts.started, facts.models())):
        reasons.append("No model has been started yet")
    return reasons
