"""The simulator against a real serving process that comes, goes and comes back."""

import gzip
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pandas as pd
import pytest

from monitoring.prediction_log.reading import read_labels, read_predictions
from pipelines import batches
from pipelines.models import load
from services.simulator.plan import Plan
from services.simulator.traffic import sampled
from tests import programs
from tests.programs import ROOT, Program, wait_for
from tests.small_models import delete, register, set_alias, small_model

Start = Callable[[AbstractContextManager[Program]], Program]
SAMPLE = "0.02"


@pytest.fixture
def registry(mlflow_server: Program) -> Iterator[str]:
    register(mlflow_server.url, "flights", small_model())
    set_alias(mlflow_server.url, "flights", "champion", "1")
    yield mlflow_server.url
    delete(mlflow_server.url, "flights")


@pytest.fixture
def token(tmp_path: Path) -> Path:
    """A file with the token that labels come with."""
    file = tmp_path / "token"
    file.touch(0o600)
    file.write_text("t" * 32)
    return file


@contextmanager
def simulator(
    home: Path, url: str, *options: str, model: str = "flights"
) -> Iterator["subprocess.Popen[str]"]:
    command = [sys.executable, "-m", "services.simulator", "--model", model, "--once"]
    env = {**os.environ, "RELAY_HOME": str(home), "RELAY_SERVING_URL": url}
    if (file := home / "token").exists():
        env["RELAY_SERVING_LABEL_TOKEN_FILE"] = str(file)
    with subprocess.Popen(
        [*command, *options], cwd=ROOT, env=env, stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def finished(process: "subprocess.Popen[str]") -> dict[str, object]:
    out, _ = process.communicate(timeout=120)
    assert process.returncode == 0, out
    last: dict[str, object] = json.loads(out.splitlines()[-1])
    return last


def answered(home: Path) -> pd.DataFrame:
    return read_predictions(home / "prediction-log", "flights")


def test_every_row_is_answered_and_labelled_once_whoever_is_killed(
    registry: str, start: Start, token: Path, tmp_path: Path
) -> None:
    serving = start(programs.serving(tmp_path, registry, serving_label_tokens_file=str(token)))
    options = ["--from", "2013-03", "--to", "2013-04", "--sample", SAMPLE, "--rate", "200"]
    with simulator(tmp_path, serving.url, *options) as first:
        wait_for(lambda: len(answered(tmp_path)) > 100, "some traffic")
        first.kill()
    port = serving.url.rpartition(":")[2]
    with simulator(tmp_path, serving.url, *options) as second:
        wait_for(lambda: len(answered(tmp_path)) > 250, "more traffic")
        serving.kill()
        assert second.stdout is not None
        assert json.loads(second.stdout.readline())["event"] == "waiting"
        files = {"serving_port": port, "serving_label_tokens_file": str(token)}
        start(programs.serving(tmp_path, registry, None, **files))
        done = finished(second)
    assert (done["event"], done["refused"]) == ("done", 0)

    model = load("flights")
    plan = Plan("flights", sample=float(SAMPLE))
    asked = pd.concat(
        sampled(model, plan, model.feed.read_batch(month)) for month in ("2013-03", "2013-04")
    ).set_index("flight_id")
    again = done["answered"]
    assert isinstance(again, int)
    assert again < len(asked) - 50  # it went on where the first one was
    predictions = answered(tmp_path).set_index("id")
    assert sorted(predictions.index) == sorted(asked.index)
    assert (predictions["event_time"] == asked["scheduled_time"].loc[predictions.index]).all()
    for feature in ("carrier", "hour", "temp"):
        theirs = asked[feature].loc[predictions.index]
        pd.testing.assert_series_equal(predictions[feature], theirs, check_names=False)
    labels = read_labels(tmp_path / "prediction-log", "flights").set_index("id")["label"]
    truth = asked["label"].dropna()
    assert labels.sort_index().to_dict() == truth.sort_index().to_dict()

    for month in ("2013-03", "2013-04"):
        path = tmp_path / "landing/flights" / f"{month}.csv.gz"
        landed = batches.read(path, model.policy.data)
        assert len(landed) == len(model.feed.read_batch(month))
    assert not list((tmp_path / "landing/flights").glob(".*"))


def test_batches_alone_need_no_serving_and_are_the_same_bytes_again(tmp_path: Path) -> None:
    contents = []
    for _ in range(2):
        options = ["--from", "2013-01", "--to", "2013-01", "--no-requests", "--restart"]
        with simulator(tmp_path, "http://127.0.0.1:9", *options) as process:
            assert finished(process)["answered"] == 0
        contents.append((tmp_path / "landing/flights/2013-01.csv.gz").read_bytes())
    assert contents[0] == contents[1]
    assert gzip.decompress(contents[0]).startswith(b"flight_id,")


def test_a_plan_that_cannot_be_followed_says_why(tmp_path: Path) -> None:
    with simulator(tmp_path, "http://127.0.0.1:9", "--from", "2014-01") as process:
        out, _ = process.communicate(timeout=60)
    assert process.returncode == 2
    assert "2014-01" in json.loads(out)["error"]
