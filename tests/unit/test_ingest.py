"""The gate in front of the data registry, with every kind of bad batch; one real month is good."""

import gzip
import json
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from pipelines import batches, models
from pipelines.exits import NothingToDo, Refused
from pipelines.models import Model
from pipelines.settings import Settings
from pipelines.steps.ingest import check, data_registry, ingest


@pytest.fixture(scope="session")
def model() -> Model:
    return models.load("flights")


@pytest.fixture(scope="session")
def january(model: Model) -> pd.DataFrame:
    rows: pd.DataFrame = model.feed.read_batch("2013-01").head(3000)
    return rows


@pytest.fixture(scope="session")
def february(model: Model) -> pd.DataFrame:
    rows: pd.DataFrame = model.feed.read_batch("2013-02").head(3000)
    return rows


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(home=tmp_path)


def land(settings: Settings, name: str, rows: pd.DataFrame) -> Path:
    path = settings.landing / "flights" / f"{name}.csv.gz"
    batches.write(rows, path)
    return path


def refused(model: Model, settings: Settings, path: Path) -> str:
    """Ingest what must be refused; give the report's text, having checked where all went."""
    before = data_registry(settings).latest(model.name)
    with pytest.raises(Refused):
        ingest(model, settings)
    assert data_registry(settings).latest(model.name) == before
    assert not path.exists()
    (report,) = (settings.quarantine / model.name).glob("*.json")
    assert report.with_suffix("").with_suffix(".csv.gz").exists()
    return "\n".join(json.loads(report.read_text())["faults"])


def test_a_good_batch_becomes_a_version(
    model: Model, settings: Settings, january: pd.DataFrame
) -> None:
    land(settings, "2013-01", january)
    result = ingest(model, settings)
    assert result["tag"] == "flights/v1"
    version = data_registry(settings).latest("flights")
    assert version is not None
    assert version.rows == len(january) == result["rows"]
    pd.testing.assert_frame_equal(data_registry(settings).read(version), january, check_dtype=False)


def test_the_same_batch_twice_is_one_version(
    model: Model, settings: Settings, january: pd.DataFrame
) -> None:
    land(settings, "2013-01", january)
    first = ingest(model, settings)
    assert ingest(model, settings, "2013-01") == first
    assert len(data_registry(settings).versions("flights")) == 1


def test_by_default_the_next_batch_is_taken(
    model: Model, settings: Settings, january: pd.DataFrame, february: pd.DataFrame
) -> None:
    land(settings, "2013-02", february)
    land(settings, "2013-01", january)
    assert [ingest(model, settings)["batch"] for _ in range(2)] == ["2013-01", "2013-02"]
    with pytest.raises(NothingToDo, match="no new batch"):
        ingest(model, settings)


def test_a_batch_that_has_not_arrived_is_named(model: Model, settings: Settings) -> None:
    with pytest.raises(Refused, match="'2013-07' has not arrived"):
        ingest(model, settings, "2013-07")


Damage = Callable[[pd.DataFrame], pd.DataFrame]
DAMAGES: dict[str, tuple[Damage, str]] = {
    "a missing column": (lambda b: b.drop(columns="carrier"), "column 'carrier' is missing"),
    "an extra column": (lambda b: b.assign(mood="good"), "column 'mood' is not in the policy"),
    "a wrong type": (
        lambda b: b.assign(distance=["far", *b["distance"].astype(str)[1:]]),
        "column 'distance': 'far' in row 2 is not a long",
    ),
    "a fraction in a whole number": (
        lambda b: b.assign(hour=[6.5, *b["hour"][1:]]),
        r"column 'hour': '6.5' in row 2 is not a long",
    ),
    "a time that is none": (
        lambda b: b.assign(scheduled_time=["noon", *b["scheduled_time"].astype(str)[1:]]),
        "column 'scheduled_time': 'noon' in row 2 is not a time",
    ),
    "no rows": (lambda b: b.head(0), "the batch holds no rows"),
    "too few rows": (lambda b: b.head(10), "10 rows, at least"),
    "a missing share": (
        lambda b: b.assign(temp=b["temp"].where(b.index % 2 == 0)),
        "column 'temp': .* are missing; the policy allows",
    ),
    "a missing id": (
        lambda b: b.assign(flight_id=b["flight_id"].where(b.index != 7)),
        "column 'flight_id': .* are missing",
    ),
    "values out of range": (
        lambda b: b.assign(humid=b["humid"] * 100),
        "column 'humid': .* are outside 0",
    ),
    "a time that has not come": (
        lambda b: b.assign(scheduled_time=b["scheduled_time"].where(b.index != 7, "2142-01-05")),
        "column 'scheduled_time': 1 rows are in the future, such as 2142-01-05",
    ),
    "duplicates": (lambda b: pd.concat([b, b.head(30)]), "'flight_id': .* are duplicates"),
}


