"""A challenger in, its comparison with the champion on the newest labelled days out."""

import logging
import time
from collections.abc import Callable
from dataclasses import asdict
from functools import partial
from typing import Any

import numpy as np
import pandas as pd

from pipelines import asking, scores
from pipelines.models import Model
from pipelines.policy import Policy
from pipelines.settings import Settings
from pipelines.splits import days_before_newest
from pipelines.steps.ingest import data_registry
from pipelines.steps.train import LABEL
from pipelines.tracking import CHAMPION, Tracking

log = logging.getLogger(__name__)

EVALUATION = "evaluation-of-{version}.json"
TIMED_CALLS = 200


def compare(
    holdout: pd.DataFrame,
    challenger: np.ndarray,
    rival: np.ndarray,
    policy: Policy,
    by_slice: bool,
) -> dict[str, Any]:
    """Compare two sets of answers to the same labelled rows.

    Args:
        holdout: the rows with their ``label``.
        challenger: probabilities (B,).
        rival: probabilities (B,) of the champion, or of the base rate.
        policy: bootstrap, slices and the time column.
        by_slice: whether to look for the slice that loses most.

    """
    limits, labels = policy.evaluate, holdout[LABEL]
    difference = scores.compare(
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
            scores.score_by_slice(holdout, labels, said, policy.train.slices)
            for said in (challenger, rival)
        )
        slices = ours[["column", "value", "rows"]].rename(columns={"column": "slice"})
        slices = slices.assign(difference=ours["log_loss"] - theirs["log_loss"])
        slices = slices[slices["rows"] >= limits.min_slice_rows]
        if len(slices):
            worst = slices.nlargest(1, "difference").to_dict("records")[0]
    return {
        "rows": len(holdout),
        "challenger": scores.score(labels, challenger),
        "rival": scores.score(labels, rival),
        "difference": asdict(difference),
        "worst_slice": worst,
    }


def evaluate(model: Model, settings: Settings, tracking: Tracking, number: int) -> dict[str, Any]:
    """Compare a version with the champion, or with the base rate before the first champion.

    Both answer the hold-out of the newest dataset version: days that neither was trained on.
    """
    policy, version = model.policy, tracking.version(model.name, number)
    champion = tracking.aliased(model.name, CHAMPION)
    if champion and champion.version == number:
        champion = None  # asked again after its promotion
    registry = data_registry(settings)
    dataset = registry.latest(model.name) or registry.get(model.name, version.tags["relay.dataset"])
    since = pd.Timestamp(dataset.span[1]) - pd.Timedelta(days=policy.train.holdout_days + 1)
    rows = registry.read(dataset, since.isoformat())
    rows = rows.assign(**{LABEL: model.rows.label(rows)}).dropna(subset=[LABEL])
    holdout = rows[days_before_newest(rows[policy.data.event_time]) < policy.train.holdout_days]
    ask = asking.session(tracking.graph(version))
    ours = asking.predict(ask, holdout)
    base_rate = tracking.get_run(version.run_id).data.metrics["training_base_rate"]
    if champion:
        theirs = asking.predict(tracking.graph(champion), holdout)
    else:
        theirs = np.full(len(holdout), base_rate)
    evaluation = {
        "version": number,
        "champion_version": champion.version if champion else None,
        "dataset": dataset.tag,
        **compare(holdout, ours, theirs, policy, by_slice=champion is not None),
        "latency_seconds": median_latency(partial(asking.predict, ask, holdout.head(1))),
    }
    tracking.log_json_to(version.run_id, evaluation, EVALUATION.format(version=number))
    gain = evaluation["difference"]
    tags = {
        "relay.log_loss": f"{evaluation['challenger']['log_loss']:.4f}",
        "relay.auc": f"{evaluation['challenger']['auc']:.4f}",
        "relay.rival": str(champion or "base rate"),
        "relay.rival_log_loss": f"{evaluation['rival']['log_loss']:.4f}",
        "relay.difference": f"{gain['mean']:+.4f} ({gain['low']:+.4f} to {gain['high']:+.4f})",
    }
    tracking.tag(version, tags)
    log.info(
        "%s against %s on %d rows of %s: %s",
        version,
        tags["relay.rival"],
        len(holdout),
        dataset.tag,
        tags["relay.difference"],
    )
    return {"step": "evaluate", "model": model.name, "version": number} | {
        key.removeprefix("relay."): value for key, value in tags.items()
    }


def median_latency(ask: Callable[[], object]) -> float:
    """Time a call many times; the median, in seconds, which a busy machine moves least."""
    seconds = []
    for _ in range(TIMED_CALLS):
        started = time.perf_counter()
        ask()
        seconds.append(time.perf_counter() - started)
    return float(np.median(seconds))
