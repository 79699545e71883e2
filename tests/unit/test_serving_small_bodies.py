"""Small bodies that could cost much: what they take and what is said of them stays small."""

import json
import time
import tracemalloc
from typing import Any

import pytest

from services.serving.errors import RequestError
from services.serving.models.signature import Signature
from services.serving.protocols import scoring
from tests.unit.test_serving_requests import TABLE, TENSOR

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
