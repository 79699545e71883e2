"""Down and up, killed and started again: everything is still there, and nobody lends a hand."""

import json
import time

import pytest

from tests.programs import wait_for
from tests.stack.stack import Stack, ask

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(1800)]
KILLED = [
    "serving",
    "mlflow",
    "postgres",
    "airflow",
    "airflow-scheduler",
    "airflow-dag-processor",
    "airflow-triggerer",
    "exporter",
    "page",
    "evidently",
    "tensorboard",
    "prometheus",
    "alertmanager",
    "simulator",
]


@pytest.mark.parametrize("service", KILLED)
def test_what_is_killed_comes_back(stack: Stack, service: str) -> None:
    before = stack.container(service)["State"]["Pid"]
    stack.kill(service)

    def is_back() -> bool:
        return stack.container(service)["State"]["Pid"] not in {0, before} and stack.is_well(
            service
        )

    wait_for(is_back, f"{service} to be well again", 120)
    wait_for(lambda: all(map(stack.is_well, stack.running())), "all to be well", 120)
    assert wait_for(lambda: ask(stack.url("serving"), f"after-{service}").is_success, "an answer")


def test_down_is_quick_and_up_finds_all_as_it_was(stack: Stack) -> None:
    answered = ask(stack.url("serving"), "before-down")
    assert answered.status_code == 200
    secrets = stack.secrets()

    begun = time.monotonic()
    stack.compose("stop")
    stopping = time.monotonic() - begun
    codes = {each["Name"]: each["State"]["ExitCode"] for each in stack.containers()}
    stack.compose("down")
    stack.compose("up", "--detach", "--wait", "--wait-timeout", "600")

    assert stopping < 20, stopping
    assert codes["/relay-e2e-serving-1"] == 0
    assert codes["/relay-e2e-postgres-1"] == 0
    assert stack.secrets() == secrets
    assert ask(stack.url("serving"), "after-up").json() == answered.json()
    runs = stack.airflow().get("/api/v2/dags/flights_train/dagRuns").raise_for_status().json()
    assert runs["total_entries"] >= 2
    told = stack.compose("run", "--rm", "--no-deps", "relay", "explain", "before-down", "--json")
    assert json.loads(told)["prediction"]
