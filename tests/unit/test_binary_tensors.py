"""Binary tensors: every body is a checked query or a refusal that names what is wrong."""

import json
import struct
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.serving.errors import RequestError
from services.serving.models.kinds import DATATYPES
from services.serving.models.signature import Signature, read_signature
from services.serving.protocols import binary_tensors, open_inference
from services.serving.protocols.raw_tensors import write_raw
from services.serving.queries import Outputs, Query

TABLE = read_signature(
    json.dumps(
        [
            {"name": "carrier", "type": "string", "required": True},
            {"name": "hour", "type": "long", "required": True},
            {"name": "late", "type": "boolean", "required": False},
            {"name": "temp", "type": "double", "required": False},
        ]
    )
)
Part = tuple[dict[str, Any], bytes]
CARRIER: Part = (
    {"name": "carrier", "shape": [2], "datatype": "BYTES"},
    b"\2\0\0\0UA\3\0\0\0\xc3\x96L",
)
HOUR: Part = ({"name": "hour", "shape": [2], "datatype": "INT64"}, struct.pack("<qq", 6, -1))
LATE: Part = ({"name": "late", "shape": [2], "datatype": "BOOL"}, b"\1\0")
TEMP: Part = ({"name": "temp", "shape": [2], "datatype": "FP64"}, struct.pack("<dd", 1.5, np.nan))


def tensors(dtype: str, *shape: int) -> Signature:
    spec = {"dtype": dtype, "shape": [-1, *shape]}
    return read_signature(json.dumps([{"name": "x", "type": "tensor", "tensor-spec": spec}]))


def packed(*parts: Part, spare: bytes = b"", **rest: Any) -> tuple[bytes, str]:
    """Build a body and its header, with each part as binary data."""
    inputs = [{"parameters": {"binary_data_size": len(raw)}, **head} for head, raw in parts]
    head = json.dumps({"inputs": inputs, **rest}).encode()
    return head + b"".join(raw for _, raw in parts) + spare, str(len(head))


def read(body: bytes, header: str, signature: Signature = TABLE) -> Query:
    return open_inference.build_query(binary_tensors.read_request(body, header), signature)


def test_a_binary_request_becomes_columns() -> None:
    query = read(*packed(TEMP, CARRIER, LATE, HOUR, id="a", parameters={"key": "7"}))
    assert query.columns == {
        "carrier": ["UA", "ÖL"],
        "hour": [6, -1],
        "late": [True, False],
        "temp": [1.5, None],
    }
    assert (query.id, query.key, query.rows) == ("a", "7", 2)


def test_json_and_binary_may_be_mixed() -> None:
    hour = {"name": "hour", "shape": [2], "datatype": "INT64", "data": [6, 7]}
    carrier, raw = CARRIER
    carrier = carrier | {"parameters": {"binary_data_size": len(raw)}}
    head = json.dumps({"inputs": [hour, carrier]}).encode()
    query = read(head + raw, str(len(head)))
    assert query.columns["hour"] == [6, 7]
    assert query.columns["carrier"] == ["UA", "ÖL"]


@pytest.mark.parametrize("offset", range(9))
@pytest.mark.parametrize("datatype", [d for d in DATATYPES.values() if d != "BYTES"])
def test_a_tensor_comes_as_it_was_sent_from_any_byte_on(datatype: str, offset: int) -> None:
    dtype = next(d for d, name in DATATYPES.items() if name == datatype)
    values = np.array([[[0, 1], [1, 0]], [[1, 1], [0, 1]]], dtype=dtype)
    part = ({"name": "x", "shape": [2, 2, 2], "datatype": datatype}, values.tobytes())
    query = read(*packed(part, id="i" * offset), tensors(dtype.name, 2, 2))
    got = query.columns["x"]
    assert isinstance(got, np.ndarray)
    assert got.dtype == dtype
    assert got.flags.aligned
    np.testing.assert_array_equal(got, values)


