"""A CSV body in, the columns of a table out: words typed by the signature, missing ones as None.

Reads what MLflow reads with pandas (https://pandas.pydata.org/docs/reference/api/pandas.read_csv.html),
but guesses nothing: the header is needed, and every row has as many values as the header.
"""

import csv
import io
import re
from collections.abc import Callable, Mapping
from itertools import islice
from typing import Any

from services.serving.errors import RequestError, shown
from services.serving.models.fields import Field
from services.serving.models.signature import MAX_ROWS, Signature

# pandas' own list: pandas.io.parsers.readers.STR_NA_VALUES
MISSING = frozenset(("", "#N/A", "#N/A N/A", "#NA", "-1.#IND", "-1.#QNAN", "-NaN", "-nan"))
MISSING |= {"1.#IND", "1.#QNAN", "<NA>", "N/A", "NA", "NULL", "NaN", "None", "n/a", "nan", "null"}
_TRUE, _FALSE = ("True", "TRUE", "true"), ("False", "FALSE", "false")
_TRUTHS = dict.fromkeys(_TRUE, True) | dict.fromkeys(_FALSE, False)
_NUMBER = re.compile(r"\s*[+-]?[0-9.]+(e[+-]?[0-9]+)?\s*|\s*[+-]?inf(inity)?\s*", re.IGNORECASE)
_PARSERS: Mapping[frozenset[type], Callable[[str], Any]] = {
    frozenset({str}): str,
    frozenset({bool}): _TRUTHS.__getitem__,
    frozenset({int}): int,
    frozenset({int, float}): float,
}


def read_columns(body: bytes, signature: Signature) -> dict[str, list[Any]]:
    """Read a table. Raises RequestError, which names the column and the row (from 0)."""
    if not signature.tabular:
        raise RequestError(400, "CSV holds a table, this model takes tensors: send JSON")
    header, *rows = _lines(body)
    if (repeated := _repeated(header)) is not None:
        raise RequestError(400, f"field {shown(repeated)} is twice in the header", repeated)
    for number, row in enumerate(rows):
        if len(row) != len(header):
            last = header[min(len(row), len(header) - 1)]
            message = f"row {number} has {len(row)} values, want {len(header)}, one a column"
            raise RequestError(400, f"{message}: look at {shown(last)}", last)
    fields = [signature.field(name) for name in header]
    return {field.name: _typed(field, [row[i] for row in rows]) for i, field in enumerate(fields)}


def _repeated(header: list[str]) -> str | None:
    seen: set[str] = set()
    for name in header:
        if name in seen:
            return name
        seen.add(name)
    return None


def _lines(body: bytes) -> list[list[str]]:
    """Split into header and rows; blank lines are none, as for pandas."""
    try:
        text = body.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise RequestError(
            400, f"the body is not UTF-8: {error.reason} at {error.start}"
        ) from error
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    try:
        lines = list(islice(filter(None, reader), MAX_ROWS + 2))  # a header, and one too many
    except csv.Error as error:
        raise RequestError(400, f"line {reader.line_num} is not CSV: {error}") from error
    if not lines:
        raise RequestError(400, "the body is empty, want a header line and rows")
    return lines


def _typed(field: Field, words: list[str]) -> list[Any]:
    parse = _PARSERS[field.kind.values]
    numeric = parse in (int, float)
    values: list[Any] = []
    for row, word in enumerate(words):
        if word in MISSING:
            values.append(None)
            continue
        try:
            if numeric and not _NUMBER.fullmatch(word):
                raise ValueError(word)
            values.append(parse(word))
        except (KeyError, ValueError):
            raise field.refusal(word, f"a {field.kind.name}", row) from None
    return values
