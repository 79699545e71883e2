"""An MLflow in; champion and challenger of every model, their age and scores, its training out.

Two questions a model, and two more for each of its versions that has one of the aliases, by
MLflow's REST API: https://mlflow.org/docs/latest/api_reference/rest-api.html.
"""

import math
import re
import time
from collections.abc import Iterator
from typing import TypeVar

import httpx

from services.exporter.gauges import Gauge, Sample
from services.exporter.mlflow_answers import (
    Alias,
    Model,
    Models,
    OneExperiment,
    OneRun,
    OneVersion,
    Run,
    Runs,
)
from services.exporter.rest import RestApi, read

_T = TypeVar("_T")
API = "/api/2.0/mlflow/"
PAGE = 100  # registered models asked for at once
ALIASES = ("champion", "challenger")
SCORE = re.compile("holdout/(.+)|(baselines/.+)")  # what training logs of its hold-out
GATE = "relay.gate"  # the tag in which the gate's answer stands

ALIASED = ("model", "alias", "version")
VERSION = Gauge("relay_model_version", "Number of the version with the alias", ("model", "alias"))
VERSIONS = Gauge("relay_model_versions", "Number of the newest version", ("model",))
CREATED = Gauge(
    "relay_model_version_created_timestamp_seconds", "When the version was registered", ALIASED
)
GATE_PASSED = Gauge(
    "relay_model_gate_passed", "1 if the gate said yes; none where it was not asked", ALIASED
)
MODEL_SCORE = Gauge(
    "relay_model_score",
    "What its training measured on the hold-out, in the metric's own unit",
    (*ALIASED, "metric"),
)
TRAINED = Gauge(
    "relay_training_last_run_timestamp_seconds", "When the newest training began", ("model",)
)
TRAINING = Gauge(
    "relay_training_last_run_duration_seconds", "How long it took, or until now", ("model",)
)


class MlflowSource:
    """Asks an MLflow."""

    name = "mlflow"

    def __init__(self, rest: RestApi) -> None:
        self._rest = rest

    def read(self) -> Iterator[Sample]:
        """Read every registered model and its training. Raises SourceAwayError."""
        for model in self._models():
            numbers = [int(newest.version) for newest in model.latest_versions]
            yield VERSIONS(max(numbers, default=0), model.name)
            for each in model.aliases:
                if each.alias in ALIASES:
                    yield from self._version(model.name, each)
            yield from self._training(model.name)

    def _models(self) -> Iterator[Model]:
        token = ""
        while True:
            page = self._rest.get(
                API + "registered-models/search", Models, max_results=PAGE, page_token=token
            )
            yield from page.registered_models
            if page.next_page_token in ("", token):  # the same one again would never end
                return
            token = page.next_page_token

    def _version(self, model: str, aliased: Alias) -> Iterator[Sample]:
        found = self._rest.get(
            API + "model-versions/get", OneVersion, name=model, version=aliased.version
        ).model_version
        labels = (model, aliased.alias, found.version)
        yield VERSION(int(found.version), model, aliased.alias)
        yield CREATED(found.creation_timestamp / 1e3, *labels)
        for tag in found.tags:
            if tag.key == GATE:
                yield GATE_PASSED(tag.value == "yes", *labels)
        if found.run_id and (run := self._find("runs/get", OneRun, run_id=found.run_id)):
            yield from _scores(run.run, labels)

    def _training(self, model: str) -> Iterator[Sample]:
        found = self._find("experiments/get-by-name", OneExperiment, experiment_name=model)
        if found is None:
            return
        newest = self._rest.post(
            API + "runs/search",
            Runs,
            experiment_ids=[found.experiment.experiment_id],
            order_by=["start_time DESC"],
            max_results=1,
        )
        for run in newest.runs:
            ended = run.info.end_time or time.time() * 1e3
            yield TRAINED(run.info.start_time / 1e3, model)
            yield TRAINING((ended - run.info.start_time) / 1e3, model)

    def _find(self, path: str, answer: type[_T], **params: str) -> _T | None:
        """Ask for what need not be there, such as a run that somebody deleted."""
        response = self._rest.send("GET", API + path, params=params)
        return None if response.status_code == httpx.codes.NOT_FOUND else read(response, answer)


def _scores(run: Run, labels: tuple[str, str, str]) -> Iterator[Sample]:
    for metric in run.data.metrics:
        named, value = SCORE.fullmatch(metric.key), float(metric.value)
        if named and math.isfinite(value):
            yield MODEL_SCORE(value, *labels, named[1] or named[2])
