"""An evaluation in, ``@champion`` moved or left where it is, and the reasons on the version.

Where the policy's ``canary.share`` is above 0, a version that the gate lets through is tried on
that share of the requests first. The step, run again once the trial has passed, moves the alias.
"""

import logging
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from pipelines import canary
from pipelines.exits import NothingToDo, Refused
from pipelines.models import Model
from pipelines.policy import Promote
from pipelines.steps.evaluate import EVALUATION
from pipelines.tracking import CHALLENGER, CHAMPION, ModelVersion, Tracking
from pipelines.training_record import NETWORK

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Answer:
    """One question that the gate asked, and what it found."""

    passed: bool
    text: str

    def __str__(self) -> str:
        return f"{'yes' if self.passed else 'NO'}: {self.text}"


def decide(evaluation: dict[str, Any], limits: Promote) -> list[Answer]:
    """Ask the gate's questions of an evaluation (see ``steps.evaluate``); all must pass.

    Without a champion the challenger is compared with the base rate, and no slices are.
    """
    scores, gain = evaluation["challenger"], evaluation["difference"]
    champion = evaluation["champion_version"]
    rival = f"version {champion}" if champion else "base rate"
    latency = evaluation["latency_seconds"]
    answers = [
        Answer(
            gain["high"] < -limits.min_improvement,
            f"log loss {scores['log_loss']:.4f}, {rival} {evaluation['rival']['log_loss']:.4f}: "
            f"difference {gain['low']:+.4f} to {gain['high']:+.4f}, "
            f"wanted below {0 - limits.min_improvement:.4f}",
        ),
        Answer(
            latency <= limits.max_latency_seconds,
            f"{latency * 1e3:.2f} ms a row, allowed {limits.max_latency_seconds * 1e3:.0f} ms",
        ),
    ]
    if (most := limits.max_calibration_error) is not None:
        error = scores["calibration_error"]
        answers.append(Answer(error <= most, f"calibration error {error:.4f}, allowed {most}"))
    own = evaluation["own_split"]
    for name in limits.must_beat:
        text = f"on its own split {own[NETWORK]:.4f}, {name.replace('_', ' ')} {own[name]:.4f}"
        answers.append(Answer(own[NETWORK] < own[name], text))
    if evaluation["champion_version"] and not evaluation["worst_slice"]:
        answers.append(
            Answer(False, "no slice has evaluate.min_slice_rows rows: none was compared")
        )
    if worst := evaluation["worst_slice"]:
        answers.append(
            Answer(
                worst["difference"] <= limits.max_slice_regression,
                f"worst slice {worst['slice']}={worst['value']} ({worst['rows']} rows): log loss "
                f"{worst['difference']:+.4f}, allowed {limits.max_slice_regression:+}",
            )
        )
    return answers


def promote(model: Model, tracking: Tracking, number: int) -> dict[str, Any]:
    """Move ``@champion`` to a version if the gate says yes; say why on the version either way.

    Raises:
        NothingToDo: the gate said no; the version stays ``@challenger``.
        Refused: the evaluation is of another champion than there is now, or the trial ended badly.

    """
    version = tracking.version(model.name, number)
    champion = tracking.aliased(model.name, CHAMPION)
    result = {"step": "promote", "model": model.name, "version": number}
    if champion and champion.version == number:
        _drop_challenger(version, tracking)
        return result | {"champion": number, "reasons": version.tags.get("relay.gate.reasons", "")}
    evaluation = tracking.fetch_json(version.run_id, EVALUATION.format(version=number))
    if evaluation["champion_version"] != (champion.version if champion else None):
        raise Refused(f"{version} was compared with another champion: evaluate it again")
    answers = decide(evaluation, model.policy.promote)
    passed = all(answer.passed for answer in answers)
    reasons = "\n".join(map(str, answers))
    tags = {"relay.gate": "yes" if passed else "no", "relay.gate.reasons": reasons}
    tracking.tag(version, tags)
    tracking.describe(version, "\n".join(f"- {answer}" for answer in answers))
    log.info("%s: the gate says %s\n%s", version, tags["relay.gate"], reasons)
    if not passed:
        raise NothingToDo(f"{version} stays @{CHALLENGER}: {reasons}")
    if champion and (share := _try_first(model, version, tracking)):
        return result | {"champion": champion.version, "canary": share, "reasons": reasons}
    _crown(version, champion, tracking)
    return result | {"champion": number, "reasons": reasons}


def _try_first(model: Model, version: ModelVersion, tracking: Tracking) -> float:
    """Begin the trial that the policy asks for. Gives its share; 0 where there is none, or no more.

    Raises:
        Refused: the trial ended badly.

    """
    limits = model.policy.canary
    if limits is None or not limits.share:
        return 0.0
    trial = canary.read(version)
    if trial is None:
        return canary.start(version, limits, limits.share, tracking).share
    log.info("%s as a canary: %s, %s", version, trial.state, trial.reason)
    if trial.state == "withdrawn":
        raise Refused(f"{version} was a canary, and is withdrawn: {trial.reason}")
    return trial.order.share if trial.state == "running" else 0.0


def _crown(version: ModelVersion, champion: ModelVersion | None, tracking: Tracking) -> None:
    tags = {
        "relay.promoted_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "relay.predecessor": str(champion.version) if champion else "",
    }
    if canary.read(version):
        tags[canary.ORDER] = ""  # were it challenger once more, it would be by a new order
    tracking.tag(version, tags)
    tracking.set_alias(version, CHAMPION)
    _drop_challenger(version, tracking)


def _drop_challenger(version: ModelVersion, tracking: Tracking) -> None:
    challenger = tracking.aliased(version.model, CHALLENGER)
    if challenger and challenger.version == version.version:  # a newer one stays what it is
        tracking.drop_alias(version, CHALLENGER)
