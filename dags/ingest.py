"""``<model>_ingest``: a batch from the landing folder becomes a dataset version, or quarantine."""

from datetime import timedelta

from airflow.sdk import DAG, Param
from relay_step import DEFAULTS, Step, dataset, policies

for model, policy in policies().items():
    with DAG(
        f"{model}_ingest",
        description=f"{model}: landing batch -> gate -> dataset version",
        doc_md="""
Takes one batch from the landing folder through the gate (schema, ranges, duplicates, missing
shares, categories) into the data registry. **A refused batch** is in quarantine beside its report;
the run fails and is not tried again. **The same batch twice** is one version.""",
        schedule=policy["ingest"]["schedule"],
        catchup=False,
        is_paused_upon_creation=False,
        max_active_runs=4,  # two at once are safe: the registry takes pushes one after the other
        dagrun_timeout=timedelta(minutes=30),  # a batch takes seconds; one that hangs is told of
        default_args=DEFAULTS,
        tags=["relay", model],
        params={
            "batch": Param(
                None,
                type=["null", "string"],
                title="Batch",
                description="Name of the batch, such as 2013-03. Empty: the next one.",
            )
        },
    ):
        Step(
            step="ingest",
            model=model,
            arguments=["--batch={{ params.batch or '' }}"],
            outlets=[dataset(model)],
        )
