"""Check results and samples of both sides in, an Evidently report that people can open out.

Evidently is imported when it is called: the import takes seconds. Its UI: `services.evidently`.
https://docs.evidentlyai.com/metrics/customize_data_drift names the drift methods.
"""

import os
import shutil
import tempfile
import uuid
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from monitoring.measures import Schema
from monitoring.results import CheckResult, Window

if TYPE_CHECKING:
    from evidently import Dataset
    from evidently.core.metric_types import Metric
    from evidently.core.report import Snapshot

os.environ.setdefault("DO_NOT_TRACK", "1")  # what Evidently's telemetry asks before it sends

_METHODS = {"string": "jensenshannon", "long": "wasserstein", "double": "wasserstein"}
_LARGEST = 1e100  # that is drawn: squares of larger numbers overflow, and histograms fail


def save_report(
    workspace: Path,
    window: Window,
    results: Sequence[CheckResult],
    reference: pd.DataFrame,
    current: pd.DataFrame,
    schema: Schema,
    keep: int,
) -> str:
    """Draw the checks that Evidently knows, with their limits as its tests, and keep the report.

    It goes to the workspace folder, in the model's project, which `services.evidently` shows at the
    path that is returned; of older ones the newest `keep` stay. `reference` and `current` are
    samples, so what is drawn may differ a little from what the checks say of all.
    """
    snapshot = _run(window, results, reference, current, schema)
    project, run = _add(workspace, window.model, snapshot)
    _prune(workspace, project, keep)
    return f"/projects/{project}/reports/{run}"


def _run(
    window: Window,
    results: Sequence[CheckResult],
    reference: pd.DataFrame,
    current: pd.DataFrame,
    schema: Schema,
) -> "Snapshot":
    from evidently import Report
    from evidently.metrics import RowCount

    columns = {result.column for result in results if result.threshold is not None}
    types = {name: column.type for name, column in schema.items()}
    drawn = {name: type_ for name, type_ in types.items() if name in columns}
    now, before = _typed(current, drawn), _typed(reference, drawn)
    first = sorted(
        results, key=lambda result: (result.verdict != "alert", "drift" not in result.check)
    )
    metrics = [metric for result in first for metric in _metrics(result, schema, before, now)]
    about = {verdict: _names(results, verdict) for verdict in ("alert", "unknown")}
    days = f"{window.start:%Y-%m-%d} to {window.end:%Y-%m-%d}"
    return Report([RowCount(tests=[]), *metrics], include_tests=True).run(
        _dataset(now, drawn),
        _dataset(before, drawn),
        timestamp=window.end,
        name=f"{window.model} version {window.version}, {days}",
        tags=[f"version {window.version}", "alert" if about["alert"] else "no alert"],
        metadata={
            "model": window.model,
            "version": window.version,
            "window_start": window.start.isoformat(),
            "window_end": window.end.isoformat(),
            **about,
        },
    )


def _metrics(
    result: CheckResult, schema: Schema, reference: pd.DataFrame, current: pd.DataFrame
) -> "list[Metric]":
    """Return Evidently's counterpart of a check, its limit as the test; none where it has none.

    Nor where the check compares values, and a sample holds none of the few that there are.
    """
    from evidently.metrics import (
        MissingValueCount,
        OutListValueCount,
        OutRangeValueCount,
        ValueDrift,
    )
    from evidently.tests import lte

    if result.column is None or result.threshold is None:
        return []
    name, limit = result.column, result.threshold
    share: dict[str, Any] = {"column": name, "tests": [], "share_tests": [lte(limit)]}
    comparable = all(_has_values(side[name]) for side in (reference, current))
    match result.check:
        case "missing":
            return [MissingValueCount(**share)]
        case "out_of_range":
            column = schema[name]
            return [
                OutRangeValueCount(
                    left=_bound(column.min, "-inf"), right=_bound(column.max, "inf"), **share
                )
            ]
        case "new_category" if comparable:
            known = sorted(reference[name].dropna().unique())
            return [OutListValueCount(values=known, **share)]
        case "drift" | "prediction_drift" if comparable:
            return [ValueDrift(column=name, method=_METHODS[schema[name].type], threshold=limit)]
    return []


