"""A stack of its own on a real engine, made from nothing once for all the tests of this folder.

Skipped, with the reason, where there is no engine. Other compose files are taken from COMPOSE_FILE.
RELAY_E2E_PROJECT names a stack that runs already, on the ports of RELAY_<NAME>_PORT: it is used as
it is and left running, for the one who writes a test. RELAY_E2E_UNTIL is a time (seconds since
1970) after which no test begins: those that are left are skipped, and say so.
"""

import os
import shutil
import subprocess
import time
from collections.abc import Iterator

import pandas as pd
import pytest

from tests.outside import Outside
from tests.programs import free_port
from tests.stack.lap import Lap, change_the_world, turn
from tests.stack.stack import PORTS, Stack

PROJECT = "relay-e2e"
PATIENCE = 1200  # seconds for a clean machine: build, first start, first model
ORDER = [
    "first_start",
    "browser",
    "loop",
    "watched",
    "secrets",
    "faults",
    "again",
    "backup",
    "scale",
    "s3",  # a stack of its own
]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """A good day comes before those on which the stack is stopped, restored and killed.

    Raises ValueError for a file that has no place in the order.
    """

    def place(item: pytest.Item) -> int:
        if "stack" not in item.path.parts:
            return -1
        return ORDER.index(item.path.stem.removeprefix("test_"))

    items.sort(key=place)


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Begin no more tests of the stack when their time is over."""
    until = os.environ.get("RELAY_E2E_UNTIL")
    if until and "stack" in item.path.parts and time.time() > float(until):
        pytest.skip("not run: the time that there was for the stack's tests is over")


def why_no_engine() -> str:
    """Say what is missing to run containers here; empty if nothing is."""
    if not shutil.which("docker"):
        return "no docker on this machine"
    for command in (["docker", "info"], ["docker", "compose", "version"]):
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            return f"`{' '.join(command)}`: {done.stderr.strip()[:200]}"
    return ""


@pytest.fixture(scope="session")
def stack() -> Iterator[Stack]:
    """Give a stack that has come up by itself, with the seconds that it took."""
    if reason := why_no_engine():
        pytest.skip(f"the stack is not run: {reason}")
    if running := os.environ.get("RELAY_E2E_PROJECT"):
        chosen = {name: int(os.environ[f"RELAY_{name.upper()}_PORT"]) for name in PORTS}
        yield Stack(running, chosen, dict(os.environ))
        return
    ports = {name: free_port() for name in PORTS}
    made = Stack(PROJECT, ports, dict(os.environ))
    made.compose("down", "--volumes", "--remove-orphans")
    try:
        begun = time.monotonic()
        made.compose("build")
        built = time.monotonic()
        made.compose("up", "--detach", "--wait", "--wait-timeout", str(PATIENCE))
        made.seconds = {"build": built - begun, "up": time.monotonic() - built}
        yield made
    finally:
        made.compose("down", "--volumes", "--remove-orphans", "--timeout", "15")


@pytest.fixture(scope="session")
def outside(stack: Stack) -> Outside:
    """The stack as a program sees it that has logins and no more."""
    secrets = stack.secrets()
    login = ("admin", secrets["mlflow-admin"])
    token = secrets.get("serving-label", "")  # where serving wants one for labels
    return Outside(stack.url, secrets["airflow-admin"], login, token)


@pytest.fixture(scope="session")
def changed_month(
    stack: Stack, outside: Outside, tmp_path_factory: pytest.TempPathFactory
) -> pd.DataFrame:
    """A month in which the world has changed; it is in the data registry."""
    return change_the_world(stack, outside, tmp_path_factory.mktemp("month"))


@pytest.fixture(scope="session")
def lap(stack: Stack, outside: Outside, changed_month: pd.DataFrame) -> Lap:
    """One lap from planted drift to a new champion."""
    return turn(stack, outside, changed_month)
