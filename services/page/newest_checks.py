"""The folder of newest monitor runs in, what is not well in each out."""

import re
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from monitoring.results import CheckResult, read_run

_LIST = re.compile(r"/projects/[A-Za-z0-9-]+/reports(?=/)")  # in a report's address
_ORDER = {"alert": 0, "unknown": 1, "ok": 2}


@dataclass(frozen=True)
class Newest:
    """What the newest run of one model's monitor said; `error` if it cannot be read."""

    model: str
    version: str = ""
    when: datetime | None = None
    not_well: tuple[CheckResult, ...] = ()
    well: int = 0
    has_report: bool = False
    reports: str = ""  # where Evidently lists the model's reports: a path
    error: str = ""


def read_newest(folder: Path) -> list[Newest]:
    """Read the newest run of every model, by model."""
    return [_read(path) for path in sorted(folder.glob("*.json"))]


def _read(path: Path) -> Newest:
    try:
        run = read_run(path)
    except (OSError, ValueError) as error:
        return Newest(path.stem, error=f"cannot be read ({type(error).__name__}): {path.name}")
    listed = _LIST.search(run.report_url or "")
    not_well = [result for result in run.results if result.verdict != "ok"]
    return Newest(
        model=run.model,
        version=run.version,
        when=run.run_time,
        not_well=tuple(sorted(not_well, key=lambda result: _ORDER[result.verdict])),
        well=len(run.results) - len(not_well),
        has_report=run.report_url is not None,
        reports=listed[0] if listed else "",
    )
