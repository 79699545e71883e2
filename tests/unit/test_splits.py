import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.splits import split_by_time

TIMES = st.lists(
    st.integers(0, 60 * 24 * 120).map(
        lambda m: pd.Timestamp("2013-01-01", tz="UTC") + pd.Timedelta(minutes=m)
    ),
    min_size=1,
    max_size=60,
)


def daily(days: int) -> pd.DataFrame:
    times = pd.date_range("2013-01-01T23:30Z", periods=days, freq="D")
    return pd.DataFrame({"time": times, "day": range(days)})


def test_days_are_cut_off_the_newest_end() -> None:
    split = split_by_time(daily(60), "time", history_days=40, validation_days=7, holdout_days=14)
    assert split.holdout["day"].tolist() == list(range(46, 60))
    assert split.validation["day"].tolist() == list(range(39, 46))
    assert split.train["day"].tolist() == list(range(20, 39))


@given(TIMES, st.integers(1, 130), st.integers(1, 20), st.integers(1, 20))
def test_parts_are_disjoint_ordered_and_never_share_a_day(
    times: list[pd.Timestamp], history: int, validation: int, holdout: int
) -> None:
    rows = pd.DataFrame({"time": times})
    try:
        split = split_by_time(
            rows, "time", history_days=history, validation_days=validation, holdout_days=holdout
        )
    except ValueError:
        return
    parts = [split.train, split.validation, split.holdout]
    days = [part["time"].dt.floor("D") for part in parts]
    assert days[0].max() < days[1].min() <= days[1].max() < days[2].min()
    taken = pd.concat(parts)
    assert taken.index.is_unique
    newest = rows["time"].max().floor("D")
    recent = rows["time"].dt.floor("D") > newest - pd.Timedelta(days=history)
    assert set(taken.index) == set(rows.index[recent])


def test_the_order_of_rows_does_not_matter() -> None:
    limits = {"history_days": 40, "validation_days": 7, "holdout_days": 14}
    plain = split_by_time(daily(60), "time", **limits)
    mixed = split_by_time(daily(60).sample(frac=1, random_state=0), "time", **limits)
    assert set(plain.holdout["day"]) == set(mixed.holdout["day"])
    assert set(plain.train["day"]) == set(mixed.train["day"])


@pytest.mark.parametrize(("history", "part"), [(21, "train"), (60, "holdout")])
def test_an_empty_part_is_an_error_that_names_it(history: int, part: str) -> None:
    holdout = 14 if part == "train" else 0
    with pytest.raises(ValueError, match=f"no rows left for {part}: 60 rows over 60 days"):
        split_by_time(
            daily(60), "time", history_days=history, validation_days=7, holdout_days=holdout
        )
