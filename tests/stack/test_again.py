"""Down and up again: it is quick, and everything is still there."""

import json
import time

import pytest

from tests.stack.stack import Stack, ask

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(1800)]


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
