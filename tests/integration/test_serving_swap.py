"""Versions that come, change and go beside a real MLflow, under load and whatever breaks."""

import json
import os
import shutil
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from itertools import count
from pathlib import Path

import httpx
import pytest

from monitoring.prediction_log.reading import read_predictions
from tests import programs
from tests.bad_network import bad_network
from tests.programs import ROOT, Program, wait_for
from tests.serving_client import (
    BIASES,
    INFER,
    ROW,
    infer,
    infer_body,
    probability,
    right_for,
    serves,
)
from tests.small_models import delete, register, set_alias, small_model

Start = Callable[[AbstractContextManager[Program]], Program]
SWAPS, CLIENTS = 100, 4


def ask_until(stop: threading.Event, program: Program) -> Counter[str]:
    """A client that asks again and again; counts its answers by version, failed and wrong ones."""
    counted: Counter[str] = Counter()
    with httpx.Client(timeout=30) as client:
        for number in count():
            if stop.is_set():
                return counted
            row = ROW | {"hour": number % 24}
            response = client.post(program.url + INFER, json=infer_body([row]))
            if response.status_code != 200:
                counted["failed"] += 1
                continue
            version = response.json()["model_version"]
            right = probability(response.json()) == right_for(version, row)
            counted[version if right else "wrong"] += 1
    raise AssertionError("it never stops by itself")


def test_a_hundred_swaps_under_load_fail_nothing_and_mix_nothing(
    registry: str, start: Start, tmp_path: Path
) -> None:
    serving = start(programs.serving(tmp_path, registry, serving_poll_seconds="0.05"))
    serves(serving, "1")
    stop = threading.Event()
    with ThreadPoolExecutor(CLIENTS) as clients:
        asking = [clients.submit(ask_until, stop, serving) for _ in range(CLIENTS)]
        try:
            for swap in range(SWAPS):
                version = "21"[swap % 2]
                set_alias(registry, "flights", "champion", version)
                serves(serving, version)
        finally:
            stop.set()
        counted = sum((each.result() for each in asking), Counter[str]())
    swaps = serving.metric("relay_serving_swaps_total", role="champion") - 1
    failed, wrong = counted.pop("failed", 0), counted.pop("wrong", 0)
    print(  # noqa: T201
        f"\n{swaps:.0f} swaps under {CLIENTS} clients: {counted.total()} requests answered, "
        f"by version {dict(sorted(counted.items()))}; {failed} failed, {wrong} wrong"
    )
    assert (swaps, failed, wrong) == (SWAPS, 0, 0)
    assert min(counted["1"], counted["2"]) > SWAPS
    answered = serving.metric("relay_serving_requests_total", code="200", model="flights")
    assert answered == counted.total()


def test_a_shadow_is_logged_and_never_returned(
    registry: str, serving: Program, tmp_path: Path
) -> None:
    set_alias(registry, "flights", "challenger", "2")
    serves(serving, "1")
    serves(serving, "2", "challenger")
    for number in range(20):
        answer = infer(serving, id=str(number))
        assert answer["model_version"] == "1"
        assert probability(answer) == right_for("1")
    shadowed = {"version": "2", "role": "shadow"}
    predictions = "relay_serving_predictions_total"
    wait_for(lambda: serving.metric(predictions, **shadowed) == 20, "the shadow's records")
    frame = read_predictions(tmp_path / "prediction-log", "flights")
    shadow = frame[frame["role"] == "shadow"]
    assert set(shadow["id"]) == {str(number) for number in range(20)}
    assert set(shadow["version"]) == {"2"}
    assert shadow["probability"].iloc[0] == right_for("2")
    asked = httpx.post(serving.url + "/v2/models/flights/versions/2/infer", json=infer_body([ROW]))
    assert probability(asked.json()) == right_for("2")


def truncate(mlflow_home: Path) -> None:
    newest = max(mlflow_home.glob("artifacts/**/model.onnx"), key=lambda path: path.stat().st_mtime)
    newest.write_bytes(newest.read_bytes()[:100])


def unsigned(registry: str) -> str:
    import mlflow

    mlflow.set_tracking_uri(registry)
    with mlflow.start_run(experiment_id="0"):
        info = mlflow.pyfunc.log_model(
            name="model",
            python_model=lambda model_input: model_input,
            registered_model_name="flights",
            pip_requirements=[],
        )
    return str(info.registered_model_version)


