"""What a value may be: the types of MLflow, numpy, ONNX and the Open Inference Protocol.

Conversions that lose nothing are taken, as MLflow does for a table's columns
(https://mlflow.org/docs/latest/ml/model/signatures/).
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

Dtype = np.dtype[Any]
_INTEGERS = ("int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64")
_FLOATS = ("float16", "float32", "float64")

DATATYPES = {  # numpy's name: the protocol's
    "bool": "BOOL",
    "object": "BYTES",
    **{name: name.upper() for name in _INTEGERS},
    **{name: name.replace("float", "FP") for name in _FLOATS},
}
DTYPES = {datatype: np.dtype(name) for name, datatype in DATATYPES.items()}
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


def _kind(name: str, dtype: str) -> Kind:
    kind, datatype = np.dtype(dtype), DATATYPES[dtype]
    if dtype in ("bool", "object"):
        value = bool if dtype == "bool" else str
        return Kind(name, kind, datatype, frozenset({datatype}), frozenset({value}))
    if dtype in _INTEGERS:
        safe = frozenset(DATATYPES[d] for d in _INTEGERS if np.can_cast(d, kind))
        limits = np.iinfo(kind)
        return Kind(name, kind, datatype, safe, frozenset({int}), limits.min, limits.max)
    narrow = {DATATYPES[d] for d in _INTEGERS if np.dtype(d).itemsize <= 4}
    accepts = frozenset(narrow | {DATATYPES[d] for d in _FLOATS})
    most = float(np.finfo(kind).max)
    return Kind(name, kind, datatype, accepts, frozenset({float, int}), -most, most)


COLUMN_KINDS = {
    name: _kind(name, dtype)
    for name, dtype in {
        "string": "object",
        "boolean": "bool",
        "integer": "int32",
        "long": "int64",
        "float": "float32",
        "double": "float64",
    }.items()
}
TENSOR_KINDS = {name: _kind(name, name) for name in DATATYPES if name != "object"}
TENSOR_KINDS["object"] = TENSOR_KINDS["str"] = COLUMN_KINDS["string"]
