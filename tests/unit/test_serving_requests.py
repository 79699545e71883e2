"""Requests to serving: every body is a checked query or a refusal that names what is wrong."""

import json
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.serving.errors import LoadError, RequestError
from services.serving.models.fields import Column
from services.serving.models.signature import Signature, read_signature
from services.serving.protocols import open_inference, scoring
from services.serving.queries import Query

TABLE = read_signature(
    json.dumps(
        [
            {"name": "carrier", "type": "string", "required": True},
            {"name": "hour", "type": "long", "required": True},
            {"name": "temp", "type": "double", "required": False},
        ]
    )
)
TENSOR = read_signature(
    json.dumps(
        [{"name": "x", "type": "tensor", "tensor-spec": {"dtype": "float32", "shape": [-1, 2, 2]}}]
    )
)
CARRIER = {"name": "carrier", "shape": [1], "datatype": "BYTES", "data": ["UA"]}
HOUR = {"name": "hour", "shape": [1], "datatype": "INT64", "data": [6]}
TEMP = {"name": "temp", "shape": [1], "datatype": "FP64", "data": [31.5]}


def v2(*tensors: dict[str, Any], **rest: Any) -> Query:
    body = json.dumps({"inputs": list(tensors), **rest}).encode()
    return open_inference.read_query(body, TABLE)[1]


def tensor(signature: Signature = TENSOR, **changed: Any) -> Query:
    whole = {"name": "x", "shape": [1, 2, 2], "datatype": "FP32", "data": [1, 2, 3, 4.5]}
    body = json.dumps({"inputs": [whole | changed]}).encode()
    return open_inference.read_query(body, signature)[1]


def invocations(**body: Any) -> Query:
    return scoring.read_query(json.dumps(body).encode(), TABLE, None)


def test_a_request_becomes_columns() -> None:
    query = v2(CARRIER, HOUR, TEMP, id="a", parameters={"event_time": "2013-07-01T14:00:00+02:00"})
    assert query.columns == {"carrier": ["UA"], "hour": [6], "temp": [31.5]}
    assert query.id == "a"
    assert query.event_time is not None
    assert query.event_time.isoformat() == "2013-07-01T12:00:00+00:00"


@pytest.mark.parametrize(
    "tensors", [(CARRIER, HOUR), (CARRIER, HOUR, TEMP | {"data": [None]})], ids=["left out", "null"]
)
def test_an_optional_field_may_be_missing(tensors: tuple[dict[str, Any], ...]) -> None:
    query = v2(*tensors)
    assert query.columns["temp"] == [None]
    assert query.id


def test_what_clients_leave_empty_may_be_null() -> None:
    query = v2(CARRIER, HOUR, id=None, parameters=None, outputs=None)
    assert (query.event_time, query.wanted_outputs) == (None, ())


def test_more_rows_than_others_can_wait_for_are_refused() -> None:
    hours = HOUR | {"shape": [100_001], "data": [6] * 100_001}
    with pytest.raises(RequestError, match="100001 rows, want at most 100000") as refusal:
        v2(CARRIER | {"shape": [100_001], "data": ["UA"] * 100_001}, hours)
    assert refusal.value.status == 413


@pytest.mark.parametrize("data", [["UA", "AA"], [["UA"], ["AA"]]], ids=["flat", "nested"])
def test_a_column_may_come_as_a_matrix_of_one_column(data: list[Any]) -> None:
    hour = HOUR | {"shape": [2, 1], "data": [[6], [7]]}
    query = v2(CARRIER | {"shape": [2, 1], "data": data}, hour)
    assert query.columns["carrier"] == ["UA", "AA"]
    assert query.columns["hour"] == [6, 7]
    assert query.rows == 2


@pytest.mark.parametrize("data", [[1, 2, 3, 4.5], [[[1, 2], [3, 4.5]]]], ids=["flat", "nested"])
def test_a_tensor_becomes_an_array(data: list[Any]) -> None:
    (x,) = tensor(data=data).columns.values()
    assert isinstance(x, np.ndarray)
    assert x.dtype == np.float32
    assert x.tolist() == [[[1, 2], [3, 4.5]]]


