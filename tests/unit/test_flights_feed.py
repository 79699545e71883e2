import importlib.util
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import yaml
from pandas.testing import assert_frame_equal

from pipelines.flights import feed, rows

POLICY = yaml.safe_load((Path(feed.__file__).parent / "params.yaml").read_text())
COLUMNS: dict[str, dict[str, Any]] = POLICY["data"]["columns"]
DTYPES = {"string": "object", "long": "int64", "double": "float64", "time": "datetime64[ns, UTC]"}
AFTERWARDS = {"dep_time", "dep_delay", "arr_time", "arr_delay", "air_time"}


@pytest.fixture(scope="module")
def batches() -> dict[str, pd.DataFrame]:
    return {name: feed.read_batch(name) for name in feed.batch_names()}


def test_twelve_months_in_order_hold_every_flight(batches: dict[str, pd.DataFrame]) -> None:
    assert list(batches) == [f"2013-{month:02d}" for month in range(1, 13)]
    assert sum(map(len, batches.values())) == 336_776


def test_ids_are_unique_over_the_whole_year(batches: dict[str, pd.DataFrame]) -> None:
    assert pd.concat(batches.values())["flight_id"].is_unique


def test_a_known_flight_reads_as_it_happened(batches: dict[str, pd.DataFrame]) -> None:
    flight = batches["2013-01"].set_index("flight_id").loc["2013-01-01T10:15Z-UA1545-EWR-IAH"]
    assert flight["scheduled_time"] == pd.Timestamp("2013-01-01T10:15Z")
    assert (flight["hour"], flight["minute"], flight["weekday"]) == (5, 15, 1)
    assert flight["temp"] == 39.02  # weather.csv: EWR, 2013-01-01T10:00:00Z
    assert (flight["plane_year"], flight["seats"]) == (1999, 149)  # planes.csv: N14228
    assert flight["arr_delay"] == 11


def test_a_batch_has_the_policys_columns_and_types(batches: dict[str, pd.DataFrame]) -> None:
    expected = {name: DTYPES[column["type"]] for name, column in COLUMNS.items()}
    for batch in batches.values():
        assert {name: str(dtype) for name, dtype in batch.dtypes.items()} == expected


@pytest.mark.parametrize("name", COLUMNS)
def test_every_real_month_is_within_the_policys_limits(
    name: str, batches: dict[str, pd.DataFrame]
) -> None:
    limits, known = COLUMNS[name], set(batches["2013-01"][name].dropna())
    for batch in batches.values():
        values = batch[name].dropna()
        assert batch[name].isna().mean() <= limits.get("max_missing_share", 0.0)
        if "min" in limits:
            assert values.between(limits["min"], limits["max"]).all()
        if "max_new_share" in limits:
            assert (~values.isin(known)).mean() <= limits["max_new_share"]
            known |= set(values)


def test_nothing_known_only_afterwards_is_a_feature() -> None:
    features = {name for name, column in COLUMNS.items() if column.get("feature")}
    assert set(COLUMNS) >= AFTERWARDS
    assert not features & (AFTERWARDS | {"flight_id", "scheduled_time", "tailnum"})


def test_a_whole_number_feature_is_never_missing() -> None:
    for name, column in COLUMNS.items():
        if column.get("feature") and column["type"] in ("long", "string"):
            assert column.get("max_missing_share", 0.0) == 0.0, name


def test_reading_twice_gives_the_same_and_a_caller_cannot_spoil_it() -> None:
    first = feed.read_batch("2013-02")
    untouched = first.copy()
    first["carrier"] = "??"
    assert_frame_equal(feed.read_batch("2013-02"), untouched)


@pytest.mark.parametrize("name", ["2014-01", "2013-1", "january", ""])
def test_an_unknown_month_is_refused_by_name(name: str) -> None:
    with pytest.raises(ValueError, match=f"batch '{name}' is not in the feed"):
        feed.read_batch(name)


def test_without_the_package_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feed, "PACKAGE", "no_such_package")
    assert importlib.util.find_spec("no_such_package") is None
    feed._table.cache_clear()
    with pytest.raises(ModuleNotFoundError, match="no_such_package"):
        feed.batch_names()


def test_label_is_more_than_fifteen_minutes_and_missing_without_an_arrival() -> None:
    batch = pd.DataFrame({"arr_delay": [-5.0, 15.0, 16.0, None]})
    assert rows.label(batch).fillna(-1).tolist() == [0.0, 0.0, 1.0, -1]


def test_a_label_is_there_exactly_where_its_time_is(batches: dict[str, pd.DataFrame]) -> None:
    for batch in batches.values():
        known = rows.label_time(batch)
        assert known.notna().equals(rows.label(batch).notna())
        assert str(known.dtype) == "datetime64[ns, UTC]"
        flown = known.notna()
        landed = batch["scheduled_time"] + pd.to_timedelta(
            batch["dep_delay"] + batch["air_time"], unit="min"
        )
        assert (known > landed)[flown].all()


def test_cancelled_and_diverted_flights_stay_in_the_batch(batches: dict[str, pd.DataFrame]) -> None:
    year = pd.concat(batches.values())
    unlabelled = year[rows.label(year).isna()]
    assert unlabelled["dep_time"].isna().sum() == 8_255  # cancelled
    assert unlabelled["dep_time"].notna().sum() == 1_175  # left, and never came to its destination
