"""Airflow itself reads the DAGs: every file parses, and every model has its DAGs."""

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest
from jinja2 import Template

from pipelines import models

ROOT = Path(__file__).parents[2]
READ = """
import json, sys
from airflow.dag_processing.dagbag import DagBag
bag = DagBag(dag_folder=sys.argv[1])
dags = {
    name: {
        "tasks": dag.task_ids,
        "params": list(dag.params),
        "arguments": {task.task_id: getattr(task, "arguments", []) for task in dag.tasks},
        "longest": dag.dagrun_timeout and dag.dagrun_timeout.total_seconds(),
    }
    for name, dag in bag.dags.items()
}
print(json.dumps({"dags": dags, "errors": bag.import_errors}))
"""

Read = dict[str, dict[str, dict[str, Any]]]


@pytest.fixture(scope="module")
def read(tmp_path_factory: pytest.TempPathFactory) -> Read:
    home = tmp_path_factory.mktemp("airflow")
    dags = ROOT / "dags"
    done = subprocess.run(
        [ROOT / ".venv-airflow/bin/python", "-c", READ, dags],
        env=os.environ
        | {
            "AIRFLOW_HOME": str(home),
            "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
            "PYTHONPATH": str(dags),
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    answer: Read = json.loads(done.stdout.splitlines()[-1])
    return answer


def test_every_file_parses(read: Read) -> None:
    assert not read["errors"]


def test_every_model_has_its_dags(read: Read) -> None:
    wanted = {
        f"{model}_{dag}": tasks
        for model in models.names()
        for dag, tasks in {
            "ingest": ["ingest"],
            "train": ["train", "register", "evaluate", "promote"],
            "monitor": ["monitor", "retrain"],
            "tune": ["study", "tune", "best", "train"],
        }.items()
        if dag != "tune" or models.load(model).policy.tune
    }
    found = {name: dag["tasks"] for name, dag in read["dags"].items()}
    assert {n: sorted(t) for n, t in found.items()} == {n: sorted(t) for n, t in wanted.items()}


def test_the_training_form_asks_what_a_person_may_change(
    read: Read,
) -> None:
    for model in models.names():
        form = read["dags"][f"{model}_train"]["params"]
        assert form == ["months", "epochs", "learning_rate", "seed", "study"]


def test_a_run_that_hangs_fails(read: Read) -> None:
    longest = {name: dag["longest"] for name, dag in read["dags"].items()}
    wanted = {"ingest": 1800, "monitor": 1800, "train": 7200, "tune": 21600}
    assert longest == {name: wanted[name.rpartition("_")[2]] for name in longest}


def test_a_study_outranks_what_the_form_says(read: Read) -> None:
    arguments = read["dags"]["flights_train"]["arguments"]["train"]
    form = {"months": 2, "epochs": 12, "learning_rate": 0.01, "seed": 0, "study": None}

    def given(form: dict[str, Any]) -> set[str]:
        filled = [
            Template(argument).render(params=form, trigger=str, reason=str)
            for argument in arguments
        ]
        return {argument.partition("=")[0] for argument in filled if not argument.endswith("=")}

    assert given(form) == {"--months", "--epochs", "--learning-rate", "--seed"}
    assert given(form | {"study": "best"}) == {"--months", "--study"}
