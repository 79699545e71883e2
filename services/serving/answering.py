"""A query and who may answer it in; the outputs and who gave them out: champion or canary."""

import logging
import time
from dataclasses import replace
from typing import NamedTuple

from services.serving.challenger.canary import Canary
from services.serving.errors import RequestError
from services.serving.metrics import Metrics
from services.serving.predictor import Predictor
from services.serving.queries import Outputs, Query
from services.serving.versions.catalog import Target

_log = logging.getLogger(__name__)


class Answer(NamedTuple):
    """The outputs, and who gave them; its `shadow` is yet to be asked."""

    outputs: Outputs
    by: Target


async def answer(target: Target, query: Query, metrics: Metrics) -> Answer:
    """Ask the canary for its keys, else the champion, who also answers what a canary fails on.

    Raises RequestError, as `Predictor.ask` does.
    """
    canary, challenger = target.canary, target.shadow
    if canary is None or challenger is None:
        return Answer(await target.predictor.ask(query, target.role), target)
    if canary.takes(query.key or query.id):
        outputs = await _try(canary, challenger, query, metrics)
        if outputs is not None:
            return Answer(outputs, Target(challenger, "challenger"))
        target = target._replace(shadow=None)  # it has been asked
    started = time.perf_counter()
    try:
        outputs = await target.predictor.ask(query, target.role)
    except Exception:
        canary.count("champion", None)
        raise
    canary.count("champion", time.perf_counter() - started)
    return Answer(outputs, target)


async def _try(
    canary: Canary, challenger: Predictor, query: Query, metrics: Metrics
) -> Outputs | None:
    """Let the canary answer; None where it fails, which its client does not feel."""
    started = time.perf_counter()
    try:
        columns = challenger.model.signature.adopt(query.columns)
        given = {output.name for output in challenger.model.outputs}
        if missing := set(query.wanted_outputs) - given:
            raise RequestError(400, f"outputs {sorted(missing)} are not the canary's")
        outputs = await challenger.ask(replace(query, columns=columns), "challenger")
    except Exception as error:  # noqa: BLE001  whatever it does, the champion answers
        canary.count("canary", None)
        metrics.canary_failures.labels(canary.ref.model).inc()
        about = {"model": canary.ref.model, "version": canary.ref.version, "error": str(error)}
        _log.warning("the canary failed, the champion answers", extra=about)
        return None
    canary.count("canary", time.perf_counter() - started)
    return outputs
