"""Weights & Biases as a second tracker: parameters, curves, and where MLflow has the same run.

The only file that touches its SDK (https://docs.wandb.ai). MLflow stays the record that the other
steps read; what goes wrong here is in the log, and the training goes on.
"""

import logging
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from pipelines.exits import Refused
from pipelines.settings import Settings

log = logging.getLogger(__name__)

Tell = Callable[[Mapping[str, float], int | None], None]  # metrics, at a step or as final values


def _tell_nobody(metrics: Mapping[str, float], step: int | None) -> None: ...


@contextmanager
def wandb_run(
    settings: Settings, run_id: str, model: str, params: Mapping[str, Any], link: str
) -> Iterator[Tell]:
    """Open a run of the same id as MLflow's, as ``RELAY_WANDB`` says; what is told goes there.

    Offline it is written to ``RELAY_HOME/wandb``, for ``wandb sync``. Off, nothing is imported.
    Raises Refused where it is asked for and not installed.
    """
    if settings.wandb == "off":
        yield _tell_nobody
        return
    try:
        import wandb
    except ImportError as error:
        raise Refused(
            f"RELAY_WANDB is {settings.wandb}, and wandb is not installed: "
            f"pip install 'relay[wandb]'"
        ) from error
    try:
        run = _open(wandb, settings, run_id, model, {**params, "mlflow_run": link})
    except wandb.errors.Error as error:
        log.warning("Weights & Biases is told nothing of this run: %s", error)
        yield _tell_nobody
        return

    def tell(metrics: Mapping[str, float], step: int | None) -> None:
        if step is None:
            run.summary.update(dict(metrics))
        else:
            run.log(dict(metrics), step=step)

    failed = True
    try:
        yield tell
        failed = False
    finally:
        run.finish(exit_code=int(failed))
        wandb.teardown()  # only then is all of it written


def _open(wandb: Any, settings: Settings, run_id: str, model: str, config: dict[str, Any]) -> Any:
    os.environ.setdefault("WANDB_ERROR_REPORTING", "false")  # of its own faults, to its makers
    key = settings.wandb_api_key_file
    settings.home.mkdir(parents=True, exist_ok=True)
    return wandb.init(
        mode=settings.wandb,
        project=settings.wandb_project,
        entity=settings.wandb_entity,
        group=model,
        id=run_id,
        resume="allow",
        dir=settings.home,
        config=config,
        settings=wandb.Settings(
            base_url=settings.wandb_url,
            api_key=key.read_text(encoding="utf-8").strip() if key else None,
            console="off",
            silent=True,
            disable_git=True,
            x_disable_meta=True,  # nothing of this machine
            x_disable_stats=True,
        ),
    )
