"""Reading a batch: what a column may not hold is named with its row, and nothing is guessed."""

import gzip
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from pipelines import batches
from pipelines.policy import Column, Data

DATA = Data(
    id="id",
    event_time="time",
    columns={
        "id": Column(type="string"),
        "time": Column(type="time"),
        "count": Column(type="long"),
        "size": Column(type="double"),
    },
)
GOOD = {"id": "NA", "time": "2013-01-01T05:00:00Z", "count": "7", "size": "1.5"}


def written(path: Path, **changed: str) -> Path:
    batches.write(pd.DataFrame([GOOD, GOOD | changed]), path)
    return path


def test_times_are_utc_and_words_that_look_like_gaps_are_words(tmp_path: Path) -> None:
    path = written(tmp_path / "b.csv.gz", time="2013-01-01T05:00:00-05:00")
    rows = batches.read(path, DATA)
    assert list(rows["time"].dt.hour) == [5, 10]
    assert str(rows["time"].dt.tz) == "UTC"
    assert list(rows["id"]) == ["NA", "NA"]
    assert rows["count"].dtype == "int64"


def test_gaps_are_missing_values(tmp_path: Path) -> None:
    rows = batches.read(written(tmp_path / "b.csv.gz", count="", size="", id=""), DATA)
    assert list(rows.isna().iloc[1]) == [True, False, True, True]


@pytest.mark.parametrize(
    ("column", "value", "kind"),
    [
        ("size", "inf", "double"),
        ("size", "-Infinity", "double"),
        ("size", "nan", "double"),
        ("size", "much", "double"),
        ("count", "1.5", "long"),
        ("count", "inf", "long"),
        ("time", "yesterday", "time"),
    ],
)
def test_what_is_no_value_of_its_type(tmp_path: Path, column: str, value: str, kind: str) -> None:
    path = written(tmp_path / "b.csv.gz", **{column: value})
    with pytest.raises(batches.BatchError) as refused:
        batches.read(path, DATA)
    assert refused.value.faults == [f"column {column!r}: {value!r} in row 3 is not a {kind}"]


def test_a_disk_that_fails_is_no_fault_of_the_batch(tmp_path: Path) -> None:
    (tmp_path / "b.csv.gz").mkdir()
    with pytest.raises(IsADirectoryError):
        batches.read(tmp_path / "b.csv.gz", DATA)


def images(cells: list[str]) -> str:
    return "id,pixels\n" + "".join(f'{number},"{cell}"\n' for number, cell in enumerate(cells))


PIXELS = Data(
    id="id",
    event_time="id",
    columns={"id": Column(type="string"), "pixels": Column(type="double", shape=(2, 2))},
)


def test_a_tensor_is_a_flat_list_and_comes_back_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "images.csv.gz"
    written = pd.DataFrame({"id": ["a", "b"], "pixels": [np.arange(4), np.arange(4) / 8]})
    batches.write(written, path)
    read = batches.read(path, PIXELS)["pixels"]
    assert [image.tolist() for image in read] == [[0, 1, 2, 3], [0, 0.125, 0.25, 0.375]]
    assert {image.dtype for image in read} == {np.dtype("float32")}


@pytest.mark.parametrize("cell", ["[1, 2, 3]", "[1, 2, 3, NaN]", "1 2 3 4", "[1, 2, 3, true]"])
def test_what_is_no_tensor_of_its_size_is_named(tmp_path: Path, cell: str) -> None:
    path = tmp_path / "images.csv.gz"
    path.write_bytes(gzip.compress(images(["[1, 2, 3, 4]", cell]).encode()))
    with pytest.raises(batches.BatchError, match=r"row 3 is not a list of 4 finite numbers"):
        batches.read(path, PIXELS)
