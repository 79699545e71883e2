import numpy as np
import pandas as pd
import pytest
import torch

from pipelines.features import TableEncoder
from pipelines.policy import Column

FEATURES = {
    "temp": Column(type="double"),
    "carrier": Column(type="string"),
    "hour": Column(type="long"),
    "dest": Column(type="string"),
}


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
    encoder = TableEncoder.fit(rows(), FEATURES)
    assert encoder.vocabularies == {"carrier": ("AA", "UA"), "dest": ("BQN", "IAH")}
    assert encoder.sizes == [3, 3]


def test_encoding_follows_the_policys_order() -> None:
    inputs = TableEncoder.fit(rows(), FEATURES).encode(rows())
    assert inputs["categories"].tolist() == [[2, 2], [1, 0], [2, 1]]
    assert inputs["numbers"].nan_to_num(-99).tolist() == [[39.5, 5], [-99, 6], [-1, 23]]


def test_strings_not_seen_in_training_and_missing_ones_are_unknown() -> None:
    asked = rows().assign(carrier=pd.Series(["ua", "", None], dtype="object"))
    inputs = TableEncoder.fit(rows(), FEATURES).encode(asked)
    assert inputs["categories"][:, 0].tolist() == [0, 0, 0]


def test_absent_features_are_named() -> None:
    with pytest.raises(KeyError, match="hour, dest"):
        TableEncoder(FEATURES, {}).encode(rows().drop(columns=["hour", "dest"]))


def test_a_tensor_goes_in_by_its_own_name_and_in_its_shape() -> None:
    images = pd.DataFrame({"pixels": [np.arange(4), np.arange(4) + 4]})
    encoder = TableEncoder.fit(images, {"pixels": Column(type="double", shape=(2, 2))})
    inputs = encoder.encode(images)
    assert list(inputs) == ["pixels"]
    assert inputs["pixels"].dtype == torch.float32
    assert inputs["pixels"].tolist() == [[[0, 1], [2, 3]], [[4, 5], [6, 7]]]
    assert encoder.front(ir_version=10) is None
