"""A challenger in, its trial as a canary out: an order to serving, and what came of it.

The hand-over is three tags of the model version. Serving follows the first, answers that share of
the keys by the version, and writes one of the others: ``services/serving/challenger/``.
"""

import json
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any, Literal

from pipelines.exits import Refused
from pipelines.models import Model
from pipelines.policy import Canary
from pipelines.tracking import CHALLENGER, CHAMPION, ModelVersion, Tracking

ORDER, PASSED, WITHDRAWN = "relay.canary", "relay.canary_passed", "relay.canary_withdrawn"
BY_HAND = "withdrawn by hand"
MOST = 0.5  # of the keys: more than the champion's own is no trial


@dataclass(frozen=True)
class Order:
    """What serving is told; ``started`` tells one trial of a version from the next."""

    started: str
    share: float
    min_requests: int
    max_error_increase: float
    max_latency_ratio: float


@dataclass(frozen=True)
class Trial:
    """A version's trial, and how it stands."""

    order: Order
    state: Literal["running", "passed", "withdrawn"]
    reason: str


def read(version: ModelVersion) -> Trial | None:
    """Read how a version's trial stands; None where there is none.

    Raises:
        Refused: a tag is not as we and serving write it.

    """
    text = version.tags.get(ORDER)
    if not text:
        return None
    try:
        order = Order(**json.loads(text))
        withdrawn, passed = (_verdict(version, tag, order.started) for tag in (WITHDRAWN, PASSED))
    except (ValueError, TypeError, KeyError) as error:
        raise Refused(f"the canary tags of {version} cannot be read: {error!r}") from error
    if withdrawn:
        return Trial(order, "withdrawn", withdrawn)
    if passed:
        return Trial(order, "passed", passed)
    return Trial(order, "running", f"not yet {order.min_requests} requests answered and compared")


def start(version: ModelVersion, limits: Canary, share: float, tracking: Tracking) -> Order:
    """Order a share of the keys for a version; a trial that runs goes on with the new share."""
    trial = read(version)
    runs = trial is not None and trial.state != "withdrawn"
    started = trial.order.started if trial and runs else datetime.now(UTC).isoformat()
    order = Order(started, share, **limits.model_dump(exclude={"share"}))
    tracking.tag(version, {ORDER: json.dumps(asdict(order))})
    return order


def withdraw(version: ModelVersion, tracking: Tracking) -> None:
    """End a version's trial, as serving does where it is worse.

    Raises:
        Refused: there is no trial.

    """
    trial = read(version)
    if trial is None:
        raise Refused(f"{version} is no canary")
    verdict = {"started": trial.order.started, "reason": BY_HAND}
    tracking.tag(version, {WITHDRAWN: json.dumps(verdict)})


def canary(
    model: Model, tracking: Tracking, share: float | None, end: bool, force: bool
) -> dict[str, Any]:
    """Start the challenger's trial, change its share, or end it.

    Raises:
        Refused: there is no challenger beside the champion, the gate did not let it through (and
            ``force`` is not given), or neither policy nor caller names a share that is one.

    """
    if share is not None and not 0 < share <= MOST:
        raise Refused(f"a share is above 0 (that is the shadow) and at most {MOST}, not {share:g}")
    version = _challenger(model, tracking)
    if end:
        withdraw(version, tracking)
        return {"model": model.name, "version": version.version, "share": 0.0}
    gate = version.tags.get("relay.gate")
    if gate != "yes" and not force:
        said = "said no to" if gate else "has not seen"
        raise Refused(f"the gate {said} {version}: relay promote asks it, --force passes it over")
    limits = model.policy.canary
    if limits is None:
        raise Refused(f"the policy of {model.name} has no section canary, so no limits to hold to")
    if not (share := limits.share if share is None else share):
        raise Refused("a share of 0 is the shadow: name one by --share or in the policy")
    order = start(version, limits, share, tracking)
    return {"model": model.name, "version": version.version, **asdict(order)}


def _challenger(model: Model, tracking: Tracking) -> ModelVersion:
    champion = tracking.aliased(model.name, CHAMPION)
    challenger = tracking.aliased(model.name, CHALLENGER)
    if champion is None or challenger is None or challenger.version == champion.version:
        raise Refused(
            f"{model.name} has no @{CHALLENGER} beside a @{CHAMPION} to try it against: "
            f"trigger {model.name}_train in Airflow, with another seed; its version stays "
            f"@{CHALLENGER} where the gate says no, or the policy's canary.share is above 0"
        )
    return challenger


def _verdict(version: ModelVersion, tag: str, started: str) -> str:
    said = json.loads(version.tags.get(tag) or '{"started": ""}')
    return str(said["reason"]) if said["started"] == started else ""
