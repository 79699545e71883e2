import numpy as np
import pandas as pd
import pytest

from pipelines.features import build_vocabularies, encode

TYPES = {"temp": "double", "carrier": "string", "hour": "long", "dest": "string"}


def rows() -> pd.DataFrame:
    return pd.DataFrame(
        {
            "carrier": ["UA", "AA", "UA"],
            "dest": ["IAH", None, "BQN"],
            "hour": [5, 6, 23],
            "temp": [39.5, np.nan, -1.0],
        }
    )


def test_vocabularies_are_sorted_words_without_gaps() -> None:
    assert build_vocabularies(rows(), TYPES) == {"carrier": ("AA", "UA"), "dest": ("BQN", "IAH")}


def test_encoding_follows_the_policys_order() -> None:
    inputs = encode(rows(), TYPES, build_vocabularies(rows(), TYPES))
    assert inputs.categories.tolist() == [[2, 2], [1, 0], [2, 1]]
    assert inputs.numbers.nan_to_num(-99).tolist() == [[39.5, 5], [-99, 6], [-1, 23]]


def test_strings_not_seen_in_training_and_missing_ones_are_unknown() -> None:
    vocabularies = build_vocabularies(rows(), TYPES)
    asked = rows().assign(carrier=pd.Series(["ua", "", None], dtype="object"))
    assert encode(asked, TYPES, vocabularies).categories[:, 0].tolist() == [0, 0, 0]


def test_absent_features_are_named() -> None:
    with pytest.raises(KeyError, match="hour, dest"):
        encode(rows().drop(columns=["hour", "dest"]), TYPES, {})
