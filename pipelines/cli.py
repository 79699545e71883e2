"""The command ``relay``: a step or a question on the command line in, one answer out.

A step logs to standard error and prints one line of JSON last. Exit codes: see ``pipelines.exits``.
Heavy libraries are imported by the command that needs them, when it runs.
"""

import json
import logging
import os
import sys
import warnings
from collections.abc import Callable
from functools import wraps
from typing import Annotated, Any, Literal, NoReturn

import typer

from pipelines import models, torchrun
from pipelines.exits import (
    FAILED,
    NOTHING_TO_DO,
    REFUSED,
    NothingToDo,
    Refused,
    Unavailable,
)
from pipelines.policy import PolicyError
from pipelines.settings import Settings

app = typer.Typer(
    help="The whole loop: data, training, registry, serving, monitoring.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

ModelName = Annotated[str, typer.Option("--model", help="The model: a folder in pipelines/.")]
Number = Annotated[int, typer.Option("--version", help="The model version's number.")]


QUIET = {
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_LOGGING_LEVEL": "WARNING",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    # Airflow tries a failed step again; MLflow's own two minutes of patience would hide it
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "3",
}


def step(command: Callable[..., dict[str, Any]]) -> Callable[..., None]:
    """Make a command of a step: its result is one line of JSON, the last."""

    @wraps(command)
    def run(*arguments: Any, **options: Any) -> None:
        result = _asked(lambda: command(*arguments, **options))
        if torchrun.rank() == 0:
            typer.echo(json.dumps(result))

    return run


def _asked(question: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """Let our own rooms log, and turn the ways to end into exit codes."""
    logging.basicConfig(format="%(asctime)s %(message)s", stream=sys.stderr)
    for room in ("pipelines", "monitoring"):  # the libraries' own progress would bury ours
        logging.getLogger(room).setLevel(logging.WARNING if torchrun.rank() else logging.INFO)
    warnings.filterwarnings("ignore", module="torch|mlflow|copyreg")  # theirs to mend
    os.environ |= QUIET
    try:
        return question()
    except Refused as refusal:
        _end(f"refused: {refusal}", REFUSED)
    except NothingToDo as reason:
        _end(str(reason), NOTHING_TO_DO)
    except Unavailable as error:
        _end(str(error), FAILED)
    except models.NoModelError as error:
        _end(str(error), REFUSED)
    except PolicyError as error:
        _end(f"the policy is wrong: {error}", REFUSED)


def _end(message: str, code: int) -> NoReturn:
    typer.echo(message.replace("\n", "; "), err=True)
    raise typer.Exit(code)


def _tracking(settings: Settings) -> Any:
    from pipelines.tracking import Tracking

    return Tracking.of(settings)


@app.command()
def new(name: Annotated[str, typer.Argument(help="The model: a folder in pipelines/.")]) -> None:
    """Make the folder of a new model: a tiny one that works, to be filled in."""
    from pipelines.new_model import create

    made = _asked(lambda: {"folder": create(name)})["folder"]
    typer.echo(f"{made} is a model now; docs/add-your-own-model.md says what to fill in")


@app.command()
@step
def ingest(
    model: ModelName,
    batch: Annotated[str | None, typer.Option(help="Batch name; default: the next one.")] = None,
) -> dict[str, Any]:
    """Take a landing batch through the gate into the data registry."""
    from pipelines.steps.ingest import ingest as run

    return run(models.load(model), Settings(), batch)


@app.command()
@step
def train(
    model: ModelName,
    trigger: Annotated[str, typer.Option(help="What asks: data, retrain or manual.")] = "manual",
    reason: Annotated[str, typer.Option(help="Why, for the record.")] = "",
    dataset: Annotated[
        str | None, typer.Option(help="Tag, as flights/v3; default: newest.")
    ] = None,
    months: Annotated[
        int | None, typer.Option(min=1, help="Learn from the newest N months.")
    ] = None,
    epochs: Annotated[int | None, typer.Option(min=1)] = None,
    learning_rate: Annotated[float | None, typer.Option()] = None,
    seed: Annotated[int | None, typer.Option()] = None,
    study: Annotated[str, typer.Option(help="Learn by the best parameters of this one.")] = "",
) -> dict[str, Any]:
    """Train on a dataset version; the result is an MLflow run.

    Started by ``torchrun``, or with ``train.scale.processes`` above 1, several processes share it.
    """
    from pipelines.steps.train import run_train

    wanted = models.load(model).policy.train.scale.processes
    if wanted > 1 and not torchrun.launched():
        raise typer.Exit(torchrun.launch(wanted, sys.argv))
    given = {
        "history_days": months and round(months * 30.44),
        "epochs": epochs,
        "learning_rate": learning_rate,
        "seed": seed,
    }
    settings, overrides = Settings(), {}
    if study:
        from pipelines.steps.tune import best_parameters

        overrides = best_parameters(study, settings)
        reason = reason or f"the best of study {study}"
    overrides |= {name: value for name, value in given.items() if value is not None}
    tracking = _tracking(settings)
    return run_train(
        models.load(model), settings, tracking, overrides, trigger, reason, dataset, study
    )


@app.command()
@step
def tune(
    model: ModelName,
    part: Annotated[
        Literal["study", "trial", "best"] | None,
        typer.Option(help="Begin a study, try once, or end it; default: all of it."),
    ] = None,
    study: Annotated[str, typer.Option(help="Name of the study that the part is of.")] = "",
    number: Annotated[int, typer.Option(min=0, help="Of the trial: seeds its choice.")] = 0,
) -> dict[str, Any]:
    """Search for better parameters; each trial is a training without a graph."""
    from pipelines.steps.tune import tune as run

    settings = Settings()
    return run(models.load(model), settings, _tracking(settings), part, study, number)


@app.command()
@step
def register(
    model: ModelName, run_id: Annotated[str, typer.Option(help="The training run.")]
) -> dict[str, Any]:
    """Make a run's graph a model version at @challenger."""
    from pipelines.steps.register import register as run

    return run(models.load(model), _tracking(Settings()), run_id)


@app.command()
@step
def evaluate(model: ModelName, version: Number) -> dict[str, Any]:
    """Compare a version with the champion on the newest labelled days."""
    from pipelines.steps.evaluate import evaluate as run

    settings = Settings()
    return run(models.load(model), settings, _tracking(settings), version)


@app.command()
@step
def promote(model: ModelName, version: Number) -> dict[str, Any]:
    """Ask the gate, and move @champion if it says yes and the policy wants no canary first."""
    from pipelines.steps.promote import promote as run

    return run(models.load(model), _tracking(Settings()), version)


@app.command()
@step
def monitor(model: ModelName) -> dict[str, Any]:
    """Check the newest window of the prediction log."""
    from pipelines.steps.monitor import monitor as run

    settings = Settings()
    return run(models.load(model), settings, _tracking(settings))


@app.command()
@step
def retrain(model: ModelName) -> dict[str, Any]:
    """Decide by the policy whether the monitor's verdict asks for a retrain."""
    from pipelines.steps.retrain import retrain as run

    return run(models.load(model), Settings())


@app.command()
@step
def retire(model: Annotated[str, typer.Argument(help="The model.")]) -> dict[str, Any]:
    """Stop waiting for a model that is no longer watched: its stale checks alarm no more.

    Its folder need not be there. What was found stays in the history, and a later run of its
    monitor brings it back.
    """
    from monitoring.results import retire as run

    if not run(Settings().checks, model):
        raise NothingToDo(f"there is no monitor run of {model!r} to let go of")
    return {"step": "retire", "model": model}


@app.command()
@step
def rollback(model: Annotated[str, typer.Argument(help="The model.")]) -> dict[str, Any]:
    """Move @champion back to the version before it."""
    from pipelines.lineage import rollback as run

    return run(models.load(model), _tracking(Settings()))


@app.command()
@step
def canary(
    model: Annotated[str, typer.Argument(help="The model.")],
    share: Annotated[
        float | None,
        typer.Option(
            help="Of the keys, above 0 and at most 0.5; default: the policy's canary.share."
        ),
    ] = None,
    withdraw: Annotated[bool, typer.Option("--withdraw", help="End the trial.")] = False,
    force: Annotated[
        bool, typer.Option("--force", help="Although the gate said no, or was not asked.")
    ] = False,
) -> dict[str, Any]:
    """Let @challenger answer a share of the requests, change the share, or end that."""
    from pipelines.canary import canary as run

    return run(models.load(model), _tracking(Settings()), share, withdraw, force)


@app.command()
def explain(
    prediction: Annotated[str, typer.Argument(help="A prediction id.")],
    as_json: Annotated[bool, typer.Option("--json")] = False,
) -> None:
    """Walk back from a prediction to version, run, data, code and Airflow run."""
    from pipelines.lineage import explain as walk

    settings = Settings()
    _show(_asked(lambda: walk(prediction, settings, _tracking(settings))), as_json)


@app.command()
def predictions(
    model: Annotated[str, typer.Argument(help="The model.")],
    last: Annotated[int, typer.Option(min=1, help="How many.")] = 10,
) -> None:
    """Print what was answered last, a line of JSON a row."""
    import msgspec

    from monitoring.prediction_log.reading import last_predictions

    settings = Settings()
    root = settings.prediction_log
    found = last_predictions(root, model, last, settings.prediction_log_store)
    if not found:
        _end(f"{root} holds no prediction of {model!r}", NOTHING_TO_DO)
    for prediction in found:
        typer.echo(msgspec.json.encode(prediction))


@app.command()
def seal(
    model: Annotated[str | None, typer.Argument(help="The model; without one: all.")] = None,
) -> None:
    """Make Parquet of what serving has closed of its log, and let go of what is too old.

    A model's monitor does so, too: this is for models of the registry that have none.
    """
    from monitoring.prediction_log import DamagedLogError, sealing

    settings = Settings()
    root, store, faults = settings.prediction_log, settings.prediction_log_store, []
    for name in [model] if model else sealing.list_models(root):
        try:
            sealed = sealing.seal(root, name, store)
            gone = sealing.forget(root, name, settings.prediction_log_begin(), store)
        except (DamagedLogError, OSError) as error:  # the others' may be well
            faults.append(str(error))
        else:
            typer.echo(json.dumps({"model": name, "sealed": sealed, "forgotten": gone}))
    if faults:
        _end("; ".join(faults), FAILED)


@app.command()
def reproduce(
    version: Annotated[str, typer.Argument(help="A model version, as flights@2.")],
    as_json: Annotated[bool, typer.Option("--json")] = False,
) -> None:
    """Train a version again from its record and compare every bit."""
    from pipelines.lineage import reproduce as again

    settings = Settings()
    answer = _asked(lambda: again(version, settings, _tracking(settings)))
    _show(answer, as_json)
    raise typer.Exit(0 if answer["identical"] else 1)


@app.command()
def suggest_limits(
    model: ModelName,
    dataset: Annotated[
        str | None, typer.Option(help="Tag, as flights/v3; default: the champion's own.")
    ] = None,
    rows: Annotated[
        int | None, typer.Option(min=1, help="Of a window; default: the newest window's.")
    ] = None,
) -> None:
    """Print limits for the policy's monitor section under which the training data is quiet."""
    from pipelines.suggest_limits import suggest_limits as suggest

    settings = Settings()
    found = _asked(
        lambda: {"yaml": suggest(models.load(model), settings, _tracking(settings), dataset, rows)}
    )
    typer.echo(found["yaml"])


@app.command()
def status(as_json: Annotated[bool, typer.Option("--json")] = False) -> None:
    """Show the loop in one screen."""
    from pipelines.status import read, render

    answer = _asked(lambda: read(Settings()))
    typer.echo(json.dumps(answer, indent=2) if as_json else render(answer))


def _show(answer: dict[str, Any], as_json: bool) -> None:
    import yaml

    typer.echo(
        json.dumps(answer, indent=2)
        if as_json
        else yaml.safe_dump(answer, sort_keys=False, width=120)
    )
