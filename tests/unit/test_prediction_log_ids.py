"""Known ids: of open, closed and sealed segments, of killed and of other writers."""

import re
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from monitoring.prediction_log import PredictionLog
from monitoring.prediction_log.frames import encode
from monitoring.prediction_log.ids import IdTable, NewIds, key_and_row, key_of, may_hold
from monitoring.prediction_log.sealing import seal
from monitoring.prediction_log.segments import list_segments
from tests.prediction_records import MODEL, record

ASKED = ["lone", "three", "three/0", "three/2", "three/3", "three/02", "lone/0", "ünï/1", "no"]
KNOWN = {"lone", "three/0", "three/2", "ünï/1"}
KILLED = """
import os, pathlib, signal, sys
from monitoring.prediction_log import PredictionLog
from tests.prediction_records import record
PredictionLog(pathlib.Path(sys.argv[1])).append([record("by the killed")])
os.kill(os.getpid(), signal.SIGKILL)
"""


def folder(root: Path) -> Path:
    return root / MODEL / "predictions"


def test_a_row_is_known_while_open_closed_sealed_and_after_a_restart(tmp_path: Path) -> None:
    log = PredictionLog(tmp_path)
    assert log.known(MODEL, ASKED) == set()
    log.append([record("lone"), record("three", rows=3), record("ünï", rows=2)])
    assert log.known(MODEL, ASKED) == KNOWN
    log.close()
    assert log.known(MODEL, ASKED) == KNOWN
    assert PredictionLog(tmp_path).known(MODEL, ASKED) == KNOWN
    seal(tmp_path, MODEL)
    assert log.known(MODEL, ASKED) == KNOWN == PredictionLog(tmp_path).known(MODEL, ASKED)
    assert log.known("birds", ASKED) == set()
    assert log.known(MODEL, []) == set()


def test_what_others_have_open_is_followed(tmp_path: Path) -> None:
    other, log = PredictionLog(tmp_path), PredictionLog(tmp_path)
    for number in range(5):
        other.append([record(f"a{number}"), record("r", rows=number + 2)])
        asked = {f"a{number}", f"r/{number + 1}"}
        assert log.known(MODEL, asked | {f"r/{number + 2}"}) == asked
    seal(tmp_path, MODEL)
    other.close()
    assert log.known(MODEL, ["a0", "a4", "b"]) == {"a0", "a4"}


def test_what_another_is_just_writing_is_known_when_it_is_whole(tmp_path: Path) -> None:
    other, log = PredictionLog(tmp_path), PredictionLog(tmp_path)
    other.append([record("a")])
    (segment,) = list_segments(folder(tmp_path))
    frame = encode(record("b"))
    for part, known in ((frame[:50], {"a"}), (frame[50:], {"a", "b"})):
        with segment.open("ab") as file:
            file.write(part)
        assert log.known(MODEL, ["a", "b"]) == known


def test_a_killed_writers_segment_gets_its_table_when_it_is_met(tmp_path: Path) -> None:
    ended = subprocess.run([sys.executable, "-c", KILLED, tmp_path], check=False)
    assert ended.returncode == -signal.SIGKILL
    (segment,) = list_segments(folder(tmp_path))
    assert may_hold(segment, "anything"), "nothing is known of it yet"
    log = PredictionLog(tmp_path)
    assert log.known(MODEL, ["by the killed", "no"]) == {"by the killed"}
    assert segment.with_suffix(".ids").exists()
    assert log.known(MODEL, ["by the killed", "no"]) == {"by the killed"}
    assert not may_hold(segment, "anything")


def test_a_lost_table_is_made_again(tmp_path: Path) -> None:
    log = PredictionLog(tmp_path)
    log.append([record("a")])
    log.close()
    (segment,) = list_segments(folder(tmp_path))
    segment.with_suffix(".ids").unlink()
    assert PredictionLog(tmp_path).known(MODEL, ["a"]) == {"a"}
    assert segment.with_suffix(".ids").exists()


@pytest.mark.parametrize("torn", [b"", b"1234567"])
def test_a_torn_table_is_no_reason_to_refuse_labels(
    tmp_path: Path, torn: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    log = PredictionLog(tmp_path)
    log.append([record("a")])
    log.close()
    (segment,) = list_segments(folder(tmp_path))
    segment.with_suffix(".ids").write_bytes(torn)
    reader = PredictionLog(tmp_path)
    assert reader.known(MODEL, ["a"]) == set()
    assert f"{segment.stem}.ids is no table" in caplog.text
    seal(tmp_path, MODEL)
    assert reader.known(MODEL, ["a"]) == {"a"}


def test_what_is_before_damage_is_known_and_the_damage_is_said(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    other = PredictionLog(tmp_path)
    other.append([record("a"), record("b")])
    (segment,) = list_segments(folder(tmp_path))
    content = bytearray(segment.read_bytes())
    content[-1] ^= 1
    segment.write_bytes(content)
    log = PredictionLog(tmp_path)
    assert log.known(MODEL, ["a", "b"]) == {"a"} == log.known(MODEL, ["a", "b"])
    assert caplog.text.count("damaged at byte") == 1


# serving takes no request id that looks like a row of another
_ids = st.text("/01x", min_size=1).filter(lambda name: not re.search("/[0-9]+$", name))


@given(asked=st.dictionaries(_ids, st.integers(1, 9), max_size=40))
@settings(deadline=None)
def test_a_table_knows_what_it_was_given_and_nothing_else(asked: dict[str, int]) -> None:
    table = IdTable.of(
        np.array([key_of(name, rows) for name, rows in asked.items()], np.uint64),
        np.array(list(asked.values()), np.uint32),
    )
    rows = {row for name, count in asked.items() for row in record(name, rows=count).row_ids()}
    others = {name + "x" for name in rows} | {f"{name}/{n}" for name, n in asked.items()}
    for name in rows | others:
        key, row = key_and_row(name)
        found = table.find(np.array([key], np.uint64), np.array([row], np.uint64))
        assert found.tolist() == [name in rows]


def test_many_requests_are_found_in_all_chunks() -> None:
    new = NewIds()
    for number in range(40_000):
        new.add([(key_of(str(number), 1), 1)])
    assert len(new.tables()) == 3
    keys = np.array([key_of(str(n), 1) for n in (0, 16_383, 16_384, 39_999, 40_000)], np.uint64)
    rows = np.zeros(5, np.uint64)
    found = np.logical_or.reduce([table.find(keys, rows) for table in new.tables()])
    assert found.tolist() == [True, True, True, True, False]


def test_tables_that_come_and_go_while_they_are_asked(tmp_path: Path) -> None:
    log = PredictionLog(tmp_path)
    log.append([record("a")])
    log.close()
    (table,) = folder(tmp_path).glob("*.ids")
    reader = PredictionLog(tmp_path)
    assert reader.known(MODEL, ["a"]) == {"a"}
    for path in (*list_segments(folder(tmp_path)), table):
        path.unlink()
    assert reader.known(MODEL, ["a"]) == set()