BAD = {
    "unknown field": ((CARRIER, HOUR, TEMP | {"name": "wind"}), "wind", "'wind' is not asked for"),
    "missing field": ((CARRIER,), "hour", "got null, want a long"),
    "field twice": ((CARRIER, CARRIER, HOUR), "carrier", "given twice"),
    "null": ((CARRIER, HOUR | {"data": [None]}), "hour", "row 0: got null, want a long"),
    "a word for a number": ((CARRIER, HOUR | {"data": ["6"]}), "hour", "got '6', want a long"),
    "a fraction": ((CARRIER, HOUR | {"data": [6.5]}), "hour", "got 6.5, want a long"),
    "a boolean": ((CARRIER, HOUR | {"data": [True]}), "hour", "got true, want a long"),
    "a number for a word": ((CARRIER | {"data": [5]}, HOUR), "carrier", "got 5, want a string"),
    "datatype": ((CARRIER, HOUR | {"datatype": "FP64"}), "hour", "got 'FP64', want datatype INT64"),
    "rank": ((CARRIER | {"shape": [1, 1, 1]}, HOUR), "carrier", "want shape [-1]"),
    "negative": ((CARRIER | {"shape": [-1]}, HOUR), "carrier", "got [-1], want shape"),
    "huge": ((CARRIER | {"shape": [10**18]}, HOUR), "carrier", "got '1 values', want as many"),
    "beyond any": ((CARRIER | {"shape": [10**4300 - 1]}, HOUR), "carrier", "got '1 values'"),
    "no rows": ((CARRIER | {"shape": [0], "data": []}, HOUR), "carrier", "one row or more"),
    "too few": ((CARRIER | {"shape": [2]}, HOUR), "carrier", "got '1 values', want as many"),
    "rows differ": (
        (CARRIER, HOUR | {"shape": [2], "data": [6, 7]}),
        "hour",
        "'hour' has 2 rows, field 'carrier' has 1",
    ),
    "ragged": ((CARRIER | {"shape": [1, 1], "data": [["a", "b"]]}, HOUR), "carrier", "nested as"),
    "nan": ((CARRIER, HOUR, TEMP | {"data": [math.nan]}), "temp", "row 0: got nan, want a finite"),
    "infinity": ((CARRIER, HOUR, TEMP | {"data": [-math.inf]}), "temp", "got -inf, want a finite"),
    "beyond": ((CARRIER, HOUR, TEMP | {"data": [10**400]}), "temp", "want a finite double"),
}


@pytest.mark.parametrize(("tensors", "field", "message"), BAD.values(), ids=BAD.keys())
def test_a_bad_request_is_refused_by_name(
    tensors: tuple[dict[str, Any], ...], field: str, message: str
) -> None:
    with pytest.raises(RequestError) as refusal:
        v2(*tensors)
    assert (refusal.value.status, refusal.value.field) == (400, field)
    assert message in refusal.value.message
    assert len(refusal.value.message) < 300


@pytest.mark.parametrize(
    "when", [5, "", "yesterday", "2013-07-01T12:00:00", "0001-01-01T00:00:00Z", "9999-12-31T00:00Z"]
)
def test_an_event_time_says_when_and_where(when: object) -> None:
    with pytest.raises(RequestError, match="event_time"):
        v2(CARRIER, HOUR, parameters={"event_time": when})


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b'{"id": "\\ud800"}',
        b"\xff\xfe",
        b"[" * 10_000,
        b'{"a":' * 10_000,
        b"null",
        b"[]",
        b"{}",
        b'"x"',
    ],
    ids=repr,
)
def test_what_is_no_request_is_refused(body: bytes) -> None:
    with pytest.raises(RequestError) as refusal:
        open_inference.read_query(body, TABLE)
    assert refusal.value.status == 400
    with pytest.raises(RequestError):
        scoring.read_query(body, TABLE, None)


