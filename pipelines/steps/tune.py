"""A dataset and the policy's space of parameters in, a study and its best parameters out.

The step has three parts, so that its trials can be spread: ``study`` begins one, ``trial`` tries
once, in any process, ``best`` ends it. Without a part it does all of it, trial after trial. A study
is an MLflow run, its trials are nested in it; each is scored on the days that training stops by.
"""

import logging
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Literal

import pandas as pd
import yaml

from pipelines.exits import Refused
from pipelines.models import Model
from pipelines.overrides import change, nested
from pipelines.policy import Train, Tune
from pipelines.settings import Settings
from pipelines.steps.ingest import data_registry
from pipelines.steps.train import learn
from pipelines.study import Study, Trial
from pipelines.tracking import PARENT, Tracking, flatten

log = logging.getLogger(__name__)

Part = Literal["study", "trial", "best"]
SCORE = "validation_log_loss"


class HopelessError(Exception):
    """A trial is worse than the median of the others were by then."""


def experiment(model: str) -> str:
    """Name the MLflow experiment that keeps the studies."""
    return f"{model}-tuning"


def tune(
    model: Model,
    settings: Settings,
    tracking: Tracking,
    part: Part | None = None,
    study: str = "",
    number: int = 0,
) -> dict[str, Any]:
    """Do one part of a study, or all of it; ``study`` and ``number`` say which.

    Raises:
        Refused: the policy has no section ``tune``, there is no such study or no dataset, or no
            trial came to its end.

    """
    limits = model.policy.tune
    if limits is None:
        raise Refused(f"the policy of {model.name} has no section 'tune': nothing may be changed")
    if part in {"trial", "best"} and not study:
        raise Refused(f"part {part} is of a study: say which")
    if part == "trial":
        return _try(model, limits, settings, tracking, study, number)
    if part == "best":
        return _end(model, settings, tracking, study)
    begun = _begin(model, limits, settings, tracking)
    if part == "study":
        return begun
    for each in range(limits.trials):
        _try(model, limits, settings, tracking, begun["study"], each)
    return _end(model, settings, tracking, begun["study"])


def best_parameters(study: str, settings: Settings) -> dict[str, Any]:
    """Return a study's best parameters, as overrides of the policy's section ``train``."""
    return nested(Study.find(study, settings).best().params)


def _begin(model: Model, limits: Tune, settings: Settings, tracking: Tracking) -> dict[str, Any]:
    dataset = data_registry(settings).latest(model.name)
    if dataset is None:
        raise Refused(f"there is no dataset {model.name!r} yet: ingest a batch first")
    name = settings.airflow_run or f"{model.name}_tune/{datetime.now(UTC).isoformat()}"
    today = dict(flatten(model.policy.train.model_dump()))
    run_id = _run_of(name, model, tracking) or tracking.open_run(
        experiment(model.name), name, {"relay.study": name, "relay.dataset": dataset.tag}
    )
    notes = {"dataset": dataset.tag, "run_id": run_id}
    Study.begin(name, settings, {key: today[key] for key in limits.space}, notes)
    return {"step": "tune", "model": model.name, "study": name, "run_id": run_id}


def _run_of(study: str, model: Model, tracking: Tracking) -> str:
    """Find the run of a study that an earlier try of the same task has begun."""
    found = tracking.find_runs(experiment(model.name), f"attributes.run_name = '{study}'")
    return found[0].info.run_id if found else ""


def _try(
    model: Model, limits: Tune, settings: Settings, tracking: Tracking, name: str, number: int
) -> dict[str, Any]:
    study = Study.find(name, settings)
    registry = data_registry(settings)
    dataset = registry.get(model.name, study.notes["dataset"])
    days = pd.Timedelta(days=model.policy.train.history_days + 1)
    rows = registry.read(dataset, (pd.Timestamp(dataset.span[1]) - days).isoformat())

    def objective(trial: Trial) -> float | None:
        tags = {PARENT: study.notes["run_id"], "relay.study": name}
        title = f"trial {trial.number}"
        with tracking.run(experiment(model.name), title, tags) as run_id:
            trial.note("run_id", run_id)
            tracking.log_params(trial.chosen)
            params = change(model.policy.train, nested(trial.chosen))
            return _score(trial, rows, model, params, tracking)

    ended = study.run(objective, limits.space, model.policy.train.seed + number)
    state = ended.state.name.lower()
    log.info("trial %d of %s: %s, %s, %s", ended.number, name, state, ended.value, ended.params)
    result = {"step": "tune", "model": model.name, "study": name, "trial": ended.number}
    return result | {"state": state, SCORE: ended.value}


def _score(
    trial: Trial, rows: pd.DataFrame, model: Model, params: Train, tracking: Tracking
) -> float | None:
    """Train; give the lowest validation loss, or None if the trial was not worth its end."""
    scores: list[float] = []

    def on_epoch(epoch: int, metrics: Mapping[str, float]) -> None:
        tracking.log_metrics(metrics, step=epoch)
        scores.append(metrics[SCORE])
        if trial.hopeless(metrics[SCORE], epoch):
            raise HopelessError

    try:
        learn(rows, model, params, on_epoch)
    except HopelessError:
        tracking.log_metrics({"pruned": 1.0})
        return None
    tracking.log_metrics({"best": min(scores)})
    return min(scores)


def _end(model: Model, settings: Settings, tracking: Tracking, name: str) -> dict[str, Any]:
    study = Study.find(name, settings)
    best = study.best()
    result = {"study": name, "trial": best.number, SCORE: best.value, "params": best.params}
    counts = {f"trials/{state}": float(count) for state, count in study.states().items()}
    with tracking.run(experiment(model.name), name, {}, resumed=study.notes["run_id"]):
        tracking.log_params(best.params)
        tracking.log_metrics({"best": float(best.value or 0.0), "best_trial": best.number} | counts)
        tracking.log_text(yaml.safe_dump({"train": nested(best.params)}), "params.yaml")
        for file, figure in study.figures().items():
            tracking.log_figure(figure, file)
    log.info("best of %s: trial %d, %s", name, best.number, best.params)
    return {"step": "tune", "model": model.name, "run_id": study.notes["run_id"]} | result
