"""The prediction log: what was appended is read, whatever was killed or torn."""

import os
import shutil
import signal
import subprocess
import sys
import threading
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import pandas as pd
import pytest

from monitoring import prediction_log
from monitoring.prediction_log import (
    Label,
    PredictionLog,
    PredictionRecord,
    Role,
    find_prediction,
    newest_event_time,
    read_labels,
    read_predictions,
)

DAY = datetime(2013, 7, 1, tzinfo=UTC)


@dataclass
class Segments:
    root: Path

    def __call__(self, kind: str = "predictions") -> list[Path]:
        return sorted((self.root / "flights" / kind).glob("*.jsonl"))


def record(
    name: str, at: datetime = DAY, role: Role = "champion", probability: float = 0.5
) -> PredictionRecord:
    return PredictionRecord(
        id=name,
        time=DAY,
        event_time=at,
        model="flights",
        version="1",
        role=role,
        features={"carrier": "UA", "temp": None},
        output={"probability": probability},
        latency_seconds=0.001,
    )


def test_reads_what_was_written_in_event_time_order(tmp_path: Path) -> None:
    log = PredictionLog(tmp_path)
    log.append([record("late", DAY + timedelta(hours=2)), record("early")])
    frame = read_predictions(tmp_path, "flights")
    assert list(frame["id"]) == ["early", "late"]
    assert list(frame.columns[-3:]) == ["carrier", "temp", "probability"]
    assert str(frame["event_time"].dtype) == "datetime64[ns, UTC]"


def test_window_holds_its_start_and_not_its_end(tmp_path: Path) -> None:
    hours = [record(str(hour), DAY + timedelta(hours=hour)) for hour in range(5)]
    PredictionLog(tmp_path).append(hours)
    start, end = DAY + timedelta(hours=1), DAY + timedelta(hours=3)
    assert list(read_predictions(tmp_path, "flights", start, end)["id"]) == ["1", "2"]
    later = msgspec.structs.replace(hours[0], role="shadow", event_time=DAY + timedelta(days=9))
    PredictionLog(tmp_path).append([later])
    assert newest_event_time(tmp_path, "flights") == DAY + timedelta(hours=4), "the champion's"


def test_an_empty_log_reads_as_empty(tmp_path: Path) -> None:
    assert read_predictions(tmp_path, "flights").empty
    assert list(read_labels(tmp_path, "flights").columns) == ["id", "label", "time"]
    assert find_prediction(tmp_path, "x") is None
    assert newest_event_time(tmp_path, "flights") is None


def test_a_retry_under_the_same_id_counts_once_and_a_shadow_beside_it(tmp_path: Path) -> None:
    log = PredictionLog(tmp_path)
    log.append([record("a", probability=0.1), record("a", role="shadow")])
    log.append([record("a", probability=0.2)])
    frame = read_predictions(tmp_path, "flights").set_index("role")
    assert len(frame) == 2
    assert frame.loc["champion", "probability"] == 0.2


def test_find_prediction_gives_the_answer_and_not_the_shadow(tmp_path: Path) -> None:
    PredictionLog(tmp_path).append([record('q"uote'), record('q"uote', role="shadow")])
    found = find_prediction(tmp_path, 'q"uote')
    assert found is not None
    assert found.role == "champion"


def test_the_last_label_wins(tmp_path: Path) -> None:
    log = PredictionLog(tmp_path)
    log.append_labels("flights", [Label("a", 0.0, DAY), Label("b", 1.0, DAY)])
    log.append_labels("flights", [Label("a", 1.0, DAY)])
    frame = read_labels(tmp_path, "flights").set_index("id")
    assert frame["label"].to_dict() == {"a": 1.0, "b": 1.0}
    assert frame["time"].iloc[0] == pd.Timestamp(DAY)