def _bound(bound: float | None, none: str) -> float:
    return float(none) if bound is None else bound


def _names(results: Sequence[CheckResult], verdict: str) -> str:
    return ", ".join(
        f"{result.check} {result.column or ''}".strip()
        for result in results
        if result.verdict == verdict
    )


def _typed(frame: pd.DataFrame, types: Mapping[str, str]) -> pd.DataFrame:
    """Give columns as float64 or, for strings, as objects; what is missing is NaN or None."""
    there = frame.reindex(columns=list(types))  # a feature may be newer than the version
    return pd.DataFrame(
        {
            name: there[name].astype("object") if type_ == "string" else _numbers(there[name])
            for name, type_ in types.items()
        }
    )


def _numbers(values: "pd.Series[Any]") -> "pd.Series[Any]":
    numbers = pd.to_numeric(values).astype("float64")
    return numbers.clip(-_LARGEST, _LARGEST).where(np.isfinite(numbers), numbers)


def _has_values(column: "pd.Series[Any]") -> bool:
    return not column.replace([np.inf, -np.inf], np.nan).dropna().empty


def _dataset(frame: pd.DataFrame, types: Mapping[str, str]) -> "Dataset":
    """Hand over the columns, their kinds said: left to itself Evidently guesses from values."""
    from evidently import DataDefinition, Dataset

    definition = DataDefinition(
        numerical_columns=[name for name, type_ in types.items() if type_ != "string"],
        categorical_columns=[name for name, type_ in types.items() if type_ == "string"],
    )
    return Dataset.from_pandas(frame, data_definition=definition)


def _add(workspace: Path, model: str, snapshot: "Snapshot") -> tuple[uuid.UUID, str]:
    """Add a run to the model's project, made if need be; return the ids of project and run.

    Evidently writes into a folder apart first: a running UI watches the workspace, and its watcher
    dies of a file that is seen half-written.
    """
    from evidently.sdk.models import ProjectModel
    from evidently.ui.workspace import Workspace

    project = uuid.uuid5(uuid.NAMESPACE_URL, f"relay:{model}")  # the same for whoever comes first
    with tempfile.TemporaryDirectory() as folder:
        staging = Workspace.create(folder)
        staging.add_project(ProjectModel(id=project, name=model, description=f"Windows of {model}"))
        run = str(staging.add_run(project, snapshot).id)
        there = workspace / str(project)
        (there / "snapshots").mkdir(parents=True, exist_ok=True)  # a UI that starts lists it
        for written in (Path("metadata.json"), Path("snapshots") / f"{run}.json"):
            _publish(Path(folder, str(project)) / written, there / written)
    return project, run


def _publish(written: Path, place: Path) -> None:
    """Make the whole file appear at once; one that is there already stays.

    A hard link and no rename: the UI's watcher takes notice of files that are created.
    """
    place.parent.mkdir(parents=True, exist_ok=True)
    new = place.with_name(f".{uuid.uuid4()}.new")
    try:
        shutil.copyfile(written, new)
        with suppress(FileExistsError):
            os.link(new, place)
    finally:
        new.unlink(missing_ok=True)


def _prune(workspace: Path, project: uuid.UUID, keep: int) -> None:
    """Delete all but the newest runs; their ids (UUID version 7) begin with the time.

    By the files' names: Evidently's own workspace reads every report of every model to list one's,
    and fails where another monitor deletes one meanwhile, or one is damaged.
    """
    reports = (workspace / str(project) / "snapshots").glob("*.json")
    for old in sorted(reports)[:-keep]:
        old.unlink(missing_ok=True)
