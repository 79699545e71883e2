"""The model "names" on real programs: one lap, its answers by every protocol, and what drifts.

A small network, two months, a first champion; then the sampler that came with it, and windows of
good names into which others come.
"""

import logging
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import numpy as np
import pandas as pd
import pytest
import tritonclient.grpc as grpc_client
import tritonclient.http as http_client

from pipelines import asking, batches, models
from pipelines.lineage import explain
from pipelines.models import Model
from pipelines.names import feed
from pipelines.settings import Settings
from pipelines.steps.evaluate import evaluate
from pipelines.steps.ingest import ingest
from pipelines.steps.monitor import reference_sketch
from pipelines.steps.promote import promote
from pipelines.steps.register import register
from pipelines.steps.train import run_train
from pipelines.tracking import CHALLENGER, CHAMPION, Tracking
from services.simulator.plan import Plan
from services.simulator.traffic import due, sampled, ticks
from tests import programs
from tests.planted import DAY, Champion
from tests.programs import Program, free_port, wait_for
from tests.small_models import delete

log = logging.getLogger(__name__)  # the figures: pytest --log-cli-level INFO

pytestmark = pytest.mark.timeout(300)

SMALL = {
    "min_rows": 10_000,
    "epochs": 6,
    "batch_size": 32,
    "learning_rate": 0.01,
    "network": {"channels": 32, "heads": 4, "layers": 1},
}
SAMPLER = "names-sampler"
Columns = dict[str, list[Any]]


@dataclass
class Lap:
    """The installation that the lap left."""

    model: Model
    settings: Settings
    tracking: Tracking
    said: dict[str, dict[str, Any]]

    def aliases(self, name: str) -> set[str]:
        return {a for a in (CHAMPION, CHALLENGER) if self.tracking.aliased(name, a)}


class Server(NamedTuple):
    """Where serving answers HTTP and gRPC."""

    program: Program
    grpc: str

    @property
    def url(self) -> str:
        return self.program.url


@pytest.fixture(scope="module")
def lap(tmp_path_factory: pytest.TempPathFactory, mlflow_server: Program) -> Iterator[Lap]:
    settings = Settings(home=tmp_path_factory.mktemp("home"), mlflow_url=mlflow_server.url)
    model, tracking = models.load("names"), Tracking(mlflow_server.url)
    gate = model.policy.promote.model_copy(
        update={"must_beat": ["base_rate", "2_gram"], "max_latency_seconds": 1.0}
    )
    model = replace(model, policy=model.policy.model_copy(update={"promote": gate}))
    said = {}
    try:
        for name in ("2024-01", "2024-02"):
            path = settings.landing / "names" / f"{name}.csv.gz"
            batches.write(feed.read_batch(name), path)
            said["ingest"] = ingest(model, settings)
        said["train"] = run_train(model, settings, tracking, SMALL)
        said["register"] = register(model, tracking, said["train"]["run_id"])
        said["evaluate"] = evaluate(model, settings, tracking, 1)
        said["promote"] = promote(model, tracking, 1)
        yield Lap(model, settings, tracking, said)
    finally:
        for name in model.registered:
            delete(mlflow_server.url, name)


@pytest.fixture(scope="module")
def serving(lap: Lap) -> Iterator[Server]:
    home, url, port = lap.settings.home, lap.settings.mlflow_url, str(free_port())
    with programs.serving(home, url, serving_grpc_port=port) as program:
        for name in lap.model.registered:
            wait_for(partial(program.answers, f"/v2/models/{name}/ready"), name)
        yield Server(program, f"127.0.0.1:{port}")


def test_the_first_version_beats_the_bag_of_letters_and_the_bigram(lap: Lap) -> None:
    losses = lap.said["train"]["log_loss"]
    assert losses["network"] < losses["2_gram"] < losses["base_rate"]
    assert lap.said["promote"]["champion"] == 1
    assert lap.said["evaluate"]["rival"] == "base rate"