def test_every_torn_last_line_is_passed_over(tmp_path: Path) -> None:
    segments = Segments(tmp_path)
    log = PredictionLog(tmp_path)
    log.append([record("whole")])
    whole = segments()[0].read_bytes()
    log.append([record("torn")])
    both = segments()[0].read_bytes()
    for cut in range(len(whole), len(both)):
        segments()[0].write_bytes(both[:cut])
        assert list(read_predictions(tmp_path, "flights")["id"]) == ["whole"]


def test_a_damaged_line_inside_is_an_error_and_not_a_missing_row(tmp_path: Path) -> None:
    PredictionLog(tmp_path).append([record("a"), record("b")])
    segment = Segments(tmp_path)()[0]
    segment.write_bytes(segment.read_bytes().replace(b'"id":"a"', b'"id":a'))
    with pytest.raises(prediction_log.DamagedLogError, match=segment.name):
        read_predictions(tmp_path, "flights")


def test_a_writer_notices_that_its_segment_was_deleted(tmp_path: Path) -> None:
    log = PredictionLog(tmp_path)
    log.append([record("a")])
    Segments(tmp_path)()[0].unlink()
    log.append([record("b")])
    shutil.rmtree(tmp_path / "flights")
    log.append([record("c")])
    assert list(read_predictions(tmp_path, "flights")["id"]) == ["c"]


def test_bytes_that_are_no_text_are_named_too(tmp_path: Path) -> None:
    PredictionLog(tmp_path).append([record("a")])
    segment = Segments(tmp_path)()[0]
    segment.write_bytes(segment.read_bytes().replace(b'"id":"a"', b'"id":"\xff"'))
    with pytest.raises(prediction_log.DamagedLogError, match=f"{segment.name}:1"):
        read_predictions(tmp_path, "flights")


def test_a_full_disk_raises_and_leaves_no_part_of_the_lines(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = PredictionLog(tmp_path)
    log.append([record("before")])
    write = os.write
    with monkeypatch.context() as full_disk:
        full_disk.setattr(os, "write", lambda fd, data: write(fd, data[:50]))
        with pytest.raises(OSError, match="only a part"):
            log.append([record("lost")])
    log.append([record("after")])
    assert set(read_predictions(tmp_path, "flights")["id"]) == {"before", "after"}


def test_segments_rotate_by_size(tmp_path: Path) -> None:
    log = PredictionLog(tmp_path, max_segment_bytes=1000)
    for number in range(20):
        log.append([record(str(number))])
    assert len(Segments(tmp_path)()) > 1
    assert len(read_predictions(tmp_path, "flights")) == 20


def test_threads_and_writers_do_not_meet(tmp_path: Path) -> None:
    shared, other = PredictionLog(tmp_path, max_segment_bytes=20_000), PredictionLog(tmp_path)

    def write(log: PredictionLog, name: str) -> None:
        for number in range(200):
            log.append([record(f"{name}/{number}")])

    writers = [
        threading.Thread(target=write, args=(log, str(number)))
        for number, log in enumerate([shared, shared, other])
    ]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert read_predictions(tmp_path, "flights")["id"].nunique() == 600


def test_a_record_survives_kill_9_of_its_writer(tmp_path: Path) -> None:
    program = (
        "import os, signal, sys, datetime, pathlib\n"
        "from monitoring.prediction_log import PredictionLog, PredictionRecord\n"
        "now = datetime.datetime.now(datetime.UTC)\n"
        "PredictionLog(pathlib.Path(sys.argv[1])).append([PredictionRecord(\n"
        "    'a', now, now, 'flights', '1', 'champion', {}, {}, 0.0)])\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    ended = subprocess.run([sys.executable, "-c", program, tmp_path], check=False)
    assert ended.returncode == -signal.SIGKILL
    assert find_prediction(tmp_path, "a") is not None


def test_a_feature_named_like_a_column_is_refused(tmp_path: Path) -> None:
    clash = PredictionRecord("a", DAY, DAY, "flights", "1", "champion", {"time": 1}, {}, 0.0)
    PredictionLog(tmp_path).append([clash])
    with pytest.raises(ValueError, match="'time'"):
        read_predictions(tmp_path, "flights")
