"""A dataset version in, a finished MLflow run with an ONNX graph out; it registers nothing."""

import logging
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import pandas as pd

from pipelines import attempts, environment, torchrun
from pipelines import training_record as record
from pipelines.exits import NothingToDo, Refused
from pipelines.models import LABEL, Model
from pipelines.overrides import change, launched
from pipelines.policy import Train
from pipelines.settings import Settings
from pipelines.splits import Split, split_by_time
from pipelines.steps.ingest import data_registry
from pipelines.tracking import CHAMPION, Tracking
from pipelines.training_record import NETWORK

if TYPE_CHECKING:
    import onnx

    from monitoring.problems import Floats
    from pipelines.checkpoints import Checkpoint
    from pipelines.datasets import DatasetVersion
    from pipelines.features import Encoder
    from pipelines.onnx_graph import Companion
    from pipelines.training import Fit, OnEpoch, OnStep

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Learned:
    """A network, and what it was made of."""

    fit: "Fit"
    labelled: int  # rows that have a label
    split: Split
    encoder: "Encoder"


@dataclass(frozen=True)
class Trained:
    """What training makes of rows; frames keep the rows' own columns beside the answers."""

    graph: "onnx.ModelProto"
    companions: "Mapping[str, Companion]"
    onnx_max_difference: float  # graph against network, on the whole hold-out, in any output
    best_epoch: int
    rows: Mapping[str, int]  # of each part of the split, and those that have no label
    holdout: pd.DataFrame  # features and label
    said: Mapping[str, "Floats"]  # of the hold-out, by model: the network, then its baselines
    scores: Mapping[str, Mapping[str, float]]  # of each of them
    training_rows: pd.DataFrame  # features, label and the graph's outputs

    def answered_by(self, graph: "onnx.ModelProto", model: Model) -> "Trained":
        """Return the same training with another graph, made of its own, and what that answers."""
        from pipelines import asking, scores

        truth = self.holdout[LABEL]
        said = model.problem.read(asking.predict(graph, self.holdout))
        answers = asking.columns(asking.predict(graph, self.training_rows))
        return replace(
            self,
            graph=graph,
            said={**self.said, NETWORK: said},
            scores={**self.scores, NETWORK: scores.score(model.policy.problem, truth, said)},
            training_rows=self.training_rows.assign(**answers),
        )


def learn(
    rows: pd.DataFrame,
    model: Model,
    params: Train,
    on_epoch: "OnEpoch | None" = None,
    on_step: "OnStep" = lambda: None,
    checkpoint: "Checkpoint | None" = None,
) -> Learned:
    """Train the model's network on a split by time; see ``train``."""
    import torch

    from pipelines import losses, training
    from pipelines.learning import Schedule

    kind, features = model.policy.problem, model.policy.data.features
    labelled, split = _split(rows, model, params)
    encoder = model.network.Encoder.fit(split.train, features)

    def examples(part: pd.DataFrame) -> training.Examples:
        labels = torch.tensor(part[LABEL].to_numpy("float32"))
        return training.Examples(encoder.encode(part), labels)

    learned, hyper = examples(split.train), model.network.Hyperparameters(**params.network)
    fit = training.fit(
        lambda: model.network.build(hyper, encoder, learned.inputs),
        learned,
        examples(split.validation),
        Schedule(
            epochs=params.epochs,
            batch_size=params.batch_size,
            learning_rate=params.learning_rate,
            weight_decay=params.weight_decay,
            patience=params.patience,
            seed=params.seed,
            warmup_share=params.warmup_share,
            **params.scale.model_dump(exclude={"processes"}),
        ),
        losses.LOSSES[kind],
        on_epoch,
        on_step,
        checkpoint,
    )
    return Learned(fit, labelled, split, encoder)


