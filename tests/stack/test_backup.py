"""The drill: a backup of a running stack, all of it lost, and back again from the tar."""

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.stack.stack import Stack, ask

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(1800)]


def state(stack: Stack) -> dict[str, Any]:
    """Read what must be the same after a restore, each part from the program that keeps it."""
    models = json.loads(stack.compose("run", "--rm", "--no-deps", "relay", "status", "--json"))
    flights = models["models"]["flights"]
    runs = stack.airflow().get("/api/v2/dags/flights_train/dagRuns").raise_for_status().json()
    explained = stack.compose("run", "--rm", "--no-deps", "relay", "explain", "kept", "--json")
    return {
        "secrets": stack.secrets(),
        "dataset": flights["dataset"],
        "champion": flights["champion"],
        "trainings": {run["dag_run_id"] for run in runs["dag_runs"]},
        "explained": json.loads(explained),
    }


def test_all_comes_back_from_a_backup(stack: Stack, tmp_path: Path) -> None:
    answered = ask(stack.url("serving"), "kept")
    assert answered.status_code == 200
    before = state(stack)
    backup = tmp_path / "relay.tar"
    with backup.open("wb") as file:
        stack.pipe("backup", stdout=file)

    with backup.open("rb") as file:
        refused = stack.pipe("restore", stdin=file, check=False)
    assert "not empty" in refused

    stack.compose("down", "--volumes")
    with backup.open("rb") as file:
        assert "came back whole" in stack.pipe("restore", stdin=file)
    stack.compose("up", "--detach", "--wait", "--wait-timeout", "600")

    assert state(stack) == before
    assert ask(stack.url("serving"), "after-restore").json() == answered.json()


def test_a_damaged_backup_is_refused(stack: Stack, tmp_path: Path) -> None:
    backup = tmp_path / "relay.tar"
    with backup.open("wb") as file:
        stack.pipe("backup", stdout=file)
    content = bytearray(backup.read_bytes())
    content[len(content) // 2] ^= 1
    backup.write_bytes(content)
    empty = Stack(f"{stack.project}-empty", stack.ports, stack.environment)
    try:
        with backup.open("rb") as file, pytest.raises(subprocess.CalledProcessError):
            empty.pipe("restore", stdin=file)
    finally:
        empty.compose("down", "--volumes", "--remove-orphans")
