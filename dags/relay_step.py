"""What the DAGs share: the policies they exist for, the assets they meet at, and how a step runs.

A step runs by its command line, in the pipelines' own environment (``RELAY_COMMAND``), so that
Airflow's dependencies and the models' never meet. Its last line of output is one line of JSON:
names and revisions, which become the task's XCom.
"""

import json
import os
import time
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import yaml
from airflow.providers.standard.hooks.subprocess import SubprocessHook
from airflow.sdk import Asset, BaseOperator, Context
from airflow.sdk.exceptions import (
    AirflowException,
    AirflowFailException,
    AirflowSkipException,
)

POLICIES = Path(__file__).resolve().parents[1] / "pipelines"
REFUSED, NOTHING_TO_DO = 65, 99  # exit codes of a step, see pipelines/exits.py

DEFAULTS = {  # a gate is not tried again, its data has not changed; a failing network is
    "retries": 3,
    "retry_delay": timedelta(seconds=10),
    "retry_exponential_backoff": True,
    "max_retry_delay": timedelta(minutes=5),
}


def policies() -> dict[str, dict[str, Any]]:
    """Read every model's policy; a model is a folder with a ``params.yaml``."""
    found = sorted(POLICIES.glob("*/params.yaml"))
    return {path.parent.name: yaml.safe_load(path.read_text()) for path in found}


def dataset(model: str) -> Asset:
    """Name the asset that a new dataset version updates."""
    return Asset(name=f"{model}_dataset", uri=f"relay://{model}/dataset")


def retrain(model: str) -> Asset:
    """Name the asset that the monitor's verdict updates."""
    return Asset(name=f"{model}_retrain", uri=f"relay://{model}/retrain")


class Step(BaseOperator):
    """Run ``relay <step> --model <model> <arguments>``.

    Arguments are templates; one that renders to ``--option=`` is left out. Success announces the
    outlets with the step's result as the event's ``extra``.
    """

    template_fields: Sequence[str] = ("arguments",)

    def __init__(
        self,
        step: str,
        model: str,
        arguments: Sequence[str] = (),
        task_id: str = "",
        **kwargs: Any,
    ) -> None:
        super().__init__(task_id=task_id or step, **kwargs)
        self.step = step
        self.model = model
        self.arguments = list(arguments)
        self.process = SubprocessHook()

    def execute(self, context: Context) -> dict[str, Any]:
        """Run the command and turn its exit code into what Airflow shall do."""
        given = [argument for argument in self.arguments if not argument.endswith("=")]
        command = [os.environ.get("RELAY_COMMAND", "relay"), self.step, "--model", self.model]
        run = context["dag_run"]
        environment = os.environ | {"RELAY_AIRFLOW_RUN": f"{run.dag_id}/{run.run_id}"}
        begun = time.monotonic()
        done = self.process.run_command([*command, *given], env=environment)
        if done.exit_code == NOTHING_TO_DO:
            raise AirflowSkipException(done.output)
        if done.exit_code == REFUSED:
            raise AirflowFailException(done.output)
        if done.exit_code:
            raise AirflowException(f"relay {self.step} ended with {done.exit_code}: see its log")
        result: dict[str, Any] = json.loads(done.output)
        result["seconds"] = round(time.monotonic() - begun, 1)
        for asset in self.outlets:
            context["outlet_events"][asset].extra = result
        return result

    def on_kill(self) -> None:
        """Stop the command when the task is stopped."""
        self.process.send_sigterm()
