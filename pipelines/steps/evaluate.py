"""A challenger in, its comparison with the champion on the newest labelled days out."""

import logging
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict
from functools import partial
from typing import Any

import numpy as np
import pandas as pd

from monitoring.live_score import base_rates
from monitoring.problems import Floats
from monitoring.sketches import from_bytes
from pipelines import asking, scores
from pipelines.datasets import RegistryError
from pipelines.models import LABEL, Model
from pipelines.policy import Policy
from pipelines.settings import Settings
from pipelines.splits import days_before_newest
from pipelines.steps.ingest import data_registry
from pipelines.tracking import CHAMPION, ModelVersion, Tracking, TrackingError
from pipelines.training_record import NETWORK, REFERENCE_SKETCH

log = logging.getLogger(__name__)

EVALUATION = "evaluation-of-{version}.json"
TIMED_CALLS = 200


def compare(
    holdout: pd.DataFrame,
    challenger: Floats,
    rival: Floats,
    policy: Policy,
    by_slice: bool,
) -> dict[str, Any]:
    """Compare two sets of answers to the same labelled rows.

    Args:
        holdout: the rows with their ``label``.
        challenger: what it said (B, m), as ``monitoring.problems`` reads it.
        rival: the same of the champion, or of the base rate.
        policy: bootstrap, slices and the time column.
        by_slice: whether to look for the slice that loses most.

    """
    limits, labels, kind = policy.evaluate, holdout[LABEL], policy.problem
    difference = scores.compare(
        kind,
        labels,
        challenger,
        rival,
        holdout[policy.data.event_time].dt.floor("D"),  # whole days: their flights share weather
        samples=limits.bootstrap_samples,
        confidence=limits.confidence,
    )
    worst = None
    if by_slice:
        ours, theirs = (
            scores.score_by_slice(kind, holdout, labels, said, policy.train.slices)
            for said in (challenger, rival)
        )
        slices = ours[["column", "value", "rows"]].rename(columns={"column": "slice"})
        slices = slices.assign(difference=ours["log_loss"] - theirs["log_loss"])
        slices = slices[slices["rows"] >= limits.min_slice_rows]
        if len(slices):
            worst = slices.nlargest(1, "difference").to_dict("records")[0]
    return {
        "rows": len(holdout),
        "challenger": scores.score(kind, labels, challenger),
        "rival": scores.score(kind, labels, rival),
        "difference": asdict(difference),
        "worst_slice": worst,
    }


def evaluate(model: Model, settings: Settings, tracking: Tracking, number: int) -> dict[str, Any]:
    """Compare a version with the champion, or with the base rate before the first champion.

    Both answer the newest labelled days of the newest dataset version, which training holds out.
    Asked again after its promotion, a version is compared with the champion that it took over from.
    """
    version, champion = tracking.version(model.name, number), tracking.aliased(model.name, CHAMPION)
    if champion and champion.version == number:
        before = version.tags.get("relay.predecessor")
        champion = tracking.version(model.name, int(before)) if before else None
    tag, holdout = newest_labelled(model, settings)
    metrics = tracking.get_run(version.run_id).data.metrics
    ask, problem = asking.session(tracking.graph(version)), model.problem
    ours = problem.read(asking.predict(ask, holdout))
    if champion:
        theirs = problem.read(asking.predict(tracking.graph(champion), holdout))
    else:
        theirs = problem.yardstick(ours, _rates(version, tracking))
    evaluation = {
        "version": number,
        "champion_version": champion.version if champion else None,
        "dataset": tag,
        **compare(holdout, ours, theirs, model.policy, bool(champion)),
        "own_split": own_split(metrics),
        "latency_seconds": median_latency(partial(asking.predict, ask, holdout.head(1))),
    }
    tracking.log_json_to(version.run_id, evaluation, EVALUATION.format(version=number))
    found = _found(evaluation, str(champion or "base rate"))
    tracking.tag(version, {f"relay.{key}": value for key, value in found.items()})
    log.info("%s on %d rows of %s: %s", version, len(holdout), tag, found)
    return {"step": "evaluate", "model": model.name, "version": number} | found


def newest_labelled(model: Model, settings: Settings) -> tuple[str, pd.DataFrame]:
    """Return the newest dataset version's tag and its newest labelled days, with ``label``."""
    registry, days = data_registry(settings), model.policy.train.holdout_days
    dataset = registry.latest(model.name)
    if dataset is None:
        raise RegistryError(f"there is no dataset {model.name!r} in {settings.data_registry}")
    since = pd.Timestamp(dataset.span[1]) - pd.Timedelta(days=days + 1)
    rows = registry.read(dataset, since.isoformat())
    rows = model.labelled(rows)
    return dataset.tag, rows[days_before_newest(rows[model.policy.data.event_time]) < days]


def _rates(version: ModelVersion, tracking: Tracking) -> Floats:
    """Return the shares of the classes among a version's training rows, (m,)."""
    content = tracking.fetch_bytes(version.run_id, REFERENCE_SKETCH)
    if content is None:
        raise TrackingError(f"run {version.run_id} has no artifact {REFERENCE_SKETCH!r}")
    return base_rates(from_bytes(content))


def own_split(metrics: Mapping[str, float]) -> dict[str, float]:
    """Pick the log loss of network and baselines on the split that the run itself trained by."""
    baselines = {
        found[1]: value
        for name, value in metrics.items()
        if (found := re.fullmatch("baselines/(.+)/log_loss", name))
    }
    return {NETWORK: metrics["holdout/log_loss"], **baselines}


def _found(evaluation: dict[str, Any], rival: str) -> dict[str, str]:
    gain, scores = evaluation["difference"], evaluation["challenger"]
    own = evaluation["own_split"]
    baselines = [
        f"{name.replace('_', ' ')} {loss:.4f} ({own[NETWORK] - loss:+.4f})"
        for name, loss in own.items()
        if name != NETWORK
    ]
    return {
        **{name: f"{value:.4f}" for name, value in scores.items()},
        "rival": rival,
        "rival_log_loss": f"{evaluation['rival']['log_loss']:.4f}",
        "difference": f"{gain['mean']:+.4f} ({gain['low']:+.4f} to {gain['high']:+.4f})",
        "baselines": ", ".join(baselines),
    }


def median_latency(ask: Callable[[], object]) -> float:
    """Time a call many times; the median, in seconds, which a busy machine moves least."""
    seconds = []
    for _ in range(TIMED_CALLS):
        started = time.perf_counter()
        ask()
        seconds.append(time.perf_counter() - started)
    return float(np.median(seconds))
