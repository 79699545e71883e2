"""The prediction log's sealed files and the data registry's data in an object store (S3)."""

import os
import signal
import subprocess
import sys
import uuid
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import boto3
import pandas as pd
import pytest

from monitoring.prediction_log import DamagedLogError, PredictionLog
from monitoring.prediction_log.reading import (
    find_prediction,
    last_predictions,
    newest_event_time,
    read_predictions,
)
from monitoring.prediction_log.sealed import sealed_folder
from monitoring.prediction_log.sealing import forget, seal
from monitoring.prediction_log.segments import list_segments
from monitoring.read_window import newest_window
from pipelines.datasets import Batch, DataRegistry
from services.stack.bucket import keep_bucket
from tests.prediction_records import DAY, MODEL, read, record
from tests.s3_store import BUCKET, Doom, Store, s3_store

SEAL = """
import pathlib, sys
from monitoring.prediction_log.sealing import seal
seal(pathlib.Path(sys.argv[1]), "flights", sys.argv[2])
"""
ROWS = ["a", "b/0", "b/1"]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    with s3_store(tmp_path_factory.mktemp("s3")) as server:
        yield server


@pytest.fixture
def up(server: Store) -> Iterator[Store]:
    with server.up():
        boto3.client("s3").create_bucket(Bucket=BUCKET)
        yield server


@pytest.fixture
def store() -> str:
    return f"s3://{BUCKET}/{uuid.uuid4()}"


def closed_log(root: Path) -> PredictionLog:
    log = PredictionLog(root)
    log.append([record("a"), record("b", at=DAY + timedelta(hours=1), rows=2)])
    log.close()
    return log


def files(root: Path) -> list[str]:
    return sorted(path.suffix for path in (root / MODEL / "predictions").iterdir())


def names(root: Path, store: str) -> list[str]:
    return sorted(row.id for row in read(root, store=store))


def test_a_log_reads_the_same_wherever_it_is_sealed(up: Store, store: str, tmp_path: Path) -> None:
    log = closed_log(tmp_path)
    before = read_predictions(tmp_path, MODEL)
    assert seal(tmp_path, MODEL, store) == 1
    assert files(tmp_path) == [".ids"], "the rest is in the store"
    pd.testing.assert_frame_equal(read_predictions(tmp_path, MODEL, store=store), before)
    assert newest_event_time(tmp_path, MODEL, store) == DAY + timedelta(hours=1)
    assert newest_window(tmp_path, MODEL, 1, store).version == "1"
    assert [row.id for row in last_predictions(tmp_path, MODEL, 2, store)] == ["b/0", "b/1"]
    found = find_prediction(tmp_path, "b/1", store)
    assert found is not None
    assert found.id == "b/1"
    assert log.known(MODEL, [*ROWS, "c"]) == set(ROWS)
    up.asked.clear()
    assert read_predictions(tmp_path, MODEL, end=DAY, store=store).empty
    assert up.asked == [f"GET /{BUCKET}"], "no file reaches into the window, so none is opened"


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("requests", [1, 2, 3])
def test_killed_at_any_request_nothing_is_lost_or_twice(
    up: Store, store: str, tmp_path: Path, requests: int, when: str
) -> None:
    closed_log(tmp_path)
    process = subprocess.Popen([sys.executable, "-c", SEAL, str(tmp_path), store])
    up.doom = Doom(process, requests, "before" if when == "before" else "after")
    assert process.wait() == -signal.SIGKILL
    up.doom = None
    is_there = bool(sealed_folder(tmp_path, MODEL, store).list())
    assert is_there == (requests == 3 and when == "after"), "a part of a file is none"
    assert names(tmp_path, store) == ROWS
    assert seal(tmp_path, MODEL, store) == 1
    assert names(tmp_path, store) == ROWS
    assert len(sealed_folder(tmp_path, MODEL, store).list()) == 1


