"""CSV to serving: what pandas reads is read the same, the rest is refused by column and row."""

import io
import json

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pandas.errors import ParserError

from services.serving.errors import RequestError
from services.serving.models.signature import MAX_ROWS, read_signature
from services.serving.protocols import scoring
from services.serving.protocols.csv_table import MISSING, read_columns

TABLE = read_signature(
    json.dumps(
        [
            {"name": "word", "type": "string", "required": False},
            {"name": "whole", "type": "long", "required": True},
            {"name": "number", "type": "double", "required": False},
            {"name": "truth", "type": "boolean", "required": False},
        ]
    )
)
HEADER = "word,whole,number,truth\n"


def test_words_become_values() -> None:
    body = HEADER + 'UA, 6,1e2,TRUE\r\n"a, b", +7 ,.5,false\n'
    assert read_columns(body.encode(), TABLE) == {
        "word": ["UA", "a, b"],
        "whole": [6, 7],
        "number": [100, 0.5],
        "truth": [True, False],
    }


@pytest.mark.parametrize("word", sorted(MISSING))
def test_what_is_missing_for_pandas_is_missing(word: str) -> None:
    body = HEADER + f"{word},1,{word},{word}\n"
    frame = pd.read_csv(io.StringIO(body))
    assert frame[["word", "number", "truth"]].isna().all(axis=None)
    query = scoring.read_query(body.encode(), TABLE, None, "text/csv")
    assert [query.columns[n] for n in ("word", "number", "truth")] == [[None]] * 3


REFUSED = {
    "a word for a number": (HEADER + "a,1,2,\na,1,warm,\n", "field 'number', row 1: got 'warm'"),
    "a fraction": (HEADER + "a,1.5,2,\n", "field 'whole', row 0: got '1.5', want a long"),
    "underscores": (HEADER + "a,1_0,2,\n", "field 'whole', row 0: got '1_0', want a long"),
    "other digits": (HEADER + "a,\u0661,2,\n", "field 'whole', row 0: got '\u0661', want a long"),
    "too many digits": (HEADER + f"a,{'9' * 5000},2,\n", "field 'whole', row 0: got '999"),
    "beyond a long": (HEADER + "a,9223372036854775808,2,\n", "field 'whole', row 0: got 9223"),
    "infinity": (HEADER + "a,1,-inf,\n", "field 'number', row 0: got -inf, want a finite double"),
    "one for true": (HEADER + "a,1,2,1\n", "field 'truth', row 0: got '1', want a boolean"),
    "missing, though required": (HEADER + "a,NA,2,\n", "field 'whole', row 0: got null"),
    "a column twice": ("whole,whole\n1,2\n", "field 'whole' is twice in the header"),
    "an index": (",whole\n0,2\n", "field '' is not asked for, want: word, whole"),
    "no such column": ("whole,wind\n1,2\n", "field 'wind' is not asked for"),
    "a column too few": ("word\na\n", "field 'whole': got null, want a long"),
    "a long row": (HEADER + "a,1,2,,\n", "row 0 has 5 values, want 4, one a column: look at"),
    "a short row": (HEADER + "a,1,2,\na,1\n", "row 1 has 2 values, want 4, one a column: look at"),
    "an open quote": (HEADER + '"a,1,2,\n', "line 2 is not CSV: unexpected end of data"),
    "a huge value": (HEADER + "a" * 200_000, "is not CSV: field larger than field limit"),
    "nothing": ("", "the body is empty"),
    "blank lines": ("\n\n", "the body is empty"),
    "no rows": (HEADER, "field 'word': got [0], want shape [-1] with one row or more"),
}


@pytest.mark.parametrize(("body", "message"), REFUSED.values(), ids=REFUSED.keys())
def test_what_is_no_table_is_refused_by_place(body: str, message: str) -> None:
    with pytest.raises(RequestError) as refusal:
        scoring.read_query(body.encode(), TABLE, None, "text/csv")
    assert refusal.value.status == 400
    assert message in refusal.value.message


def test_what_is_not_utf8_is_refused() -> None:
    with pytest.raises(RequestError, match="not UTF-8: invalid continuation byte at 25"):
        read_columns(HEADER.encode() + "a\xe4b,1,2,".encode("latin-1"), TABLE)


def test_no_more_is_parsed_than_is_answered() -> None:
    endless = HEADER.encode() + b"a,1,2,true\n" * MAX_ROWS + b'a,1,2,true\n"never read\n'
    with pytest.raises(RequestError, match="100001 rows, want at most 100000") as refusal:
        scoring.read_query(endless, TABLE, None, "text/csv")
    assert refusal.value.status == 413


@pytest.mark.parametrize("kind", ["text/csv;charset=utf-8", 'Text/CSV; charset="UTF-8";'])
def test_a_charset_may_be_said(kind: str) -> None:
    assert scoring.read_query((HEADER + "a,1,2,\n").encode(), TABLE, None, kind).rows == 1


@given(st.text(alphabet='a1 .,-+e"\n\tNA', max_size=60), st.sampled_from(["\n", "\r\n"]))
def test_what_both_read_is_the_same(rows: str, end: str) -> None:
    """Lines that end in a bare CR are left out: pandas loses some of them."""
    body = ("word,number\n" + rows).replace("\n", end)
    signature = read_signature(
        json.dumps(
            [{"name": "word", "type": "string"}, {"name": "number", "type": "double"}]
        ).replace("}", ', "required": false}')
    )
    try:
        ours = scoring.read_query(body.encode(), signature, None, "text/csv").columns
        frame = pd.read_csv(io.StringIO(body, newline=""), dtype={"word": object, "number": float})
    except (RequestError, ValueError, ParserError):
        return
    assert ours["word"] == [None if pd.isna(word) else word for word in frame["word"]]
    theirs = [None if pd.isna(value) else pytest.approx(value) for value in frame["number"]]
    assert ours["number"] == theirs
