"""gRPC's messages: every one is a checked query or a refusal that names what is wrong."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.serving.errors import RequestError
from services.serving.grpc import generate, messages
from services.serving.grpc import open_inference_pb2 as pb
from services.serving.models.kinds import DATATYPES, DTYPES
from services.serving.models.signature import Signature, read_signature
from services.serving.protocols import open_inference
from services.serving.queries import Outputs, Query

TABLE = read_signature(
    json.dumps(
        [
            {"name": "carrier", "type": "string", "required": True},
            {"name": "hour", "type": "long", "required": True},
            {"name": "temp", "type": "double", "required": False},
        ]
    )
)
FOLDER = Path(generate.__file__).parent
Input = pb.ModelInferRequest.InferInputTensor


def tensor(name: str, datatype: str, shape: list[int], **contents: Any) -> Input:
    return Input(
        name=name,
        datatype=datatype,
        shape=shape,
        contents=pb.InferTensorContents(**contents) if contents else None,
    )


CARRIER = tensor("carrier", "BYTES", [2], bytes_contents=[b"UA", "ÖL".encode()])
HOUR = tensor("hour", "INT64", [2], int64_contents=[6, -1])
TEMP = tensor("temp", "FP32", [2], fp32_contents=[0.5, 2])


def read(*inputs: Input, signature: Signature = TABLE, **rest: Any) -> Query:
    message = pb.ModelInferRequest(inputs=inputs, **rest)
    message = pb.ModelInferRequest.FromString(message.SerializeToString())
    return open_inference.build_query(messages.read_request(message), signature)


def test_the_committed_messages_are_those_of_the_proto() -> None:
    for name, text in generate.generate().items():
        assert (FOLDER / name).read_text() == text, "run: make proto"


def test_a_request_becomes_columns() -> None:
    parameters = {
        "event_time": pb.InferParameter(string_param="2013-07-01T14:00:00+02:00"),
        "key": pb.InferParameter(int64_param=7),
        "other": pb.InferParameter(),
    }
    query = read(CARRIER, HOUR, TEMP, id="a", parameters=parameters)
    assert query.columns == {"carrier": ["UA", "ÖL"], "hour": [6, -1], "temp": [0.5, 2.0]}
    assert (query.id, query.key, query.rows) == ("a", "7", 2)
    assert query.event_time is not None
    assert query.event_time.isoformat() == "2013-07-01T12:00:00+00:00"


def test_raw_contents_become_columns() -> None:
    raw = [b"\2\0\0\0UA\0\0\0\0", np.array([6, -1]).tobytes()]
    inputs = [tensor("carrier", "BYTES", [2]), tensor("hour", "INT64", [2])]
    query = read(*inputs, raw_input_contents=raw)
    assert query.columns == {"carrier": ["UA", ""], "hour": [6, -1], "temp": [None, None]}


VALUES = [d for d in DATATYPES.values() if d != "BYTES"]


def tensors(dtype: str) -> Signature:
    spec = {"dtype": dtype, "shape": [-1, 2]}
    return read_signature(json.dumps([{"name": "x", "type": "tensor", "tensor-spec": spec}]))


@pytest.mark.parametrize("raw", [True, False], ids=["raw", "typed"])
@pytest.mark.parametrize("datatype", VALUES)
def test_each_datatype_comes_and_goes(datatype: str, raw: bool) -> None:
    values = np.array([[0, 1], [1, 1]], dtype=DTYPES[datatype])
    whole = messages.answer(Query("a", {}, 2), {"x": values}, "m", "3", raw)
    sent = pb.ModelInferRequest(inputs=[Input.FromString(whole.outputs[0].SerializeToString())])
    sent.raw_input_contents.extend(whole.raw_output_contents)
    assert bool(whole.raw_output_contents) == (raw or datatype == "FP16")
    query = open_inference.build_query(messages.read_request(sent), tensors(values.dtype.name))
    got = np.asarray(query.columns["x"])
    assert got.dtype == values.dtype
    np.testing.assert_array_equal(got, values)


def test_words_come_and_go() -> None:
    words: Outputs = {"word": np.array(["é", ""], object)}
    typed = messages.answer(Query("a", {}, 2), words, "m", "3", raw=False)
    assert typed.outputs[0].contents.bytes_contents == ["é".encode(), b""]
    packed = messages.answer(Query("a", {}, 2), words, "m", "3", raw=True)
    assert packed.raw_output_contents == [b"\2\0\0\0\xc3\xa9\0\0\0\0"]


def test_an_answer_holds_the_wanted_outputs_alone() -> None:
    query = read(CARRIER, HOUR, outputs=[{"name": "b"}], id="i")
    outputs: Outputs = {name: np.array([0.5, 1], "float32") for name in ("a", "b")}
    message = messages.answer(query, outputs, "m", "3", raw=False)
    assert (message.model_name, message.model_version, message.id) == ("m", "3", "i")
    assert [(o.name, list(o.shape), o.datatype) for o in message.outputs] == [("b", [2], "FP32")]
    assert message.outputs[0].contents.fp32_contents == [0.5, 1]


HOURS = np.array([6, -1]).tobytes()
LONE = tensor("hour", "INT64", [2])
BAD: dict[str, tuple[list[Input], list[bytes], str, str]] = {
    "nothing": ([], [], "", "there are no rows"),
    "no contents": ([CARRIER, LONE], [], "hour", "int64_contents is empty, want the values"),
    "wrong contents": (
        [CARRIER, tensor("hour", "INT64", [2], int_contents=[6, 7])],
        [],
        "hour",
        "int64_contents is empty",
    ),
    "half": ([CARRIER, tensor("temp", "FP16", [2], fp32_contents=[1, 2])], [], "temp", "raw_input"),
    "no datatype": ([tensor("hour", "INT", [2], int_contents=[1])], [], "hour", "want datatype"),
    "BF16": ([tensor("temp", "BF16", [2])], [b"abcd"], "temp", "got 'BF16', want datatype FP64"),
    "datatype": ([tensor("hour", "FP64", [1], fp64_contents=[1])], [], "hour", "want datatype"),
    "twice": ([CARRIER, HOUR, HOUR], [], "hour", "given twice"),
    "unknown": ([CARRIER, tensor("x", "INT64", [1], int64_contents=[1])], [], "x", "not asked for"),
    "shape": ([tensor("hour", "INT64", [3], int64_contents=[6, 7])], [], "hour", "got '2 values'"),
    "negative": ([tensor("hour", "INT64", [-2], int64_contents=[6])], [], "hour", "got [-2], want"),
    "huge": ([tensor("hour", "INT64", [2**62], int64_contents=[6])], [], "hour", "got '1 values'"),
    "scalar": ([tensor("hour", "INT64", [], int64_contents=[6])], [], "hour", "got [], want shape"),
    "infinity": (
        [CARRIER, HOUR, tensor("temp", "FP64", [2], fp64_contents=[1, np.inf])],
        [],
        "temp",
        "row 1: got inf",
    ),
    "no UTF-8": (
        [tensor("carrier", "BYTES", [1], bytes_contents=[b"\xff"])],
        [],
        "carrier",
        "row 0: got b'\\xff', want UTF-8",
    ),
    "too few raw": ([LONE, LONE], [HOURS], "raw_input_contents", "there are 1, want one for each"),
    "raw for none": ([], [HOURS], "raw_input_contents", "there are 1, want one for each of 0"),
    "both": ([HOUR], [HOURS], "hour", "has contents and raw_input_contents"),
    "raw cut off": ([LONE], [HOURS[:-1]], "hour", "got '15 bytes', want a multiple of 8"),
    "raw and shape": ([LONE], [HOURS * 2], "hour", "got '4 values', want as many as shape [2]"),
}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_message_is_refused_by_its_field(name: str) -> None:
    inputs, raw, field, words = BAD[name]
    with pytest.raises(RequestError) as refusal:
        read(*inputs, raw_input_contents=raw)
    assert refusal.value.status == 400
    assert words in refusal.value.message
    assert (refusal.value.field or "") == field


NUMBERS = st.lists(st.integers(0, 2**31 - 1), max_size=3)
CONTENTS = st.fixed_dictionaries(
    {},
    optional={
        "bool_contents": st.lists(st.booleans(), max_size=3),
        "int_contents": NUMBERS,
        "int64_contents": NUMBERS,
        "fp32_contents": st.lists(st.floats(width=32), max_size=3),
        "fp64_contents": st.lists(st.floats(), max_size=3),
        "bytes_contents": st.lists(st.binary(max_size=4), max_size=3),
    },
)
INPUT = st.builds(
    lambda name, datatype, shape, contents: tensor(name, datatype, shape, **contents),
    st.sampled_from(["carrier", "hour", "temp", "x"]),
    st.sampled_from([*DTYPES, "BF16", ""]),
    st.lists(st.integers(-1, 3) | st.just(2**63 - 1), max_size=3),
    CONTENTS,
)


@given(st.lists(INPUT, max_size=4), st.lists(st.binary(max_size=24), max_size=3))
def test_any_message_is_a_query_or_a_refusal(inputs: list[Input], raw: list[bytes]) -> None:
    try:
        got: Query | RequestError = read(*inputs, raw_input_contents=raw)
    except RequestError as error:
        got = error
    assert isinstance(got, Query) or got.status == 400
