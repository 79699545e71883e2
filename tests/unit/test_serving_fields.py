"""The quick look at many values and the look at each of them say the same."""

import json
import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from services.serving.errors import RequestError
from services.serving.models.fields import Field
from services.serving.models.kinds import COLUMN_KINDS, TENSOR_KINDS
from services.serving.models.signature import read_signature

EDGES = [2**7, 2**15, 2**31, 2**53, 2**63, 2**64, 65504, 65520]
VALUES = (
    st.none()
    | st.booleans()
    | st.text(max_size=2)
    | st.integers()
    | st.sampled_from([sign * edge + by for edge in EDGES for sign in (1, -1) for by in (-1, 0, 1)])
    | st.floats()
    | st.sampled_from([3.4028235e38, 3.4028236e38, -3.5e38, 1e308, 10**400])
)


def column(kind: str, required: bool) -> Field:
    spec = {"name": "x", "type": kind, "required": required}
    return read_signature(json.dumps([spec])).fields["x"]


def tensor(kind: str) -> Field:
    spec = {"name": "x", "type": "tensor", "tensor-spec": {"dtype": kind, "shape": [-1, 2]}}
    return read_signature(json.dumps([spec])).fields["x"]


COLUMNS = [column(kind, required) for kind in COLUMN_KINDS for required in (True, False)]
TENSORS = [tensor(kind) for kind in TENSOR_KINDS]


def one_by_one(field: Field, values: list[Any]) -> bool:
    for value in values:
        if value is None:
            if field.required:
                return False
        elif type(value) not in field.kind.values or (
            type(value) is not str
            and not (field.low <= value <= field.high and math.isfinite(value))
        ):
            return False
    return True


def taken(field: Field, values: list[Any]) -> Any:
    try:
        return field.read(values, [len(values) // math.prod(field.shape), *field.shape])
    except RequestError:
        return None


@pytest.mark.parametrize("field", COLUMNS, ids=lambda f: f"{f.kind.name}-{f.required}")
@given(st.lists(VALUES, min_size=1, max_size=20))
@example([1.0, math.nan, 2.0] * 4)
@example([-math.inf, math.inf] * 6)
@example([1e308] * 20)
def test_a_column_is_taken_exactly_when_each_value_is_good(field: Field, values: list[Any]) -> None:
    good = taken(field, values)
    assert (good is not None) == one_by_one(field, values)
    if good is not None:
        rounded = float in field.kind.values  # as the model's input would round it, or finer
        assert good == [float(v) if rounded and v is not None else v for v in values]


@pytest.mark.parametrize("field", TENSORS, ids=lambda f: str(f.kind.name))
@given(st.lists(VALUES, min_size=1, max_size=10).map(lambda half: half + half))
@example([1.0, math.nan])
@example([1e300, 1e300])
def test_a_tensor_is_taken_exactly_when_each_value_is_good(field: Field, values: list[Any]) -> None:
    good = taken(field, values)
    assert (good is not None) == one_by_one(field, values)
    if good is not None:
        assert good.dtype == field.dtype
        assert good.shape == (len(values) // 2, 2)
        assert good.ravel().tolist() == [np.array(v, field.dtype).tolist() for v in values]


@pytest.mark.parametrize("kind", ["double", "float"])
def test_a_column_bound_to_a_narrower_input_is_held_to_it(kind: str) -> None:
    most = float(np.finfo("float32").max)
    field = replace(column(kind, True), dtype=np.dtype("float32"), low=-most, high=most)
    for rows in (1, 20):
        assert taken(field, [most] * rows) is not None
        assert taken(field, [most * 1.01] * rows) is None
