"""``<model>_monitor``: check the newest window, and ask for a retrain when the policy says so."""

from datetime import timedelta

from airflow.sdk import DAG
from relay_step import DEFAULTS, Step, policies, retrain

for model, policy in policies().items():
    with DAG(
        f"{model}_monitor",
        description=f"{model}: quality, drift, live score -> retrain?",
        doc_md=f"""
Checks the newest window of the prediction log against the reference of the version that served,
then decides by `pipelines/{model}/params.yaml` whether to retrain: *retrain* succeeds and announces
the asset `{model}_retrain`, or is skipped and says why not. What could not run is `unknown`.""",
        schedule=policy["monitor"]["schedule"],
        catchup=False,
        is_paused_upon_creation=False,
        max_active_runs=1,
        dagrun_timeout=timedelta(minutes=30),  # one that hangs would keep the next ones waiting
        default_args=DEFAULTS,
        tags=["relay", model],
    ):
        Step(step="monitor", model=model) >> Step(
            step="retrain", model=model, outlets=[retrain(model)]
        )
