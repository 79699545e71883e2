"""Small bodies that could cost much: what they take and what is said of them stays small."""

import json
import time
import tracemalloc
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from services.serving.errors import RequestError
from services.serving.http.endpoints import asking, labels
from services.serving.metrics import Metrics
from services.serving.models.signature import Signature
from services.serving.protocols import json_body, open_inference, scoring
from services.serving.versions.catalog import Catalog
from tests.unit.test_serving_requests import TABLE, TENSOR

LONG = "n" * 100_000
MANY = [{f"key {number}": 1} for number in range(1000)]


@pytest.mark.parametrize(
    ("signature", "rows", "field", "message"),
    [
        (TABLE, MANY, "key 0", "'key 0' is not asked for"),
        (TENSOR, MANY, "x", "field 'x', row 0: got null, want a float32"),
        (TABLE, [{}] * 100_000 + [{"carrier": "UA", "hour": 6}], None, "100001 rows, want at most"),
    ],
    ids=["of a table", "of a tensor", "rows"],
)
def test_records_take_no_more_memory_than_their_body(
    signature: Signature, rows: list[dict[str, Any]], field: str | None, message: str
) -> None:
    body = json.dumps({"dataframe_records": rows}).encode()
    tracemalloc.start()
    try:
        with pytest.raises(RequestError) as refusal:
            scoring.read_query(body, signature, None)
        most = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert refusal.value.field == field
    assert message in refusal.value.message
    assert most < 1e6 + 70 * len(rows)


def test_a_header_of_many_names_is_read_at_once() -> None:
    header = ",".join(f"name {number}" for number in range(20_000))
    started = time.process_time()
    with pytest.raises(RequestError, match="'name 0' is not asked for"):
        scoring.read_query(f"{header}\n".encode(), TABLE, None, "text/csv")
    assert time.process_time() - started < 1


def _v2(**body: Any) -> None:
    open_inference.read_query(json.dumps(body).encode(), TABLE)


def _invocations(**body: Any) -> None:
    scoring.read_query(json.dumps(body).encode(), TABLE, None)


def _csv(body: str) -> None:
    scoring.read_query(body.encode(), TABLE, None, "text/csv")


NAMED: dict[str, Callable[[], Any]] = {
    "a tensor": lambda: _v2(inputs=[{"name": LONG, "shape": [1], "datatype": "FP64", "data": [1]}]),
    "a record's": lambda: _invocations(dataframe_records=[{LONG: 1}]),
    "a column": lambda: _invocations(inputs={LONG: 1, "hour": [1]}),
    "a key": lambda: _invocations(**{"inputs": {"hour": [1]}, LONG: 1}),
    "a split's key": lambda: _invocations(dataframe_split={"data": [], LONG: 1}),
    "twice in CSV": lambda: _csv(f"{LONG},{LONG}\n"),
    "last in CSV": lambda: _csv(f"hour,{LONG}\n1\n"),
    "a label's key": lambda: json_body.decode(
        json.dumps({"labels": [], LONG: 1}).encode(), labels._DECODER
    ),
    "an output": lambda: asking._check_outputs(
        (LONG,),
        SimpleNamespace(predictor=SimpleNamespace(model=SimpleNamespace(outputs=[]))),  # type: ignore[arg-type]
    ),
    "a model": lambda: Catalog(Metrics()).find(LONG),
}


@pytest.mark.parametrize("refused", NAMED.values(), ids=NAMED.keys())
def test_a_long_name_is_not_said_whole(refused: Callable[[], Any]) -> None:
    with pytest.raises(RequestError) as refusal:
        refused()
    assert "nnn" in refusal.value.message
    assert len(refusal.value.message) < 300
    assert len(refusal.value.field or "") <= 256
