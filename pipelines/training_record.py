"""A training, while it runs and when it has ended, in; all that its run keeps of it out.

MLflow has the record that the other steps read. TensorBoard, the log and, where a setting asks for
it, Weights & Biases are told the same numbers.
"""

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import pandas as pd

from pipelines import environment
from pipelines.models import LABEL, Model
from pipelines.policy import Train
from pipelines.settings import Settings
from pipelines.tracking import Tracking, flatten

if TYPE_CHECKING:
    from pipelines.datasets import DatasetVersion
    from pipelines.event_files import EventFiles
    from pipelines.steps.train import Trained
    from pipelines.training import OnStep
    from pipelines.wandb_run import Tell

log = logging.getLogger(__name__)

NETWORK = "network"
REFERENCE = "reference.parquet"  # a sample of the training rows, for people
REFERENCE_SKETCH = "reference.sketch"  # of all of them, for the monitor
TRACE = "steps.trace.json.gz"  # of a few training steps, for https://ui.perfetto.dev


@dataclass(frozen=True)
class Told:
    """Those that are told of a training while it runs."""

    tracking: Tracking
    events: "EventFiles"
    wandb: "Tell"
    on_step: "OnStep"
    params: Mapping[str, object]
    heard: int  # the last epoch that was told before a kill

    def on_epoch(self, epoch: int, metrics: Mapping[str, float]) -> None:
        """Tell of an epoch. Event files get those from before a kill again, the others do not."""
        if epoch > self.heard:
            self.tracking.log_metrics(metrics, step=epoch)
            self.wandb(metrics, epoch)
        self.events.add(metrics, step=epoch)
        log.info("epoch %d: %s", epoch, {name: round(v, 4) for name, v in metrics.items()})

    def end(self, scores: Mapping[str, float]) -> None:
        """Tell of the scores on the hold-out. MLflow has them from ``log_trained``."""
        named = {f"holdout/{metric}": value for metric, value in scores.items()}
        self.events.end(self.params, named)
        self.wandb(named, None)


@contextmanager
def told(
    model: Model, params: Train, run_id: str, tracking: Tracking, settings: Settings
) -> Iterator[Told]:
    """Give what to tell of a training in the open run while it runs."""
    from pipelines.event_files import event_files
    from pipelines.wandb_run import wandb_run

    heard = tracking.last_step(run_id, "learning_rate")
    given = dict(flatten(params.model_dump()))
    link = tracking.run_url(run_id, settings.mlflow_link)
    with (
        event_files(settings.tensorboard_logs / model.name / run_id) as events,
        wandb_run(settings, run_id, model.name, given, link) as wandb,
        _trace_of_steps(tracking) as on_step,
    ):
        yield Told(tracking, events, wandb, on_step, given, heard)


@contextmanager
def _trace_of_steps(tracking: Tracking) -> Iterator["OnStep"]:
    """Give what to call after each step; then the open run has the trace, if there were enough."""
    from pipelines.profiling import tracing

    with TemporaryDirectory() as folder:
        path = Path(folder) / TRACE
        with tracing(path) as on_step:
            yield on_step
        if path.exists():
            tracking.log_file(path)


def log_origin(
    version: "DatasetVersion", rows: pd.DataFrame, model: Model, params: Train, tracking: Tracking
) -> None:
    """Log what a training begins with: the policy, parameters, the dataset."""
    policy = model.policy.model_copy(update={"train": params})
    tracking.log_json(policy.model_dump(mode="json", by_alias=True), "policy.json")
    tracking.log_params(params.model_dump() | environment.facts())
    tracking.log_dataset(version, rows, "training")


def log_trained(trained: "Trained", model: Model, tracking: Tracking, seconds: float) -> None:
    """Log what a training came to: scores, tables, the reference and the graph."""
    from monitoring.sketches import sketch_training, to_bytes
    from pipelines import plots, scores

    kind, features = model.policy.problem, model.policy.data.features
    tracking.log_metrics(
        {f"rows/{part}": float(count) for part, count in trained.rows.items()}
        | {
            "onnx_max_difference": trained.onnx_max_difference,
            "best_epoch": trained.best_epoch,
            "duration_seconds": seconds,
        }
    )
    for name, each in trained.scores.items():
        group = "holdout" if name == NETWORK else f"baselines/{name}"
        tracking.log_metrics({f"{group}/{metric}": value for metric, value in each.items()})
    table = pd.DataFrame(
        [{"model": name, **each} for name, each in trained.scores.items()]
    ).sort_values("log_loss")
    tracking.log_table(table, "scores.json")
    truth = trained.holdout[LABEL]
    by_slice = scores.score_by_slice(
        kind, trained.holdout, truth, trained.said[NETWORK], model.policy.train.slices
    )
    tracking.log_table(by_slice, "slices.json")
    if model.problem.labelled:
        pairs = {
            name: scores.calibration_pairs(kind, truth, said) for name, said in trained.said.items()
        }
        tracking.log_figure(plots.calibration(pairs), "calibration.png")
    rows = min(model.policy.register_.reference_rows, len(trained.training_rows))
    reference = trained.training_rows.sample(rows, random_state=0).sort_index()
    tracking.log_frame(reference, REFERENCE)
    sketch = sketch_training(trained.training_rows, model.policy.watched, kind)
    tracking.log_bytes(to_bytes(sketch), REFERENCE_SKETCH)
    tracking.log_text(environment.requirements(), "requirements.txt")
    tracking.log_model(trained.graph, features, reference[list(features)].head(5))
    for name, beside in trained.companions.items():
        tracking.log_model(beside.graph, beside.features, beside.example, name)
