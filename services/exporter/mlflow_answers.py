"""What MLflow's REST API answers, as far as the exporter wants to know it; times are milliseconds.

https://mlflow.org/docs/latest/api_reference/rest-api.html
"""

from typing import Annotated, Literal

import msgspec

Number = Annotated[str, msgspec.Meta(pattern="^[0-9]+$")]


class Alias(msgspec.Struct):
    """A name that points at a version."""

    alias: str
    version: Number


class Newest(msgspec.Struct):
    """A model's newest version."""

    version: Number


class Model(msgspec.Struct):
    """A registered model."""

    name: str
    aliases: list[Alias] = []
    latest_versions: list[Newest] = []


class Models(msgspec.Struct):
    """A page of registered models; a token where there are more."""

    registered_models: list[Model] = []
    next_page_token: str = ""


class Tag(msgspec.Struct):
    """A tag on a version."""

    key: str
    value: str = ""


class Version(msgspec.Struct):
    """A version of a model; one that was registered by hand has no run."""

    version: Number
    creation_timestamp: int
    run_id: str = ""
    tags: list[Tag] = []


class OneVersion(msgspec.Struct):
    """The version that was asked for."""

    model_version: Version


class Metric(msgspec.Struct):
    """A metric of a run, as it was logged last."""

    key: str
    value: float | Literal["NaN", "Infinity", "-Infinity"]


class Info(msgspec.Struct):
    """When a run was."""

    start_time: int
    end_time: int = 0  # 0 while it runs


class Data(msgspec.Struct):
    """What a run logged."""

    metrics: list[Metric] = []


class Run(msgspec.Struct):
    """A run."""

    info: Info
    data: Data


class OneRun(msgspec.Struct):
    """The run that was asked for."""

    run: Run


class Runs(msgspec.Struct):
    """The runs that were found."""

    runs: list[Run] = []


class Experiment(msgspec.Struct):
    """An experiment."""

    experiment_id: str


class OneExperiment(msgspec.Struct):
    """The experiment that was asked for."""

    experiment: Experiment
