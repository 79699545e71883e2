"""What a lap has seen: a monitor's results in, the record for the summary and a sentence out."""

from dataclasses import dataclass, field
from typing import Any


@dataclass
class Window:
    """What the monitor said of one month's traffic."""

    batch: str
    version: str
    alerts: list[str]
    unknown: list[str]
    live: dict[str, Any] | None
    retrain: dict[str, Any]


@dataclass
class Record:
    """What the lap has seen, for the summary; seconds by stage, for the bench."""

    windows: list[Window] = field(default_factory=list)
    stages: list[tuple[str, float]] = field(default_factory=list)


def read_window(batch: str, run: dict[str, Any]) -> Window:
    """Read what a person wants to know from a monitor run."""
    results = run["results"]

    def named(verdict: str) -> list[str]:
        found = [r for r in results if r["verdict"] == verdict]
        return [f"{r['check']} {r['column'] or ''}".strip() for r in found]

    live = next((r for r in results if r["check"] == "live_score"), None)
    return Window(batch, run["version"], named("alert"), named("unknown"), live, run["retrain"])


def judgement(window: Window) -> str:
    """Say a window's verdict in one sentence."""
    live = window.live or {}
    score = live.get("score")
    worth = (
        f"live log loss {score:.3f} (limit {live['threshold']:.3f})" if score else "no score yet"
    )
    drifted = f"alerts: {', '.join(window.alerts)}" if window.alerts else "no alert"
    asked = "RETRAIN" if window.retrain["requested"] else "no retrain"
    return f"{worth}; {drifted}; {asked}: {window.retrain['reason']}"


def describe(champion: dict[str, Any]) -> str:
    """Say in one line what a champion is."""
    return (
        f"version {champion['version']} is champion: log loss {champion['log_loss']}, "
        f"{champion['rival']} {champion['rival_log_loss']} on the same days ({champion['dataset']})"
    )
