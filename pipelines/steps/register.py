"""A finished run in, a model version at ``@challenger`` out."""

import logging
from typing import Any

from pipelines.exits import Refused
from pipelines.models import Model
from pipelines.tracking import CHALLENGER, CHAMPION, Tracking

log = logging.getLogger(__name__)

CARRIED = (
    "relay.dataset",
    "relay.dataset_revision",
    "relay.dataset_md5",
    "relay.code_commit",
    "relay.code_sha256",
)
TRIGGERED = ("relay.airflow_run", "relay.trigger", "relay.reason", "relay.study")


def check(status: str, difference: float | None, tolerance: float) -> list[str]:
    """Judge whether a run may become a version; one sentence a fault.

    Args:
        status: MLflow's status of the run.
        difference: largest absolute difference between the ONNX graph's outputs and the network's
            on the whole hold-out; None if it was not measured.
        tolerance: the most that the difference may be.

    """
    faults = []
    if status != "FINISHED":
        faults.append(f"the run is {status}, not FINISHED")
    if difference is None:
        faults.append("nobody compared the ONNX graph with the network (onnx_max_difference)")
    elif not difference <= tolerance:
        faults.append(f"graph and network differ by {difference:.2e}, allowed is {tolerance:.0e}")
    return faults


def register(model: Model, tracking: Tracking, run_id: str) -> dict[str, Any]:
    """Register a run's graph; the same run twice gives the same version.

    Raises:
        Refused: the run is not finished, or its graph disagrees with its network.

    """
    run = tracking.get_run(run_id)
    difference = run.data.metrics.get("onnx_max_difference")
    tolerance = model.policy.register_.parity_tolerance
    if faults := check(run.info.status, difference, tolerance):
        raise Refused(f"run {run_id} is not registered: {'; '.join(faults)}")
    carried = CARRIED + TRIGGERED
    tags = {
        key: value
        for key, value in run.data.tags.items()
        if key in carried or key.startswith("relay.optimize")
    }
    version = tracking.register(model.name, run_id, tags)
    champion = tracking.aliased(model.name, CHAMPION)
    if champion is None or champion.version != version.version:
        tracking.set_alias(version, CHALLENGER)
    log.info("%s is registered, from run %s", version, run_id)
    return {"step": "register", "model": model.name, "version": version.version, "run_id": run_id}
