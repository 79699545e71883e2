"""A clean machine, `docker compose up`: a first model serves, and nothing is open that need not."""

import json
import re
from collections.abc import Hashable
from datetime import UTC, datetime
from typing import Any

import pytest

from tests.outside import Outside
from tests.stack.stack import Stack, docker

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(1800)]
GIB = 2**30
FLIGHT: dict[
    Hashable, Any
] = {  # of the simulator's past: one of now would be all that the monitor looks at
    "scheduled_time": datetime(2013, 1, 1, 10, 15, tzinfo=UTC),
    "carrier": "UA",
    "origin": "EWR",
    "dest": "IAH",
    "weekday": 1,
    "hour": 5,
    "minute": 15,
}


def test_a_first_model_serves(
    stack: Stack, outside: Outside, capsys: pytest.CaptureFixture[str]
) -> None:
    (probability,) = outside.infer(FLIGHT)["outputs"][0]["data"]
    assert 0 <= probability <= 1
    with capsys.disabled():
        print("\n" + ", ".join(f"{what} {took:.0f} s" for what, took in stack.seconds.items()))  # noqa: T201


def test_a_person_is_told_where_to_go_and_as_whom(stack: Stack) -> None:
    told = stack.compose("run", "--rm", "--no-deps", "relay", "status")
    secrets = stack.secrets()
    for name in ("page", "airflow", "mlflow", "serving", "prometheus", "evidently", "tensorboard"):
        assert stack.url(name) in told
    assert secrets["airflow-admin"] in told
    assert secrets["mlflow-admin"] in told
    assert re.search(r"champion +@\d+:", told)


def test_every_port_is_on_this_machine_alone(stack: Stack) -> None:
    for container in stack.containers():
        for open_to in container["NetworkSettings"]["Ports"].values():
            for address in open_to or []:
                assert address["HostIp"] == "127.0.0.1", container["Name"]


def test_no_container_can_do_more_than_it_must(stack: Stack) -> None:
    for container in stack.containers():
        name, host = container["Name"], container["HostConfig"]
        assert host["CapDrop"] == ["ALL"], name
        assert host["ReadonlyRootfs"], name
        assert "no-new-privileges:true" in host["SecurityOpt"], name
        assert not host["Privileged"], name
        if "secrets" not in name:  # it hands files to the users of the others
            user = container["Config"]["User"]
            assert user, name
            assert not user.startswith(("0", "root")), name


def test_all_fit_into_8_gib_and_logs_end(stack: Stack) -> None:
    running = [each for each in stack.containers() if each["State"]["Running"]]
    limits = {each["Name"]: each["HostConfig"]["Memory"] for each in running}
    assert all(limits.values()), limits
    assert sum(limits.values()) <= 8 * GIB, limits
    assert all(each["HostConfig"]["LogConfig"]["Config"]["max-size"] for each in running)


def test_images_are_small_and_made_for_one_program(stack: Stack) -> None:
    sizes = {
        name: json.loads(docker("image", "inspect", f"relay-{name}:0.1.0"))[0]["Size"]
        for name in ("serving", "pipelines")
    }
    base = json.loads(docker("image", "inspect", "python:3.11-slim"))[0]["Size"]
    published = 130e6  # what python:3.11-slim is where it comes from a registry
    assert sizes["serving"] - base + published < 400e6, sizes
    assert sizes["pipelines"] - base + published < 2e9, sizes
