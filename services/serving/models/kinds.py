"""What a value may be: the types of MLflow, numpy, ONNX and the Open Inference Protocol.

Whole numbers are taken where every value of their type fits, as MLflow does for a table's columns
(https://mlflow.org/docs/latest/ml/model/signatures/). A float field takes floats of any width and
whole numbers of up to 32 bits, rounded to its own: JSON does not say how wide a number is.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

Dtype = np.dtype[Any]
_INTEGERS = ("int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64")
_FLOATS = ("float16", "float32", "float64")

DATATYPES = {  # numpy's: the protocol's
    np.dtype(bool): "BOOL",
    np.dtype(object): "BYTES",
    **{np.dtype(name): name.upper() for name in _INTEGERS},
    **{np.dtype(name): name.replace("float", "FP") for name in _FLOATS},
}
DTYPES = {datatype: dtype for dtype, datatype in DATATYPES.items()}
ONNX_DTYPES = {
    "tensor(string)": np.dtype(object),
    "tensor(float)": np.dtype("float32"),
    "tensor(double)": np.dtype("float64"),
    **{f"tensor({name})": np.dtype(name) for name in ("bool", "float16", *_INTEGERS)},
}


@dataclass(frozen=True)
class Kind:
    """A type of values: its name, its datatype, the datatypes and JSON values that convert to it.

    Numbers lie in [low, high].
    """

    name: str
    dtype: Dtype
    datatype: str
    accepts: frozenset[str]
    values: frozenset[type]
    low: float = 0
    high: float = 1


def _kind(name: str, dtype: Dtype) -> Kind:
    datatype = DATATYPES[dtype]
    if dtype.kind in "bO":
        value = bool if dtype.kind == "b" else str
        return Kind(name, dtype, datatype, frozenset({datatype}), frozenset({value}))
    if dtype.kind in "iu":
        safe = frozenset(
            t for d, t in DATATYPES.items() if d.kind in "iu" and np.can_cast(d, dtype)
        )
        limits = np.iinfo(dtype)
        return Kind(name, dtype, datatype, safe, frozenset({int}), limits.min, limits.max)
    accepts = frozenset(
        t for d, t in DATATYPES.items() if d.kind == "f" or (d.kind in "iu" and d.itemsize <= 4)
    )
    most = float(np.finfo(dtype).max)
    return Kind(name, dtype, datatype, accepts, frozenset({float, int}), -most, most)


COLUMN_KINDS = {
    name: _kind(name, np.dtype(dtype))
    for name, dtype in {
        "string": "object",
        "boolean": "bool",
        "integer": "int32",
        "long": "int64",
        "float": "float32",
        "double": "float64",
    }.items()
}
TENSOR_KINDS = {dtype.name: _kind(dtype.name, dtype) for dtype in DATATYPES if dtype.kind != "O"}
TENSOR_KINDS["object"] = TENSOR_KINDS["str"] = COLUMN_KINDS["string"]