def test_a_tensor_of_words() -> None:
    raw = b"\1\0\0\0a\0\0\0\0\2\0\0\0\xc3\xa9\1\0\0\0d"
    part = ({"name": "x", "shape": [2, 2], "datatype": "BYTES"}, raw)
    got = np.asarray(read(*packed(part), tensors("str", 2)).columns["x"])
    assert got.tolist() == [["a", ""], ["é", "d"]]
    assert write_raw(got) == raw


def test_a_narrow_datatype_is_widened() -> None:
    temp = ({"name": "temp", "shape": [2], "datatype": "FP32"}, struct.pack("<ff", 0.5, 2))
    hour = ({"name": "hour", "shape": [2], "datatype": "UINT8"}, b"\0\xff")
    assert read(*packed(CARRIER, hour, temp)).columns["hour"] == [0, 255]
    assert read(*packed(CARRIER, hour, temp)).columns["temp"] == [0.5, 2.0]


def changed(part: Part, raw: bytes | None = None, **change: Any) -> Part:
    return part[0] | change, part[1] if raw is None else raw


def sized(part: Part, size: Any) -> Part:
    return changed(part, parameters={"binary_data_size": size})


BAD: dict[str, tuple[tuple[Part, ...], str, str]] = {
    "cut off": ((CARRIER, sized(HOUR, 17)), "hour", "17, but the body has 16 bytes left"),
    "negative size": ((CARRIER, sized(HOUR, -1)), "hour", "want a number of bytes"),
    "size is a word": ((CARRIER, sized(HOUR, "16")), "hour", "'16', want a number of bytes"),
    "size is a truth": ((CARRIER, sized(HOUR, True)), "hour", "true, want a number of bytes"),
    "size is huge": ((CARRIER, sized(HOUR, 10**30)), "hour", "but the body has 16 bytes left"),
    "too few sized": ((CARRIER, sized(HOUR, 8)), "binary_data_size", "8 bytes follow the last"),
    "data, too": ((CARRIER, changed(HOUR, data=[6, 7])), "hour", "want one of the two"),
    "unknown field": ((CARRIER, HOUR, changed(TEMP, name="wind")), "wind", "not asked for"),
    "twice": ((CARRIER, HOUR, HOUR), "hour", "given twice"),
    "size and shape": ((CARRIER, changed(HOUR, shape=[3])), "hour", "got '2 values', want as many"),
    "odd size": ((CARRIER, changed(HOUR, b"123456789")), "hour", "'9 bytes', want a multiple of 8"),
    "negative shape": ((CARRIER, changed(HOUR, shape=[-2])), "hour", "got [-2], want shape"),
    "huge shape": ((CARRIER, changed(HOUR, shape=[2**62])), "hour", "got '2 values', want as many"),
    "rank": ((CARRIER, changed(HOUR, shape=[2] * 64)), "hour", "want shape [-1]"),
    "no rows": ((changed(CARRIER, b"", shape=[0]), HOUR), "carrier", "one row or more"),
    "wrong datatype": ((CARRIER, changed(HOUR, datatype="FP64")), "hour", "want datatype INT64"),
    "no datatype": ((CARRIER, changed(HOUR, datatype="INT128")), "hour", "want datatype INT64"),
    "BF16": ((CARRIER, HOUR, changed(TEMP, datatype="BF16")), "temp", "got 'BF16', want datatype"),
    "infinity": (
        (CARRIER, HOUR, changed(TEMP, struct.pack("<dd", 1, np.inf))),
        "temp",
        "row 1: got",
    ),
    "not a truth": ((CARRIER, HOUR, changed(LATE, b"\1\2")), "late", "row 1: got 2, want bytes of"),
    "word cut off": (
        (changed(CARRIER, b"\2\0\0\0UA\5\0\0\0AA"), HOUR),
        "carrier",
        "got '15 bytes', want BYTES that end with element 1, at byte 12",
    ),
    "length cut off": ((changed(CARRIER, b"\2\0\0\0UA\2"), HOUR), "carrier", "end with element 1"),
    "longest word": (
        (changed(CARRIER, b"\xff\xff\xff\xffUA"), HOUR),
        "carrier",
        "'4294967299 bytes', want BYTES that end with element 0",
    ),
    "no UTF-8": ((changed(CARRIER, b"\0\0\0\0\2\0\0\0\xff\xff"), HOUR), "carrier", "row 1: got b"),
    "half a pair": ((changed(CARRIER, b"\0\0\0\0\3\0\0\0\xed\xa0\x80"), HOUR), "carrier", "UTF-8"),
    "rows differ": ((CARRIER, changed(HOUR, HOUR[1][:8], shape=[1])), "hour", "has 1 rows"),
    "nothing": ((), "", "there are no rows"),
}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_tensor_is_refused_by_its_name(name: str) -> None:
    parts, field, words = BAD[name]
    with pytest.raises(RequestError) as refusal:
        read(*packed(*parts))
    assert refusal.value.status == 400
    assert words in refusal.value.message
    assert (refusal.value.field or "") == field