def test_while_the_store_is_away_all_fails_and_nothing_is_lost(
    server: Store, store: str, tmp_path: Path
) -> None:
    log = closed_log(tmp_path)
    with pytest.raises(OSError, match=r"flights/predictions.*NETWORK_CONNECTION"):
        seal(tmp_path, MODEL, store)
    with pytest.raises(OSError, match="NETWORK_CONNECTION"):
        read(tmp_path, store=store)
    assert list_segments(tmp_path / MODEL / "predictions")
    log.append([record("c")])
    assert log.known(MODEL, ["a", "c"]) == {"a", "c"}, "serving does without"
    log.close()
    with server.up():
        boto3.client("s3").create_bucket(Bucket=BUCKET)
        assert names(tmp_path, store) == [*ROWS, "c"]
        assert seal(tmp_path, MODEL, store) == 2
        assert names(tmp_path, store) == [*ROWS, "c"]


def test_what_is_sealed_elsewhere_is_missed_not_overlooked(
    up: Store, store: str, tmp_path: Path
) -> None:
    closed_log(tmp_path)
    seal(tmp_path, MODEL, store)
    for wrong in ("", f"{store}/else", "s3://no-such-bucket"):
        with pytest.raises(DamagedLogError, match="lacks what was sealed of 1 segment"):
            read(tmp_path, store=wrong)


def test_what_was_sealed_before_there_was_a_store_is_brought_there(
    up: Store, store: str, tmp_path: Path
) -> None:
    closed_log(tmp_path)
    assert seal(tmp_path, MODEL) == 1
    with pytest.raises(DamagedLogError, match="relay seal"):
        read(tmp_path, store=store)
    assert seal(tmp_path, MODEL, store) == 0
    assert files(tmp_path) == [".ids"]
    assert names(tmp_path, store) == ROWS


def test_a_store_that_is_the_logs_own_folder_changes_nothing(tmp_path: Path) -> None:
    closed_log(tmp_path)
    (tmp_path / "link").symlink_to(tmp_path)
    for store in ("", tmp_path.as_uri(), (tmp_path / "link").as_uri()):
        seal(tmp_path, MODEL, store)
        assert names(tmp_path, store) == ROWS


def test_what_is_old_goes_from_the_store_too(up: Store, store: str, tmp_path: Path) -> None:
    log = closed_log(tmp_path)
    log.append([record("young", time=DAY + timedelta(days=1))])
    log.close()
    seal(tmp_path, MODEL, store)
    assert forget(tmp_path, MODEL, DAY + timedelta(days=1), store) == 1
    assert names(tmp_path, store) == ["young"]
    assert files(tmp_path) == [".ids"]
    assert len(sealed_folder(tmp_path, MODEL, store).list()) == 1


def test_the_data_registry_keeps_its_data_there(up: Store, store: str, tmp_path: Path) -> None:
    rows = pd.DataFrame({"n": range(3)})
    batch = Batch("2013-01", "0" * 64, 3, "2013-01-01T00:00:00+00:00", "2013-01-31T00:00:00+00:00")
    url = str(tmp_path / "registry.git")
    version = DataRegistry(url, store, tmp_path / "cache").publish("flights", batch, rows)
    elsewhere = DataRegistry(url, store, tmp_path / "other-cache")
    pd.testing.assert_frame_equal(elsewhere.read(version), rows)


def test_a_bucket_is_made_once_and_then_left_alone(up: Store) -> None:
    boto3.client("s3").put_object(Bucket=BUCKET, Key="kept", Body=b"")
    for name in (BUCKET, "another", "another"):
        keep_bucket(name)
    assert up.asked[-3:] == ["HEAD /another", "PUT /another", "HEAD /another"]
    boto3.client("s3").head_object(Bucket=BUCKET, Key="kept")


def test_seal_says_that_the_store_is_away(server: Store, store: str, tmp_path: Path) -> None:
    closed_log(tmp_path)
    settings = {"RELAY_PREDICTION_LOG": str(tmp_path), "RELAY_PREDICTION_LOG_STORE": store}
    done = subprocess.run(
        [Path(sys.executable).with_name("relay"), "seal"],
        env=os.environ | settings,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert "NETWORK_CONNECTION" in done.stderr
    assert "Traceback" not in done.stderr
