"""Runs, model versions and aliases: everything Relay asks of MLflow, and the only file that does.

A model version is a registered ONNX graph that takes raw features. Its tags say where it comes from
(dataset, code, Airflow run) and what the gates said of it; its run keeps the policy that made it,
the reference sample of its training rows, curves, tables and plots.
"""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, NamedTuple, Self

import httpx
import mlflow
from mlflow.entities import LoggedModelStatus, Run
from mlflow.exceptions import MlflowException, RestException

from pipelines.exits import Unavailable
from pipelines.settings import MLFLOW_MODE, Settings

if TYPE_CHECKING:
    import onnx
    import pandas as pd
    from matplotlib.figure import Figure

    from pipelines.datasets import DatasetVersion
    from pipelines.policy import Column

PARENT = "mlflow.parentRunId"  # tag of a nested run
KIND = ("mlflow.experimentKind", "custom_model_development")  # the UI opens as for training
MODEL = "model"  # a run's own graph; its companions have other names
CHAMPION, CHALLENGER = "champion", "challenger"


class TrackingError(Unavailable):
    """MLflow does not answer, or does not hold what was asked for."""


@dataclass(frozen=True)
class ModelVersion:
    """One version of a registered model, with the tags that tell its story."""

    model: str
    version: int
    run_id: str
    tags: Mapping[str, str]

    def __str__(self) -> str:
        return f"{self.model}@{self.version}"


class Registered(NamedTuple):
    """A model in the registry; no versions if it has never been there."""

    champion: ModelVersion | None
    challenger: ModelVersion | None
    versions: list[ModelVersion]


