"""A training that may have been tried before in, what that left out: a result, or where to go on.

The same code, data and parameters are the same training: where its process was killed, the next one
goes on from its checkpoint in its MLflow run, whoever asks for it.
"""

import hashlib
import json
import logging
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from pipelines.models import Model
from pipelines.policy import Train
from pipelines.settings import Settings
from pipelines.tracking import Tracking, TrackingError

if TYPE_CHECKING:
    from pipelines.checkpoints import Checkpoint

log = logging.getLogger(__name__)


def checkpoint_of(
    model: Model, params: Train, made_of: Mapping[str, str], settings: Settings
) -> "Checkpoint":
    """Return the place of a training's state, named by all that its bits depend on.

    ``made_of`` says which code and data (tags of its run).
    """
    from pipelines.checkpoints import Checkpoint

    given = [model.policy.data.model_dump(mode="json"), params.model_dump(mode="json"), made_of]
    name = hashlib.sha256(json.dumps(given, sort_keys=True).encode()).hexdigest()[:16]
    return Checkpoint(settings.checkpoints / model.name / f"{name}.pt")


def finished(model: Model, settings: Settings, tracking: Tracking) -> dict[str, Any] | None:
    """Return the result that an earlier try of this Airflow task came to."""
    for run in _of_this_task(model, settings, tracking):
        if run.info.status == "FINISHED":
            log.info("run %s of this Airflow run is finished: nothing to do again", run.info.run_id)
            return {"step": "train", "model": model.name, "run_id": run.info.run_id}
    return None


def resumed(checkpoint: "Checkpoint", model: Model, settings: Settings, tracking: Tracking) -> str:
    """Return the run to go on in, or "" to begin a new one; close what was killed before."""
    run_id = _going_on(checkpoint, tracking)
    if not run_id:
        checkpoint.forget()
    for run in _of_this_task(model, settings, tracking):
        if run.info.status == "RUNNING" and run.info.run_id != run_id:
            log.warning("run %s was killed half-way; beginning again", run.info.run_id)
            tracking.kill_run(run.info.run_id)
    return run_id


def _going_on(checkpoint: "Checkpoint", tracking: Tracking) -> str:
    if checkpoint.load() is None:
        return ""
    try:
        run = tracking.get_run(checkpoint.run_id)
    except TrackingError:
        return ""  # somebody has deleted it
    going_on = run.info.lifecycle_stage == "active" and run.info.status != "FINISHED"
    return checkpoint.run_id if going_on else ""


def _of_this_task(model: Model, settings: Settings, tracking: Tracking) -> list[Any]:
    if not settings.airflow_run:
        return []
    mine = f"tags.`relay.airflow_run` = '{settings.airflow_run}'"
    return tracking.find_runs(model.name, mine)
