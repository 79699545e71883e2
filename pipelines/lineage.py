"""The lap walked backwards: a prediction's origins, a version's training once more."""

import re
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pandas as pd
from pydantic import ValidationError

from monitoring.prediction_log.reading import find_prediction
from pipelines import asking, environment, models
from pipelines.datasets import DatasetVersion
from pipelines.exits import Refused
from pipelines.models import Model
from pipelines.policy import Policy, faults
from pipelines.settings import Settings
from pipelines.steps.ingest import data_registry
from pipelines.steps.train import holdout, train
from pipelines.tracking import CHAMPION, ModelVersion, Tracking
from pipelines.training_record import NETWORK


def explain(prediction: str, settings: Settings, tracking: Tracking) -> dict[str, Any]:
    """Walk from a prediction id to model version, run, dataset version, code and Airflow run.

    Raises:
        Refused: the prediction log holds no answer of this id, or its version no dataset.

    """
    root, store = settings.prediction_log, settings.prediction_log_store
    record = find_prediction(root, prediction, store)
    if record is None:
        raise Refused(f"no answer {prediction!r} in the prediction log {root}")
    version = tracking.version(record.model, int(record.version))
    tags = version.tags
    dataset = _dataset(version, settings)
    return {
        "prediction": {
            "id": record.id,
            "answered": record.time.isoformat(),
            "about": record.event_time.isoformat(),
            "role": record.role,
            "features": record.features,
            "output": record.output,
        },
        "model_version": {
            "version": str(version),
            "promoted_at": tags.get("relay.promoted_at", ""),
            "gate": tags.get("relay.gate.reasons", "").splitlines(),
        },
        "run": {
            "run_id": version.run_id,
            "url": tracking.run_url(version.run_id, settings.mlflow_link),
            "trigger": tags.get("relay.trigger", ""),
            "reason": tags.get("relay.reason", ""),
        },
        "dataset": dataset.summary()
        | {
            "batches": [f"{b.name} sha256:{b.sha256[:12]} ({b.rows} rows)" for b in dataset.batches]
        },
        "code_commit": tags.get("relay.code_commit", ""),
        "code_sha256": tags.get("relay.code_sha256", ""),
        "airflow_run": tags.get("relay.airflow_run", "") or "none: started by hand",
    }


def reproduce(reference: str, settings: Settings, tracking: Tracking) -> dict[str, Any]:
    """Fetch a version's exact data, train again with its recorded parameters, and compare.

    The recorded policy counts, not today's: its features, split and seed.

    Raises:
        Refused: there is no such version, or it was not made by ``relay train``.

    """
    model, version = _parse(reference, tracking)
    dataset = _dataset(version, settings)
    model = _recorded(model, version, tracking)
    params = model.policy.train
    since = pd.Timestamp(dataset.span[1]) - pd.Timedelta(days=params.history_days + 1)
    rows = data_registry(settings).read(dataset, since.isoformat())
    again = train(rows, model, params)
    if version.tags.get("relay.optimize") == "int8":
        from pipelines.quantization import quantize

        again = again.answered_by(quantize(again.graph), model)
    metrics = tracking.get_run(version.run_id).data.metrics
    after = dict(again.scores[NETWORK])
    before = {name: metrics.get(f"holdout/{name}") for name in after}
    asked = holdout(rows, model, params)
    answers = (asking.predict(g, asked) for g in (tracking.graph(version), again.graph))
    then, now = (model.problem.read(answer) for answer in answers)
    difference = float(np.abs(then - now).max())
    code = version.tags.get("relay.code_commit", ""), environment.code_commit(settings)
    sha256 = environment.code_sha256(model.name)
    return {
        "version": str(version),
        "dataset": dataset.summary(),
        "data_md5_matches": dataset.md5 == version.tags["relay.dataset_md5"],
        "code_then": code[0],
        "code_now": code[1],
        "code_sha256_matches": version.tags.get("relay.code_sha256") == sha256,
        "metrics_then": before,
        "metrics_now": after,
        "metrics_identical": before == after,
        "outputs_compared": len(asked),
        "outputs_max_difference": difference,
        "outputs_identical": difference == 0.0,
        "identical": before == after and difference == 0.0,
    }


def rollback(model: Model, tracking: Tracking) -> dict[str, Any]:
    """Move ``@champion`` back to the version that it took over from.

    Raises:
        Refused: there is no champion, or none before it.

    """
    champion = tracking.aliased(model.name, CHAMPION)
    if champion is None:
        raise Refused(f"{model.name} has no champion to move back from")
    number = champion.tags.get("relay.predecessor", "")
    if not number:
        raise Refused(f"{champion} is the first champion: there is none before it")
    predecessor = tracking.version(model.name, int(number))
    now = datetime.now(UTC).isoformat(timespec="seconds")
    tracking.tag(champion, {"relay.rolled_back_at": now})
    tracking.set_alias(predecessor, CHAMPION)
    return {
        "model": model.name,
        "champion": predecessor.version,
        "rolled_back": champion.version,
        "undo": f"relay promote --model {model.name} --version {champion.version}",
    }


def _dataset(version: ModelVersion, settings: Settings) -> DatasetVersion:
    revision = version.tags.get("relay.dataset_revision")
    if revision is None:
        raise Refused(f"{version} does not say what it was trained on: it is not of relay train")
    name, _ = version.tags["relay.dataset"].rsplit("/", 1)  # that of its model, for a companion
    return data_registry(settings).get(name, revision)


def _recorded(model: Model, version: ModelVersion, tracking: Tracking) -> Model:
    try:
        policy = Policy.model_validate(tracking.fetch_json(version.run_id, "policy.json"))
    except ValidationError as error:
        raise Refused(
            f"{version} was made by a policy that this code does not know "
            f"(its commit: {version.tags.get('relay.code_commit')}): {faults(error)}"
        ) from error
    return replace(model, policy=policy)


def _parse(reference: str, tracking: Tracking) -> tuple[Model, ModelVersion]:
    found = re.fullmatch(r"(?P<model>[\w-]+)@(?P<version>\d+|champion|challenger)", reference)
    if not found:
        raise Refused(
            f"{reference!r} is no model version: write it as flights@2 or flights@champion"
        )
    model = models.load(found["model"])
    if found["version"].isdigit():
        return model, tracking.version(model.name, int(found["version"]))
    version = tracking.aliased(model.name, found["version"])
    if version is None:
        raise Refused(f"no version of {model.name} is @{found['version']}")
    return model, version
