"""Sealing: no row is seen twice or not at all, whoever is killed, reads or seals meanwhile."""

import os
import signal
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from monitoring.prediction_log import DamagedLogError, Label, PredictionLog, PredictionRecord
from monitoring.prediction_log.parts import list_parts
from monitoring.prediction_log.reading import read_labels, read_predictions
from monitoring.prediction_log.sealed import SealedFile, sealed_folder
from monitoring.prediction_log.sealing import forget, seal
from monitoring.prediction_log.segments import list_segments
from monitoring.prediction_log.tables import to_predictions
from tests.prediction_records import DAY, MODEL, expected, read, record, records, shown

KILLED = """
import os, pathlib, signal, sys
from monitoring.prediction_log.sealing import seal
root, steps = sys.argv[1], int(sys.argv[2])
def kill(event, arguments):
    global steps
    if event in ("open", "os.rename", "os.remove") and str(arguments[0]).startswith(root):
        steps -= 1
        if steps == 0:
            print(event, flush=True)
            os.kill(os.getpid(), signal.SIGKILL)
sys.addaudithook(kill)
seal(pathlib.Path(root), "flights")
"""
SEALED_BETWEEN = """
import itertools, pathlib, sys
from monitoring.prediction_log import PredictionLog
from monitoring.prediction_log.sealed import SealedFolder
from monitoring.prediction_log.sealing import seal
from tests.prediction_records import MODEL, read, record
root, steps, list_sealed = None, 0, SealedFolder.list
def listed(folder):
    if steps:
        meanwhile("list", [root])
    return list_sealed(folder)
def meanwhile(event, arguments):
    global steps
    place = str(arguments[0]) if event in ("os.scandir", "open", "list") else ""
    if steps and place.startswith(str(root)):
        steps -= 1
        if steps == 0:
            print(event, seal(root, MODEL))
sys.addaudithook(meanwhile)
SealedFolder.list = listed
for steps_before in itertools.count(1):
    root = pathlib.Path(sys.argv[1]) / str(steps_before)
    log = PredictionLog(root)
    log.append([record("a"), record("b", rows=2)])
    log.close()
    steps = steps_before
    rows = sorted(row.id for row in read(root))
    if steps:
        break
    assert rows == ["a", "b/0", "b/1"], (steps_before, rows)
"""


def folder(root: Path) -> Path:
    return root / MODEL / "predictions"


@given(given=st.lists(records(), min_size=1, max_size=5))
@settings(deadline=None, max_examples=60)
def test_rows_are_the_same_before_and_after(
    given: list[PredictionRecord], tmp_path_factory: pytest.TempPathFactory
) -> None:
    root = tmp_path_factory.mktemp("log")
    log = PredictionLog(root)
    log.append(given)
    wanted = shown(row for each in given for row in expected(each))
    assert shown(read(root)) == wanted
    before = read_predictions(root, MODEL)
    log.close()
    seal(root, MODEL)
    assert not list_segments(folder(root))
    assert shown(read(root)) == wanted
    after = read_predictions(root, MODEL)
    assert len(after) == len(before) == len({(row.id, row.role) for row in read(root)})


def test_killed_at_any_step_nothing_is_lost_or_twice(tmp_path: Path) -> None:
    told = []
    for steps in range(1, 100):
        root = tmp_path / str(steps)
        log = PredictionLog(root)
        log.append([record("a"), record("b", rows=2)])
        log.close()
        command = [sys.executable, "-c", KILLED, str(root), str(steps)]
        ended = subprocess.run(command, check=False, capture_output=True, text=True)
        rows = sorted(row.id for row in read(root))
        assert rows == ["a", "b/0", "b/1"], ended.stdout
        assert PredictionLog(root).known(MODEL, rows) == set(rows), ended.stdout
        seal(root, MODEL)
        assert sorted(row.id for row in read(root)) == rows
        assert len(list(folder(root).iterdir())) == 2, "the Parquet file and its table"
        if ended.returncode == 0:
            break
        assert ended.returncode == -signal.SIGKILL, ended.stderr
        told.append(ended.stdout.strip())
    assert told.count("os.rename") == 2
    assert told.count("os.remove") == 1
    assert told.count("open") >= 4


def test_sealed_at_any_step_of_a_reader_every_row_is_seen_once(tmp_path: Path) -> None:
    command = [sys.executable, "-c", SEALED_BETWEEN, str(tmp_path)]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert set(done.stdout.splitlines()) == {"os.scandir 1", "list 1", "open 1"}
    assert len(done.stdout.splitlines()) >= 4, "three listings, and the segment"


def test_who_listed_before_it_was_sealed_reads_it_all_the_same(tmp_path: Path) -> None:
    log = PredictionLog(tmp_path)
    log.append([record("a")])
    log.close()
    parts = list_parts(tmp_path, MODEL)
    assert seal(tmp_path, MODEL) == 1
    tables = [table for part in parts for table in part.read()]
    assert [row.id for table in tables for row in to_predictions(table, MODEL)] == ["a"]
    parts = list_parts(tmp_path, MODEL)
    forget(tmp_path, MODEL, DAY + timedelta(days=1))
    assert [table for part in parts for table in part.read()] == []