@pytest.mark.parametrize(("damage", "fault"), DAMAGES.values(), ids=DAMAGES)
def test_a_faulty_batch_goes_to_quarantine_with_its_report(
    model: Model, settings: Settings, january: pd.DataFrame, damage: Damage, fault: str
) -> None:
    path = land(settings, "2013-01", damage(january))
    report = refused(model, settings, path)
    assert pd.Series([report]).str.contains(fault, regex=True).all(), report


def test_an_unknown_carrier_in_half_the_rows(
    model: Model, settings: Settings, january: pd.DataFrame, february: pd.DataFrame
) -> None:
    land(settings, "2013-01", january)
    ingest(model, settings)
    strange = february.assign(carrier=february["carrier"].where(february.index % 2 == 0, "ZZ"))
    report = refused(model, settings, land(settings, "2013-02", strange))
    assert "column 'carrier': 50.00% are new categories, such as 'ZZ'" in report


def test_a_column_that_the_policy_has_gained_is_no_new_category(
    model: Model, january: pd.DataFrame, february: pd.DataFrame
) -> None:
    assert check(february, january.drop(columns=["carrier", "temp"]), model.policy) == []


def test_a_repeated_month_under_another_name(
    model: Model, settings: Settings, january: pd.DataFrame
) -> None:
    land(settings, "2013-01", january)
    ingest(model, settings)
    again = january.tail(2000)
    report = refused(model, settings, land(settings, "2013-02", again))
    assert "repeats the time of 2013-01" in report


def test_a_known_name_with_other_content(
    model: Model, settings: Settings, january: pd.DataFrame
) -> None:
    land(settings, "2013-01", january)
    ingest(model, settings)
    path = land(settings, "2013-01", january.tail(2000))
    with pytest.raises(Refused, match="already in flights/v1 with other content"):
        ingest(model, settings, "2013-01")
    assert not path.exists()


def test_a_truncated_file(model: Model, settings: Settings, january: pd.DataFrame) -> None:
    path = land(settings, "2013-01", january)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    assert "cut off or damaged" in refused(model, settings, path)


def test_a_file_that_is_not_compressed(model: Model, settings: Settings) -> None:
    path = settings.landing / "flights" / "2013-01.csv.gz"
    path.parent.mkdir(parents=True)
    path.write_text("flight_id\nx\n")
    assert "cannot be read" in refused(model, settings, path)


def test_an_empty_file(model: Model, settings: Settings) -> None:
    path = settings.landing / "flights" / "2013-01.csv.gz"
    path.parent.mkdir(parents=True)
    path.write_bytes(gzip.compress(b""))
    assert "not CSV" in refused(model, settings, path)


def test_the_good_version_stays_after_a_bad_batch(
    model: Model, settings: Settings, january: pd.DataFrame, february: pd.DataFrame
) -> None:
    land(settings, "2013-01", january)
    ingest(model, settings)
    refused(model, settings, land(settings, "2013-02", february.drop(columns="dest")))
    land(settings, "2013-02", february)
    assert ingest(model, settings)["tag"] == "flights/v2"


def test_a_written_batch_has_the_same_bytes_every_time(
    tmp_path: Path, january: pd.DataFrame
) -> None:
    for name in ("a", "b"):
        batches.write(january, tmp_path / name / "x.csv.gz")
    assert (tmp_path / "a/x.csv.gz").read_bytes() == (tmp_path / "b/x.csv.gz").read_bytes()


def test_a_real_month_passes(model: Model, settings: Settings) -> None:
    land(settings, "2013-06", model.feed.read_batch("2013-06"))
    assert ingest(model, settings)["rows"] == 28243
