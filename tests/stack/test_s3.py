"""A stack of its own whose models, data and sealed answers live in an object store."""

import json
import os
from collections.abc import Iterator

import pytest

from tests.outside import MODEL, Outside
from tests.programs import free_port, wait_for
from tests.stack.conftest import PATIENCE, why_no_engine
from tests.stack.stack import PORTS, Stack, docker
from tests.stack.test_first_start import FLIGHT

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(1800)]
KEYS = """
import boto3, json
found = boto3.client("s3").get_paginator("list_objects_v2").paginate(Bucket="relay")
print(json.dumps([each["Key"] for page in found for each in page.get("Contents", [])]))
"""


@pytest.fixture(scope="module")
def s3_stack() -> Iterator[Stack]:
    """Give a stack that has come up by itself; moto stands in for SeaweedFS."""
    if reason := why_no_engine():
        pytest.skip(f"the stack is not run: {reason}")
    files = os.environ.get("COMPOSE_FILE", "docker-compose.yml")
    environment = os.environ | {"COMPOSE_FILE": f"{files}:compose/s3.yml:tests/stack/moto.yml"}
    made = Stack("relay-e2e-s3", {name: free_port() for name in PORTS}, environment)
    made.compose("down", "--volumes", "--remove-orphans")
    try:
        made.compose("build")
        scale = ["--scale", "simulator=0"]
        made.compose("up", "--detach", "--wait", "--wait-timeout", str(PATIENCE), *scale)
        yield made
    finally:
        made.compose("down", "--volumes", "--remove-orphans", "--timeout", "15")


@pytest.fixture(scope="module")
def beside(s3_stack: Stack) -> Outside:
    secrets = s3_stack.secrets()
    login = ("admin", secrets["mlflow-admin"])
    return Outside(s3_stack.url, secrets["airflow-admin"], login, secrets["serving-label"])


@pytest.fixture(scope="module")
def asked(s3_stack: Stack, beside: Outside) -> str:
    """The id of an answer whose segment is closed, as serving was started anew."""
    answered: str = beside.infer(FLIGHT)["id"]
    s3_stack.compose("restart", "serving")
    wait_for(lambda: not s3_stack.ill(), "serving to be back", 120)
    return answered


def keys(stack: Stack) -> list[str]:
    found: list[str] = json.loads(python(stack, KEYS))
    return found


def python(stack: Stack, program: str) -> str:
    person = ["run", "--rm", "--no-deps", "-T", "--entrypoint", "python", "relay"]
    return stack.compose(*person, "-c", program)


def relay(stack: Stack, *arguments: str, check: bool = True) -> str:
    return stack.compose("run", "--rm", "--no-deps", "-T", "relay", *arguments, check=check)


def files(stack: Stack, folder: str) -> list[str]:
    """What a volume holds, as a person sees it."""
    listing = f"import pathlib; print(*(f for f in pathlib.Path({folder!r}).rglob('*')), sep='\\n')"
    return python(stack, listing).split()


def test_models_and_data_are_in_the_store_alone(s3_stack: Stack) -> None:
    found = keys(s3_stack)
    assert any(key.startswith("mlflow/") and key.endswith(".onnx") for key in found)
    assert any(key.startswith("data/files/md5/") for key in found)
    assert not any("data-remote" in path for path in files(s3_stack, "/var/lib/relay"))


def test_an_answer_is_found_before_and_after_it_is_sealed(s3_stack: Stack, asked: str) -> None:
    before = json.loads(relay(s3_stack, "explain", asked, "--json"))
    relay(s3_stack, "seal")
    assert json.loads(relay(s3_stack, "explain", asked, "--json")) == before
    sealed = [key for key in keys(s3_stack) if key.endswith(".parquet")]
    assert any(key.startswith(f"prediction-log/{MODEL}/predictions/") for key in sealed)
    assert not any(path.endswith(".parquet") for path in files(s3_stack, "/var/lib/prediction-log"))


def test_serving_goes_on_while_the_store_is_away(
    s3_stack: Stack, beside: Outside, asked: str
) -> None:
    relay(s3_stack, "seal")
    network, store = f"{s3_stack.project}_default", s3_stack.container("seaweedfs")["Id"]
    docker("network", "disconnect", network, store)
    try:
        meanwhile = beside.infer(FLIGHT)["id"]
        assert relay(s3_stack, "explain", asked, "--json", check=False) == ""
    finally:
        docker("network", "connect", "--alias", "seaweedfs", network, store)
    for each in (asked, meanwhile):
        assert json.loads(relay(s3_stack, "explain", each, "--json"))["prediction"]["id"] == each


def test_no_key_is_in_an_environment_or_a_command(s3_stack: Stack) -> None:
    made = s3_stack.secrets()
    for container in s3_stack.containers():
        text = json.dumps(container)
        for name in ("s3-access-key", "s3-secret-key"):
            assert made[name] not in text, (name, container["Name"])