def test_readers_beside_two_who_seal_see_every_row_once(tmp_path: Path) -> None:
    log = PredictionLog(tmp_path, max_segment_bytes=200)
    for number in range(60):
        log.append([record(str(number))])
    log.close()
    count = len(list_segments(folder(tmp_path)))
    assert count >= 20
    begin = threading.Barrier(4)

    def look() -> list[list[str]]:
        begin.wait()
        seen = []
        while list_segments(folder(tmp_path)):
            seen.append(sorted(row.id for row in read(tmp_path)))
        return seen

    def do_seal() -> int:
        begin.wait()
        done = 0
        while list_segments(folder(tmp_path)):
            done += seal(tmp_path, MODEL)
        return done

    with ThreadPoolExecutor(4) as pool:
        looking = [pool.submit(look) for _ in range(2)]
        sealing = [pool.submit(do_seal) for _ in range(2)]
        assert sum(each.result() for each in sealing) == count
        for seen in (each.result() for each in looking):
            assert seen
            assert all(names == sorted(map(str, range(60))) for names in seen)
    assert len(sealed_folder(tmp_path, MODEL).list()) == count


def test_what_is_open_is_left_alone(tmp_path: Path) -> None:
    log = PredictionLog(tmp_path)
    log.append([record("a")])
    assert seal(tmp_path, MODEL) == 0
    log.append([record("b")])
    log.close()
    assert seal(tmp_path, MODEL) == 1
    assert seal(tmp_path, MODEL) == 0
    assert [row.id for row in read(tmp_path)] == ["a", "b"]


def test_a_segment_of_a_writer_that_wrote_nothing_whole_goes(tmp_path: Path) -> None:
    log = PredictionLog(tmp_path)
    log.append([record("a")])
    log.close()
    (segment,) = list_segments(folder(tmp_path))
    segment.with_suffix(".ids").unlink()
    segment.write_bytes(segment.read_bytes()[:-1])
    assert seal(tmp_path, MODEL) == 1
    assert not list(folder(tmp_path).iterdir())


def test_a_damaged_segment_stays_and_is_named(tmp_path: Path) -> None:
    log = PredictionLog(tmp_path)
    log.append([record("a")])
    log.close()
    (segment,) = list_segments(folder(tmp_path))
    segment.write_bytes(segment.read_bytes()[:-1] + b"\0")
    with pytest.raises(DamagedLogError, match=segment.name):
        seal(tmp_path, MODEL)
    assert list_segments(folder(tmp_path)) == [segment]


def test_a_sealed_file_that_is_missing_is_no_gap_but_an_error(tmp_path: Path) -> None:
    log = PredictionLog(tmp_path, max_segment_seconds=0)
    for name in "ab":
        log.append([record(name)])
    seal(tmp_path, MODEL)
    missing, _ = sorted(folder(tmp_path).glob("*.parquet"))
    missing.unlink()
    segment = missing.name.partition("~")[0]
    with pytest.raises(DamagedLogError, match=f"lacks .* {segment}"):
        read(tmp_path)
    forget(tmp_path, MODEL, DAY)
    with pytest.raises(DamagedLogError, match=f"lacks .* {segment}"):
        read(tmp_path)
    forget(tmp_path, MODEL, datetime.now(UTC))  # it would be let go now
    assert read(tmp_path) == []


def test_a_segment_that_somebody_deleted_leaves_no_table(tmp_path: Path) -> None:
    log = PredictionLog(tmp_path)
    log.append([record("a")])
    (segment,) = list_segments(folder(tmp_path))
    segment.unlink()
    log.close()
    assert read(tmp_path) == []


def test_asking_makes_no_folder(tmp_path: Path) -> None:
    assert seal(tmp_path / "none", MODEL) == 0 == forget(tmp_path / "none", MODEL, DAY)
    assert not list(tmp_path.iterdir())


def test_what_is_old_goes_and_nothing_younger(tmp_path: Path) -> None:
    log = PredictionLog(tmp_path, max_segment_seconds=0)
    hours = [DAY + timedelta(hours=hour) for hour in range(4)]
    for hour, time in enumerate(hours):
        log.append([record(f"early {hour}"), record(f"{hour}", time=time)])
    assert forget(tmp_path, MODEL, hours[3]) == 0, "nothing is sealed"
    seal(tmp_path, MODEL)
    assert forget(tmp_path, MODEL, hours[2]) == 2
    left = {row.id for row in read(tmp_path)}
    assert left == {"early 2", "2", "early 3", "3"}
    assert log.known(MODEL, ["1", "2"]) == {"2"}
    assert len(list(folder(tmp_path).iterdir())) == 4


def test_a_reader_beside_who_forgets_misses_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = PredictionLog(tmp_path)
    log.append([record("a")])
    log.close()
    seal(tmp_path, MODEL)
    delete, seen = SealedFile.delete, []

    def delete_and_look(file: SealedFile) -> None:
        delete(file)
        seen.append(read(tmp_path))

    monkeypatch.setattr(SealedFile, "delete", delete_and_look)
    assert forget(tmp_path, MODEL, DAY + timedelta(days=1)) == 1
    assert seen == [[]]


def test_labels_go_by_when_they_were_taken(tmp_path: Path) -> None:
    log = PredictionLog(tmp_path)
    log.append_labels(MODEL, [Label("old", 1.0, DAY)])
    log.close()
    log.append_labels(MODEL, [Label("young", 1.0, DAY)])
    log.close()
    log.append_labels(MODEL, [Label("open", 1.0, DAY)])
    now = datetime.now(UTC)
    old, _, opened = list_segments(tmp_path / MODEL / "labels")
    for path in (old, opened):
        os.utime(path, (DAY.timestamp(), DAY.timestamp()))
    assert forget(tmp_path, MODEL, now - timedelta(days=90)) == 1
    assert set(read_labels(tmp_path, MODEL)["id"]) == {"young", "open"}