@pytest.mark.parametrize(
    "body",
    [
        {"dataframe_split": {"columns": ["carrier", "hour"], "data": [["UA", 6]]}},
        {"dataframe_records": [{"carrier": "UA", "hour": 6}]},
        {"dataframe_records": [{"carrier": "UA", "hour": 6, "temp": math.nan}]},
        {"inputs": {"carrier": ["UA"], "hour": [6]}},
        {"instances": [{"carrier": "UA", "hour": 6, "temp": None}]},
    ],
    ids=lambda body: next(iter(body)),
)
def test_every_scoring_format_becomes_the_same_columns(body: dict[str, Any]) -> None:
    assert invocations(**body).columns == {"carrier": ["UA"], "hour": [6], "temp": [None]}


@pytest.mark.parametrize("form", ["inputs", "instances"])
def test_a_tensor_is_nested_as_its_shape(form: str) -> None:
    def rows(value: object) -> Column:
        body = json.dumps({form: value}).encode()
        return scoring.read_query(body, TENSOR, None).columns["x"]

    given = [[[1, 2], [3, 4]], [[5, 6], [7, 8]]]
    assert np.array_equal(rows(given), given)
    deep: object = 1
    for _ in range(900):
        deep = [deep]
    for wrong in (deep, [1, 2, 3, 4], [[1, 2, 3, 4]], [[[1, 2], 3]]):
        with pytest.raises(RequestError, match="field 'x'"):
            rows(wrong)


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({}, "want exactly one of"),
        ({"inputs": {}, "instances": []}, "want exactly one of"),
        ({"inputs": {}}, "there are no rows"),
        ({"dataframe_records": []}, "want rows as objects"),
        ({"dataframe_records": [{"carrier": "UA"}]}, "'hour'"),
        ({"dataframe_records": [{"carrier": "UA", "hour": math.nan}]}, "'hour'"),
        ({"dataframe_records": [{"carrier": "UA", "hour": 6, "temp": math.inf}]}, "'temp'"),
        ({"dataframe_records": [{"carrier": "UA", "hour": 6, "wind": 1}]}, "'wind'"),
        ({"dataframe_split": {"columns": ["carrier", "hour"], "data": [["UA"]]}}, "row 0 has 1"),
        ({"dataframe_split": {"columns": ["hour", "hour"], "data": [[1, 2]]}}, "repeat a name"),
        ({"dataframe_split": {"data": [[1, 2]]}}, "columns"),
    ],
)
def test_a_bad_scoring_request_is_refused_by_name(body: dict[str, Any], message: str) -> None:
    with pytest.raises(RequestError) as refusal:
        invocations(**body)
    assert refusal.value.status == 400
    assert message in refusal.value.message


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=10,
)
NAMES = st.sampled_from(["carrier", "hour", "temp", "x", ""])
TENSORS = st.fixed_dictionaries(
    {
        "name": NAMES,
        "shape": st.lists(st.integers(-1, 4), max_size=3),
        "datatype": st.sampled_from(["BYTES", "INT64", "FP64", "FP32", "BOOL", ""]),
        "data": st.lists(JSON, max_size=4),
    }
)
FRAMES = st.dictionaries(
    st.sampled_from([*scoring.FORMATS, "params"]),
    JSON
    | st.lists(st.dictionaries(NAMES, JSON, max_size=3), max_size=3)
    | st.dictionaries(NAMES, st.lists(JSON, max_size=3), max_size=3),
    max_size=2,
)


@given(st.binary() | JSON.map(lambda value: json.dumps(value).encode()))
def test_any_body_is_a_query_or_a_refusal(body: bytes) -> None:
    for signature in (TABLE, TENSOR):
        for read in (open_inference.read_query, lambda b, s: scoring.read_query(b, s, None)):
            _query_or_refusal(read, body, signature)


