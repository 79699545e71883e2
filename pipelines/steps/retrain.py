"""The newest check results in, a decision out: ask for a retrain, or say why not."""

import logging
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from monitoring.results import CheckResult, RetrainDecision, read_history, read_run, write_run
from pipelines.exits import NothingToDo
from pipelines.models import Model
from pipelines.policy import Retrain
from pipelines.settings import Settings

log = logging.getLogger(__name__)
TELLING = ("live_score", "estimated_score")  # their reasons hold score and limit


def decide(
    results: Sequence[CheckResult], earlier: Sequence[datetime], limits: Retrain
) -> RetrainDecision:
    """Apply the policy to one window's check results.

    Args:
        results: of one window; only ``alert`` asks for a retrain, ``unknown`` never does.
        earlier: the ends of the windows (event time) after which a retrain was asked for.
        limits: which checks ask, the cool-down and the budget.

    """
    asking = [r for r in results if r.verdict == "alert" and r.check in limits.checks]
    now = max(r.window_end for r in results)
    past = sorted(asked for asked in earlier if asked <= now)
    until = past[-1] + timedelta(days=limits.cooldown_days) if past else None
    spent = sum(now - asked < timedelta(days=limits.budget_days) for asked in past)
    requested, why = True, "; ".join(_cause(r) for r in asking)
    if not asking:
        requested, why = False, f"no alert of {', '.join(limits.checks)}"
    elif until and now < until:
        requested, why = False, f"in cool-down until {until:%Y-%m-%d}, although {why}"
    elif spent >= limits.budget:
        budget = f"{spent} of {limits.budget} in {limits.budget_days} days"
        requested, why = False, f"the budget is spent ({budget}), although {why}"
    return RetrainDecision(
        requested=requested,
        reason=why,
        budget_left=max(0, limits.budget - spent - requested),
        cooldown_until=now + timedelta(days=limits.cooldown_days) if requested else until,
    )


def figures(score: float | None, threshold: float | None) -> str:
    """Say what a check found beside its limit, to follow its name; nothing where it could not."""
    if score is None or threshold is None:
        return ""
    return f" {score:.3g}, limit {threshold:.3g}"


def retrain(model: Model, settings: Settings) -> dict[str, Any]:
    """Decide on the monitor's newest run and write the decision beside its results.

    Asked twice about the same run it gives the same answer, so that a killed task can be repeated.

    Raises:
        NothingToDo: no retrain, with the reason; or the monitor has not run yet.

    """
    path = settings.checks / f"{model.name}.json"
    if not path.exists():
        raise NothingToDo(f"the monitor has not written {path} yet")
    run = read_run(path)
    decision = run.retrain
    if decision is None:
        history = read_history(settings.checks, model.name)
        earlier = [old.window_end for old in history if old.retrain and old.retrain.requested]
        decision = decide(run.results, sorted(earlier), model.policy.retrain)
        write_run(settings.checks, run.model_copy(update={"retrain": decision}))
    if not decision.requested:
        raise NothingToDo(f"no retrain of {model.name}: {decision.reason}")
    log.info("retrain %s: %s", model.name, decision.reason)
    return {
        "step": "retrain",
        "model": model.name,
        "version": run.version,
        "window_end": run.window_end.isoformat(),
        "reason": decision.reason,
    }


def _cause(result: CheckResult) -> str:
    found = "" if result.check in TELLING else figures(result.score, result.threshold)
    column = f" of {result.column}" if result.column else ""
    return f"{result.check}{column}{found}: {result.reason}"