@pytest.mark.parametrize(
    ("broken", "why"),
    [
        ("truncated", "the graph does not load"),
        ("signature", "want the same names in both"),
        ("nan", "is not finite on the input example"),
        ("unsigned", "the model has no signature"),
    ],
)
def test_a_champion_that_cannot_be_loaded_never_serves(
    registry: str, mlflow_server: Program, serving: Program, broken: str, why: str
) -> None:
    serves(serving, "1")
    if broken == "unsigned":
        version = unsigned(registry)
    else:
        model = small_model(float("nan") if broken == "nan" else 0.5)
        version = register(registry, "flights", model, broken if broken == "signature" else "small")
    if broken == "truncated":
        truncate(mlflow_server.output.parent)
    set_alias(registry, "flights", "champion", version)
    failures = "relay_serving_load_failures_total"
    wait_for(lambda: serving.metric(failures, role="champion") > 1, "a second try")
    assert serving.metric("relay_serving_wanted_version", role="champion") == 3
    assert serving.metric("relay_serving_served_version", role="champion") == 1
    assert probability(infer(serving)) == right_for("1")
    assert infer(serving)["model_version"] == "1"
    lines = [json.loads(line) for line in serving.output.read_text().splitlines()]
    said = [line for line in lines if line["level"] == "error"]
    assert {(line["version"], line["role"]) for line in said} == {("3", "champion")}
    assert all(why in line["error"] for line in said)
    set_alias(registry, "flights", "champion", "2")
    serves(serving, "2")


def test_a_name_that_no_folder_can_have_is_not_loaded(
    mlflow_server: Program, serving: Program, tmp_path: Path
) -> None:
    register(mlflow_server.url, ".new-model", small_model())
    try:
        set_alias(mlflow_server.url, ".new-model", "champion", "1")
        failures = "relay_serving_load_failures_total"
        wait_for(lambda: serving.metric(failures, model=".new-model") > 1, "a second try")
        assert "cannot be a folder's" in serving.output.read_text()
        assert not list((tmp_path / "serving").glob(".new-model*"))
    finally:
        delete(mlflow_server.url, ".new-model")


def test_a_model_appears_and_goes_without_a_restart(
    mlflow_server: Program, serving: Program
) -> None:
    for refused in (
        serving.get("/ready"),
        serving.get("/ping"),
        serving.get("/version"),
        httpx.post(serving.url + "/invocations", json={}),
    ):
        assert (refused.status_code, refused.headers["retry-after"]) == (503, "1")
    register(mlflow_server.url, "another", small_model())
    register(mlflow_server.url, "flights", small_model(BIASES["1"]))
    try:
        set_alias(mlflow_server.url, "flights", "champion", "1")
        wait_for(lambda: serving.answers("/ready"), "the model")
        assert probability(infer(serving)) == right_for("1")
    finally:
        delete(mlflow_server.url, "flights")
    wait_for(lambda: serving.get("/ready").status_code == 503, "its end")
    delete(mlflow_server.url, "another")
    assert httpx.post(serving.url + INFER, json=infer_body([ROW])).status_code == 404


def test_without_mlflow_it_goes_on_and_starts_again_from_its_cache(
    start: Start, tmp_path: Path
) -> None:
    home = tmp_path / "mlflow"
    home.mkdir()
    mlflow = start(programs.mlflow_server(home))
    register(mlflow.url, "flights", small_model(BIASES["1"]))
    set_alias(mlflow.url, "flights", "champion", "1")
    first = start(programs.serving(tmp_path, mlflow.url))
    serves(first, "1")
    mlflow.kill()
    shutil.rmtree(home / "artifacts")
    wait_for(lambda: first.metric("relay_serving_registry_up") == 0, "the loss to be seen")
    age = first.metric("relay_serving_registry_age_seconds")
    wait_for(lambda: first.metric("relay_serving_registry_age_seconds") > age, "it to grow")
    assert probability(infer(first)) == right_for("1")
    first.kill()
    second = start(programs.serving(tmp_path, mlflow.url))
    assert second.answers("/ready")
    assert infer(second)["model_version"] == "1"
    assert probability(infer(second)) == right_for("1")
    empty = tmp_path / "empty"
    empty.mkdir()
    start(programs.mlflow_server(empty, int(mlflow.url.rpartition(":")[2])))
    wait_for(lambda: "lists no model at all" in " ".join(errors(second)), "a lost database")
    assert probability(infer(second)) == right_for("1")
    assert second.metric("relay_serving_registry_up") == 0
    assert second.stop() == 0


def cut(path: str, status: int, body: bytes) -> tuple[int, bytes]:
    return status, body[:-100] if path.endswith("model.onnx") else body


