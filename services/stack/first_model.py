"""A fresh stack in; a first version of every model, trained and served, out.

Lands a model's first batches, has Airflow ingest each as a person would, until there are as many
rows as its policy wants to train on, and waits until serving answers with what the train DAG made
of them. A model that is served already is left alone, so that this may run at every start; one that
the gate refuses is told of, and the others go on. ``first_model MODEL...`` is about these alone.
"""

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import httpx

from pipelines import models
from services.embedded.airflow_api import AirflowApi, AirflowError

T = TypeVar("T")
AIRFLOW, SERVING = "http://airflow:8080", "http://serving:8000"
SECRETS = Path("/run/secrets")
PATIENCE = 900.0  # seconds that any one thing may take; all take seconds, or a minute or two


class FirstModelError(RuntimeError):
    """There is no first model; the text says why, and where to look."""


def main() -> int:
    """Give 0 if all went as it should, a gate's no among that; 1 with a sentence for what did not.

    One model's failure does not keep the others from being made.
    """
    failed = False
    for model in sys.argv[1:] or models.names():
        try:
            make(model)
        except (FirstModelError, AirflowError, httpx.HTTPError) as why:
            failed = True
            sys.stderr.write(f"no first version of {model}: {why}\n")
    say("`docker compose run --rm relay status` says where everything is")
    return int(failed)


def make(model: str) -> None:
    """Bring the first batches in, and wait until a version made of them answers, or is refused."""
    if has_champion(model):
        say(f"{model} has a champion already")
    elif refusal := train(model):
        say(f"{model} has no champion: {refusal}")
        return
    wait_for(lambda: is_served(model), f"serving to answer for {model}")
    say(f"{model} is served")


def train(model: str) -> str:
    """Have Airflow ingest the first batches and train; why there is no champion, "" if there is."""
    password = (SECRETS / "airflow-admin").read_text(encoding="utf-8")
    airflow = AirflowApi(AIRFLOW, "admin", password)
    ingesting, training, ingested = f"{model}_ingest", f"{model}_train", ""
    wait_for(lambda: knows(airflow, training), f"Airflow to read the DAGs of {model}")
    for batch in first_batches(models.load(model)):
        land(model, batch)
        tasks = succeeded(airflow, ingesting, airflow.trigger(ingesting, {"batch": batch}))
        ingested = tasks["ingest"]["end_date"]
        say(f"{batch} is in the data registry")
    begun = wait_for(lambda: airflow.begun_since(training, ingested), f"{training} to begin")
    run = begun[0]["dag_run_id"]
    tasks = succeeded(airflow, training, run)
    if has_champion(model):
        return ""
    skipped = "train" if tasks["train"]["state"] == "skipped" else "promote"
    return airflow.last_words(training, run, skipped)


def succeeded(airflow: AirflowApi, dag: str, run: str) -> dict[str, dict[str, Any]]:
    """Wait for a run's end; give its tasks, none of which has failed."""
    tasks = airflow.await_run(dag, run, seconds=PATIENCE)
    for name, task in tasks.items():
        if task["state"] not in {"success", "skipped"}:
            raise FirstModelError(f"{dag}.{name} is {task['state']}: see its log in Airflow")
    return tasks


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


def knows(airflow: AirflowApi, dag: str) -> bool:
    """Say whether Airflow has read a DAG's file."""
    if errors := airflow.import_errors():
        raise FirstModelError("Airflow cannot read:\n" + "\n".join(errors))
    return airflow.knows(dag)


def land(model: str, batch: str) -> None:
    """Have the simulator deliver a batch to the landing folder; once, however often it is asked."""
    plan = ["--model", model, "--from", batch, "--to", batch, "--once", "--no-requests"]
    done = subprocess.run([sys.executable, "-m", "services.simulator", *plan], check=False)
    if done.returncode:
        raise FirstModelError(f"the simulator did not deliver {batch}")


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