@pytest.mark.parametrize("header", ["-1", "", "x", "1.0", "0x10", "9" * 5000, "1000000", "²"])
def test_a_header_that_cannot_be_is_refused(header: str) -> None:
    body, _ = packed(CARRIER, HOUR)
    with pytest.raises(RequestError, match="inference-header-content-length: got") as refusal:
        read(body, header)
    assert refusal.value.status == 400


@pytest.mark.parametrize("shift", [-1, 1])
def test_a_header_that_misses_the_end_of_the_json_is_refused(shift: int) -> None:
    body, header = packed(CARRIER, HOUR)
    with pytest.raises(RequestError, match="the body is not JSON"):
        read(body, str(int(header) + shift))


def test_bytes_behind_the_tensors_are_refused() -> None:
    with pytest.raises(RequestError, match="3 bytes follow the last tensor"):
        read(*packed(CARRIER, HOUR, spare=b"abc"))


def test_sizes_without_the_header_are_refused() -> None:
    body, header = packed(CARRIER, HOUR)
    with pytest.raises(RequestError, match="field 'carrier': got null, want a list of values"):
        open_inference.read_query(body[: int(header)], TABLE)


OUTPUTS: Outputs = {
    "probability": np.array([0.5, 0.25], "float32"),
    "word": np.array(["é", ""], object),
    "half": np.array([[1, 2], [3, 4]], "float16"),
}
ONE = {"name": "probability"}
WISHES: list[tuple[dict[str, Any], set[str]]] = [
    ({}, set()),
    ({"parameters": {"binary_data_output": True}}, {"probability", "word", "half"}),
    ({"parameters": {"binary_data_output": False}}, set()),
    ({"outputs": [ONE | {"parameters": {"binary_data": True}}]}, {"probability"}),
    (
        {
            "parameters": {"binary_data_output": True},
            "outputs": [{"name": "word", "parameters": {"binary_data": False}}, {"name": "half"}],
        },
        {"probability", "half"},
    ),
]


@pytest.mark.parametrize(("rest", "binary"), WISHES)
def test_the_client_says_which_outputs_are_binary(rest: dict[str, Any], binary: set[str]) -> None:
    request = binary_tensors.read_request(*packed(CARRIER, HOUR, **rest))
    wish = binary_tensors.read_wish(request)
    assert (wish.among(OUTPUTS) if wish else set()) == binary


@pytest.mark.parametrize("rest", [{"parameters": {"binary_data_output": "yes"}}])
def test_a_wish_that_is_no_truth_is_refused(rest: dict[str, Any]) -> None:
    request = binary_tensors.read_request(*packed(CARRIER, HOUR, **rest))
    with pytest.raises(RequestError, match="binary_data_output: got 'yes', want true or false"):
        binary_tensors.read_wish(request)