def train(
    rows: pd.DataFrame,
    model: Model,
    params: Train,
    on_epoch: "OnEpoch | None" = None,
    on_step: "OnStep" = lambda: None,
    checkpoint: "Checkpoint | None" = None,
) -> Trained:
    """Train the model's network and its baselines on the same split by time.

    The same rows and parameters give the same graph, bit for bit, on the same CPU and versions.

    Args:
        rows: a dataset's rows, as in the policy's ``data.columns``; those without a label (in
            flights: cancelled, diverted) teach nothing and are left out, and counted.
        model: whose label, features and network.
        params: the policy's ``train`` section.
        on_epoch: called with the epoch and its metrics while training runs.
        on_step: called after each step of the optimizer.
        checkpoint: keeps the state of every epoch; where it has one, training goes on from there.

    Raises:
        ValueError: a part of the split has no rows.

    """
    from pipelines import asking, onnx_graph, scores

    kind, features = model.policy.problem, model.policy.data.features
    learned = learn(rows, model, params, on_epoch, on_step, checkpoint)
    fit, split, encoder = learned.fit, learned.split, learned.encoder
    graph = onnx_graph.build_graph(fit.network, encoder, split.train.head(2))
    said, truth = _answers(graph, model, params, split), split.holdout[LABEL]
    return Trained(
        graph=graph,
        companions=model.companions(fit.network, encoder),
        onnx_max_difference=onnx_graph.max_difference(graph, fit.network, encoder, split.holdout),
        best_epoch=fit.best_epoch,
        rows={
            "train": len(split.train),
            "validation": len(split.validation),
            "holdout": len(split.holdout),
            "without_label": len(rows) - learned.labelled,
        },
        holdout=split.holdout,
        said=said,
        scores={name: scores.score(kind, truth, each) for name, each in said.items()},
        training_rows=split.train[[*features, LABEL]].assign(
            **asking.columns(asking.predict(graph, split.train))
        ),
    )


def _answers(
    graph: "onnx.ModelProto", model: Model, params: Train, split: Split
) -> dict[str, "Floats"]:
    """Ask the graph, and every baseline that the policy lists, about the hold-out."""
    from pipelines import asking
    from pipelines.baselines import Task

    network = model.problem.read(asking.predict(graph, split.holdout))
    task = Task(
        split.train,
        split.train[LABEL],
        split.holdout,
        model.policy.data.features,
        classes=network.shape[1],
        seed=params.seed,
    )
    return {NETWORK: network} | {name: model.baselines[name](task) for name in params.baselines}


def run_train(
    model: Model,
    settings: Settings,
    tracking: Tracking,
    overrides: Mapping[str, Any],
    trigger: str = "manual",
    reason: str = "",
    dataset: str | None = None,
    study: str = "",
) -> dict[str, Any]:
    """Train on a dataset version (by default the newest) and keep everything in an MLflow run.

    A repeated Airflow task finds the run that it finished; what was killed goes on in its own run,
    from its newest checkpoint, whoever asks for the same training again.

    Raises:
        NothingToDo: there is too little data, or new data alone does not train (policy).
        Refused: the overrides are not what a policy may say, or older batches lack a column that
            the policy has gained since.

    """
    registry = data_registry(settings)
    version = registry.get(model.name, dataset) if dataset else registry.latest(model.name)
    params = change(model.policy.train, dict(overrides) | launched(model.policy.train))
    _refuse_needless(model, version, tracking, params, trigger)
    assert version is not None  # noqa: S101  said above
    if done := attempts.finished(model, settings, tracking):
        return done
    since = pd.Timestamp(version.span[1]) - pd.Timedelta(days=params.history_days + 1)
    rows = registry.read(version, since.isoformat())
    _refuse_gaps(rows, version, model)
    origin = {
        "relay.dataset": version.tag,
        "relay.dataset_revision": version.revision,
        "relay.dataset_md5": version.md5,
        "relay.code_commit": environment.code_commit(settings),
        "relay.code_sha256": environment.code_sha256(model.name),
    }
    checkpoint = attempts.checkpoint_of(model, params, origin, settings)
    result = {"step": "train", "model": model.name}
    if torchrun.rank():
        _join(rows, model, params, checkpoint)
        return result  # the first process tells what came of it
    tags = origin | {
        "relay.trigger": trigger,
        "relay.reason": reason or {"data": f"new data: {version.tag}"}.get(trigger, "by hand"),
        "relay.airflow_run": settings.airflow_run,
        **({"relay.study": study} if study else {}),
    }
    with checkpoint.held():
        trained = _track(version, rows, model, params, tags, tracking, settings, checkpoint)
    summary = {name: round(each["log_loss"], 4) for name, each in trained.scores.items()}
    log.info("log loss on the hold-out: %s", summary)
    return result | {"run_id": checkpoint.run_id, "log_loss": summary}


