"""More than a model can answer: clients are refused, shadows are dropped, and both are counted."""

from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pandas as pd

from monitoring.prediction_log.reading import read_predictions
from tests import programs
from tests.mlflow_models import log
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
from tests.small_models import EXAMPLE, delete, expected, register, set_alias, small_model

Start = Callable[[AbstractContextManager[Program]], Program]
CLIENTS, REQUESTS = 8, 40


def rows_of(number: int, count: int) -> list[dict[str, Any]]:
    return [ROW | {"hour": (number + row) % 24} for row in range(count)]


def is_right(answer: dict[str, Any], rows: list[dict[str, Any]], version: str) -> bool:
    given = answer["outputs"][0]["data"]
    right = expected(pd.DataFrame(rows), BIASES[version])
    return answer["model_version"] == version and np.allclose(given, right, atol=1e-6)


def test_a_flooded_model_refuses_and_lives(registry: str, start: Start, tmp_path: Path) -> None:
    slow = register(registry, "flights", small_model(BIASES["3"], "slow"))
    set_alias(registry, "flights", "champion", slow)
    serving = start(programs.serving(tmp_path, registry, serving_max_waiting_rows="8"))
    serves(serving, slow)

    def ask(client_number: int) -> Counter[str]:
        counted: Counter[str] = Counter()
        with httpx.Client(timeout=60) as client:
            for number in range(REQUESTS):
                rows = rows_of(client_number + number, 4)
                response = client.post(serving.url + INFER, json=infer_body(rows))
                if response.status_code == 503:
                    assert response.headers["retry-after"] == "1"
                    assert "rows are waiting for model 'flights'" in response.json()["error"]
                    counted["refused"] += 1
                else:
                    assert response.status_code == 200, response.text
                    counted["right" if is_right(response.json(), rows, slow) else "wrong"] += 1
        return counted

    with ThreadPoolExecutor(CLIENTS) as clients:
        counted = sum(clients.map(ask, range(CLIENTS)), Counter[str]())
    assert counted["wrong"] == 0
    assert min(counted["right"], counted["refused"]) > 0, counted
    assert counted.total() == CLIENTS * REQUESTS
    assert probability(infer(serving)) > 0
    logged = read_predictions(tmp_path / "prediction-log", "flights")
    assert len(logged) == 4 * counted["right"] + 1  # what was refused is in no log
    assert serving.metric("relay_serving_waiting_rows", version=slow) == 0


def test_a_slow_shadow_is_dropped_and_the_champion_answers(
    registry: str, serving: Program, tmp_path: Path
) -> None:
    slow = register(registry, "flights", small_model(BIASES["3"], "slow"))
    set_alias(registry, "flights", "challenger", slow)
    serves(serving, "1")
    serves(serving, slow, "challenger")

    def ask(client_number: int) -> int:
        with httpx.Client(timeout=60) as client:
            for number in range(REQUESTS):
                rows = rows_of(client_number + number, 100)
                response = client.post(serving.url + INFER, json=infer_body(rows))
                assert response.status_code == 200, response.text
                assert is_right(response.json(), rows, "1")
        return REQUESTS

    with ThreadPoolExecutor(CLIENTS) as clients:
        answered = sum(clients.map(ask, range(CLIENTS)))

    def shadowed() -> float:
        return serving.metric("relay_serving_predictions_total", role="shadow") / 100

    dropped = serving.metric("relay_serving_shadow_dropped_total")
    assert dropped > 0  # champion's answers while the shadow's thread had all it could take
    wait_for(lambda: shadowed() + dropped == answered, "each to be shadowed or dropped")
    logged = read_predictions(tmp_path / "prediction-log", "flights")
    by_role = logged.groupby(["role", "version"]).size().to_dict()
    assert by_role == {
        ("champion", "1"): 100 * answered,
        ("shadow", slow): 100 * (answered - dropped),
    }
    assert serving.metric("relay_serving_shadow_failures_total") == 0


def register_hanging(url: str, name: str) -> str:
    from mlflow.models import ModelSignature
    from mlflow.types import ColSpec, Schema

    columns = [ColSpec("string", "carrier"), ColSpec("long", "hour")]
    columns.append(ColSpec("double", "temp", required=False))
    return log(
        url,
        name,
        "pyfunc",
        None,
        EXAMPLE,
        python_model=str(ROOT / "tests/python_models/hangs.py"),
        signature=ModelSignature(Schema(columns)),
    )


def test_a_model_that_hangs_keeps_nobody(registry: str, start: Start, tmp_path: Path) -> None:
    """Its clients get a refusal, other models answer, and a stop ends."""
    set_alias(registry, "stuck", "champion", register_hanging(registry, "stuck"))
    set_alias(registry, "flights", "challenger", register_hanging(registry, "flights"))
    options: dict[str, Any] = {
        "serving_unsafe_models": "stuck,flights",
        "serving_answer_seconds": "0.5",
    }
    options |= {"serving_stop_seconds": "1", "serving_leave_seconds": "0"}
    try:
        serving = start(programs.serving(tmp_path, registry, **options))
        serves(serving, "1")
        serves(serving, "3", "challenger")
        serves(serving, "1", model="stuck")
        for hour in (13, 6):
            body = infer_body([ROW | {"hour": hour}])
            refused = httpx.post(serving.url + "/v2/models/stuck/infer", json=body, timeout=60)
            assert (refused.status_code, refused.headers["retry-after"]) == (503, "1")
            assert "has not answered within 0.5 s" in refused.json()["error"]
        for hour in (13, 6):  # of which the first one's shadow hangs
            asked = ROW | {"hour": hour}
            assert probability(infer(serving, asked)) == right_for("1", asked)
        assert serving.stop() == 0
        stopped = serving.output.read_text().splitlines()[-1]
        assert '"shadowed_all":false' in stopped.replace(" ", "")
    finally:
        delete(registry, "stuck")