def test_its_sampler_is_a_version_that_follows_the_aliases(lap: Lap) -> None:
    tracking = lap.tracking
    assert register(lap.model, tracking, lap.said["train"]["run_id"])["version"] == 1
    for name in lap.model.registered:
        assert [version.version for version in tracking.versions(name)] == [1]
        assert tracking.version(name, 1).tags["relay.dataset"] == "names/v2"
        assert lap.aliases(name) == {CHAMPION}
    tracking.set_alias(tracking.version("names", 1), CHALLENGER)
    assert lap.aliases(SAMPLER) == {CHAMPION, CHALLENGER}
    tracking.drop_alias(tracking.version("names", 1), CHALLENGER)
    assert lap.aliases(SAMPLER) == {CHAMPION}


NAMES = ["SMITH", "Smith", "QWRTZPLMNB", "Mäkinen", ""]
ASKED: Columns = {
    "prefix": ["", "Mc", "", ""],
    "temperature": [1.0, 0.7, 0.2, 1.0],
    "seed": [1, 2, 3, 1],
}


def test_names_are_scored_by_every_protocol(lap: Lap, serving: Server) -> None:
    graph = lap.tracking.graph(lap.tracking.version("names", 1))
    expected = asking.predict(graph, pd.DataFrame({"name": NAMES}))
    for answers in by_every_protocol(serving, "names", {"name": NAMES}, list(expected)):
        for name, array in expected.items():
            np.testing.assert_allclose(answers[name], array, rtol=1e-4, atol=1e-4)
    losses = expected["log_loss"]
    assert losses[0] == losses[1] < losses[2]
    assert expected["plausible"][0] > 0.9 > 0.1 > expected["plausible"][2]
    assert expected["unknown_share"].tolist()[:3] == [0, 0, 0]
    assert expected["unknown_share"][3] == pytest.approx(1 / 7)


def test_names_are_made_up_by_every_protocol(lap: Lap, serving: Server) -> None:
    graph = lap.tracking.graph(lap.tracking.version(SAMPLER, 1))
    expected = asking.predict(graph, pd.DataFrame(ASKED))["name"].tolist()
    assert expected[0] == expected[3]
    assert expected[1].startswith("Mc")
    for answers in by_every_protocol(serving, SAMPLER, ASKED, ["name"]):
        assert list(answers["name"]) == expected
    without: Columns = {"temperature": [1.0], "seed": [1]}
    url = f"{serving.url}/v2/models/{SAMPLER}/infer"
    answer = httpx.post(url, json={"inputs": tensors(without)}).raise_for_status().json()
    assert answer["outputs"][0]["data"] == expected[:1]
    refused = httpx.post(url, json={"inputs": tensors({"temperature": [1.0]})})
    assert refused.status_code == 400
    assert "'seed'" in refused.text


def test_a_made_up_name_leads_back_to_the_data(lap: Lap, serving: Server) -> None:
    body = {"id": "made-up", "inputs": tensors({"temperature": [1.0], "seed": [7]})}
    httpx.post(f"{serving.url}/v2/models/{SAMPLER}/infer", json=body).raise_for_status()
    found = explain("made-up", lap.settings, lap.tracking)
    assert found["prediction"]["features"]["seed"] == 7
    assert found["model_version"]["version"] == "names-sampler@1"
    assert found["run"]["run_id"] == lap.said["train"]["run_id"]
    assert found["dataset"]["tag"] == "names/v2"


