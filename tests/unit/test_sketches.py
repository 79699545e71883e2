"""Sketches: merged = whole, written = read, and near to what exact sums say."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from monitoring.live_score import base_rates
from monitoring.problems import PROBLEMS
from monitoring.sketches import (
    CATEGORIES,
    RANK_ERROR,
    SHARE_ERROR,
    CategorySketch,
    DamagedSketchError,
    Labels,
    NumberSketch,
    ProbabilityBins,
    RowSample,
    WindowSketch,
    from_bytes,
    hash_ids,
    sketch_training,
    to_bytes,
)
from monitoring.sketches.arrow import read_texts
from monitoring.sketches.distinct import KEPT, DistinctSketch
from monitoring.sketches.outcomes import Outcomes
from tests.monitor_windows import SCHEMA, answers, sketch

untimed = settings(deadline=None, max_examples=50)  # what a busy machine takes is no fault
VALUES = st.lists(
    st.one_of(
        st.floats(-1e6, 1e6),
        st.sampled_from([float("nan"), float("inf"), float("-inf"), -10.0, 10.0]),
    ),
    max_size=200,
)
TEXTS = st.lists(st.one_of(st.none(), st.text(max_size=5)), max_size=100)


def numbers(values: Any) -> NumberSketch:
    found = NumberSketch(low=-10.0, high=10.0)
    found.add(np.asarray(values, np.float64))
    return found


def categories(texts: Sequence[str | None]) -> CategorySketch:
    found = CategorySketch()
    found.add(read_texts(pa.array(texts, pa.string())))
    return found


def facts(found: NumberSketch) -> tuple[Any, ...]:
    hours = {hour: each.rows for hour, each in found.by_hour.hours.items()}
    exact = (found.rows, found.missing, found.finite, found.outside, hours)
    return *exact, found.smallest, found.largest, found.quantiles.weighted()[0].tolist()


def everything(found: WindowSketch) -> list[Any]:
    columns = [
        facts(column) if isinstance(column, NumberSketch) else column.frequencies.counts()
        for column in found.columns.values()
    ]
    counts = [found.rows, found.labelled, found.newest, found.ids.count, found.contents.count]
    days = {day: (each.rows, each.counts.tolist()) for day, each in found.outcomes.days.items()}
    return [columns, counts, days, found.answers.rows.tolist(), found.outcomes.bins.ones.tolist()]


@untimed
@given(VALUES, VALUES)
def test_merged_numbers_are_those_of_the_whole(some: list[float], others: list[float]) -> None:
    merged, whole = numbers(some), numbers(some + others)
    merged.merge(numbers(others))
    assert facts(merged) == facts(whole)
    assert merged.mean == pytest.approx(whole.mean, abs=1e-6)
    assert merged.squares == pytest.approx(whole.squares, rel=1e-6, abs=1e-6)


@untimed
@given(VALUES)
def test_numbers_are_counted_as_numpy_counts_them(values: list[float]) -> None:
    found, array = numbers(values), np.array(values, np.float64)
    there, finite = array[~np.isnan(array)], array[np.isfinite(array)]
    assert (found.missing, found.present) == (np.isnan(array).sum(), len(there))
    assert found.outside == (np.abs(there) > 10).sum()
    if len(finite):
        assert found.deviation == pytest.approx(finite.std(), rel=1e-6, abs=1e-6)
        assert found.commonest()[1] == pd.Series(finite).value_counts(normalize=True).iloc[0]


@untimed
@given(TEXTS, TEXTS)
def test_merged_texts_are_those_of_the_whole(
    some: list[str | None], others: list[str | None]
) -> None:
    merged, whole = categories(some), categories(some + others)
    merged.merge(categories(others))
    assert merged.frequencies.counts() == whole.frequencies.counts()
    assert (merged.rows, merged.missing) == (whole.rows, whole.missing)
    assert whole.frequencies.counts() == pd.Series(some + others).value_counts().to_dict()


@untimed
@given(st.integers(0, 300), st.integers(1, 300))
def test_a_merged_window_is_the_whole_one(cut: int, batch: int) -> None:
    frame = answers(300)
    merged, rest = sketch(frame[:cut], frame, batch=batch), sketch(frame[cut:], frame, batch=batch)
    merged.merge(rest)
    assert everything(merged) == everything(sketch(frame))


@untimed
@given(st.integers(1, 300))
def test_what_is_written_is_read(rows: int) -> None:
    written = sketch(answers(rows))
    read = from_bytes(to_bytes(written))
    assert everything(read) == everything(written)
    read.merge(sketch(answers(300, seed=5)))  # and goes on
    assert read.rows == rows + 300


def test_training_rows_that_are_written_keep_labels_and_probabilities() -> None:
    frame = answers(20_000)
    read = from_bytes(to_bytes(sketch_training(frame, SCHEMA, "binary")))
    assert read.rows == read.labelled == 20_000
    assert base_rates(read)[1] == frame["label"].mean()
    assert read.outcomes.bins.probability.sum() == pytest.approx(frame["probability"].sum())


@untimed
@given(st.integers(0), st.integers(0, 255))
def test_damaged_bytes_are_an_error(at: int, value: int) -> None:
    content = bytearray(SMALL)
    at %= len(content)
    content[at] ^= value
    if value:
        with pytest.raises(DamagedSketchError):
            from_bytes(bytes(content))


@pytest.mark.parametrize("length", [0, 5, 17, 18, 100])
def test_bytes_that_end_early_are_an_error(length: int) -> None:
    with pytest.raises(DamagedSketchError):
        from_bytes(SMALL[:length])


SMALL = to_bytes(sketch(answers(50)))


def test_a_million_numbers_are_within_the_error() -> None:
    rng = np.random.default_rng(0)
    values = np.where(rng.random(1_000_000) < 0.2, 7.0, rng.lognormal(0, 2, 1_000_000))
    found = NumberSketch()
    for batch in np.split(values, 100):
        found.add(batch)
    kept, weights = found.weighted()
    assert weights.sum() == len(values)
    said = np.cumsum(weights) / weights.sum()
    true = np.searchsorted(np.sort(values), kept, side="right") / len(values)
    assert np.abs(said - true).max() < 2 * RANK_ERROR  # of 20,000 ranks at once
    assert found.commonest()[0] == 7.0
    assert found.commonest()[1] == pytest.approx((values == 7.0).mean(), abs=2 * SHARE_ERROR)
    assert len(to_bytes(WindowSketch("binary", ["x"], {"x": found}))) < 200_000


@pytest.mark.parametrize("values", [[1e308], [1e308, 1e308], [-1e308, 1e308], [1e200, -1e200]])
def test_huge_numbers_are_counted_and_cost_only_the_spread(values: list[float]) -> None:
    sketch = NumberSketch(low=0, high=10)
    sketch.add(np.array([1.0, 2.0]))
    sketch.add(np.array(values))
    assert (sketch.rows, sketch.finite, sketch.outside) == (
        2 + len(values),
        2 + len(values),
        len(values),
    )
    assert (sketch.smallest, sketch.largest) == (min(1.0, *values), max(values))
    assert not np.isfinite(sketch.deviation)
    other = NumberSketch(low=0, high=10)
    other.add(np.array([1.0, 2.0]))
    other.merge(sketch)
    assert other.finite == 4 + len(values)


def test_very_many_texts_keep_the_commonest_and_say_that_they_are_not_exact() -> None:
    common, rare = ["a"] * 50_000, [str(each) for each in range(2 * CATEGORIES)]
    found = categories(common + rare)
    assert not found.frequencies.exact
    assert categories(common + rare[: CATEGORIES - 1]).frequencies.exact
    assert found.commonest()[0] == "a"
    assert found.commonest()[1] == pytest.approx(50_000 / len(common + rare), rel=0.01)


@pytest.mark.parametrize("many", [0, 1, 1000, KEPT - 1])
def test_few_different_hashes_are_counted_exactly(many: int) -> None:
    found = DistinctSketch()
    hashes = np.random.default_rng(0).choice(2**63, many).astype(np.uint64) * 2
    for _ in range(2):
        found.add(hashes)
    assert (found.count, found.error) == (len(np.unique(hashes)), 0)


def test_many_different_hashes_are_estimated_within_the_error() -> None:
    hashes = hash_ids(pa.array(np.arange(3 * KEPT).astype(str)))
    whole, merged, other = DistinctSketch(), DistinctSketch(), DistinctSketch()
    for batch in np.array_split(hashes, 50):
        whole.add(batch)
        whole.add(batch)
    merged.add(hashes[:KEPT])
    other.add(hashes[KEPT:])
    merged.merge(other)
    assert whole.error > 0
    assert whole.count == pytest.approx(3 * KEPT, rel=3 * whole.error)
    assert merged.count == whole.count


@untimed
@given(st.lists(st.tuples(st.floats(0, 1), st.booleans()), max_size=100))
def test_bins_add_up_to_the_log_loss(said: list[tuple[float, bool]]) -> None:
    probability = np.array([p for p, _ in said], np.float64)
    truth = np.array([float(y) for _, y in said], np.float64)
    found = ProbabilityBins()
    found.add(probability, truth)
    assert found.total == len(said)
    ones = ProbabilityBins()
    ones.add(probability[truth == 1])
    zeros = ProbabilityBins()
    zeros.add(probability[truth == 0])
    right = np.clip(np.where(truth == 1, probability, 1 - probability), 1e-7, 1)
    losses = ones.loss_if_one.sum() + zeros.loss_if_zero.sum()
    assert losses == pytest.approx(-np.log(right).sum())
    assert found.ones.sum() == truth.sum()


def test_outcomes_are_added_up_by_the_day_as_pandas_does() -> None:
    frame = answers(500)
    truth, said = frame["label"], frame["probability"].astype("float64")
    loss = -np.log(np.where(truth == 1, said, 1 - said))
    days = frame.assign(loss=loss).groupby(frame["event_time"].dt.floor("D"))
    expected = days.agg(rows=("label", "size"), ones=("label", "sum"), loss=("loss", "sum"))
    found = sorted(sketch(frame).outcomes.days.items())
    assert [day for day, _ in found] == [day.timestamp() // 86_400 for day in expected.index]
    for (_, each), row in zip(found, expected.itertuples(), strict=True):
        assert (each.rows, each.counts[1]) == (row.rows, row.ones)
        assert each.loss == pytest.approx(row.loss)


def test_a_column_is_added_up_by_the_hour_as_pandas_does() -> None:
    frame = answers(500).assign(seats=lambda rows: rows["seats"].where(rows.index % 50 > 0, np.inf))
    cut = 123  # merged in the middle of a day, written and read
    found = from_bytes(to_bytes(sketch(frame[:cut], frame, batch=7)))
    found.merge(sketch(frame[cut:], frame, batch=50))
    finite = frame["seats"].where(np.isfinite(frame["seats"]))
    expected = finite.groupby(frame["event_time"].dt.floor("h")).agg(["count", "sum"])
    expected = expected[expected["count"] > 0]
    hours = sorted(found.numbers("seats").by_hour.hours.items())
    assert [hour for hour, _ in hours] == [time.timestamp() // 3600 for time in expected.index]
    assert [(each.rows, each.total) for _, each in hours] == list(expected.itertuples(index=False))


def test_training_rows_have_no_hours() -> None:
    assert sketch_training(answers(500), SCHEMA, "binary").numbers("temp").by_hour.hours == {}


def test_probabilities_that_are_none_are_counted_apart() -> None:
    found = ProbabilityBins()
    found.add(np.array([0.5, np.nan, -0.1, 1.1, 1.0]))
    assert (found.total, found.invalid) == (2, 3)
    outcomes = Outcomes()
    said = np.array([[0.5, 0.5], [np.nan, np.nan]])
    outcomes.add(PROBLEMS["binary"], np.zeros(2, np.int64), said, np.array([1.0, 1.0]))
    assert (outcomes.days[0].rows, outcomes.invalid) == (1, 1)


@untimed
@given(st.lists(st.tuples(st.sampled_from("abcdef"), st.sampled_from([0.0, 1.0])), max_size=30))
def test_labels_are_found_by_id_and_the_last_counts(given_: list[tuple[str, float]]) -> None:
    labels = Labels([([key], [value]) for key, value in given_])
    asked = list("abcxabc")
    truth, first = labels.find(hash_ids(asked))
    known = dict(given_)
    for key, found in zip(asked, truth, strict=True):
        assert found == known[key] if key in known else np.isnan(found)
    assert sorted(np.array(asked)[first]) == sorted(set(known) & set("abc"))
    assert not labels.find(hash_ids(asked))[1].any()  # each id once, over all batches


@untimed
@given(st.integers(1, 500), st.integers(1, 400))
def test_a_sample_is_the_same_rows_whatever_the_batches(rows: int, batch: int) -> None:
    table = pa.Table.from_pandas(answers(300), preserve_index=False)
    once, again = RowSample(rows), RowSample(rows)
    for each in table.to_batches(batch):
        once.add(each, hash_ids(each["id"]))
    for each in table.to_batches():
        again.add(each, hash_ids(each["id"]))
        again.add(each, hash_ids(each["id"]))  # retries
    assert len(once.frame()) == min(rows, 300)
    pd.testing.assert_frame_equal(once.frame(), again.frame())


def test_sketches_of_other_columns_or_bounds_do_not_merge() -> None:
    with pytest.raises(ValueError, match="different columns"):
        WindowSketch.of(SCHEMA, "binary").merge(WindowSketch.of({}, "binary"))
    with pytest.raises(ValueError, match="cannot be added up"):
        NumberSketch(low=0.0).merge(NumberSketch(low=1.0))