def _join(rows: pd.DataFrame, model: Model, params: Train, checkpoint: "Checkpoint") -> None:
    """Take this process's share of a training that the first one tracks."""
    from pipelines.processes import group

    with group():
        learn(rows, model, params, checkpoint=checkpoint)


def _track(
    version: "DatasetVersion",
    rows: pd.DataFrame,
    model: Model,
    params: Train,
    tags: Mapping[str, str],
    tracking: Tracking,
    settings: Settings,
    checkpoint: "Checkpoint",
) -> Trained:
    """Train in a run of its own, or in that of the training that was killed."""
    from pipelines.processes import group
    from pipelines.quantization import optimized

    resumed = attempts.resumed(checkpoint, model, settings, tracking)
    name = f"{version.tag} seed {params.seed}"
    with tracking.run(model.name, name, tags, resumed) as run_id, group():
        log.info("run %s: %s, %d rows, %s", run_id, version.tag, len(rows), tags["relay.reason"])
        if not resumed:
            record.log_origin(version, rows, model, params, tracking)
        checkpoint.run_id = run_id
        started = time.monotonic()
        with record.told(model, params, run_id, tracking, settings) as told:
            trained = train(rows, model, params, told.on_epoch, told.on_step, checkpoint)
            trained, gained = optimized(trained, model)
            told.end(trained.scores[NETWORK])
        tracking.tag_run(run_id, gained)
        record.log_trained(trained, model, tracking, time.monotonic() - started)
    checkpoint.forget()
    return trained


def holdout(rows: pd.DataFrame, model: Model, params: Train) -> pd.DataFrame:
    """Return the labelled rows that training on ``rows`` keeps for the gate."""
    return _split(rows, model, params)[1].holdout


def _split(rows: pd.DataFrame, model: Model, params: Train) -> tuple[int, Split]:
    labelled = model.labelled(rows)
    split = split_by_time(
        labelled,
        model.policy.data.event_time,
        history_days=params.history_days,
        validation_days=params.validation_days,
        holdout_days=params.holdout_days,
    )
    return len(labelled), split


def _refuse_needless(
    model: Model,
    version: "DatasetVersion | None",
    tracking: Tracking,
    params: Train,
    trigger: str,
) -> None:
    if version is None:
        raise NothingToDo(f"there is no dataset {model.name!r} yet: ingest a batch first")
    if version.rows < params.min_rows:
        raise NothingToDo(
            f"{version.tag} has {version.rows} rows; the policy wants {params.min_rows}"
        )
    if trigger == "data" and not params.on_new_data:
        champion = tracking.aliased(model.name, CHAMPION)
        if champion:
            raise NothingToDo(
                f"{version.tag} is there for the next training; {champion} stays until the "
                f"monitor asks or a person does (policy: train.on_new_data is false)"
            )


def _refuse_gaps(rows: pd.DataFrame, version: "DatasetVersion", model: Model) -> None:
    for name, column in model.policy.data.features.items():
        share = rows[name].isna().mean() if name in rows else 1.0
        if share > column.max_missing_share:
            raise Refused(
                f"{version.tag}: column {name!r} is missing in {share:.2%} of the rows, the policy "
                f"allows {column.max_missing_share:.2%}: allow more, or learn from months that "
                f"have it"
            )