def by_every_protocol(
    server: Server, model: str, columns: Columns, outputs: list[str]
) -> Iterator[dict[str, Any]]:
    """Ask by V2 in JSON, V2 in binary, gRPC, and MLflow's protocol."""
    url = f"{server.url}/v2/models/{model}/infer"
    answer = httpx.post(url, json={"inputs": tensors(columns)}).raise_for_status().json()
    yield {output["name"]: output["data"] for output in answer["outputs"]}
    for client, address in (
        (http_client, server.url.removeprefix("http://")),
        (grpc_client, server.grpc),
    ):
        inputs = []
        for each in tensors(columns):
            inputs.append(client.InferInput(each["name"], each["shape"], each["datatype"]))
            inputs[-1].set_data_from_numpy(array(each))
        with client.InferenceServerClient(address) as asked:
            found = asked.infer(model, inputs)
        given = {name: found.as_numpy(name) for name in outputs}
        yield {n: [w.decode() for w in a] if a.dtype == "O" else a for n, a in given.items()}
    records = pd.DataFrame(columns).to_dict("records")
    url = f"{server.url}/invocations?model={model}"
    answer = httpx.post(url, json={"dataframe_records": records}).raise_for_status().json()
    rows = answer["predictions"]
    yield {name: [row[name] for row in rows] for name in outputs}


def tensors(columns: Columns) -> list[dict[str, Any]]:
    kinds = {str: "BYTES", float: "FP32", int: "INT64"}
    return [
        {"name": n, "shape": [len(v)], "datatype": kinds[type(v[0])], "data": v}
        for n, v in columns.items()
    ]


def array(tensor: dict[str, Any]) -> np.ndarray[Any, Any]:
    kinds = {"BYTES": object, "FP32": np.float32, "INT64": np.int64}
    words = [v.encode() if isinstance(v, str) else v for v in tensor["data"]]
    return np.array(words, dtype=kinds[tensor["datatype"]])


BEGIN = pd.Timestamp("2024-03-15", tz="UTC")


@pytest.fixture(scope="module")
def champion(lap: Lap) -> Champion:
    version = lap.tracking.version("names", 1)
    reference = reference_sketch(lap.model, lap.tracking, version.run_id, pd.DataFrame())
    return Champion(lap.model, lap.settings, lap.tracking, version, reference)


def test_a_good_month_is_quiet(champion: Champion, tmp_path: Path) -> None:
    answers, end = champion.answer(champion.asked(["2024-03"])), BEGIN + 14 * DAY
    assert champion.alerts(answers, BEGIN, champion.model.policy.monitor) == set()
    assert champion.monitored(answers, end, tmp_path) == set()  # and no label is missed


@pytest.mark.parametrize(
    ("drift", "named"),
    [
        ("finnish", {("out_of_range", "unknown_share"): 1, ("live_score", None): 14}),
        ("keyboard", {("prediction_drift", "perplexity"): 4, ("prediction_drift", "log_loss"): 14}),
    ],
)
def test_other_names_are_noticed_by_what_they_change(
    champion: Champion, tmp_path: Path, drift: str, named: dict[tuple[str, str | None], int]
) -> None:
    """March is good until its middle; each check names the drift within so many days."""
    asked, limits = champion.asked(["2024-03"]).iloc[::3], champion.model.policy.monitor
    good = asked["event_time"] < BEGIN
    changed = champion.model.drifts[drift](asked[~good])
    answers = champion.answer(pd.concat([asked[good], changed], ignore_index=True))
    found: dict[tuple[str, str | None], int] = {}
    for days in range(1, 15):
        for alert in champion.alerts(answers, BEGIN + days * DAY, limits):
            found.setdefault(alert, days)
    log.info("%s: %s", drift, sorted(found.items(), key=lambda each: each[1]))
    assert {alert: days for alert, days in named.items() if found.get(alert, 99) > days} == {}
    end = BEGIN + max(named.values()) * DAY
    assert named.keys() <= champion.monitored(answers, end, tmp_path)


def test_the_simulator_asks_and_waits_for_no_label(lap: Lap) -> None:
    rows = sampled(lap.model, Plan("names", sample=0.1), feed.read_batch("2024-03"))
    asked = list(ticks(rows, None, "given_time", None))
    assert sum(len(tick.rows) for tick in asked) == len(rows) > 500
    assert sum(len(tick.labels) for tick in asked) == len(due(rows, None)) == 0
