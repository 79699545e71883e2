from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import yaml
from pandas.testing import assert_frame_equal

from pipelines.names import drifts, feed

POLICY = yaml.safe_load((Path(feed.__file__).parent / "params.yaml").read_text())
COLUMNS: dict[str, dict[str, Any]] = POLICY["data"]["columns"]
DTYPES = {"string": "object", "time": "datetime64[ns, UTC]"}


@pytest.fixture(scope="module")
def batches() -> dict[str, pd.DataFrame]:
    return {name: feed.read_batch(name) for name in ("2024-01", "2024-02", "2024-07", "2024-10")}


def test_a_batch_has_the_policys_columns_and_types_and_its_months_times(
    batches: dict[str, pd.DataFrame],
) -> None:
    expected = {name: DTYPES[column["type"]] for name, column in COLUMNS.items()}
    for name, batch in batches.items():
        assert {column: str(dtype) for column, dtype in batch.dtypes.items()} == expected
        assert set(batch["given_time"].dt.strftime("%Y-%m")) == {name}
        assert batch["given_time"].is_monotonic_increasing
        assert not batch.isna().any().any()
    assert pd.concat(batches.values())["name_id"].is_unique


def test_the_same_month_is_the_same_rows_and_no_two_months_are(
    batches: dict[str, pd.DataFrame],
) -> None:
    assert_frame_equal(feed.read_batch("2024-01"), batches["2024-01"])
    assert batches["2024-01"]["name"].tolist() != batches["2024-02"]["name"].tolist()


def test_names_come_as_often_as_the_census_says(batches: dict[str, pd.DataFrame]) -> None:
    census = pd.concat([batches["2024-01"], batches["2024-02"]])
    kinds = census["kind"].value_counts(normalize=True)
    assert kinds.to_dict() == pytest.approx(
        {"surname": 0.5, "female": 0.25, "male": 0.25}, abs=0.02
    )
    men = census.loc[census["kind"] == "male", "name"]
    james = 0.03318 / 0.90024  # dist.male.first: of the 90 % of all men whose names it has
    assert (men == "JAMES").mean() == pytest.approx(james, abs=4 * (james / len(men)) ** 0.5)
    surnames = census.loc[census["kind"] == "surname", "name"]
    rare = 1 - 79.59 / 90.483  # dist.all.last: those whose share is rounded to nothing
    shares = dict(line.split()[:2] for line in _list("dist.all.last").splitlines())
    found = sum(shares[name] == "0.000" for name in surnames) / len(surnames)
    assert found == pytest.approx(rare, abs=4 * (rare / len(surnames)) ** 0.5)


def test_the_calendar_brings_others_when_it_says(batches: dict[str, pd.DataFrame]) -> None:
    finnish = {name: b["name"].isin(drifts.FINNISH).mean() for name, b in batches.items()}
    mashed = {name: _mashed(b["name"]).mean() for name, b in batches.items()}
    assert finnish["2024-02"] < 0.01
    assert finnish["2024-07"] == pytest.approx(0.3, abs=0.03)
    assert mashed["2024-10"] - mashed["2024-07"] == pytest.approx(0.1, abs=0.02)


def test_a_month_that_there_is_not_is_refused() -> None:
    with pytest.raises(ValueError, match=r"'2025-01' is not in the feed; it has 2024-01"):
        feed.read_batch("2025-01")


def _mashed(names: "pd.Series[str]") -> "pd.Series[bool]":
    return names.str.fullmatch("|".join(f"[{row}]+" for row in drifts.KEYS))


def _list(file: str) -> str:
    from importlib.util import find_spec

    spec = find_spec(feed.PACKAGE)
    assert spec is not None
    assert spec.submodule_search_locations
    return (Path(spec.submodule_search_locations[0]) / file).read_text()
