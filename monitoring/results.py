"""One monitor run in, JSON on disk out, and back; readers never see a half-written file.

`<folder>/<model>.json` is the newest run, `<folder>/<model>/history.jsonl` the runs, one a line:
about the newest 1,000, and all that asked for a retrain, which the policy's budget counts.
"""

import errno
import fcntl
import logging
import os
import re
from contextlib import suppress
from datetime import datetime
from io import FileIO
from itertools import accumulate
from pathlib import Path
from typing import Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict

HISTORY_BYTES = 32 * 2**20  # a longer history loses the older half of its runs
_ASKED = b'"retrain":{"requested":true'  # in a line's JSON; in a text its quotes were escaped
_TIMES = re.compile(rb'"window_end":"([^"]+)","run_time":"([^"]+)"')  # the run's, not a check's
log = logging.getLogger(__name__)

Verdict = Literal["ok", "alert", "unknown"]


class _Written(BaseModel):
    model_config = ConfigDict(strict=True, frozen=True, extra="forbid", allow_inf_nan=False)


class Window(_Written):
    """Whose answers are judged, and from when to when (event time; `end` is not included)."""

    model: str
    version: str
    start: AwareDatetime
    end: AwareDatetime


class CheckResult(_Written):
    """What one check found; `column` is None where the check is about the window as a whole.

    `ok` and `alert` have a score and a threshold (alert: the score is above it); `unknown` has
    neither. `low` and `high` bound the score where it is an estimate. Always a reason in words.
    """

    model: str
    version: str
    window_start: AwareDatetime
    window_end: AwareDatetime
    check: str
    column: str | None
    score: float | None
    threshold: float | None
    low: float | None = None
    high: float | None = None
    verdict: Verdict
    reason: str


class RetrainDecision(_Written):
    """Whether this run asked for a new training, why or why not, and what the policy leaves."""

    requested: bool
    reason: str
    budget_left: int | None = None
    cooldown_until: AwareDatetime | None = None


class MonitorRun(_Written):
    """Everything that one run of the monitor says about one version in one window."""

    model: str
    version: str
    window_start: AwareDatetime
    window_end: AwareDatetime
    run_time: AwareDatetime
    results: tuple[CheckResult, ...]
    rows: int | None = None  # that were judged; None in runs of before it was counted
    label_lag_seconds: float | None = None  # event time; None where no row has a label
    report_url: str | None = None
    retrain: RetrainDecision | None = None


def write_run(folder: Path, run: MonitorRun) -> None:
    """Add the run to the history, then make it the newest; OSError and neither if it cannot."""
    line = run.model_dump_json().encode() + b"\n"
    history = folder / run.model / "history.jsonl"
    history.parent.mkdir(parents=True, exist_ok=True)
    _append(history, line)
    _replace(folder / f"{run.model}.json", line)


def retire(folder: Path, model: str) -> bool:
    """Let go of a model's newest run, so that nobody waits for the next; its history stays.

    False where there is none. The monitor's next run of the model, if there is one, brings it back.
    """
    known = {path.stem: path for path in folder.glob("*.json")}
    if path := known.get(model):
        path.unlink(missing_ok=True)
    return path is not None


def read_run(path: Path) -> MonitorRun:
    """Read a newest run; OSError if it cannot be read, ValueError if it is not a run."""
    return MonitorRun.model_validate_json(path.read_bytes())


def read_history(folder: Path, model: str, since: datetime | None = None) -> list[MonitorRun]:
    """Read a model's runs, oldest first; a last line torn by a crash is passed over.

    A run that was written again (with its retrain decision) is there once, as last written. Fields
    that another release wrote are ignored. A line that cannot be read all the same is passed over
    with a warning; where it still shows that it asked for a retrain, and when, that much of the run
    is there, because the budget counts it.
    """
    history = folder / model / "history.jsonl"
    if not history.exists():
        return []
    with history.open("rb") as file:
        lines = [(number, line) for number, line in enumerate(file, 1) if line.endswith(b"\n")]
    runs = [run for number, line in lines if (run := _read(line, model, f"{history}:{number}"))]
    last = {(run.run_time, run.version): run for run in runs}
    return [run for run in last.values() if since is None or run.run_time >= since]


def _read(line: bytes, model: str, where: str) -> MonitorRun | None:
    try:
        return MonitorRun.model_validate_json(line, extra="ignore")
    except ValueError as error:
        asked = _asked(line, model, where)
        what = "counts as a retrain that was asked for" if asked else "is passed over"
        log.warning("%s is no monitor run, and %s: %s", where, what, error)
        return asked


def _asked(line: bytes, model: str, where: str) -> MonitorRun | None:
    """Save of a damaged line what the retrain budget needs; None where that is not there."""
    times = _TIMES.search(line)
    if _ASKED not in line or times is None:
        return None
    try:
        end, ran = (datetime.fromisoformat(time.decode()) for time in times.groups())
        return MonitorRun(
            model=model,
            version="?",
            window_start=end,
            window_end=end,
            run_time=ran,
            results=(),
            retrain=RetrainDecision(requested=True, reason=f"{where} cannot be read"),
        )
    except ValueError:
        return None


def _append(path: Path, line: bytes) -> None:
    """Add one whole line; a tail that an earlier crash tore is dropped first."""
    with _lock(path) as file:
        end = _end_of_whole_lines(path)
        if end > HISTORY_BYTES:
            _replace(path, _newer_half(path.read_bytes()[:end]) + line)
            return
        file.truncate(end)
        if file.write(line) != len(line):
            file.truncate(end)
            raise OSError(errno.ENOSPC, "only a part of the line could be written", str(path))


def _lock(path: Path) -> FileIO:
    """Open a file for this process alone; it is free when closed, or when the process dies."""
    while True:
        file = path.open("a+b", buffering=0)
        fcntl.flock(file, fcntl.LOCK_EX)
        with suppress(FileNotFoundError):
            if os.path.samestat(os.fstat(file.fileno()), path.stat()):
                return file
        file.close()  # while this one waited, another process put a shorter history in its place


def _newer_half(content: bytes) -> bytes:
    lines = content.splitlines(keepends=True)
    sizes = accumulate(len(line) for line in reversed(lines))
    newer = sum(size <= HISTORY_BYTES // 2 for size in sizes)
    older = lines[: len(lines) - newer]
    return b"".join([*(line for line in older if _ASKED in line), *lines[len(lines) - newer :]])


def _end_of_whole_lines(path: Path) -> int:
    with path.open("rb") as file:
        size = file.seek(0, os.SEEK_END)
        if size == 0:
            return 0
        file.seek(-1, os.SEEK_END)
        return size if file.read(1) == b"\n" else path.read_bytes().rfind(b"\n") + 1


def _replace(path: Path, content: bytes) -> None:
    new = path.with_name(f".{path.name}.{os.getpid()}.new")
    try:
        with new.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        new.replace(path)
    finally:
        new.unlink(missing_ok=True)
