"""A serving process of the small model as its clients see it: rows in, checked answers out."""

from typing import Any

import httpx
import pandas as pd
import pytest

from tests.programs import Program, wait_for
from tests.small_models import expected

BIASES = {"1": -1.0, "2": 1.0, "3": 0.5}  # of the versions, as the tests register them
INFER = "/v2/models/flights/infer"
ROW: dict[str, Any] = {"carrier": "UA", "hour": 6, "temp": 31.5}
DATATYPES = {"carrier": "BYTES", "hour": "INT64", "temp": "FP64"}


def infer_body(rows: list[dict[str, Any]], **rest: Any) -> dict[str, Any]:
    tensors = [
        {"name": name, "shape": [len(rows)], "datatype": kind, "data": [row[name] for row in rows]}
        for name, kind in DATATYPES.items()
    ]
    return {"inputs": tensors, **rest}


def infer(program: Program, row: dict[str, Any] = ROW, **rest: Any) -> dict[str, Any]:
    response = httpx.post(program.url + INFER, json=infer_body([row], **rest))
    assert response.status_code == 200, response.text
    answer: dict[str, Any] = response.json()
    return answer


def probability(answer: dict[str, Any]) -> float:
    value: float = answer["outputs"][0]["data"][0]
    return value


def right_for(version: str, row: dict[str, Any] = ROW) -> Any:
    return pytest.approx(float(expected(pd.DataFrame([row]), BIASES[version])[0]), abs=1e-6)


def serves(program: Program, version: str, role: str = "champion", model: str = "flights") -> None:
    """Wait until this version is served."""
    labels = {"role": role, "model": model}
    wait_for(
        lambda: program.metric("relay_serving_served_version", **labels) == float(version),
        f"version {version} as {role}",
    )
