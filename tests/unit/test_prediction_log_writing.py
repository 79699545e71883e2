"""Writers of the prediction log: killed, full, many, rotated; what they wrote is there."""

import os
import shutil
import signal
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest

from monitoring.prediction_log import Label, PredictionLog
from monitoring.prediction_log.reading import find_prediction, read_labels, read_predictions
from monitoring.prediction_log.sealing import seal
from monitoring.prediction_log.segments import list_segments
from tests.prediction_records import DAY, MODEL, read, record
from tests.programs import wait_for

WRITER = """
import itertools, pathlib, sys
from monitoring.prediction_log import PredictionLog
from tests.prediction_records import record
log = PredictionLog(pathlib.Path(sys.argv[1]), max_segment_bytes=20_000)
for number in itertools.count():
    log.append([record(f"{number}", rows=1 + number % 3), record(f"b{number}")])
    print(number, flush=True)
"""
LIGHT = """
import sys
import monitoring.prediction_log
heavy = {"pandas", "pyarrow"} & set(sys.modules)
assert not heavy, heavy
"""


def segments(root: Path, kind: str = "predictions") -> list[Path]:
    return list_segments(root / MODEL / kind)


def ids(root: Path) -> set[str]:
    return {row.id for row in read(root)}


def test_every_record_survives_kill_9_in_the_middle_of_writing(tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", WRITER, tmp_path], stdout=subprocess.PIPE
    ) as writer:
        assert writer.stdout is not None
        told = [int(writer.stdout.readline()) for _ in range(300)]
        writer.kill()
        told += map(int, writer.stdout)
    assert writer.returncode == -signal.SIGKILL
    wanted = {f"b{number}" for number in told}
    wanted |= {row for number in told for row in record(f"{number}", rows=1 + number % 3).row_ids()}
    assert len(segments(tmp_path)) > 1
    assert wanted <= ids(tmp_path)
    assert seal(tmp_path, MODEL) > 1
    assert not segments(tmp_path)
    assert wanted <= ids(tmp_path)
    assert wanted <= PredictionLog(tmp_path).known(MODEL, wanted)


def test_writing_needs_neither_pandas_nor_pyarrow() -> None:
    subprocess.run([sys.executable, "-c", LIGHT], check=True)


def test_a_full_disk_raises_and_leaves_no_part_of_the_record(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = PredictionLog(tmp_path)
    log.append([record("before")])
    size = segments(tmp_path)[0].stat().st_size
    write = os.write
    with monkeypatch.context() as full_disk:
        full_disk.setattr(os, "write", lambda fd, data: write(fd, data[:50]))
        for _ in range(2):
            with pytest.raises(OSError, match="only a part"):
                log.append([record("lost")])
    assert [path.stat().st_size for path in segments(tmp_path)] == [size]
    log.append([record("after")])
    assert ids(tmp_path) == {"before", "after"}
    assert len(segments(tmp_path)) == 2, "a reader may have seen what was cut off"
    assert log.known(MODEL, ["before", "lost", "after"]) == {"before", "after"}


def test_a_file_that_may_not_grow(tmp_path: Path) -> None:
    program = """
import pathlib, resource, sys
from monitoring.prediction_log import PredictionLog
from tests.prediction_records import record
resource.setrlimit(resource.RLIMIT_FSIZE, (2000, 2000))
log = PredictionLog(pathlib.Path(sys.argv[1]))
try:
    for number in range(100):
        log.append([record(str(number))])
        print(number)
except OSError as error:
    print(error, file=sys.stderr)
"""
    done = subprocess.run(
        [sys.executable, "-c", program, tmp_path], capture_output=True, text=True, check=True
    )
    assert "only a part" in done.stderr
    assert ids(tmp_path) == set(done.stdout.split())


def test_a_writer_notices_that_its_segment_was_deleted(tmp_path: Path) -> None:
    log = PredictionLog(tmp_path)
    log.append([record("a")])
    segments(tmp_path)[0].unlink()
    log.append([record("b")])
    shutil.rmtree(tmp_path / MODEL)
    log.append([record("c")])
    assert ids(tmp_path) == {"c"} == log.known(MODEL, ["a", "b", "c"])


def test_segments_rotate_by_size_and_by_age(tmp_path: Path) -> None:
    log = PredictionLog(tmp_path / "size", max_segment_bytes=500)
    for number in range(20):
        log.append([record(str(number))])
        log.append_labels(MODEL, [Label(str(number), 1.0, DAY)])
    assert len(segments(tmp_path / "size")) > 1
    assert len(segments(tmp_path / "size", "labels")) > 1
    assert len(ids(tmp_path / "size")) == 20
    assert len(read_labels(tmp_path / "size", MODEL)) == 20
    log = PredictionLog(tmp_path / "age", max_segment_seconds=0)
    log.append([record("a")])
    log.append([record("b")])
    assert seal(tmp_path / "age", MODEL) == 2


def test_a_quiet_models_segment_is_closed_when_it_is_old(tmp_path: Path) -> None:
    log, young = PredictionLog(tmp_path, max_segment_seconds=0.2), PredictionLog(tmp_path)
    log.append([record("a")])
    young.append([record("b")])

    def sealed() -> int:
        log.rotate()
        young.rotate()
        return seal(tmp_path, MODEL)

    assert wait_for(sealed, "the old one to be closed") == 1
    assert len(segments(tmp_path)) == 1


def test_threads_and_writers_do_not_meet(tmp_path: Path) -> None:
    shared, other = PredictionLog(tmp_path, max_segment_bytes=20_000), PredictionLog(tmp_path)

    def write(log: PredictionLog, name: str) -> None:
        for number in range(200):
            log.append([record(f"{name}-{number}")])

    writers = [
        threading.Thread(target=write, args=(log, str(number)))
        for number, log in enumerate([shared, shared, other])
    ]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert len(ids(tmp_path)) == 600
    assert read_predictions(tmp_path, MODEL)["id"].nunique() == 600


def test_a_record_whose_columns_are_not_as_long_as_it_says_is_refused(tmp_path: Path) -> None:
    log = PredictionLog(tmp_path)
    with pytest.raises(ValueError, match=r"'a' has 2 rows, its columns .*'probability': 1"):
        log.append([record("a", rows=2, output={"probability": np.array([0.5])})])
    assert find_prediction(tmp_path, "a") is None
    assert not segments(tmp_path)
