import json
import stat
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from monitoring import results
from monitoring.results import (
    CheckResult,
    MonitorRun,
    RetrainDecision,
    read_history,
    read_run,
    retire,
    write_run,
)
from tests.monitor_windows import END, START

RESULT = CheckResult(
    model="flights",
    version="3",
    window_start=START,
    window_end=END,
    check="drift",
    column="temp",
    score=0.5,
    threshold=0.2,
    verdict="alert",
    reason="warm",
)


def run(minute: int = 0, model: str = "flights") -> MonitorRun:
    return MonitorRun(
        model=model,
        version="3",
        window_start=START,
        window_end=END,
        run_time=datetime(2013, 3, 15, tzinfo=UTC) + timedelta(minutes=minute),
        results=(RESULT,),
    )


def test_what_is_written_is_read(tmp_path: Path) -> None:
    for minute in range(3):
        write_run(tmp_path, run(minute))
    assert read_run(tmp_path / "flights.json") == run(2)
    assert read_history(tmp_path, "flights") == [run(0), run(1), run(2)]
    assert read_history(tmp_path, "flights", since=run(1).run_time) == [run(1), run(2)]
    assert read_history(tmp_path, "surnames") == []
    assert sorted(p.name for p in tmp_path.iterdir()) == ["flights", "flights.json"]


def test_others_may_read_what_the_monitor_writes(tmp_path: Path) -> None:
    write_run(tmp_path, run())
    assert stat.S_IMODE((tmp_path / "flights.json").stat().st_mode) & stat.S_IRUSR
    assert (tmp_path / "flights.json").stat().st_mode == (
        (tmp_path / "flights" / "history.jsonl").stat().st_mode
    )


def test_a_run_written_again_with_its_decision_counts_once(tmp_path: Path) -> None:
    decided = run().model_copy(update={"retrain": RetrainDecision(requested=False, reason="fine")})
    write_run(tmp_path, run())
    write_run(tmp_path, decided)
    assert read_history(tmp_path, "flights") == [decided]


def test_a_line_that_a_crash_tore_is_passed_over_and_does_not_spoil_the_next(
    tmp_path: Path,
) -> None:
    write_run(tmp_path, run(0))
    history = tmp_path / "flights" / "history.jsonl"
    with history.open("ab") as file:
        file.write(run(1).model_dump_json().encode()[:100])
    assert read_history(tmp_path, "flights") == [run(0)]
    write_run(tmp_path, run(2))
    assert read_history(tmp_path, "flights") == [run(0), run(2)]