class Tracking:
    """An MLflow server, asked for what the steps need."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._refuse_silence()
        mlflow.set_tracking_uri(url)
        self.client = mlflow.MlflowClient(url)

    @classmethod
    def of(cls, settings: Settings) -> Self:
        """Ask the installation's MLflow, logged in where there is a password.

        MLflow's client takes a login from its environment alone.
        """
        if settings.mlflow_password_file:
            password = settings.mlflow_password_file.read_text(encoding="utf-8").strip()
            os.environ["MLFLOW_TRACKING_USERNAME"] = settings.mlflow_user
            os.environ["MLFLOW_TRACKING_PASSWORD"] = password
        return cls(settings.mlflow_url)

    def _refuse_silence(self) -> None:
        try:
            httpx.get(f"{self.url}/health", timeout=10).raise_for_status()
        except httpx.HTTPError as error:
            raise TrackingError(
                f"MLflow at {self.url} does not answer ({error}): start it, or point "
                f"RELAY_MLFLOW_URL at one that runs"
            ) from error

    # Runs -----------------------------------------------------------------------------------

    @contextmanager
    def run(
        self, experiment: str, name: str, tags: Mapping[str, str], resumed: str = ""
    ) -> Iterator[str]:
        """Open a run, or go on in one that was ``resumed``; its id.

        It ends as finished, or as failed when the block raises.
        """
        self._choose(experiment)
        with mlflow.start_run(resumed or None, run_name=name, tags=dict(tags)) as run:
            yield run.info.run_id

    def open_run(self, experiment: str, name: str, tags: Mapping[str, str]) -> str:
        """Begin a run that other processes go on in; its id."""
        chosen = self._choose(experiment)
        return str(self.client.create_run(chosen, run_name=name, tags=dict(tags)).info.run_id)

    def _choose(self, experiment: str) -> str:
        found = mlflow.set_experiment(experiment)
        self.client.set_experiment_tag(found.experiment_id, *KIND)
        return str(found.experiment_id)

    def find_runs(self, experiment: str, condition: str, newest: int = 100) -> list[Run]:
        """List the runs for which an MLflow filter holds, newest first."""
        found = self.client.get_experiment_by_name(experiment)
        if found is None:
            return []
        return list(
            self.client.search_runs(
                [found.experiment_id], condition, max_results=newest, order_by=["start_time DESC"]
            )
        )

    def get_run(self, run_id: str) -> Run:
        """Return one run; raise ``TrackingError`` if there is none of this id."""
        try:
            return self.client.get_run(run_id)
        except RestException as error:
            raise TrackingError(
                f"run {run_id!r} is not in MLflow at {self.url}: {error}"
            ) from error

    def run_url(self, run_id: str, link: str) -> str:
        """Return a run's page in the MLflow UI that people find at ``link``."""
        experiment = self.get_run(run_id).info.experiment_id
        return f"{link}/#/experiments/{experiment}/runs/{run_id}{MLFLOW_MODE}"

    def tag_run(self, run_id: str, tags: Mapping[str, str]) -> None:
        """Write tags on a run."""
        for key, value in tags.items():
            self.client.set_tag(run_id, key, value)

    def kill_run(self, run_id: str) -> None:
        """Close a run whose process died, so that nobody waits for it."""
        self.client.set_terminated(run_id, "KILLED")

    def log_params(self, params: Mapping[str, Any]) -> None:
        """Log parameters of the open run; nested mappings become dotted names."""
        mlflow.log_params(dict(flatten(params)))

    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        """Log metrics of the open run, at a step of a curve or as final values."""
        mlflow.log_metrics(dict(metrics), step=step)

    def last_step(self, run_id: str, metric: str) -> int:
        """Tell how far a run's curve goes; 0 where it has not begun."""
        curve = self.client.get_metric_history(run_id, metric)
        return max((point.step for point in curve), default=0)

    def log_figure(self, figure: "Figure", name: str) -> None:
        """Log a plot as a PNG artifact."""
        mlflow.log_figure(figure, name)

    def log_json(self, content: Mapping[str, Any] | list[Any], name: str) -> None:
        """Log a JSON artifact."""
        mlflow.log_dict(content, name)

    def log_json_to(self, run_id: str, content: Mapping[str, Any], name: str) -> None:
        """Log a JSON artifact to a run that has ended."""
        self.client.log_dict(run_id, dict(content), name)

    def log_table(self, table: "pd.DataFrame", name: str) -> None:
        """Log a frame as a table that the UI shows, in the place of what a killed try has left."""
        mlflow.log_table(table, name)  # makes it known to the UI, but adds to what is there
        mlflow.log_text(table.to_json(orient="split", index=False), name)

    def log_text(self, text: str, name: str) -> None:
        """Log a text artifact."""
        mlflow.log_text(text, name)

    def log_file(self, path: Path) -> None:
        """Log a file as an artifact at the run's root."""
        mlflow.log_artifact(str(path))

    def log_frame(self, frame: "pd.DataFrame", name: str) -> None:
        """Log a frame as a Parquet artifact."""
        with TemporaryDirectory() as folder:
            path = Path(folder) / name
            frame.to_parquet(path, index=False)
            self.log_file(path)

    def log_bytes(self, content: bytes, name: str) -> None:
        """Log a binary artifact."""
        with TemporaryDirectory() as folder:
            path = Path(folder) / name
            path.write_bytes(content)
            self.log_file(path)

    def log_dataset(self, version: "DatasetVersion", rows: "pd.DataFrame", context: str) -> None:
        """Log a dataset version as an input of the open run, its DVC md5 as the digest."""
        digest = version.md5.removesuffix(".dir")
        dataset = mlflow.data.from_pandas(rows, name=version.name, digest=digest)
        tags = {
            "relay.dataset": version.tag,
            "relay.dataset_revision": version.revision,
            "relay.dataset_md5": version.md5,
        }
        mlflow.log_input(dataset, context=context, tags=tags)

    def log_model(
        self,
        graph: "onnx.ModelProto",
        features: "Mapping[str, Column]",
        rows: "pd.DataFrame",
        name: str = MODEL,
    ) -> None:
        """Log the ONNX graph with its signature and an input example.

        Args:
            graph: takes raw features by name.
            features: the policy's, in the order of the graph's inputs.
            rows: the input example, a few rows of raw features.
            name: of a companion, where it is one.

        """
        from pipelines.signature import example, signature

        mlflow.onnx.log_model(
            graph,
            name=name,
            signature=signature(graph, features),
            input_example=example(features, rows),
            save_as_external_data=False,  # one file: a graph is what its bytes are
            onnx_execution_providers=["CPUExecutionProvider"],
            pip_requirements=["onnxruntime", "numpy", "pandas"],  # guessing them loads the model
        )

    def fetch(self, run_id: str, name: str, folder: Path) -> Path:
        """Download one artifact of a run into a folder."""
        try:
            return Path(self.client.download_artifacts(run_id, name, str(folder)))
        except MlflowException as error:
            raise TrackingError(f"run {run_id} has no artifact {name!r}: {error}") from error

    def fetch_json(self, run_id: str, name: str) -> Any:
        """Return the content of a JSON artifact."""
        try:
            return mlflow.artifacts.load_dict(f"runs:/{run_id}/{name}")
        except MlflowException as error:
            raise TrackingError(f"run {run_id} has no artifact {name!r}: {error}") from error

    def fetch_frame(self, run_id: str, name: str) -> "pd.DataFrame":
        """Return the content of a Parquet artifact."""
        import pandas as pd

        with TemporaryDirectory() as folder:
            return pd.read_parquet(self.fetch(run_id, name, Path(folder)))

    def fetch_bytes(self, run_id: str, name: str) -> bytes | None:
        """Return the content of an artifact, or None where the run has none of that name."""
        if name not in {artifact.path for artifact in self.client.list_artifacts(run_id)}:
            return None
        with TemporaryDirectory() as folder:
            return self.fetch(run_id, name, Path(folder)).read_bytes()

    # Model versions -------------------------------------------------------------------------

    def register(self, model: str, run_id: str, tags: Mapping[str, str]) -> ModelVersion:
        """Make a run's graph a model version; the same run twice is one version.

        Its companions become versions of ``<model>-<companion>``. They share the run, and so every
        alias (``set_alias``). A graph whose upload was cut short stays in the run: the newest whole
        one counts.
        """
        outputs = self.get_run(run_id).outputs.model_outputs
        models = [self.client.get_logged_model(output.model_id) for output in outputs]
        whole = [each for each in models if each.status == LoggedModelStatus.READY]
        whole.sort(key=lambda each: int(each.creation_timestamp))
        logged = {each.name: each.model_id for each in whole}
        if MODEL not in logged:
            raise TrackingError(
                f"run {run_id} has logged no whole model, so there is none to register"
            )
        own = logged.pop(MODEL)
        for name, model_id in logged.items():
            self._register(f"{model}-{name}", run_id, model_id, tags)
        return self._register(model, run_id, own, tags)

    def version(self, model: str, version: int) -> ModelVersion:
        """Return one version; raise ``TrackingError`` if there is none of this number."""
        try:
            return self._version(self.client.get_model_version(model, str(version)))
        except RestException as error:
            raise TrackingError(f"{model}@{version} is not registered: {error}") from error

    def versions(self, model: str) -> list[ModelVersion]:
        """List a model's versions, oldest first."""
        found = self.client.search_model_versions(f"name = '{model}'")
        return sorted((self._version(each) for each in found), key=lambda each: each.version)

    def aliased(self, model: str, alias: str) -> ModelVersion | None:
        """Return the version that an alias points to, or None."""
        if not self.client.search_registered_models(f"name = '{model}'"):
            return None  # where it has accounts, MLflow answers 403 about what is not there
        try:
            return self._version(self.client.get_model_version_by_alias(model, alias))
        except RestException as error:
            if error.error_code in {"RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"}:
                return None
            raise

    def registered(self, model: str) -> Registered:
        """Return all that the registry says of a model; raise ``TrackingError`` if it cannot."""
        try:
            champion, challenger = self.aliased(model, CHAMPION), self.aliased(model, CHALLENGER)
            return Registered(champion, challenger, self.versions(model))
        except MlflowException as error:
            raise TrackingError(f"MLflow at {self.url} cannot say of {model}: {error}") from error

    def set_alias(self, version: ModelVersion, alias: str) -> None:
        """Point an alias at a version, and that of its companions at theirs."""
        for each in [*self._companions(version), version]:
            self.client.set_registered_model_alias(each.model, alias, str(each.version))

    def drop_alias(self, version: ModelVersion, alias: str) -> None:
        """Take an alias away from a version, and from its companions."""
        for each in [*self._companions(version), version]:
            self.client.delete_registered_model_alias(each.model, alias)

    def tag(self, version: ModelVersion, tags: Mapping[str, str]) -> None:
        """Write tags on a version."""
        for key, value in tags.items():
            self.client.set_model_version_tag(version.model, str(version.version), key, value)

    def describe(self, version: ModelVersion, text: str) -> None:
        """Write the description (Markdown) that the UI shows on a version's page."""
        self.client.update_model_version(version.model, str(version.version), text)

    def graph(self, version: ModelVersion) -> bytes:
        """Return a version's ONNX graph, serialised."""
        with TemporaryDirectory() as folder:
            local = mlflow.artifacts.download_artifacts(
                f"models:/{version.model}/{version.version}", dst_path=folder
            )
            return (Path(local) / "model.onnx").read_bytes()

    def _register(
        self, model: str, run_id: str, model_id: str, tags: Mapping[str, str]
    ) -> ModelVersion:
        held = self.client.search_model_versions(f"name = '{model}' and run_id = '{run_id}'")
        if held:
            return self._version(held[0])
        try:
            self.client.create_registered_model(model)
        except RestException as error:
            if error.error_code != "RESOURCE_ALREADY_EXISTS":
                raise
        return self._version(
            self.client.create_model_version(
                model, f"models:/{model_id}", run_id=run_id, tags=dict(tags), model_id=model_id
            )
        )

    def _companions(self, version: ModelVersion) -> list[ModelVersion]:
        """List the versions of other models that came of the same run."""
        found = self.client.search_model_versions(f"run_id = '{version.run_id}'")
        return [self._version(f) for f in found if f.name.startswith(f"{version.model}-")]

    def _version(self, found: Any) -> ModelVersion:
        return ModelVersion(found.name, int(found.version), found.run_id, dict(found.tags))


def flatten(params: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Give each parameter once; those of nested mappings by dotted names."""
    for key, value in params.items():
        if isinstance(value, Mapping):
            yield from flatten(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value
