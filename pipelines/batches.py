"""A landing batch (``*.csv.gz``) in, a frame with the policy's column types out, or every fault.

Values are read as text and converted column by column, so that a fault can name the column, the
row and the value, and nothing is guessed. A tensor is a list of its values in JSON, flat.
"""

import gzip
import hashlib
import json
import zlib
from collections.abc import Callable
from math import isfinite, prod
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from pipelines.policy import Column, Data

SUFFIX = ".csv.gz"


class BatchError(ValueError):
    """The batch cannot be read as what the policy says a batch is; ``faults`` lists why."""

    def __init__(self, faults: list[str]) -> None:
        super().__init__("; ".join(faults))
        self.faults = faults


def sha256(path: Path) -> str:
    """Return the digest by which a batch is known again."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def read(path: Path, data: Data) -> pd.DataFrame:
    """Read one batch; raise ``BatchError`` with every fault of form found in it."""
    try:
        text = pd.read_csv(path, dtype=str, keep_default_na=False, na_values=[""])
    except (EOFError, zlib.error) as error:
        raise BatchError([f"the file is cut off or damaged: {error}"]) from error
    except (pd.errors.ParserError, pd.errors.EmptyDataError, UnicodeDecodeError) as error:
        raise BatchError([f"the file is not CSV: {error}"]) from error
    except gzip.BadGzipFile as error:  # any other OSError is the disk's, and may pass
        raise BatchError([f"the file cannot be read: {error}"]) from error
    faults = _column_faults(text, data)
    if not len(text):
        faults.append("the batch holds no rows")
    columns = {}
    for name, column in data.columns.items():
        if name in text:
            columns[name], wrong = _convert(text[name], column)
            faults += wrong
    if faults:
        raise BatchError(faults)
    return pd.DataFrame(columns)


def write(rows: pd.DataFrame, path: Path) -> None:
    """Write a batch as the feed delivers it: whole or not at all, the same rows the same bytes."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.part")
    lists = {str(n): rows[n].map(_as_json) for n in rows if _holds_tensors(rows[n])}
    rows.assign(**lists).to_csv(part, index=False, compression={"method": "gzip", "mtime": 0})
    part.rename(path)


def _column_faults(text: pd.DataFrame, data: Data) -> list[str]:
    wanted = set(data.columns)
    missing = [f"column {name!r} is missing" for name in data.columns if name not in text]
    extra = [
        f"column {name!r} is not in the policy: add it there, or leave it out"
        for name in text.columns
        if name not in wanted
    ]
    return missing + extra


def _convert(text: "pd.Series[str]", column: Column) -> tuple["pd.Series", list[str]]:
    if column.shape:
        return _tensors(text, column)
    if column.type == "string":
        return text.astype(object), []
    if column.type == "time":
        values = pd.to_datetime(text, errors="coerce", utc=True, format="ISO8601")
    else:
        values = pd.to_numeric(text, errors="coerce").replace([np.inf, -np.inf], np.nan)
    bad = text[text.notna() & values.isna()]
    if column.type == "long":
        bad = pd.concat([bad, text[values.notna() & (values % 1 != 0)]])
    if len(bad):
        return values, [_fault(bad, column.type)]
    whole = column.type == "long" and bool(values.notna().all())
    return values.astype("int64") if whole else values.astype(values.dtype), []


def _tensors(text: "pd.Series[str]", column: Column) -> tuple["pd.Series", list[str]]:
    """Read each cell as a flat float32 array of as many values as the shape has."""
    size = prod(column.shape)
    values = text.map(_tensor(size), na_action="ignore")
    bad = text[text.notna() & values.isna()]
    return values, [_fault(bad, f"list of {size} finite numbers")] if len(bad) else []


def _tensor(size: int) -> Callable[[str], Any]:
    def read(text: str) -> Any:
        try:
            found = json.loads(text)
        except ValueError:
            return None
        fine = isinstance(found, list) and len(found) == size
        if not fine or not all(type(v) in (int, float) and isfinite(v) for v in found):
            return None
        return np.array(found, dtype=np.float32)

    return read


def _fault(bad: "pd.Series[str]", wanted: str) -> str:
    where = f"row {bad.index[0] + 2}"  # as an editor counts: the header is line 1
    more = f" and {len(bad) - 1} more" if len(bad) > 1 else ""
    return f"column {bad.name!r}: {bad.iloc[0]!r:.80} in {where}{more} is not a {wanted}"


def _holds_tensors(column: "pd.Series") -> bool:
    return len(column) > 0 and isinstance(column.iloc[0], np.ndarray)


def _as_json(values: np.ndarray) -> str:
    return json.dumps([int(v) if v == int(v) else v for v in values.tolist()])