@given(st.lists(TENSORS, max_size=4), st.sampled_from([TABLE, TENSOR]))
def test_any_tensors_are_a_query_or_a_refusal(inputs: list[Any], signature: Signature) -> None:
    body = json.dumps({"inputs": inputs}).encode()
    _query_or_refusal(open_inference.read_query, body, signature)


@given(FRAMES, st.sampled_from([TABLE, TENSOR]))
def test_any_frame_is_a_query_or_a_refusal(frame: Any, signature: Signature) -> None:
    body = json.dumps(frame).encode()
    _query_or_refusal(lambda b, s: scoring.read_query(b, s, None), body, signature)


def _query_or_refusal(read: Any, body: bytes, signature: Signature) -> None:
    try:
        query = read(body, signature)
    except RequestError:
        return
    assert query.rows > 0
    for name, field in signature.fields.items():
        assert len(query.columns[name]) == query.rows
        for value in query.columns[name]:
            leaves = value if field.shape else [value]
            assert all(v is None or type(v) in field.kind.values for v in leaves)
            assert all(math.isfinite(v) for v in leaves if isinstance(v, float))


@pytest.mark.parametrize(
    "spec",
    [
        {"name": "a", "type": "datetime"},
        {"type": "long"},
        {"name": "a", "type": "tensor", "tensor-spec": {"dtype": "complex64", "shape": [-1]}},
        {"name": "a", "type": "tensor", "tensor-spec": {"dtype": "float32", "shape": [-1, 0]}},
        {"name": "a", "type": "tensor", "tensor-spec": {"dtype": "float32", "shape": []}},
    ],
)
def test_a_signature_that_cannot_be_enforced_is_not_loaded(spec: dict[str, Any]) -> None:
    with pytest.raises(LoadError):
        read_signature(json.dumps([spec]))


@given(st.lists(st.floats(width=32, allow_nan=False, allow_infinity=False), min_size=4, max_size=4))
def test_a_tensor_has_the_numbers_of_its_json(numbers: list[float]) -> None:
    query = tensor(data=numbers)
    assert query.columns["x"].tolist() == np.array(numbers, "float32").reshape(1, 2, 2).tolist()  # type: ignore[union-attr]


@pytest.mark.parametrize(
    "data",
    [
        [1, 2.5, -0.0, 1e-300],
        [[1, 2], [3, 4]],
    ],
)
def test_a_tensor_is_the_same_flat_and_nested(data: list[Any]) -> None:
    flat = np.array(data, "float32").ravel()
    assert np.array_equal(np.ravel(tensor(data=data).columns["x"]), flat)


@pytest.mark.parametrize(
    "text",
    [
        b"[1, 2, 3, true]",
        b"[1, 2, 3, null]",
        b'[1, 2, 3, "4"]',
        b"[1, 2, 3, NaN]",
        b"[1, 2, 3, 1e39]",
        b"[1, 2, 3, 1e999]",
        b"[1, 2, 3]",
        b"[[1, 2, 3], [4]]",
        b"1234",
        b"null",
    ],
)
def test_a_tensor_of_something_else_is_refused_by_name(text: bytes) -> None:
    body = b'{"inputs": [{"name": "x", "shape": [1, 2, 2], "datatype": "FP32", "data": %s}]}'
    with pytest.raises(RequestError) as refused:
        open_inference.read_query(body % text, TENSOR)
    assert refused.value.status == 400
    assert refused.value.field == "x"


@pytest.mark.parametrize("data", [b'["\xff", 1]', b"[01]", b"[1,]"])
def test_data_that_is_no_json_is_refused(data: bytes) -> None:
    body = b'{"inputs": [{"name": "x", "shape": [1, 2, 2], "datatype": "FP32", "data": %s}]}'
    with pytest.raises(RequestError) as refused:
        open_inference.read_query(body % data, TENSOR)
    assert refused.value.status == 400
