"""MLflow's webhook as the quick way: an alias is served long before the next poll."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import httpx
import mlflow
import pytest
from cryptography.fernet import Fernet

from pipelines import canary
from pipelines.policy import Canary
from pipelines.tracking import Tracking
from tests import programs
from tests.programs import ROOT, Program, free_port, wait_for
from tests.serving_client import BIASES, infer, probability, right_for, serves
from tests.small_models import register, set_alias, small_model

Start = Callable[[AbstractContextManager[Program]], Program]
EVENTS = "/v1/registry-events"
SECRET = "open sesame"  # noqa: S105
LIMITS = Canary(share=0.0, min_requests=100, max_error_increase=0.01, max_latency_ratio=3.0)
POLL = 3600.0  # seconds: nothing here is seen by polling


@pytest.fixture(scope="module")
def hooked_mlflow(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Program]:
    settings: dict[str, Any] = {
        "webhook_allowed_schemes": "http,https",
        "webhook_allow_private_ips": "true",
        "webhook_secret_encryption_key": Fernet.generate_key().decode(),
    }
    home = tmp_path_factory.mktemp("hooked-mlflow")
    with programs.mlflow_server(home, **settings) as server:
        yield server


def test_an_alias_is_served_at_once(hooked_mlflow: Program, start: Start, tmp_path: Path) -> None:
    port = str(free_port())
    mlflow.MlflowClient(hooked_mlflow.url).create_webhook(
        name="serving",
        url=f"http://127.0.0.1:{port}{EVENTS}",
        events=[
            "model_version_alias.created",
            "model_version_alias.deleted",
            "model_version_tag.set",
        ],
        secret=SECRET,
    )
    secret = tmp_path / "secret"
    secret.write_text(SECRET + "\n")
    serving = start(
        programs.serving(
            tmp_path,
            hooked_mlflow.url,
            serving_port=port,
            serving_poll_seconds=str(POLL),
            serving_webhook_secret_file=str(secret),
        )
    )
    wait_for(lambda: serving.metric("relay_serving_registry_up") == 1, "the first look")
    for version in ("1", "2"):
        register(hooked_mlflow.url, "flights", small_model(BIASES[version]))
        set_alias(hooked_mlflow.url, "flights", "champion", version)
        serves(serving, version)
        assert probability(infer(serving)) == right_for(version)
    set_alias(hooked_mlflow.url, "flights", "challenger", "1")
    serves(serving, "1", "challenger")
    tracking = Tracking(hooked_mlflow.url)
    canary.start(tracking.version("flights", 1), LIMITS, 0.3, tracking)
    wait_for(lambda: serving.metric("relay_serving_canary_share") == 0.3, "the canary")
    mlflow.MlflowClient(hooked_mlflow.url).delete_registered_model_alias("flights", "champion")
    wait_for(lambda: serving.get("/ready").status_code == 503, "its end")


def test_a_stranger_is_refused(hooked_mlflow: Program, start: Start, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text(SECRET)
    file = str(secret)
    serving = start(programs.serving(tmp_path, hooked_mlflow.url, serving_webhook_secret_file=file))
    assert httpx.post(serving.url + EVENTS, json={}).status_code == 401
    wrong = {
        "x-mlflow-signature": "v1,AAAA",
        "x-mlflow-delivery-id": "1",
        "x-mlflow-timestamp": "1",
    }
    refused = httpx.post(serving.url + EVENTS, json={}, headers=wrong)
    assert refused.status_code == 401
    assert "signature is wrong" in refused.json()["error"]
    assert SECRET not in serving.output.read_text()
    large = httpx.post(serving.url + EVENTS, content=b" " * (64 * 1024 + 1))
    assert large.status_code == 413  # before anybody has shown who they are
    assert "want at most 65536 bytes" in large.json()["error"]


def test_without_a_secret_there_is_no_such_path(serving: Program) -> None:
    assert httpx.post(serving.url + EVENTS, json={}).status_code == 404


def test_a_secret_that_is_not_there_is_said_at_the_start(tmp_path: Path) -> None:
    (tmp_path / "empty").write_text("\n")
    for name, why in [("none", "No such file"), ("empty", "is empty")]:
        env = {
            **os.environ,
            "RELAY_HOME": str(tmp_path),
            "RELAY_SERVING_PORT": str(free_port()),
            "RELAY_SERVING_WEBHOOK_SECRET_FILE": str(tmp_path / name),
        }
        command = [sys.executable, "-m", "services.serving"]
        ended = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True)
        assert ended.returncode == 1
        assert why in ended.stdout