@pytest.mark.parametrize("name", ["classification", "shared_memory_region"])
def test_an_output_in_a_form_that_is_not_given_is_refused(name: str) -> None:
    wish: dict[str, Any] = {"outputs": [ONE | {"parameters": {name: 3}}]}
    with pytest.raises(RequestError, match=f"'probability': {name} is not given") as refusal:
        read(*packed(CARRIER, HOUR, **wish))
    assert refusal.value.field == "probability"


def test_an_answer_mixes_json_and_binary_in_order() -> None:
    query = Query("a", {}, 2)
    body, length = binary_tensors.answer(query, OUTPUTS, "m", "3", frozenset({"word", "half"}))
    head = json.loads(body[:length])
    assert (head["model_name"], head["model_version"], head["id"]) == ("m", "3", "a")
    probability, word, half = head["outputs"]
    assert probability["data"] == [0.5, 0.25]
    assert word["parameters"] == {"binary_data_size": 10}
    assert (half["datatype"], half["shape"]) == ("FP16", [2, 2])
    assert half["parameters"] == {"binary_data_size": 8}
    assert body[length:] == b"\2\0\0\0\xc3\xa9\0\0\0\0" + OUTPUTS["half"].tobytes()


def test_an_answer_holds_the_wanted_outputs_alone() -> None:
    query = Query("a", {}, 2, wanted_outputs=("half",))
    body, length = binary_tensors.answer(query, OUTPUTS, "m", "3", frozenset({"half"}))
    assert [output["name"] for output in json.loads(body[:length])["outputs"]] == ["half"]
    assert body[length:] == OUTPUTS["half"].tobytes()


def read_or_refuse(body: bytes, header: str, signature: Signature) -> Query | RequestError:
    try:
        return read(body, header, signature)
    except RequestError as error:
        return error


RAW = st.binary(max_size=40)
SIZE = st.one_of(st.none(), st.integers(-2, 40), st.sampled_from(["8", 1.0, 10**40, True]))
TENSOR = st.fixed_dictionaries(
    {
        "name": st.sampled_from(["carrier", "hour", "late", "temp", "x", ""]),
        "shape": st.lists(st.integers(-2, 3) | st.just(2**63), max_size=3),
        "datatype": st.sampled_from([*DATATYPES.values(), "BF16", ""]),
        "parameters": st.fixed_dictionaries({"binary_data_size": SIZE}),
    }
)


@given(st.lists(TENSOR, max_size=4), RAW, st.integers(-1, 1))
def test_any_binary_body_is_a_query_or_a_refusal(
    inputs: list[dict[str, Any]], raw: bytes, shift: int
) -> None:
    head = json.dumps({"inputs": inputs}).encode()
    got = read_or_refuse(head + raw, str(len(head) + shift), TABLE)
    assert isinstance(got, Query) or got.status == 400


@given(st.binary(max_size=60), st.text(max_size=3) | st.integers(0, 70).map(str))
def test_any_bytes_are_refused(body: bytes, header: str) -> None:
    with pytest.raises(RequestError):
        read(body, header)


WIDTHS = [d for d in DATATYPES.values() if d != "BYTES"]


@given(st.sampled_from([*WIDTHS, "BYTES"]), st.binary(max_size=64), st.integers(0, 9))
def test_any_raw_tensor_is_a_column_or_a_refusal(datatype: str, raw: bytes, rows: int) -> None:
    dtype = next(d for d, name in DATATYPES.items() if name == datatype)
    signature = tensors("str" if datatype == "BYTES" else dtype.name, 2)
    part = ({"name": "x", "shape": [rows, 2], "datatype": datatype}, raw)
    got = read_or_refuse(*packed(part), signature)
    if isinstance(got, Query):
        assert write_raw(np.asarray(got.columns["x"])) == raw
    else:
        assert (got.status, got.field) == (400, "x")
