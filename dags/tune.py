"""``<model>_tune``: a study, its trials side by side, and a training by the best parameters."""

from datetime import timedelta

from airflow.providers.standard.operators.trigger_dagrun import TriggerDagRunOperator
from airflow.sdk import DAG
from relay_step import DEFAULTS, Step, policies

STUDY = "--study={{ ti.xcom_pull('study')['study'] }}"

for model, policy in policies().items():
    if "tune" not in policy:
        continue
    with DAG(
        f"{model}_tune",
        description=f"{model}: study -> trials -> best -> {model}_train",
        doc_md=f"""
Searches what `tune.space` in `pipelines/{model}/params.yaml` allows for parameters with a lower
loss on the validation days. The trials are mapped tasks: with more workers it ends sooner. Each is
an MLflow run in the study's own, in the experiment `{model}-tuning`. **A trial that crashes** is a
failed trial. The best parameters start `{model}_train`, whose gate decides as ever.""",
        schedule=None,
        catchup=False,
        is_paused_upon_creation=False,
        max_active_runs=1,
        dagrun_timeout=timedelta(hours=6),
        default_args=DEFAULTS,
        tags=["relay", model],
    ):
        study = Step(step="tune", task_id="study", model=model, arguments=["--part=study"])
        trials = Step.partial(step="tune", task_id="tune", model=model).expand(
            arguments=[
                ["--part=trial", STUDY, f"--number={number}"]
                for number in range(policy["tune"]["trials"])
            ]
        )
        best = Step(
            step="tune",
            task_id="best",
            model=model,
            arguments=["--part=best", STUDY],
            trigger_rule="all_done_min_one_success",
        )
        (
            study
            >> trials
            >> best
            >> TriggerDagRunOperator(
                task_id="train",
                trigger_dag_id=f"{model}_train",
                conf={"study": "{{ ti.xcom_pull('study')['study'] }}"},
            )
        )