def test_a_line_that_cannot_be_read_is_passed_over_and_named(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    write_run(tmp_path, run(0))
    history = tmp_path / "flights" / "history.jsonl"
    with history.open("ab") as file:
        file.write(b"{}\n\xff\n")
    write_run(tmp_path, run(1))
    assert read_history(tmp_path, "flights") == [run(0), run(1)]
    assert [record.getMessage().split(" is no ")[0] for record in caplog.records] == [
        f"{history}:2",
        f"{history}:3",
    ]


def test_what_another_release_has_added_is_ignored(tmp_path: Path) -> None:
    write_run(tmp_path, run(0))
    history = tmp_path / "flights" / "history.jsonl"
    newer = history.read_text().replace('"check":', '"weight":2,"check":')
    history.write_text(newer.replace('"rows":', '"columns":7,"rows":'))
    assert read_history(tmp_path, "flights") == [run(0)]


@pytest.mark.parametrize("damage", [(b'"verdict":"alert"', b'"verdict":"bad"'), (b"warm", b"\xff")])
def test_a_retrain_that_a_damaged_line_asked_for_counts(
    tmp_path: Path, damage: tuple[bytes, bytes]
) -> None:
    asked = RetrainDecision(requested=True, reason="drift")
    for minute in range(2):
        write_run(tmp_path, run(minute).model_copy(update={"retrain": asked}))
    history = tmp_path / "flights" / "history.jsonl"
    history.write_bytes(history.read_bytes().replace(*damage, 1))
    for found, written in zip(read_history(tmp_path, "flights"), (run(0), run(1)), strict=True):
        assert (found.window_end, found.run_time) == (written.window_end, written.run_time)
        assert found.retrain is not None
        assert found.retrain.requested


def test_a_damaged_line_that_does_not_say_when_it_asked_is_passed_over(tmp_path: Path) -> None:
    asked = RetrainDecision(requested=True, reason="drift")
    write_run(tmp_path, run().model_copy(update={"retrain": asked}))
    history = tmp_path / "flights" / "history.jsonl"
    history.write_text(
        history.read_text().replace('","run_time":"2013-03', '","run_time":"2013-33')
    )
    assert read_history(tmp_path, "flights") == []


def test_a_long_history_keeps_the_newest_runs_and_those_that_asked_for_a_retrain(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = RetrainDecision(requested=True, reason="drift")
    refused = RetrainDecision(requested=False, reason='"retrain":{"requested":true in words')
    size = len(run().model_dump_json())
    monkeypatch.setattr(results, "HISTORY_BYTES", 20 * size)
    for minute in range(100):
        decision = {3: asked, 4: refused}.get(minute)
        write_run(tmp_path, run(minute).model_copy(update={"retrain": decision}))
        kept = read_history(tmp_path, "flights")
        assert kept[-1].run_time == run(minute).run_time
        assert len(kept) >= min(minute + 1, 10)
    assert (tmp_path / "flights" / "history.jsonl").stat().st_size < 22 * size
    assert [old for old in kept if old.retrain] == [kept[0]]
    assert kept[0].retrain == asked
    minutes = [int((old.run_time - run().run_time).total_seconds() // 60) for old in kept[1:]]
    assert minutes == list(range(minutes[0], 100))


def test_monitors_at_once_lose_no_run_while_the_history_is_cut(tmp_path: Path) -> None:
    script = (
        "import sys; from tests.unit.test_monitor_results import *\n"
        "results.HISTORY_BYTES, first = 40_000, int(sys.argv[1])\n"
        f"for minute in range(first, first + 100): write_run(Path({str(tmp_path)!r}), "
        "run(minute).model_copy(update={'retrain': "
        "RetrainDecision(requested=True, reason='drift')}))"
    )
    writers = [
        subprocess.Popen([sys.executable, "-c", script, str(first)]) for first in (0, 1000, 2000)
    ]
    assert [writer.wait() for writer in writers] == [0, 0, 0]
    assert len(read_history(tmp_path, "flights")) == 300


def test_a_retired_model_has_no_newest_run_and_keeps_its_history(tmp_path: Path) -> None:
    write_run(tmp_path, run())
    assert not retire(tmp_path, "surnames")
    assert not retire(tmp_path, "../flights")
    assert retire(tmp_path, "flights")
    assert not (tmp_path / "flights.json").exists()
    assert read_history(tmp_path, "flights") == [run()]


def test_a_run_of_before_rows_were_counted_is_read(tmp_path: Path) -> None:
    old = run().model_dump(mode="json", exclude={"rows", "label_lag_seconds"})
    (tmp_path / "flights.json").write_text(json.dumps(old))
    assert read_run(tmp_path / "flights.json") == run()


def test_a_full_disk_leaves_the_last_run_whole(tmp_path: Path) -> None:
    write_run(tmp_path, run(0))
    before = sorted((p, p.read_bytes()) for p in tmp_path.rglob("*.json*"))
    size = (tmp_path / "flights" / "history.jsonl").stat().st_size
    script = (
        "import signal; signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "from pathlib import Path; from monitoring.results import read_run, write_run\n"
        f"folder = Path({str(tmp_path)!r}); write_run(folder, read_run(folder / 'flights.json'))"
    )
    command = ["prlimit", f"--fsize={size + 50}", sys.executable, "-c", script]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode != 0
    assert "OSError" in done.stderr
    assert sorted((p, p.read_bytes()) for p in tmp_path.rglob("*.json*")) == before