def strange_entry(path: str, status: int, body: bytes) -> tuple[int, bytes]:
    if "registered-models/search" not in path:
        return status, body
    found = json.loads(body)
    for model in found["registered_models"]:
        if model["name"] == "strange":
            model["aliases"] = [{"alias": "champion", "version": {"of": "a kind not seen before"}}]
    return status, json.dumps(found).encode()


def refuse(path: str, status: int, body: bytes) -> tuple[int, bytes]:
    return 401, b"who are you?"


def errors(program: Program) -> list[str]:
    lines = [json.loads(line) for line in program.output.read_text().splitlines()]
    return [line["error"] for line in lines if "error" in line]


def test_a_download_that_came_short_is_not_kept(
    registry: str, start: Start, tmp_path: Path
) -> None:
    with bad_network(registry) as network:
        network.spoil = cut
        serving = start(programs.serving(tmp_path, network.url))
        failures = "relay_serving_load_failures_total"
        wait_for(lambda: serving.metric(failures, role="champion") > 1, "a second try")
        assert all("model.onnx' came with" in error for error in errors(serving))
        assert not list((tmp_path / "serving").glob("models/flights/*"))
        network.spoil = None
        serves(serving, "1")


def test_one_strange_entry_of_the_registry_stops_nobody_else(
    registry: str, start: Start, tmp_path: Path
) -> None:
    register(registry, "strange", small_model(BIASES["1"]))
    set_alias(registry, "strange", "champion", "1")
    try:
        with bad_network(registry) as network:
            serving = start(programs.serving(tmp_path, network.url))
            serves(serving, "1", model="strange")
            network.spoil = strange_entry
            set_alias(registry, "flights", "champion", "2")
            serves(serving, "2")
            assert any("strange" in line for line in serving.output.read_text().splitlines())
            strange = serving.url + "/v2/models/strange/infer"
            assert httpx.post(strange, json=infer_body([ROW])).status_code == 200
    finally:
        delete(registry, "strange")


def test_the_registrys_password_is_in_no_log(registry: str, start: Start, tmp_path: Path) -> None:
    with bad_network(registry) as network:
        address = network.url.replace("//", "//relay:open-sesame@")
        serving = start(programs.serving(tmp_path, address))
        serves(serving, "1")
        network.spoil = refuse
        wait_for(lambda: serving.metric("relay_serving_registry_up") == 0, "the loss to be seen")
        wait_for(lambda: errors(serving), "a word of it")
        assert "401" in errors(serving)[0]
        assert "open-sesame" not in serving.output.read_text()


def test_artifacts_in_a_folder_of_this_machine_are_read(start: Start, tmp_path: Path) -> None:
    home = tmp_path / "mlflow"
    home.mkdir()
    mlflow = start(programs.mlflow_server(home, artifact_root=home / "artifacts here"))
    register(mlflow.url, "flights", small_model(BIASES["1"]))
    set_alias(mlflow.url, "flights", "champion", "1")
    serving = start(programs.serving(tmp_path, mlflow.url))
    serves(serving, "1")
    assert probability(infer(serving)) == right_for("1")
    shutil.rmtree(home / "artifacts here")
    set_alias(mlflow.url, "flights", "challenger", "1")
    serves(serving, "1", "challenger")


@pytest.mark.parametrize("broken", ["not JSON", '{"flights": {"champion": ["flights", "one", 0]}}'])
def test_a_cache_that_is_broken_is_said_and_filled_anew(
    registry: str, start: Start, tmp_path: Path, broken: str
) -> None:
    (tmp_path / "serving").mkdir()
    (tmp_path / "serving/served.json").write_text(broken)
    (tmp_path / "serving/canaries.json").write_text(broken)
    serving = start(programs.serving(tmp_path, registry))
    serves(serving, "1")
    said = serving.output.read_text()
    assert "of the cache cannot be read" in said or "the cache cannot be read" in said
    assert probability(infer(serving)) == right_for("1")


def test_a_cache_that_cannot_be_is_said_at_the_start(tmp_path: Path) -> None:
    (tmp_path / "serving").write_text("in the way")
    env = {**os.environ, "RELAY_HOME": str(tmp_path)}
    env["RELAY_SERVING_PORT"] = str(programs.free_port())
    command = [sys.executable, "-m", "services.serving"]
    ended = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, check=False)
    assert ended.returncode == 1
    assert "set RELAY_SERVING_CACHE" in json.loads(ended.stdout)["error"]
