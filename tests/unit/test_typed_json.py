"""The quick way of reading a request against the slow one: the same columns, the same refusals."""

import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.serving.errors import RequestError
from services.serving.models.signature import Signature, read_signature
from services.serving.protocols import open_inference, typed_json

TABLE = read_signature(
    json.dumps(
        [
            {"name": "carrier", "type": "string", "required": True},
            {"name": "hour", "type": "long", "required": True},
            {"name": "temp", "type": "double", "required": False},
            {"name": "late", "type": "boolean", "required": True},
        ]
    )
)
TENSORS = read_signature(
    json.dumps(
        [
            {"name": name, "type": "tensor", "tensor-spec": {"dtype": dtype, "shape": [-1, 2]}}
            for name, dtype in (("x", "float32"), ("n", "int64"), ("u", "uint8"), ("s", "str"))
        ]
    )
)
VALUES = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3)


def column(name: str, datatype: str, *data: Any, shape: list[int] | None = None) -> dict[str, Any]:
    return {"name": name, "shape": shape or [len(data)], "datatype": datatype, "data": data}


GOOD: dict[str, tuple[Signature, *tuple[dict[str, Any], ...]]] = {
    "table": (
        TABLE,
        column("carrier", "BYTES", "UA", "B6"),
        column("hour", "INT32", 5, 6, shape=[2, 1]),
        column("temp", "FP64", None, 31),
        column("late", "BOOL", True, False),
    ),
    "optional left out": (
        TABLE,
        column("late", "BOOL", True),
        column("hour", "INT64", -(2**63)),
        column("carrier", "BYTES", ""),
    ),
    "tensors": (
        TENSORS,
        column("x", "FP32", 1, 2.5, -3e4, 0, shape=[2, 2]),
        column("n", "INT64", 1, 2, 3, 2**62, shape=[2, 2]),
        column("u", "UINT8", 0, 255, 1, 2, shape=[2, 2]),
        column("s", "BYTES", "a", "ä", "", "\U0001f600", shape=[2, 2]),
    ),
}


def slowly(body: bytes, signature: Signature) -> dict[str, Any]:
    request = open_inference.read_request(body)
    return open_inference.build_query(request, signature, "id").columns


def same(some: dict[str, Any], others: dict[str, Any]) -> None:
    assert some.keys() == others.keys()
    for name, values in some.items():
        assert type(values) is type(others[name])
        np.testing.assert_array_equal(values, others[name])


def told(read: Callable[[], dict[str, Any]]) -> dict[str, Any] | str:
    try:
        return read()
    except RequestError as refusal:
        return f"{refusal.status} {refusal.message}"


@pytest.mark.parametrize("case", GOOD)
def test_good_requests_go_the_quick_way(case: str) -> None:
    signature, *tensors = GOOD[case]
    body = json.dumps({"inputs": tensors}).encode()
    read = typed_json.read(body, signature)
    assert read
    signature.complete(read[1])
    same(read[1], slowly(body, signature))


def test_what_is_beside_the_inputs_comes_along() -> None:
    signature, *tensors = GOOD["table"]
    beside = {"id": "a", "parameters": {"key": "b"}, "outputs": [{"name": "c"}]}
    asked, query = open_inference.read_query(
        json.dumps({"inputs": tensors, **beside}).encode(), signature
    )
    assert (asked.id, asked.parameters) == ("a", {"key": "b"})
    assert (query.id, query.key, query.wanted_outputs) == ("a", "b", ("c",))


@st.composite
def damaged(draw: st.DrawFn, tensors: tuple[dict[str, Any], ...]) -> list[dict[str, Any]]:
    """A good request with one tensor that is likely not good any more, or is there twice."""
    at = draw(st.integers(0, len(tensors) - 1))
    one, values = tensors[at], list(tensors[at]["data"])
    place = draw(st.integers(0, len(values) - 1))
    changed: dict[str, Any] = draw(
        st.sampled_from(
            [
                {"data": [*values[:place], draw(VALUES), *values[place + 1 :]]},
                {"data": values[:place]},
                {"data": [*values, values[0]]},
                {"data": [values[:place], values[place:]]},
                {"data": [[value] for value in values]},
                {"data": draw(VALUES)},
                {"shape": draw(st.lists(st.integers(-1, 4), max_size=3))},
                {"datatype": draw(st.sampled_from(["BYTES", "INT64", "FP64", "BOOL", "UINT8"]))},
                {"name": draw(st.sampled_from(["other", *(each["name"] for each in tensors)]))},
            ]
        )
    )
    twice = draw(st.booleans())
    return [*tensors[: at + twice], {**one, **changed}, *tensors[at + 1 :]]


@pytest.mark.parametrize("case", GOOD)
@given(data=st.data())
def test_both_ways_end_alike(case: str, data: st.DataObject) -> None:
    signature, *tensors = GOOD[case]
    body = json.dumps({"inputs": data.draw(damaged(tuple(tensors)))}).encode()
    slow = told(lambda: slowly(body, signature))
    quick = told(lambda: open_inference.read_query(body, signature)[1].columns)
    if isinstance(slow, str) or isinstance(quick, str):
        assert quick == slow
    else:
        same(quick, slow)
