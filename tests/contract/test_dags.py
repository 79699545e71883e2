"""Airflow itself reads the DAGs: every file parses, and every model has its three DAGs."""

import json
import os
import subprocess
from pathlib import Path

import pytest

from pipelines import models

ROOT = Path(__file__).parents[2]
READ = """
import json, sys
from airflow.dag_processing.dagbag import DagBag
bag = DagBag(dag_folder=sys.argv[1])
dags = {
    name: {"tasks": dag.task_ids, "params": list(dag.params)}
    for name, dag in bag.dags.items()
}
print(json.dumps({"dags": dags, "errors": bag.import_errors}))
"""


@pytest.fixture(scope="module")
def read(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, dict[str, list[str]]]]:
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
    answer: dict[str, dict[str, dict[str, list[str]]]] = json.loads(done.stdout.splitlines()[-1])
    return answer


def test_every_file_parses(read: dict[str, dict[str, dict[str, list[str]]]]) -> None:
    assert not read["errors"]


def test_every_model_has_its_dags(read: dict[str, dict[str, dict[str, list[str]]]]) -> None:
    wanted = {
        f"{model}_{dag}": tasks
        for model in models.names()
        for dag, tasks in {
            "ingest": ["ingest"],
            "train": ["train", "register", "evaluate", "promote"],
            "monitor": ["monitor", "retrain"],
        }.items()
    }
    found = {name: dag["tasks"] for name, dag in read["dags"].items()}
    assert {n: sorted(t) for n, t in found.items()} == {n: sorted(t) for n, t in wanted.items()}


def test_the_training_form_asks_what_a_person_may_change(
    read: dict[str, dict[str, dict[str, list[str]]]],
) -> None:
    for model in models.names():
        form = read["dags"][f"{model}_train"]["params"]
        assert form == ["months", "epochs", "learning_rate", "seed"]
