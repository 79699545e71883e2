"""``<model>_train``: train, register, evaluate, promote; on new data, on drift, or by hand."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from airflow.sdk import DAG, Param
from relay_step import DEFAULTS, Step, dataset, policies, retrain


def trigger(events: Mapping[Any, Any]) -> str:
    """Say what started the run: ``retrain`` outranks ``data``, and no event is ``manual``."""
    names = {asset.name.rpartition("_")[2] for asset in events}
    return "retrain" if "retrain" in names else "data" if "dataset" in names else "manual"


def reason(events: Mapping[Any, Any]) -> str:
    """Say why, in the words of the newest event that gives a reason; empty if none does."""
    told = [
        event.extra["reason"]
        for each in events.values()
        for event in each
        if event.extra.get("reason")
    ]
    return told[-1] if told else ""


for model, policy in policies().items():
    train = policy["train"]
    with DAG(
        f"{model}_train",
        description=f"{model}: train -> register -> evaluate -> promote",
        doc_md=f"""
Trains on the newest dataset version, makes the result a model version at `@challenger`, compares it
with `@champion` on the newest labelled days, and promotes it if the gate in
`pipelines/{model}/params.yaml` says yes. **A no** skips *promote*: the reasons stand on the model
version in MLflow. Where the policy's `canary.share` is above 0, **a yes** begins a trial on that
share of the requests; *promote*, run again once that has passed, moves the alias. Runs on a new
dataset version, on a retrain event, or by hand.""",
        schedule=dataset(model) | retrain(model),
        catchup=False,
        is_paused_upon_creation=False,
        max_active_runs=1,
        dagrun_timeout=timedelta(hours=2),  # flights take minutes; one that hangs is told of
        default_args=DEFAULTS,
        tags=["relay", model],
        user_defined_macros={"trigger": trigger, "reason": reason},
        params={
            "months": Param(
                None,
                type=["null", "integer"],
                minimum=1,
                title="Months",
                description="Learn from the newest so many months. "
                f"Empty: the policy's {train['history_days']} days.",
            ),
            "epochs": Param(train["epochs"], type="integer", minimum=1, title="Epochs"),
            "learning_rate": Param(
                train["learning_rate"], type="number", exclusiveMinimum=0, title="Learning rate"
            ),
            "seed": Param(train["seed"], type="integer", title="Seed"),
            "study": Param(
                None,
                type=["null", "string"],
                title="Study",
                description=f"Learn by the best parameters of this study of {model}_tune: "
                "epochs, learning rate and seed above are then not looked at.",
            ),
        },
    ):
        (
            Step(
                step="train",
                model=model,
                arguments=[
                    "--trigger={{ trigger(triggering_asset_events) }}",
                    "--reason={{ reason(triggering_asset_events) }}",
                    "--months={{ params.months or '' }}",
                    "--epochs={{ '' if params.study else params.epochs }}",
                    "--learning-rate={{ '' if params.study else params.learning_rate }}",
                    "--seed={{ '' if params.study else params.seed }}",
                    "--study={{ params.study or '' }}",
                ],
            )
            >> Step(
                step="register",
                model=model,
                arguments=["--run-id={{ ti.xcom_pull('train')['run_id'] }}"],
            )
            >> Step(
                step="evaluate",
                model=model,
                arguments=["--version={{ ti.xcom_pull('register')['version'] }}"],
            )
            >> Step(
                step="promote",
                model=model,
                arguments=["--version={{ ti.xcom_pull('register')['version'] }}"],
            )
        )
