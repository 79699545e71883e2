"""A fresh stack in; a first version of every model, trained and served, out.

Lands a model's first batches, has Airflow ingest each as a person would, until there are as many
rows as its policy wants to train on, and waits until serving answers with what the train DAG made
of them. A model that is served already is left alone, so that this may run at every start.
``first_model MODEL...`` is about these models alone.
"""

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

import httpx

from pipelines import models

T = TypeVar("T")
AIRFLOW, SERVING = "http://airflow:8080", "http://serving:8000"
SECRETS = Path("/run/secrets")
PATIENCE = 900.0  # seconds that any one thing may take; all take seconds, or a minute or two


class FirstModelError(RuntimeError):
    """There is no first model; the text says why, and where to look."""


def main() -> int:
    """Give 0 once a model is served, 1 with a sentence if that does not come about."""
    chosen = sys.argv[1:] or models.names()
    try:
        for model in chosen:
            make(model)
    except FirstModelError as why:
        sys.stderr.write(f"no first model: {why}\n")
        return 1
    served = f"{', '.join(chosen)} served"
    say(f"{served}; `docker compose run --rm relay status` says where everything is")
    return 0


def make(model: str) -> None:
    """Bring the first batches in, and wait until a version made of them answers."""
    if has_champion(model):
        say(f"{model} has a champion already")
    else:
        airflow = log_in()
        wait_for(lambda: knows(airflow, f"{model}_train"), f"Airflow to read the DAGs of {model}")
        known = failed_trainings(airflow, model)  # of an earlier start
        for batch in first_batches(models.load(model)):
            land(model, batch)
            ingest(airflow, model, batch)
            say(f"{batch} is in the data registry")
        wait_for(lambda: is_trained(airflow, model, known), "the first champion")
    wait_for(lambda: is_served(model), f"serving to answer for {model}")


def first_batches(model: models.Model) -> Iterator[str]:
    """Name a feed's batches, oldest first, until the policy has enough rows to train on."""
    rows = 0
    for name in model.feed.batch_names():
        if rows >= model.policy.train.min_rows:
            return
        yield name
        rows += len(model.feed.read_batch(name))


def has_champion(model: str) -> bool:
    """Say whether MLflow knows a champion of the model."""
    answer = httpx.get(
        "http://mlflow:5000/api/2.0/mlflow/registered-models/search",
        params={"filter": f"name = '{model}'"},
        auth=("relay", (SECRETS / "mlflow").read_text(encoding="utf-8")),
        timeout=30,
    )
    found = answer.raise_for_status().json().get("registered_models", [])
    aliases = [alias["alias"] for each in found for alias in each.get("aliases", [])]
    return "champion" in aliases


def log_in() -> httpx.Client:
    """Give a client of Airflow's API that is logged in."""
    password = (SECRETS / "airflow-admin").read_text(encoding="utf-8")
    client = httpx.Client(base_url=AIRFLOW, timeout=30)
    answer = client.post("/auth/token", json={"username": "admin", "password": password})
    token = answer.raise_for_status().json()["access_token"]
    client.headers["Authorization"] = f"Bearer {token}"
    return client


def knows(airflow: httpx.Client, dag: str) -> bool:
    """Say whether Airflow has read a DAG's file."""
    errors = airflow.get("/api/v2/importErrors").raise_for_status().json()["import_errors"]
    if errors:
        raise FirstModelError(f"Airflow cannot read {[each['filename'] for each in errors]}")
    return airflow.get(f"/api/v2/dags/{dag}").is_success


def land(model: str, batch: str) -> None:
    """Have the simulator deliver a batch to the landing folder; once, however often it is asked."""
    plan = ["--model", model, "--from", batch, "--to", batch, "--once", "--no-requests"]
    done = subprocess.run([sys.executable, "-m", "services.simulator", *plan], check=False)
    if done.returncode:
        raise FirstModelError(f"the simulator did not deliver {batch}")


def ingest(airflow: httpx.Client, model: str, batch: str) -> None:
    """Trigger the ingest DAG for a batch and wait for its end."""
    runs = f"/api/v2/dags/{model}_ingest/dagRuns"
    body = {"logical_date": None, "conf": {"batch": batch}}
    run = airflow.post(runs, json=body).raise_for_status().json()["dag_run_id"]

    def ended() -> str:
        state = airflow.get(f"{runs}/{run}").raise_for_status().json()["state"]
        return state if state in {"success", "failed"} else ""

    if wait_for(ended, f"{model}_ingest of {batch}") == "failed":
        raise FirstModelError(f"{model}_ingest has failed: see its log in Airflow")


def is_trained(airflow: httpx.Client, model: str, known: set[str]) -> bool:
    """Say whether the train DAG has made a champion; raise when a run of it has failed since."""
    if not has_champion(model) and failed_trainings(airflow, model) - known:
        raise FirstModelError(f"{model}_train has failed: see its log in Airflow")
    return has_champion(model)


def failed_trainings(airflow: httpx.Client, model: str) -> set[str]:
    """Give the ids of the train DAG's runs that have failed."""
    path = f"/api/v2/dags/{model}_train/dagRuns"
    runs = airflow.get(path, params={"state": "failed"}).raise_for_status().json()["dag_runs"]
    return {run["dag_run_id"] for run in runs}


def is_served(model: str) -> bool:
    """Say whether serving is ready to answer for the model."""
    try:
        return httpx.get(f"{SERVING}/v2/models/{model}/ready", timeout=5).is_success
    except httpx.TransportError:
        return False


def wait_for(condition: Callable[[], T], what: str) -> T:
    """Wait until a condition gives something true."""
    deadline = time.monotonic() + PATIENCE
    while not (value := condition()):
        if time.monotonic() > deadline:
            raise FirstModelError(f"waited {PATIENCE:.0f} s in vain for {what}")
        time.sleep(0.5)
    return value


def say(what: str) -> None:
    """Print a line."""
    sys.stdout.write(what + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
