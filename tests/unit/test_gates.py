"""The two decisions that change what is served: promote, and retrain."""

from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from monitoring.results import CheckResult, MonitorRun, Verdict, read_run, write_run
from pipelines import models
from pipelines.exits import NothingToDo
from pipelines.policy import Promote, Retrain
from pipelines.settings import Settings
from pipelines.steps import promote, register, retrain

GATE = Promote(
    must_beat=["base_rate", "logistic_regression"],
    min_improvement=0.0,
    max_calibration_error=0.05,
    max_slice_regression=0.05,
    max_latency_seconds=0.01,
)
GOOD: dict[str, Any] = {
    "champion_version": 1,
    "challenger": {"log_loss": 0.50, "calibration_error": 0.02},
    "rival": {"log_loss": 0.56},
    "difference": {"mean": -0.06, "low": -0.08, "high": -0.04},
    "worst_slice": {"slice": "carrier", "value": "HA", "rows": 300, "difference": 0.01},
    "own_split": {"network": 0.51, "base_rate": 0.56, "logistic_regression": 0.52},
    "latency_seconds": 0.0005,
}


def passes(**changed: Any) -> bool:
    return all(answer.passed for answer in promote.decide(GOOD | changed, GATE))


def test_a_better_challenger_passes() -> None:
    assert passes()
    assert passes(champion_version=None, worst_slice=None)


@pytest.mark.parametrize(
    "changed",
    [
        {"difference": {"mean": -0.01, "low": -0.03, "high": 0.01}},
        {"difference": {"mean": float("nan"), "low": float("nan"), "high": float("nan")}},
        {"challenger": {"log_loss": 0.5, "calibration_error": 0.06}},
        {"worst_slice": GOOD["worst_slice"] | {"difference": 0.06}},
        {"latency_seconds": 0.02},
        {"own_split": GOOD["own_split"] | {"logistic_regression": 0.50}},
    ],
    ids=[
        "not surely better",
        "not a number",
        "badly calibrated",
        "a slice loses",
        "slow",
        "no better",
    ],
)
def test_one_no_is_a_no_and_says_which(changed: dict[str, Any]) -> None:
    answers = promote.decide(GOOD | changed, GATE)
    assert [answer.passed for answer in answers].count(False) == 1
    assert sum(str(answer).startswith("NO: ") for answer in answers) == 1


@pytest.mark.parametrize(
    ("status", "difference", "fault"),
    [
        ("RUNNING", 1e-7, "is RUNNING"),
        ("FINISHED", None, "nobody compared"),
        ("FINISHED", 2e-5, "differ by 2.00e-05"),
        ("FINISHED", float("nan"), "differ by nan"),
    ],
)
def test_a_run_is_registered_only_when_it_is_whole(
    status: str, difference: float | None, fault: str
) -> None:
    assert not register.check("FINISHED", 1e-7, 1e-5)
    (said,) = register.check(status, difference, 1e-5)
    assert fault in said


NOW = datetime(2013, 7, 15, tzinfo=UTC)
LIMITS = Retrain(checks=["live_score"], cooldown_days=14, budget=2, budget_days=100)


def result(check: str, verdict: Verdict) -> CheckResult:
    measured = {"score": 0.8, "threshold": 0.6} if verdict != "unknown" else {}
    return CheckResult(
        model="m",
        version="1",
        window_start=NOW - timedelta(days=14),
        window_end=NOW,
        check=check,
        column=None,
        score=measured.get("score"),
        threshold=measured.get("threshold"),
        verdict=verdict,
        reason="because",
    )


def test_an_alert_that_the_policy_names_asks_for_a_retrain() -> None:
    decision = retrain.decide([result("live_score", "alert")], [], LIMITS)
    assert decision.requested
    assert decision.reason == "live_score: because"
    assert decision.budget_left == 1
    assert decision.cooldown_until == NOW + timedelta(days=14)


@pytest.mark.parametrize(
    "quiet", [("live_score", "ok"), ("live_score", "unknown"), ("drift", "alert")]
)
def test_nothing_else_does(quiet: tuple[str, Verdict]) -> None:
    assert not retrain.decide([result(*quiet)], [], LIMITS).requested


def test_not_in_cool_down() -> None:
    alert = [result("live_score", "alert")]
    decision = retrain.decide(alert, [NOW - timedelta(days=13)], LIMITS)
    assert not decision.requested
    assert "in cool-down until 2013-07-16" in decision.reason
    assert retrain.decide(alert, [NOW - timedelta(days=14)], LIMITS).requested


def test_not_beyond_the_budget() -> None:
    alert, spent = [result("live_score", "alert")], [NOW - timedelta(days=d) for d in (20, 40)]
    decision = retrain.decide(alert, spent, LIMITS)
    assert not decision.requested
    assert "budget is spent (2 of 2 in 100 days)" in decision.reason
    old = [NOW - timedelta(days=d) for d in (20, 101)]
    assert retrain.decide(alert, old, LIMITS).requested


def test_every_request_is_spent_though_no_time_has_passed_in_the_data(tmp_path: Path) -> None:
    model = models.load("flights")
    limits = LIMITS.model_copy(update={"cooldown_days": 0})
    model = replace(model, policy=model.policy.model_copy(update={"retrain": limits}))
    settings = Settings(home=tmp_path)
    left = []
    for minute in range(3):
        run = MonitorRun(
            model=model.name,
            version="1",
            window_start=NOW - timedelta(days=14),
            window_end=NOW,
            run_time=NOW + timedelta(minutes=minute),
            results=(result("live_score", "alert"),),
        )
        write_run(settings.checks, run)
        with suppress(NothingToDo):
            retrain.retrain(model, settings)
        decision = read_run(settings.checks / "flights.json").retrain
        assert decision
        left.append((decision.requested, decision.budget_left))
    assert left == [(True, 1), (True, 0), (False, 0)]
